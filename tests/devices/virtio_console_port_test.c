/*
 * The console device with two named ports, "agent" and "log": control messages, and bytes between a
 * driver and a socket.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/console_control.h"
#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "vmm/base/clock.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { RX, TX, CONTROL_RX, CONTROL_TX, AGENT_RX, AGENT_TX, LOG_RX, LOG_TX, N_QUEUES };
enum { AGENT = 1, LOG = 2, N_PORTS = 3, MAX_NR_PORTS = 4, N_BUFFERS = 32, BUFFER = 128 };

static struct device_rig rig;
static struct chardev *chardev[N_PORTS];
static int host[N_PORTS] = { FD_NONE, FD_NONE, FD_NONE }, device_end[N_PORTS];
static uint64_t buffers, of_head[RIG_QUEUE_SIZE];
static unsigned n_closed;

static void hung_up(void *arg)
{
	virtio_console_port_open(rig.transport->device, (unsigned)(uintptr_t)arg, false);
}

static void closed(void *arg)
{
	(void)arg;
	n_closed++;
}

static struct virtio_device *make(unsigned n_ports, uint16_t cols, uint16_t rows)
{
	const struct virtio_port_config port[] = {
		{ .name = "agent", .chardev = chardev[AGENT], .open = true, .closed = closed },
		{ .name = "log", .chardev = chardev[LOG], .open = true, .closed = closed },
	};
	struct virtio_console_config config = {
		.name = "console0", .chardev = chardev[0], .loop = rig.io, .cols = cols,
		.rows = rows, .port = port, .n_ports = n_ports,
	};
	struct virtio_device *dev;

	cr_assert_eq(virtio_console_create(&dev, &config), 0);
	return dev;
}

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	device_rig_create(&rig);
	for (unsigned i = 0; i < N_PORTS; i++) {
		int s[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
		host[i] = s[0];
		device_end[i] = s[1];
		fcntl(host[i], F_SETFL, O_NONBLOCK);
		const struct chardev_config config = {
			.in_fd = s[1], .out_fd = s[1], .main_loop = rig.machine->m.main_loop,
			.hung_up = i ? hung_up : NULL, .hung_up_arg = (void *)(uintptr_t)i,
		};
		cr_assert_eq(chardev_create(&chardev[i], &config), 0);
		close(s[1]);
	}
}

static void teardown(void)
{
	if (rig.transport)
		device_rig_unplug(&rig);
	for (unsigned i = 0; i < N_PORTS; i++) {
		chardev_destroy(chardev[i]);
		fd_close(&host[i]);
	}
	device_rig_destroy(&rig);
}

TestSuite(virtio_console_port, .init = setup, .fini = teardown, .timeout = 60);

static void pump(void)
{
	usleep(300);
	fake_machine_pump(rig.machine);
}

/* --- The driver's side ----------------------------------------------------------------------- */

static void offer_buffer(uint32_t len)
{
	static unsigned next;
	uint64_t gpa = buffers + next++ % N_BUFFERS * BUFFER;

	memset(device_rig_at(&rig, gpa, BUFFER), 0xcc, BUFFER);
	uint16_t head = device_rig_add(&rig, CONTROL_RX, &(struct fake_buf){ gpa, len, true }, 1);
	cr_assert_lt(head, RIG_QUEUE_SIZE);
	of_head[head] = gpa;
}

static void start_demanding(struct features on, unsigned n_buffers)
{
	struct virtio_device *dev = make(2, 0, 0);

	virtio_device_want_features(dev, on, FEATURES_EMPTY);
	device_rig_plug(&rig, dev, FAKE_PCI);
	device_rig_start_all(&rig, N_QUEUES);
	buffers = device_rig_alloc(&rig, N_BUFFERS * BUFFER);
	for (unsigned i = 0; i < n_buffers; i++)
		offer_buffer(BUFFER);
}

static void start(unsigned n_buffers)
{
	start_demanding(FEATURES_EMPTY, n_buffers);
}

