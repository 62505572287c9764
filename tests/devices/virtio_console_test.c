/* The console device between a driver and a pair of pipes. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "vmm/base/fd.h"

enum { RX, TX };
enum { COLS = 0, ROWS = 2, EMERG_WR = 8 };

static struct device_rig rig;
static struct chardev *chardev;
static int to_guest[2], from_guest[2];

static struct virtio_device *make(uint16_t cols, uint16_t rows)
{
	struct virtio_console_config config = {
		.name = "console0", .chardev = chardev, .loop = rig.io, .cols = cols, .rows = rows
	};
	struct virtio_device *dev;

	cr_assert_eq(virtio_console_create(&dev, &config), 0);
	return dev;
}

static void setup(void)
{
	struct chardev_config config = { 0 };

	signal(SIGPIPE, SIG_IGN);
	device_rig_create(&rig);
	cr_assert_eq(pipe2(to_guest, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(from_guest, O_CLOEXEC | O_NONBLOCK), 0);
	config.in_fd = to_guest[0];
	config.out_fd = from_guest[1];
	config.main_loop = rig.machine->m.main_loop;
	cr_assert_eq(chardev_create(&chardev, &config), 0);
}

static void teardown(void)
{
	if (rig.transport)
		device_rig_unplug(&rig);
	chardev_destroy(chardev);
	device_rig_destroy(&rig);
	for (unsigned i = 0; i < 2; i++) {
		fd_close(&to_guest[i]);
		fd_close(&from_guest[i]);
	}
}

TestSuite(virtio_console, .init = setup, .fini = teardown);

static void plug(void)
{
	device_rig_plug(&rig, make(80, 25), FAKE_MMIO);
}

/* Read from the host's end until there are 'len' bytes. */
static void expect_output(const void *want, size_t len)
{
	uint8_t buf[65536];
	size_t have = 0;

	for (unsigned i = 0; have < len && i < 2000; i++) {
		ssize_t n = read(from_guest[0], buf + have, sizeof(buf) - have);

		if (n > 0)
			have += (size_t)n;
		else
			usleep(500);
		fake_machine_pump(rig.machine);
	}
	cr_assert_eq(have, len);
	cr_assert_eq(memcmp(buf, want, len), 0);
}

static uint64_t text(const char *s)
{
	uint64_t gpa = device_rig_alloc(&rig, strlen(s) + 1);

	strcpy(device_rig_at(&rig, gpa, strlen(s) + 1), s);
	return gpa;
}

/* Guests are little-endian, so legacy drivers find the same.
 * covers: CONSOLE-VQ-01 CONSOLE-VQ-02 CONSOLE-FEAT-01 CONSOLE-CFG-01 CONSOLE-LEGACY-01 */
Test(virtio_console, offers_what_is_complete)
{
	plug();
	struct features f = fake_driver_offered(&rig.driver);

	cr_assert(features_has(&f, VIRTIO_CONSOLE_F_SIZE));
	cr_assert(features_has(&f, VIRTIO_CONSOLE_F_EMERG_WRITE));
	cr_assert_not(features_has(&f, VIRTIO_CONSOLE_F_MULTIPORT));
	cr_assert_gt(fake_driver_queue_max(&rig.driver, TX), 0);
	for (unsigned i = 2; i < 8; i++)
		cr_assert_eq(fake_driver_queue_max(&rig.driver, i), 0);
	cr_assert_eq(fake_driver_config(&rig.driver, COLS, 2), 80);
	cr_assert_eq(fake_driver_config(&rig.driver, ROWS, 2), 25);
}

Test(virtio_console, size_is_not_offered_if_unknown)
{
	device_rig_plug(&rig, make(0, 0), FAKE_MMIO);
	struct features f = fake_driver_offered(&rig.driver);

	cr_assert_not(features_has(&f, VIRTIO_CONSOLE_F_SIZE));
}

/* covers: CONSOLE-CFG-02 */
Test(virtio_console, size_is_not_the_drivers)
{
	plug();
	fake_driver_set_config(&rig.driver, COLS, 4, 0xffffffff);
	cr_assert_eq(fake_driver_config(&rig.driver, COLS, 4), 80 | 25 << 16);
}