static void send_bytes(const void *bytes, uint32_t len)
{
	uint64_t gpa = device_rig_alloc(&rig, 4096);

	memcpy(device_rig_at(&rig, gpa, len), bytes, len);
	device_rig_add(&rig, CONTROL_TX, &(struct fake_buf){ gpa, len, false }, 1);
	cr_assert_eq(device_rig_wait(&rig, CONTROL_TX, NULL), 0);
}

static void tell(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t m[8];

	store_le32(m, id);
	store_le16(m + 4, event);
	store_le16(m + 6, value);
	send_bytes(m, sizeof(m));
}

/* The next message is this one, byte by byte. */
static void expect_bytes(const void *want, uint32_t len)
{
	uint32_t head, got;

	for (unsigned i = 0; i < 20; i++)
		pump();
	got = device_rig_wait(&rig, CONTROL_RX, &head);
	cr_assert_eq(got, len, "%u bytes, not %u", got, len);
	cr_assert_eq(memcmp(device_rig_at(&rig, of_head[head], len), want, len), 0);
}

static void expect(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t m[8];

	store_le32(m, id);
	store_le16(m + 4, event);
	store_le16(m + 6, value);
	expect_bytes(m, sizeof(m));
}

static void expect_name(uint32_t id, const char *name)
{
	uint8_t m[80];
	size_t len = strlen(name);

	store_le32(m, id);
	store_le16(m + 4, CONSOLE_PORT_NAME);
	store_le16(m + 6, 1);
	memcpy(m + 8, name, len);
	expect_bytes(m, (uint32_t)(8 + len));
}

static void expect_silence(void)
{
	for (unsigned i = 0; i < 20; i++)
		pump();
	cr_assert(device_rig_is_quiet(&rig, CONTROL_RX));
}

/* Up to where everybody knows all. */
static void introduce(void)
{
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < N_PORTS; i++)
		expect(i, CONSOLE_DEVICE_ADD, 0);
	for (unsigned i = 0; i < N_PORTS; i++) {
		tell(i, CONSOLE_PORT_READY, 1);
		if (i == 0)
			expect(0, CONSOLE_CONSOLE_PORT, 1);
		else
			expect_name(i, i == AGENT ? "agent" : "log");
		expect(i, CONSOLE_PORT_OPEN, 1);
	}
}

/* --- What is offered ------------------------------------------------------------------------- */

/* covers: CONSOLE-VQ-01 CONSOLE-VQ-03 CONSOLE-FEAT-01 CONSOLE-CFG-01 CONSOLE-CFG-02 */
Test(virtio_console_port, ports_have_queues_behind_those_of_control)
{
	device_rig_plug(&rig, make(2, 80, 25), FAKE_PCI);
	struct features f = fake_driver_offered(&rig.driver);

	cr_assert(features_has(&f, VIRTIO_CONSOLE_F_MULTIPORT));
	for (unsigned round = 0; round < 2; round++) {
		cr_assert_eq(fake_driver_config(&rig.driver, MAX_NR_PORTS, 4), N_PORTS);
		cr_assert_eq(rig.transport->device->n_queues, 2 * (N_PORTS + 1));
		for (unsigned i = 0; i < N_QUEUES; i++)
			cr_assert_gt(fake_driver_queue_max(&rig.driver, i), 0);
		cr_assert_eq(fake_driver_queue_max(&rig.driver, N_QUEUES), 0);
		fake_driver_set_config(&rig.driver, MAX_NR_PORTS, 4, 77);
		device_rig_start_all(&rig, N_QUEUES);
	}
}

/* covers: CONSOLE-VQ-02 */
Test(virtio_console_port, a_driver_of_one_port_has_the_console_alone)
{
	struct features f;
	uint64_t gpa;
	char buf[8];

	device_rig_plug(&rig, make(2, 0, 0), FAKE_PCI);
	f = fake_driver_offered(&rig.driver);
	features_remove(&f, VIRTIO_CONSOLE_F_MULTIPORT);
	device_rig_start(&rig, f, 2);
	for (unsigned i = CONTROL_RX; i < N_QUEUES; i++)
		cr_assert_eq(fake_driver_queue_max(&rig.driver, i), 0);
	gpa = device_rig_alloc(&rig, 64);
	device_rig_add(&rig, RX, &(struct fake_buf){ gpa, 64, true }, 1);
	cr_assert_eq(write(host[0], "in", 2), 2);
	cr_assert_eq(device_rig_wait(&rig, RX, NULL), 2);
	device_rig_add(&rig, TX, &(struct fake_buf){ gpa, 2, false }, 1);
	cr_assert_eq(device_rig_wait(&rig, TX, NULL), 0);
	cr_assert_eq(read(host[0], buf, sizeof(buf)), 2);
	/* The next one may know better. */
	fake_driver_reset(&rig.driver);
	cr_assert_gt(fake_driver_queue_max(&rig.driver, LOG_TX), 0);
}

/* --- Control messages ------------------------------------------------------------------------ */

/* covers: CONSOLE-MP-01 CONSOLE-MP-02 CONSOLE-MP-03 CONSOLE-MP-04 CONSOLE-MP-05 */
Test(virtio_console_port, nothing_is_said_before_the_driver_is_ready)
{
	start(N_BUFFERS);
	expect_silence();
	tell(1, CONSOLE_PORT_READY, 1);
	tell(1, CONSOLE_PORT_OPEN, 1);
	expect_silence();
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < N_PORTS; i++)
		expect(i, CONSOLE_DEVICE_ADD, 0);
	expect_silence();
	/* Once is enough. */
	tell(0, CONSOLE_DEVICE_READY, 1);
	expect_silence();
}

/* covers: CONSOLE-MP-01 CONSOLE-MP-02 CONSOLE-MP-03 CONSOLE-MP-06 CONSOLE-MP-07 */
Test(virtio_console_port, a_port_that_is_ready_is_described_once_in_each_session)
{
	start(N_BUFFERS);
	introduce();
	tell(AGENT, CONSOLE_PORT_READY, 1);
	expect_silence();
	fake_driver_reset(&rig.driver);
	device_rig_start_all(&rig, N_QUEUES);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		offer_buffer(BUFFER);
	expect_silence();
	introduce();
}

/* covers: CONSOLE-MP-08 CONSOLE-OP-03 */
Test(virtio_console_port, a_size_is_columns_then_rows)
{
	static const uint8_t first[] = { 0, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0 };
	static const uint8_t later[] = { 0, 0, 0, 0, 5, 0, 0, 0, 0x84, 0, 0x2b, 1 };

	device_rig_plug(&rig, make(2, 80, 25), FAKE_PCI);
	device_rig_start_all(&rig, N_QUEUES);
	buffers = device_rig_alloc(&rig, N_BUFFERS * BUFFER);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		offer_buffer(BUFFER);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < N_PORTS; i++)
		expect(i, CONSOLE_DEVICE_ADD, 0);
	tell(0, CONSOLE_PORT_READY, 1);
	expect(0, CONSOLE_CONSOLE_PORT, 1);
	expect_bytes(first, sizeof(first));
	expect(0, CONSOLE_PORT_OPEN, 1);
	machine_lock(&rig.machine->m);
	virtio_console_resize(rig.transport->device, 0x84, 0x12b);
	machine_unlock(&rig.machine->m);
	expect_bytes(later, sizeof(later));
}