/* covers: CONSOLE-OP-01 */
Test(virtio_console, output_arrives_in_order)
{
	plug();
	device_rig_start_all(&rig, 2);
	struct fake_buf one[] = { { text("hello, "), 7, false }, { text("wor"), 3, false } };
	struct fake_buf two[] = { { text("ld\n"), 3, false } };

	device_rig_add(&rig, TX, one, 2);
	device_rig_add(&rig, TX, two, 1);
	expect_output("hello, world\n", 13);
	cr_assert_eq(device_rig_wait(&rig, TX, NULL), 0);
	cr_assert_eq(device_rig_wait(&rig, TX, NULL), 0);
}

/* covers: CONSOLE-OP-04 */
Test(virtio_console, buffers_of_the_wrong_direction_come_back_unused)
{
	uint64_t gpa = device_rig_alloc(&rig, 64);

	plug();
	device_rig_start_all(&rig, 2);
	device_rig_add(&rig, TX, &(struct fake_buf){ gpa, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, TX, NULL), 0);
	cr_assert_eq(*(uint8_t *)device_rig_at(&rig, gpa, 1), 0xcc);

	device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 64, false }, 1);
	device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 64, true }, 1);
	cr_assert_eq(write(to_guest[1], "abc", 3), 3);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 0);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 3);
	cr_assert_eq(memcmp(device_rig_at(&rig, gpa, 3), "abc", 3), 0);
}

/* covers: CONSOLE-OP-05 */
Test(virtio_console, empty_buffers_come_back_and_swallow_nothing)
{
	uint64_t gpa = device_rig_alloc(&rig, 64);
	struct fake_buf empty[] = { { gpa, 0, false }, { gpa, 0, false } };
	struct fake_buf empty_rx[] = { { gpa, 0, true }, { gpa, 0, true } };

	plug();
	device_rig_start_all(&rig, 2);
	device_rig_add(&rig, TX, empty, 1);
	device_rig_add(&rig, TX, empty, 2);
	device_rig_add(&rig, TX, &(struct fake_buf){ text("on"), 2, false }, 1);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(device_rig_wait(&rig, TX, NULL), 0);
	expect_output("on", 2);

	device_rig_add(&rig, RX, empty_rx, 1);
	device_rig_add(&rig, RX, empty_rx, 2);
	cr_assert_eq(write(to_guest[1], "abc", 3), 3);
	device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 0);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 0);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 3);
	cr_assert_eq(memcmp(device_rig_at(&rig, gpa, 3), "abc", 3), 0);
	cr_assert(device_rig_is_quiet(&rig, RX));
}

/* covers: CONSOLE-OP-06 */
Test(virtio_console, slow_reader_loses_nothing_and_holds_up_nobody)
{
	enum { CHUNK = 16384, N = 24 };
	uint64_t gpa = device_rig_alloc(&rig, (uint64_t)CHUNK * N);
	uint8_t *p = device_rig_at(&rig, gpa, (uint64_t)CHUNK * N);
	uint8_t *got = calloc(1, (size_t)CHUNK * N);
	size_t have = 0;

	for (unsigned i = 0; i < CHUNK * N; i++)
		p[i] = (uint8_t)(i * 31 + i / 256);
	plug();
	device_rig_start_all(&rig, 2);
	for (unsigned i = 0; i < N; i++)
		device_rig_add(&rig, TX, &(struct fake_buf){ gpa + i * CHUNK, CHUNK, false }, 1);
	/* Pipe and chardev hold some of it; the driver has to wait with the rest. */
	for (unsigned i = 0; i < 4; i++)
		device_rig_wait(&rig, TX, NULL);
	usleep(20000);
	cr_assert_lt(fake_ring_used_idx(&rig.ring[TX]), N);

	/* Input flows all the same. */
	uint64_t in = device_rig_alloc(&rig, 16);
	device_rig_add(&rig, RX, &(struct fake_buf){ in, 16, true }, 1);
	cr_assert_eq(write(to_guest[1], "x", 1), 1);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 1);

	for (unsigned i = 0; have < CHUNK * N && i < 20000; i++) {
		ssize_t n = read(from_guest[0], got + have, (size_t)CHUNK * N - have);

		if (n > 0)
			have += (size_t)n;
		else
			usleep(100);
		fake_machine_pump(rig.machine);
	}
	cr_assert_eq(have, CHUNK * N);
	cr_assert_eq(memcmp(got, p, have), 0);
	free(got);
}

Test(virtio_console, reset_while_output_waits)
{
	uint64_t gpa = device_rig_alloc(&rig, MIB(1));

	plug();
	for (unsigned round = 0; round < 3; round++) {
		device_rig_start_all(&rig, 2);
		device_rig_add(&rig, TX, &(struct fake_buf){ gpa, MIB(1), false }, 1);
		cr_assert(device_rig_is_quiet(&rig, TX));
		fake_driver_reset(&rig.driver);
	}
	/* Empty the pipe: the room that was waited for must find nobody. */
	uint8_t buf[65536];
	for (unsigned i = 0; i < 20; i++) {
		(void)!read(from_guest[0], buf, sizeof(buf));
		fake_machine_pump(rig.machine);
		usleep(1000);
	}
	device_rig_start_all(&rig, 2);
	device_rig_add(&rig, TX, &(struct fake_buf){ text("ok"), 2, false }, 1);
	device_rig_wait(&rig, TX, NULL);
}

/* covers: CONSOLE-OP-02 CONSOLE-OP-07 */
Test(virtio_console, input_waits_for_buffers)
{
	uint64_t gpa = device_rig_alloc(&rig, 4096);

	plug();
	device_rig_start_all(&rig, 2);
	cr_assert_eq(write(to_guest[1], "typed ahead", 11), 11);
	cr_assert(device_rig_is_quiet(&rig, RX));
	device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 5, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 5);
	device_rig_add(&rig, RX, &(struct fake_buf){ gpa + 5, 100, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 6);
	cr_assert_eq(memcmp(device_rig_at(&rig, gpa, 11), "typed ahead", 11), 0);
}

/* covers: CONSOLE-OP-07 */
Test(virtio_console, much_input_is_held_within_bounds_and_not_lost)
{
	enum { TOTAL = 40000 };
	uint64_t gpa = device_rig_alloc(&rig, 1024);
	uint8_t sent[TOTAL];
	size_t have = 0;

	for (unsigned i = 0; i < TOTAL; i++)
		sent[i] = (uint8_t)(i * 13 + i / 256);
	plug();
	device_rig_start_all(&rig, 2);
	cr_assert_eq(write(to_guest[1], sent, TOTAL), TOTAL);
	fake_machine_pump(rig.machine);
	while (have < TOTAL) {
		device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 1000, true }, 1);
		uint32_t len = device_rig_wait(&rig, RX, NULL);

		cr_assert(len >= 1 && len <= 1000);
		cr_assert_eq(memcmp(device_rig_at(&rig, gpa, len), sent + have, len), 0);
		have += len;
	}
	cr_assert_eq(have, TOTAL);
}

Test(virtio_console, input_survives_a_reset_with_buffers_outstanding)
{
	uint64_t gpa = device_rig_alloc(&rig, 64);

	plug();
	for (unsigned round = 0; round < 3; round++) {
		device_rig_start_all(&rig, 2);
		for (unsigned i = 0; i < 8; i++)
			device_rig_add(&rig, RX, &(struct fake_buf){ gpa + i, 1, true }, 1);
		cr_assert_eq(write(to_guest[1], "ab", 2), 2);
		cr_assert_eq(device_rig_wait(&rig, RX, NULL), 1);
		cr_assert_eq(device_rig_wait(&rig, RX, NULL), 1);
		cr_assert_eq(memcmp(device_rig_at(&rig, gpa, 2), "ab", 2), 0);
		fake_driver_reset(&rig.driver);
	}
}

/* covers: CONSOLE-OP-03 */
Test(virtio_console, resize_notifies)
{
	plug();
	device_rig_start_all(&rig, 2);
	uint32_t generation = fake_driver_generation(&rig.driver);

	fake_driver_take_isr(&rig.driver);
	machine_lock(&rig.machine->m);
	virtio_console_resize(rig.transport->device, 132, 43);
	machine_unlock(&rig.machine->m);
	cr_assert(fake_driver_take_isr(&rig.driver) & 2);
	cr_assert_eq(fake_driver_config(&rig.driver, COLS, 2), 132);
	cr_assert_eq(fake_driver_config(&rig.driver, ROWS, 2), 43);
	cr_assert_neq(fake_driver_generation(&rig.driver), generation);
}