/* covers: CONSOLE-MP-09 */
Test(virtio_console_port, nonsense_is_ignored_and_comes_back)
{
	static const struct {
		uint32_t id;
		uint16_t event, value;
	} bad[] = {
		{ 0, 8, 1 }, { 1, 0xffff, 1 }, { N_PORTS, CONSOLE_PORT_READY, 1 },
		{ 0xffffffff, CONSOLE_PORT_READY, 1 }, { 0xffffffff, CONSOLE_PORT_OPEN, 1 },
		{ 0x80000001, CONSOLE_PORT_OPEN, 0 }, { 1, CONSOLE_DEVICE_ADD, 1 },
		{ 1, CONSOLE_DEVICE_REMOVE, 1 }, { 1, CONSOLE_PORT_NAME, 1 }, { 0, CONSOLE_RESIZE, 1 },
		{ 1, CONSOLE_PORT_OPEN, 0x101 }, { 1, CONSOLE_CONSOLE_PORT, 1 },
	};
	uint8_t message[4000] = { 0 };
	uint64_t gpa;

	start(N_BUFFERS);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < N_PORTS; i++)
		expect(i, CONSOLE_DEVICE_ADD, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		tell(bad[i].id, bad[i].event, bad[i].value);
	/* Short ones of a message that would mean something. */
	store_le32(message, AGENT);
	message[4] = CONSOLE_PORT_READY;
	message[6] = 1;
	for (uint32_t len = 0; len < 8; len++)
		send_bytes(message, len);
	/* A buffer that the device could write to is no message. */
	gpa = device_rig_alloc(&rig, 64);
	memcpy(device_rig_at(&rig, gpa, 8), message, 8);
	device_rig_add(&rig, CONTROL_TX, &(struct fake_buf){ gpa, 8, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, CONTROL_TX, NULL), 0);
	expect_silence();
	/* What is behind the eighth byte means nothing. */
	send_bytes(message, sizeof(message));
	expect_name(AGENT, "agent");
	expect(AGENT, CONSOLE_PORT_OPEN, 1);
	/* Split where it hurts. */
	memset(message + 8, 0xff, 8);
	message[0] = LOG;
	memcpy(device_rig_at(&rig, gpa, 16), message, 16);
	device_rig_add(&rig, CONTROL_TX, (struct fake_buf[]){
		{ gpa, 3, false }, { gpa + 3, 2, false }, { gpa + 5, 11, false } }, 3);
	cr_assert_eq(device_rig_wait(&rig, CONTROL_TX, NULL), 0);
	expect_name(LOG, "log");
}

static void hang_up(unsigned port)
{
	fd_close(&host[port]);
	for (unsigned i = 0; i < 20; i++)
		pump();
}

/* covers: CONSOLE-MP-10 */
Test(virtio_console_port, who_failed_hears_nothing_more)
{
	start(N_BUFFERS);
	introduce();
	tell(AGENT, CONSOLE_PORT_READY, 0);
	hang_up(AGENT);
	expect_silence();
	tell(0, CONSOLE_DEVICE_READY, 0);
	hang_up(LOG);
	expect_silence();
	cr_assert_eq(n_closed, 2, "but the host is not kept waiting: %u", n_closed);
}