/* covers: CONSOLE-INIT-01 CONSOLE-INIT-02 CONSOLE-INIT-03 CONSOLE-INIT-04 */
Test(virtio_console, emergency_write_works_in_every_state)
{
	static const unsigned width[] = { 1, 2, 4 };
	struct features none = FEATURES_EMPTY;

	plug();
	features_add(&none, VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < ARRAY_SIZE(width); i++) {
		fake_driver_set_config(&rig.driver, EMERG_WR, width[i], 0x44434200u + 'A' + i);
		cr_assert_eq(fake_driver_config(&rig.driver, EMERG_WR, 4), 0);
	}
	expect_output("ABC", 3);
	device_rig_start(&rig, none, 2);
	fake_driver_set_config(&rig.driver, EMERG_WR, 4, 'D');
	fake_driver_set_config(&rig.driver, EMERG_WR, 4, 'D');
	expect_output("DD", 2);
	/* A ring that cannot be: needs reset. */
	fake_ring_set_avail_idx(&rig.ring[TX], 5000);
	fake_driver_kick(&rig.driver, TX);
	for (unsigned i = 0; i < 2000 && !(fake_driver_status(&rig.driver) & 64); i++) {
		usleep(500);
		fake_machine_pump(rig.machine);
	}
	cr_assert(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	fake_driver_set_config(&rig.driver, EMERG_WR, 4, 'E');
	expect_output("E", 1);
}

Test(virtio_console, emergency_write_beside_the_port_says_nothing)
{
	plug();
	fake_driver_set_config(&rig.driver, EMERG_WR + 1, 1, 'x');
	fake_driver_set_config(&rig.driver, EMERG_WR, 1, 'y');
	expect_output("y", 1);
}

/* covers: CONSOLE-INIT-05 */
Test(virtio_console, emergency_write_that_is_not_offered_says_nothing)
{
	struct virtio_device *dev = make(80, 25);
	struct features off = FEATURES_EMPTY;

	features_add(&off, VIRTIO_CONSOLE_F_EMERG_WRITE);
	virtio_device_want_features(dev, FEATURES_EMPTY, off);
	device_rig_plug(&rig, dev, FAKE_MMIO);
	fake_driver_set_config(&rig.driver, EMERG_WR, 4, 'x');
	cr_assert_eq(fake_driver_config(&rig.driver, EMERG_WR, 4), 0);
	device_rig_start_all(&rig, 2);
	fake_driver_set_config(&rig.driver, EMERG_WR, 1, 'x');
	device_rig_add(&rig, TX, &(struct fake_buf){ text("end"), 3, false }, 1);
	expect_output("end", 3);
}

/* Offer output and say nothing: the device has not looked when the end comes. */
static void say_quietly(const char *s)
{
	struct fake_buf buf = { .addr = text(s), .len = (uint32_t)strlen(s) };

	fake_ring_add(&rig.ring[TX], &buf, 1);
}

/* A guest that writes and ends at once is read to the end, however it ends. */
Test(virtio_console, last_words_are_heard_at_a_reset)
{
	plug();
	device_rig_start_all(&rig, 2);
	say_quietly("reboot: Power down");
	fake_driver_set_status(&rig.driver, 0);
	expect_output("reboot: Power down", 18);
}

Test(virtio_console, last_words_are_heard_when_the_machine_goes)
{
	plug();
	device_rig_start_all(&rig, 2);
	say_quietly("panic");
	device_rig_unplug(&rig);
	expect_output("panic", 5);
}

Test(virtio_console, last_words_are_heard_when_the_driver_gives_up)
{
	plug();
	device_rig_start_all(&rig, 2);
	say_quietly("oops");
	fake_driver_set_status(&rig.driver, 0x80 | fake_driver_status(&rig.driver));
	expect_output("oops", 4);
}