/* covers: CONSOLE-MP-11 */
Test(virtio_console_port, messages_wait_for_buffers_and_are_never_cut)
{
	start(0);
	tell(0, CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < 10000; i++)
		virtio_console_port_open(rig.transport->device, AGENT, i % 2);
	for (unsigned i = 0; i < 20; i++)
		pump();
	/* Too small, empty, of the wrong direction. */
	offer_buffer(7);
	device_rig_add(&rig, CONTROL_RX, &(struct fake_buf){ buffers, 64, false }, 1);
	offer_buffer(0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(device_rig_wait(&rig, CONTROL_RX, NULL), 0);
	for (unsigned i = 0; i < N_PORTS; i++) {
		offer_buffer(8);
		expect(i, CONSOLE_DEVICE_ADD, 0);
	}
	tell(AGENT, CONSOLE_PORT_READY, 1);
	offer_buffer(8);
	offer_buffer(12);
	cr_assert_eq(device_rig_wait(&rig, CONTROL_RX, NULL), 0, "no half of a name");
	cr_assert_eq(device_rig_wait(&rig, CONTROL_RX, NULL), 0);
	offer_buffer(13);
	expect_name(AGENT, "agent");
	offer_buffer(8);
	expect(AGENT, CONSOLE_PORT_OPEN, 1);
	offer_buffer(8);
	expect_silence();
}

/* covers: CONSOLE-LEGACY-02 CONSOLE-LEGACY-03 */
Test(virtio_console_port, legacy_drivers_have_ports_too)
{
	struct features f;

	device_rig_plug(&rig, make(2, 0, 0), FAKE_TRANSITIONAL_LEGACY);
	f = fake_driver_offered(&rig.driver);
	features_remove(&f, VIRTIO_F_ANY_LAYOUT);
	device_rig_start(&rig, f, N_QUEUES);
	buffers = device_rig_alloc(&rig, N_BUFFERS * BUFFER);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		offer_buffer(BUFFER);
	introduce();
}

/* --- Bytes ----------------------------------------------------------------------------------- */

static void offer_input(unsigned queue, uint64_t gpa, uint32_t len)
{
	device_rig_add(&rig, queue, &(struct fake_buf){ gpa, len, true }, 1);
}

/* covers: CONSOLE-MP-12 */
Test(virtio_console_port, input_waits_until_the_guest_opens)
{
	enum { TOTAL = 150000 };
	uint8_t *sent = malloc(TOTAL);
	size_t written = 0, have = 0;
	uint64_t gpa;

	for (unsigned i = 0; i < TOTAL; i++)
		sent[i] = (uint8_t)(i * 13 + i / 256);
	start(N_BUFFERS);
	introduce();
	gpa = device_rig_alloc(&rig, 4096);
	offer_input(AGENT_RX, gpa, 4096);
	/* The sender is held up: nothing grows here. */
	for (unsigned i = 0; i < 200; i++) {
		ssize_t n = write(host[AGENT], sent + written, TOTAL - written);

		written += n > 0 ? (size_t)n : 0;
		pump();
	}
	cr_assert(device_rig_is_quiet(&rig, AGENT_RX));
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	while (have < TOTAL) {
		ssize_t n = write(host[AGENT], sent + written, TOTAL - written);

		written += n > 0 ? (size_t)n : 0;
		pump();
		uint32_t len = device_rig_wait(&rig, AGENT_RX, NULL);
		cr_assert(len >= 1 && have + len <= TOTAL);
		cr_assert_eq(memcmp(device_rig_at(&rig, gpa, len), sent + have, len), 0);
		have += len;
		offer_input(AGENT_RX, gpa, 4096);
	}
	/* Closed again, it waits again. */
	tell(AGENT, CONSOLE_PORT_OPEN, 0);
	cr_assert_eq(write(host[AGENT], "x", 1), 1);
	for (unsigned i = 0; i < 20; i++)
		pump();
	cr_assert(device_rig_is_quiet(&rig, AGENT_RX));
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	cr_assert_eq(device_rig_wait(&rig, AGENT_RX, NULL), 1);
	free(sent);
}

Test(virtio_console_port, who_hangs_up_is_gone_when_all_has_arrived)
{
	uint64_t gpa;

	start(N_BUFFERS);
	introduce();
	cr_assert_eq(write(host[AGENT], "last words", 10), 10);
	hang_up(AGENT);
	expect_silence();
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	expect_silence();
	gpa = device_rig_alloc(&rig, 64);
	offer_input(AGENT_RX, gpa, 4);
	cr_assert_eq(device_rig_wait(&rig, AGENT_RX, NULL), 4);
	cr_assert_eq(n_closed, 0);
	expect_silence();
	offer_input(AGENT_RX, gpa + 4, 60);
	cr_assert_eq(device_rig_wait(&rig, AGENT_RX, NULL), 6);
	cr_assert_eq(memcmp(device_rig_at(&rig, gpa, 10), "last words", 10), 0);
	expect(AGENT, CONSOLE_PORT_OPEN, 0);
	cr_assert_eq(n_closed, 1);
	/* What goes there goes nowhere, and holds up nobody. */
	for (unsigned i = 0; i < 100; i++) {
		device_rig_add(&rig, AGENT_TX, &(struct fake_buf){ gpa, 4096, false }, 1);
		cr_assert_eq(device_rig_wait(&rig, AGENT_TX, NULL), 0);
	}
}

Test(virtio_console_port, who_only_stops_to_talk_is_still_there)
{
	uint64_t gpa;
	char buf[8];

	start(N_BUFFERS);
	introduce();
	shutdown(host[AGENT], SHUT_WR);
	expect_silence();
	gpa = device_rig_alloc(&rig, 64);
	device_rig_add(&rig, AGENT_TX, &(struct fake_buf){ gpa, 5, false }, 1);
	cr_assert_eq(device_rig_wait(&rig, AGENT_TX, NULL), 0);
	cr_assert_eq(read(host[AGENT], buf, sizeof(buf)), 5);
	hang_up(AGENT);
	expect(AGENT, CONSOLE_PORT_OPEN, 0);
}

Test(virtio_console_port, another_client_comes_and_nothing_is_mixed)
{
	int s[2];
	uint64_t gpa;

	start(N_BUFFERS);
	introduce();
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	hang_up(AGENT);
	expect(AGENT, CONSOLE_PORT_OPEN, 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	cr_assert_eq(chardev_connect(chardev[AGENT], s[1]), 0);
	virtio_console_port_open(rig.transport->device, AGENT, true);
	expect(AGENT, CONSOLE_PORT_OPEN, 1);
	gpa = device_rig_alloc(&rig, 64);
	offer_input(AGENT_RX, gpa, 64);
	cr_assert_eq(write(s[0], "new", 3), 3);
	for (unsigned i = 0; i < 20; i++)
		pump();
	cr_assert_eq(device_rig_wait(&rig, AGENT_RX, NULL), 3);
	close(s[0]);
	expect(AGENT, CONSOLE_PORT_OPEN, 0);
}

static size_t read_all(int fd, uint8_t *buf, size_t size)
{
	size_t have = 0;

	for (unsigned idle = 0; idle < 300 && have < size; idle++) {
		ssize_t n = read(fd, buf + have, size - have);

		if (n > 0) {
			have += (size_t)n;
			idle = 0;
		}
		pump();
	}
	return have;
}

enum { CHUNK = 32768, N_CHUNKS = 30, FLOOD = CHUNK * N_CHUNKS };

static const uint8_t *flood(unsigned queue)
{
	uint64_t gpa = device_rig_alloc(&rig, FLOOD);
	uint8_t *p = device_rig_at(&rig, gpa, FLOOD);

	for (unsigned i = 0; i < FLOOD; i++)
		p[i] = (uint8_t)(i * 31 + i / 256);
	for (unsigned i = 0; i < N_CHUNKS; i++)
		device_rig_add(&rig, queue, &(struct fake_buf){ gpa + i * CHUNK, CHUNK, false }, 1);
	return p;
}

/* A driver that resets the device at a power-off must not take results with it. */
Test(virtio_console_port, a_reset_waits_for_who_reads_late)
{
	uint8_t *got = malloc(FLOOD);
	const uint8_t *sent;

	start(N_BUFFERS);
	introduce();
	sent = flood(AGENT_TX);
	/* The other port goes on meanwhile. */
	device_rig_add(&rig, LOG_TX, &(struct fake_buf){ buffers, 5, false }, 1);
	cr_assert_eq(device_rig_wait(&rig, LOG_TX, NULL), 0);
	fake_driver_set_status(&rig.driver, 0);
	cr_assert_neq(fake_driver_status(&rig.driver), 0);
	cr_assert_eq(read_all(host[AGENT], got, FLOOD), FLOOD);
	cr_assert_eq(memcmp(got, sent, FLOOD), 0);
	for (unsigned i = 0; i < 100 && fake_driver_status(&rig.driver) != 0; i++)
		pump();
	cr_assert_eq(fake_driver_status(&rig.driver), 0);
	free(got);
}

Test(virtio_console_port, a_reset_does_not_wait_for_ever)
{
	uint64_t begin;

	start(N_BUFFERS);
	introduce();
	flood(AGENT_TX);
	begin = clock_now_ms();
	fake_driver_set_status(&rig.driver, 0);
	while (fake_driver_status(&rig.driver) != 0 && clock_now_ms() < begin + 10000)
		pump();
	cr_assert_eq(fake_driver_status(&rig.driver), 0);
	cr_assert_lt(clock_now_ms() - begin, 4000);
}

Test(virtio_console_port, all_is_drained_when_the_guest_stands)
{
	uint8_t *got = malloc(FLOOD);
	const uint8_t *sent;
	size_t have = 0;

	start(N_BUFFERS);
	introduce();
	sent = flood(AGENT_TX);
	while (have < FLOOD) {
		virtio_console_drain(rig.transport->device, clock_now_ms() + 20);
		size_t n = read_all(host[AGENT], got + have, FLOOD - have);
		cr_assert_gt(n, 0);
		have += n;
	}
	cr_assert_eq(memcmp(got, sent, FLOOD), 0);
	free(got);
}

/* What has begun to go out goes on where it was. */
Test(virtio_console_port, a_suspended_port_loses_and_repeats_nothing)
{
	uint8_t *got = malloc(FLOOD);
	const uint8_t *sent;
	size_t have = 0;
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_SUSPEND);
	start_demanding(on, N_BUFFERS);
	introduce();
	sent = flood(AGENT_TX);
	while (have < FLOOD) {
		uint8_t status = fake_driver_status(&rig.driver);

		fake_driver_set_status(&rig.driver, status | VIRTIO_STATUS_SUSPEND);
		for (unsigned i = 0; i < 1000; i++) {
			if (fake_driver_status(&rig.driver) & VIRTIO_STATUS_SUSPEND)
				break;
			pump();
		}
		cr_assert(fake_driver_status(&rig.driver) & VIRTIO_STATUS_SUSPEND);
		fake_driver_set_status(&rig.driver, status);
		have += read_all(host[AGENT], got + have, min_u64(100000, FLOOD - have));
	}
	cr_assert_eq(memcmp(got, sent, FLOOD), 0);
	free(got);
}

/* covers: CONSOLE-OP-06 */
Test(virtio_console_port, a_queue_that_was_reset_works_again)
{
	uint64_t gpa, ring;

	start(N_BUFFERS);
	introduce();
	tell(AGENT, CONSOLE_PORT_OPEN, 1);
	for (unsigned q = AGENT_RX; q <= AGENT_TX; q++) {
		fake_driver_reset_queue(&rig.driver, q);
		for (unsigned i = 0; i < 100 && fake_driver_queue_in_reset(&rig.driver, q); i++)
			pump();
		ring = device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
		fake_driver_init_ring(&rig.driver, &rig.ring[q], RIG_QUEUE_SIZE, ring);
		fake_driver_set_queue(&rig.driver, q, &rig.ring[q]);
		fake_driver_enable_queue(&rig.driver, q);
	}
	gpa = device_rig_alloc(&rig, 64);
	offer_input(AGENT_RX, gpa, 64);
	cr_assert_eq(write(host[AGENT], "again", 5), 5);
	for (unsigned i = 0; i < 20; i++)
		pump();
	cr_assert_eq(device_rig_wait(&rig, AGENT_RX, NULL), 5);
	device_rig_add(&rig, AGENT_TX, &(struct fake_buf){ gpa, 5, false }, 1);
	cr_assert_eq(device_rig_wait(&rig, AGENT_TX, NULL), 0);
}
