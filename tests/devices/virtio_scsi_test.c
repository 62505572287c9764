/*
 * The SCSI host as a driver sees it, over a fake vhost: configuration, who gets which queue, and the
 * event queue.  What a real target answers is in real_scsi_test.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/fake_vhost.h"
#include "vhost/vhost_scsi.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

#define WWPN "naa.5001405012345678"
#define EVENTS_MISSED 0x80000000u

enum { CONTROL, EVENT, REQUEST, QUEUES = 3 };
enum { SENSE_SIZE_AT = 20, CDB_SIZE_AT = 24 };

static struct device_rig rig;
static struct fake_vhost fake;
static char configfs[64];

static struct virtio_scsi_config make_config(void)
{
	return (struct virtio_scsi_config){
		.name = "scsi0", .wwpn = WWPN, .n_queues = 1, .vhost_path = "/dev/vhost-scsi",
		.loop = rig.io, .open = fake_vhost_open, .configfs = configfs,
	};
}

/* configfs with a target, as far as 'depth' goes: 1 target/vhost, 2 the target, 3 its group, 4 a nexus */
static void make_target(unsigned depth)
{
	static const char *const part[] = { "/target", "/vhost", ("/" WWPN), "/tpgt_1" };
	char path[256];

	snprintf(configfs, sizeof(configfs), "/tmp/vireo-scsi-XXXXXX");
	cr_assert(mkdtemp(configfs));
	snprintf(path, sizeof(path), "%s", configfs);
	for (unsigned i = 0; i < ARRAY_SIZE(part) && i <= depth; i++) {
		strncat(path, part[i], sizeof(path) - strlen(path) - 1);
		cr_assert_eq(mkdir(path, 0700), 0);
	}
	if (depth < 4)
		return;
	strncat(path, "/nexus", sizeof(path) - strlen(path) - 1);
	FILE *f = fopen(path, "w");
	cr_assert(f);
	fputs("naa.6001405000000001\n", f);
	fclose(f);
}

static void remove_target(void)
{
	static const char *const part[] = {
		("/target/vhost/" WWPN "/tpgt_1/nexus"), ("/target/vhost/" WWPN "/tpgt_1"),
		("/target/vhost/" WWPN), "/target/vhost", "/target", "",
	};
	char path[256];

	for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
		snprintf(path, sizeof(path), "%s%s", configfs, part[i]);
		(void)!remove(path);
	}
}

static void plug(enum fake_transport how, unsigned n_queues)
{
	struct virtio_scsi_config config = make_config();
	struct virtio_device *dev;

	config.n_queues = n_queues;
	cr_assert_eq(virtio_scsi_create(&dev, &config), 0, "%s", error_text());
	device_rig_plug(&rig, dev, how);
}

static void setup(void)
{
	device_rig_create(&rig);
	fake_vhost_init(&fake, fake_vhost_scsi_features());
	make_target(4);
}

static void *let_go_later(void *arg)
{
	usleep(50000);
	atomic_store(&fake.commands_hang, false);
	return arg;
}

static void teardown(void)
{
	if (rig.transport)
		device_rig_destroy(&rig);
	else
		event_loop_destroy(rig.io);
	cr_assert_eq(fake.n_open, 0);
	remove_target();
}

TestSuite(virtio_scsi, .init = setup, .fini = teardown);

/* covers: SCSI-CFG-01 SCSI-CFG-02 SCSI-CFG-03 SCSI-CFG-04 */
Test(virtio_scsi, configuration_is_laid_out_as_specified)
{
	plug(FAKE_PCI, 2);
	struct fake_driver *d = &rig.driver;

	cr_assert_eq(fake_driver_config(d, 0, 4), 2);
	cr_assert_eq(fake_driver_config(d, 4, 4), 126);
	cr_assert_eq(fake_driver_config(d, 8, 4), 0xffff);
	cr_assert_eq(fake_driver_config(d, 12, 4), 128);
	cr_assert_geq(fake_driver_config(d, 16, 4), 16);
	cr_assert_eq(fake_driver_config(d, SENSE_SIZE_AT, 4), 96);
	cr_assert_eq(fake_driver_config(d, CDB_SIZE_AT, 4), 32);
	cr_assert_eq(fake_driver_config(d, 28, 2), 0);
	cr_assert_leq(fake_driver_config(d, 30, 2), 255);
	cr_assert_leq(fake_driver_config(d, 32, 4), 16383);
}

/* covers: SCSI-VQ-01 */
Test(virtio_scsi, request_queues_follow_control_and_events)
{
	plug(FAKE_PCI, 2);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_gt(fake_driver_queue_max(&rig.driver, i), 0);
	cr_assert_eq(fake_driver_queue_max(&rig.driver, 4), 0);
}

/*
 * N18: T10_PI has no row that is served, although this vhost has it.
 * covers: SCSI-FEAT-01
 */
Test(virtio_scsi, hotplug_is_offered_and_nothing_that_is_not_served)
{
	plug(FAKE_PCI, 1);
	struct features f = fake_driver_offered(&rig.driver);

	cr_assert_eq(f.word[0] & 0xffffff, 1 << 1);
	cr_assert(features_has(&f, VIRTIO_F_VERSION_1));
	cr_assert_not(features_has(&f, VIRTIO_F_RING_PACKED));
	cr_assert_not(features_has(&f, VIRTIO_F_SUSPEND));
}

/* N13: a kernel that cannot has no hotplug, and the device works without. */
Test(virtio_scsi, hotplug_needs_the_kernels)
{
	features_remove(&fake.features, VIRTIO_SCSI_F_HOTPLUG);
	plug(FAKE_PCI, 1);
	cr_assert_eq(fake_driver_offered(&rig.driver).word[0] & 0xffffff, 0);
	device_rig_start_all(&rig, QUEUES);
}

/* N7, N12, N15: the ladder up and down; ring 1, for events, is our own. */
Test(virtio_scsi, the_kernel_gets_all_queues_but_the_events)
{
	plug(FAKE_PCI, 1);
	fake_vhost_clear(&fake);
	device_rig_start_all(&rig, QUEUES);
	fake_vhost_expect(&fake,
			  "SET_FEATURES 1 28 29 32\n"
			  "SET_MEM_TABLE 2\n"
			  "SET_VRING_NUM 0: 64\n"
			  "SET_VRING_BASE 0: 0\n"
			  "SET_VRING_ADDR 0\n"
			  "SET_VRING_ERR 0: fd\n"
			  "SET_VRING_CALL 0: fd\n"
			  "SET_VRING_KICK 0: fd\n"
			  "SET_VRING_NUM 2: 64\n"
			  "SET_VRING_BASE 2: 0\n"
			  "SET_VRING_ADDR 2\n"
			  "SET_VRING_ERR 2: fd\n"
			  "SET_VRING_CALL 2: fd\n"
			  "SET_VRING_KICK 2: fd\n"
			  "SET_MEM_TABLE 3\n"
			  "SET_VRING_NUM 1: 16\n"
			  "SET_VRING_BASE 1: 0\n"
			  "SET_VRING_ADDR 1\n"
			  "SET_VRING_CALL 1: fd\n"
			  "SET_VRING_KICK 1: fd\n"
			  "SCSI_SET_ENDPOINT " WWPN " 1\n");
	fake_driver_reset(&rig.driver);
	fake_vhost_expect(&fake,
			  "SCSI_CLEAR_ENDPOINT " WWPN " 1\n"
			  "SET_VRING_KICK 1: none\n"
			  "SET_VRING_CALL 1: none\n"
			  "GET_VRING_BASE 0\n"
			  "SET_VRING_KICK 0: none\n"
			  "SET_VRING_CALL 0: none\n"
			  "SET_VRING_ERR 0: none\n"
			  "GET_VRING_BASE 2\n"
			  "SET_VRING_KICK 2: none\n"
			  "SET_VRING_CALL 2: none\n"
			  "SET_VRING_ERR 2: none\n");
	/* And again. */
	device_rig_start_all(&rig, QUEUES);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
}

/* A driver may leave request queues alone; the rest works.  covers: SCSI-INIT-02 */
Test(virtio_scsi, queues_that_are_not_enabled_are_not_missed)
{
	plug(FAKE_PCI, 2);
	device_rig_start_some(&rig, fake_driver_offered(&rig.driver), 1u << CONTROL | 1u << REQUEST);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
	cr_assert_not(fake_vhost_saw(&fake, "SET_VRING_KICK 3"));
}

/*
 * The kernel signals a ring's error descriptor for requests that it answers, too (a target that is
 * not there): a driver that scans must not lose its device by that.
 */
Test(virtio_scsi, an_error_of_a_request_is_not_one_of_the_device)
{
	plug(FAKE_PCI, 1);
	for (unsigned round = 0; round < 2; round++) {
		device_rig_start_all(&rig, QUEUES);
		fake_vhost_clear(&fake);
		for (unsigned i = 0; i < 3; i++) {
			fd_signal(fake.ring[0][i % 2 ? REQUEST : CONTROL].err);
			cr_assert(device_rig_is_quiet(&rig, EVENT));
		}
		cr_assert_not(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
		cr_assert_not(fake_vhost_saw(&fake, "SCSI_CLEAR_ENDPOINT"));
		fake_driver_reset(&rig.driver);
	}
}

/*
 * The kernel complains of a request, and takes it: however often, and whatever is in the ring by then,
 * that is no error of the device.
 */
Test(virtio_scsi, complaints_of_a_ring_that_moves_are_of_requests)
{
	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t at = device_rig_alloc(&rig, 64);

		device_rig_add(&rig, REQUEST, &(struct fake_buf){ at, 64, true }, 1);
		fake.ring[0][REQUEST].base = i;
		fd_signal(fake.ring[0][REQUEST].err);
		usleep(10000);
		fake_machine_pump(rig.machine);
	}
	cr_assert_not(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

/*
 * It complains, takes nothing, and complains again when it is kicked: the ring is broken, and the driver
 * is told.  N10
 */
Test(virtio_scsi, n10_complaints_of_a_ring_that_stands_still_are_of_the_ring)
{
	struct fake_vhost_ring *ring = &fake.ring[0][REQUEST];
	struct fake_driver *d = &rig.driver;
	unsigned n_kicks = 0;

	plug(FAKE_PCI, 1);
	for (unsigned round = 0; round < 2; round++) {
		device_rig_start_all(&rig, QUEUES);
		fake_ring_offer(&rig.ring[REQUEST], 0xffff);
		fake_ring_publish(&rig.ring[REQUEST]);
		fake_driver_kick(d, REQUEST);
		/* The test is the kernel: nothing is taken, each kick is answered by a complaint. */
		for (unsigned i = 0; i < 2000; i++) {
			fake_machine_pump(rig.machine);
			if (fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET)
				break;
			if (fd_drain(ring->kick)) {
				n_kicks++;
				fd_signal(ring->err);
			}
			usleep(1000);
		}
		cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
		cr_assert_gt(n_kicks, 2);
		fake_driver_set_status(d, 0);
		cr_assert_eq(fake_driver_status(d), 0);
	}
}

/* --- a disk that hangs ----------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void commands_return(void)
{
	atomic_store(&fake.commands_hang, false);
	for (unsigned i = 0; i < 5000 && fake_driver_status(&rig.driver) != 0; i++)
		usleep(1000);
	cr_assert_eq(fake_driver_status(&rig.driver), 0);
}

/*
 * The kernel waits for all commands before it lets go of a target: the driver's reset does not, and
 * says so, and nothing else is asked of the node.  N6
 * covers: CORE-RESET-03
 */
Test(virtio_scsi, n6_a_reset_does_not_wait_for_commands_that_hang)
{
	plug(FAKE_PCI, 1);
	for (unsigned i = 0; i < 2; i++) {
		device_rig_start_all(&rig, QUEUES);
		fake_vhost_clear(&fake);
		atomic_store(&fake.commands_hang, true);
		uint64_t from = now_ms();

		fake_driver_set_status(&rig.driver, 0);
		cr_assert_lt(now_ms() - from, 1000);
		cr_assert_neq(fake_driver_status(&rig.driver), 0);
		cr_assert_neq(fake_driver_status(&rig.driver), 0);
		fake_vhost_expect(&fake, "SCSI_CLEAR_ENDPOINT " WWPN " 1\n");
		commands_return();
		fake_vhost_expect(&fake, "SET_VRING_KICK 1: none\n"
					 "SET_VRING_CALL 1: none\n"
					 "GET_VRING_BASE 0\n"
					 "SET_VRING_KICK 0: none\n"
					 "SET_VRING_CALL 0: none\n"
					 "SET_VRING_ERR 0: none\n"
					 "GET_VRING_BASE 2\n"
					 "SET_VRING_KICK 2: none\n"
					 "SET_VRING_CALL 2: none\n"
					 "SET_VRING_ERR 2: none\n");
	}
	device_rig_start_all(&rig, QUEUES);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
}

/* Bus Master Enable off is no reset, but as short.  covers: PCI-BUS-02 */
Test(virtio_scsi, bus_mastering_ends_while_commands_hang)
{
	enum { COMMAND = 4, MASTER_OFF = 3, MASTER_ON = 7 };
	struct fake_driver *d = &rig.driver;

	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	cr_assert_not(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET, "nothing hung");
	atomic_store(&fake.commands_hang, true);
	uint64_t from = now_ms();

	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	cr_assert_lt(now_ms() - from, 1000);
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	fake_driver_set_status(d, 0);
	cr_assert_neq(fake_driver_status(d), 0);
	commands_return();
	device_rig_start_all(&rig, QUEUES);
}

/* A queue that ends takes the others out for that long; they go on without it. */
Test(virtio_scsi, a_queue_ends_while_commands_hang)
{
	enum { SELECT = 0x30, READY = 0x44 };
	struct fake_driver *d = &rig.driver;

	plug(FAKE_MMIO, 2);
	device_rig_start_all(&rig, QUEUES + 1);
	fake_vhost_clear(&fake);
	atomic_store(&fake.commands_hang, true);
	uint64_t from = now_ms();

	fake_driver_write(d, SELECT, 4, REQUEST + 1);
	fake_driver_write(d, READY, 4, 0);
	cr_assert_lt(now_ms() - from, 1000);
	cr_assert_eq(fake_driver_read(d, READY, 4), 1);
	cr_assert_not(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
	atomic_store(&fake.commands_hang, false);
	for (unsigned i = 0; i < 5000 && fake_driver_read(d, READY, 4) != 0; i++)
		usleep(1000);
	cr_assert_eq(fake_driver_read(d, READY, 4), 0);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
	cr_assert_eq(fake.ring[0][REQUEST + 1].kick, FD_NONE);
	cr_assert_neq(fake.ring[0][REQUEST].kick, FD_NONE);
	cr_assert_not(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
}

/* Legacy drivers add queues as they like: those that run must be let go for it. */
Test(virtio_scsi, a_queue_comes_while_commands_hang)
{
	struct fake_driver *d = &rig.driver;
	uint64_t at;

	plug(FAKE_PCI_LEGACY, 2);
	device_rig_start_all(&rig, QUEUES);
	atomic_store(&fake.commands_hang, true);
	at = device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
	fake_driver_init_ring(d, &rig.ring[QUEUES], fake_driver_queue_max(d, QUEUES), at);
	uint64_t from = now_ms();

	fake_driver_set_queue(d, QUEUES, &rig.ring[QUEUES]);
	fake_driver_enable_queue(d, QUEUES);
	cr_assert_lt(now_ms() - from, 1000);
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	atomic_store(&fake.commands_hang, false);
	fake_driver_set_status(d, 0);
	device_rig_start_all(&rig, QUEUES);
	/* Without hangs it just joins. */
	at = device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
	fake_driver_init_ring(d, &rig.ring[QUEUES], fake_driver_queue_max(d, QUEUES), at);
	fake_driver_set_queue(d, QUEUES, &rig.ring[QUEUES]);
	fake_driver_enable_queue(d, QUEUES);
	cr_assert_not(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_neq(fake.ring[0][QUEUES].kick, FD_NONE);
}

/* A VM that ends does wait: memory must not go from under commands. */
Test(virtio_scsi, the_end_waits_for_commands_that_hang)
{
	pthread_t thread;

	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	atomic_store(&fake.commands_hang, true);
	fake_driver_set_status(&rig.driver, 0);
	cr_assert_eq(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	device_rig_destroy(&rig);
	rig.transport = NULL;
	rig.io = NULL;
	pthread_join(thread, NULL);
	cr_assert_not(fake.commands_hang);
}

/* --- sizes ----------------------------------------------------------------------------------- */

static bool starts(void)
{
	struct fake_driver *d = &rig.driver;

	for (unsigned i = 0; i < QUEUES; i++) {
		uint64_t at = device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));

		fake_driver_init_ring(d, &rig.ring[i], RIG_QUEUE_SIZE, at);
		fake_driver_set_queue(d, i, &rig.ring[i]);
		fake_driver_enable_queue(d, i);
	}
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	fake_machine_pump(rig.machine);
	return !(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
}

/*
 * The kernel's target has one length of each; what a driver sets stands, but with another one the
 * device does not start, and what it started with cannot be changed under it.
 * covers: SCSI-CFG-06
 */
Test(virtio_scsi, sizes_that_the_target_does_not_have_stop_the_device)
{
	static const uint32_t bad[] = { 0, 1, 18, 31, 252, 0x10000, 0xffffffff };
	static const unsigned at[] = { SENSE_SIZE_AT, CDB_SIZE_AT };
	static const uint32_t good[] = { 96, 32 };
	struct fake_driver *d = &rig.driver;

	plug(FAKE_PCI, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
		cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
		fake_driver_set_config(d, at[i % 2], 4, bad[i / 2]);
		cr_assert_eq(fake_driver_config(d, at[i % 2], 4), bad[i / 2]);
		fake_vhost_clear(&fake);
		cr_assert_not(starts());
		cr_assert_not(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
		fake_driver_reset(d);
		cr_assert_eq(fake_driver_config(d, at[i % 2], 4), good[i % 2]);
	}
	/* The right ones, said byte by byte. */
	cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
	for (unsigned i = 0; i < 4; i++)
		fake_driver_set_config(d, SENSE_SIZE_AT + i, 1, i == 0 ? 96 : 0);
	cr_assert(starts());
	fake_driver_set_config(d, CDB_SIZE_AT, 4, 32);
	fake_machine_pump(rig.machine);
	cr_assert_not(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	fake_driver_set_config(d, CDB_SIZE_AT, 4, 16);
	fake_machine_pump(rig.machine);
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
}

/* covers: SCSI-CFG-06 */
Test(virtio_scsi, other_fields_cannot_be_written)
{
	uint8_t before[36], after[36];
	struct fake_driver *d = &rig.driver;

	plug(FAKE_PCI, 1);
	cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
	for (unsigned i = 0; i < sizeof(before); i++)
		before[i] = (uint8_t)fake_driver_config(d, i, 1);
	for (unsigned i = 0; i < sizeof(before); i += 4)
		if (i != SENSE_SIZE_AT && i != CDB_SIZE_AT)
			fake_driver_set_config(d, i, 4, 0xffffffff);
	for (unsigned i = 0; i < sizeof(after); i++)
		after[i] = (uint8_t)fake_driver_config(d, i, 1);
	cr_assert_arr_eq(before, after, sizeof(before));
}

/* --- events ---------------------------------------------------------------------------------- */

enum { TRANSPORT_RESET = 1, REASON_RESCAN = 1, REASON_REMOVED = 2 };

/* Where in this process the kernel finds guest physical address 'gpa' by its memory table. */
static void *kernel_at(uint64_t gpa)
{
	for (unsigned i = 0; i < fake.memory.n; i++) {
		const struct vhost_region *r = &fake.memory.region[i];
		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return (void *)(uintptr_t)(r->host + (gpa - r->gpa));
	}
	cr_assert_fail("%#llx", (unsigned long long)gpa);
	return NULL;
}

/* What the kernel's target does when something happens to LUN 'lun': uses a buffer of ring 1. */
static void target_reports(uint32_t event, uint8_t lun, uint32_t reason)
{
	const struct fake_vhost_ring *ring = &fake.ring[0][1];
	uint8_t *avail = (uint8_t *)(uintptr_t)ring->addr.avail;
	uint8_t *used = (uint8_t *)(uintptr_t)ring->addr.used;
	uint8_t *desc = (uint8_t *)(uintptr_t)ring->addr.desc;
	uint16_t at = load_le16(used + 2);

	cr_assert_eq(ring->size, 16);
	cr_assert_neq(load_le16(avail + 2), at, "no buffer");
	uint16_t id = load_le16(avail + 4 + 2 * (at % 16));
	uint8_t *e = kernel_at(load_le64(desc + 16 * id));
	cr_assert_eq(load_le32(desc + 16 * id + 8), 16);
	memset(e, 0, 16);
	store_le32(e, event);
	e[4] = 1;
	e[5] = 1;
	e[7] = lun;
	store_le32(e + 12, reason);
	store_le32(used + 4 + 8 * (at % 16), id);
	store_le32(used + 8 + 8 * (at % 16), 16);
	__atomic_store_n((uint16_t *)(void *)(used + 2), (uint16_t)(at + 1), __ATOMIC_RELEASE);
	fd_signal(ring->call);
}

static uint32_t field_at(uint64_t gpa)
{
	return load_le32(device_rig_at(&rig, gpa, 4));
}

static void offer_event(uint64_t gpa, uint32_t len)
{
	device_rig_add(&rig, EVENT, &(struct fake_buf){ gpa, len, true }, 1);
}

/*
 * The driver reads what the target said: which LUN, and what became of it.
 * covers: SCSI-FEAT-02
 */
Test(virtio_scsi, events_of_the_target_reach_the_driver)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 4096);

	device_rig_start_all(&rig, QUEUES);
	for (uint8_t i = 0; i < 40; i++) {
		uint32_t reason = i % 2 ? REASON_REMOVED : REASON_RESCAN;
		offer_event(gpa + i * 16u, 16);
		cr_assert(i % 20 || device_rig_is_quiet(&rig, EVENT));
		target_reports(TRANSPORT_RESET, i, reason);
		cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
		cr_assert_eq(field_at(gpa + i * 16u), TRANSPORT_RESET);
		cr_assert_eq(field_at(gpa + i * 16u + 4), 0x101u | (uint32_t)i << 24);
		cr_assert_eq(field_at(gpa + i * 16u + 12), reason);
	}
}

/* Guests are little-endian, whichever interface they use.  covers: SCSI-LEGACY-02 SCSI-LEGACY-05 */
Test(virtio_scsi, a_legacy_driver_finds_the_same)
{
	plug(FAKE_PCI_LEGACY, 1);
	uint64_t gpa = device_rig_alloc(&rig, 16);

	cr_assert_eq(fake_driver_config(&rig.driver, 0, 4), 1);
	cr_assert_eq(fake_driver_config(&rig.driver, CDB_SIZE_AT, 4), 32);
	device_rig_start_all(&rig, QUEUES);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
	offer_event(gpa, 16);
	target_reports(TRANSPORT_RESET, 3, REASON_RESCAN);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(field_at(gpa), TRANSPORT_RESET);
	cr_assert_eq(field_at(gpa + 12), REASON_RESCAN);
}

/*
 * One for which there is no buffer is lost, and the next one says so.
 * covers: SCSI-EVT-01 SCSI-EVT-02
 */
Test(virtio_scsi, an_event_without_a_buffer_is_told_as_lost)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 64);

	device_rig_start_all(&rig, QUEUES);
	target_reports(TRANSPORT_RESET, 3, REASON_REMOVED);
	cr_assert(device_rig_is_quiet(&rig, EVENT));
	/* At once, for there may be no next one. */
	offer_event(gpa, 16);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(field_at(gpa), EVENTS_MISSED);
	/* That was said; from here on it is as usual. */
	offer_event(gpa + 16, 16);
	cr_assert(device_rig_is_quiet(&rig, EVENT));
	target_reports(TRANSPORT_RESET, 4, REASON_RESCAN);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(field_at(gpa + 16), TRANSPORT_RESET);
}

/* A driver that kicks only where it is asked to learns of the loss, too.  covers: SCSI-EVT-01 */
Test(virtio_scsi, a_loss_asks_for_a_kick)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 64);

	device_rig_start_all(&rig, QUEUES);
	rig.ring[EVENT].event_idx = true;
	/* Left alone, so that more of them need no kick. */
	offer_event(gpa, 16);
	cr_assert(fake_ring_must_kick(&rig.ring[EVENT]));
	cr_assert(device_rig_is_quiet(&rig, EVENT));
	for (uint8_t i = 0; i < 5; i++)
		target_reports(TRANSPORT_RESET, i, REASON_RESCAN);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert(device_rig_is_quiet(&rig, EVENT));
	fake_ring_add(&rig.ring[EVENT], &(struct fake_buf){ gpa + 16, 16, true }, 1);
	if (fake_ring_must_kick(&rig.ring[EVENT]))
		fake_driver_kick(&rig.driver, EVENT);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(field_at(gpa + 16), EVENTS_MISSED);
}

/* The kernel could not say everything, either: its bit is not taken away.  covers: SCSI-EVT-01 */
Test(virtio_scsi, what_the_target_lost_is_told_too)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 64);

	device_rig_start_all(&rig, QUEUES);
	offer_event(gpa, 16);
	target_reports(EVENTS_MISSED | TRANSPORT_RESET, 3, REASON_RESCAN);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(field_at(gpa), EVENTS_MISSED | TRANSPORT_RESET);
}

/*
 * Kernels before 6.14 write a whole answer where a wrong request has a buffer of one byte.  Behind
 * what they can reach there is nothing that it could fall into.
 */
Test(virtio_scsi, nothing_lies_behind_the_buffers_for_events)
{
	int fds[2];

	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	cr_assert_eq(fake.memory.n, 3);
	const struct vhost_region *r = &fake.memory.region[2];
	cr_assert_eq(r->gpa, UINT64_C(1) << 52);
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], (void *)(uintptr_t)(r->host + r->size - 1), 1), 1);
	cr_assert_eq(write(fds[1], (void *)(uintptr_t)(r->host + r->size), 1), -1);
	cr_assert_eq(errno, EFAULT);
	close(fds[0]);
	close(fds[1]);
}

/* Without HOTPLUG the kernel is not given a ring to report on.  covers: SCSI-EVT-03 */
Test(virtio_scsi, without_hotplug_there_is_no_event)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 64);
	struct features f = fake_driver_offered(&rig.driver);

	features_remove(&f, VIRTIO_SCSI_F_HOTPLUG);
	device_rig_start(&rig, f, QUEUES);
	offer_event(gpa, 16);
	cr_assert_not(fake_vhost_saw(&fake, "SET_VRING_KICK 1"));
	cr_assert_eq(fake.ring[0][1].call, FD_NONE);
	cr_assert(device_rig_is_quiet(&rig, EVENT));
}

/* covers: SCSI-EVT-05 SCSI-EVT-07 */
Test(virtio_scsi, buffers_that_are_too_short_are_not_overrun)
{
	plug(FAKE_PCI, 1);
	uint64_t gpa = device_rig_alloc(&rig, 64);
	struct fake_buf bits[] = { { gpa, 3, true }, { gpa + 8, 1, true }, { gpa + 16, 14, true } };

	device_rig_start_all(&rig, QUEUES);
	offer_event(gpa + 32, 3);
	device_rig_add(&rig, EVENT, &(struct fake_buf){ gpa + 40, 8, false }, 1);
	device_rig_add(&rig, EVENT, bits, ARRAY_SIZE(bits));
	target_reports(EVENTS_MISSED | TRANSPORT_RESET, 9, REASON_RESCAN);
	/* The first ones have no room for all of it; they do not count. */
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 3);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 0);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	const uint8_t *p = device_rig_at(&rig, gpa, 64);
	cr_assert_eq(p[0], TRANSPORT_RESET);
	cr_assert_eq(p[3], 0xcc);
	cr_assert_eq(p[8], 0x80);
	cr_assert_eq(p[9], 0xcc);
	cr_assert_eq(p[28], 0xcc);
	cr_assert_eq(p[35], 0xcc);
	cr_assert_eq(p[40], 0xcc);
}

/* A driver that takes the queue away, or never had it, loses events and nothing else. */
Test(virtio_scsi, events_without_a_queue_are_lost)
{
	plug(FAKE_PCI, 1);
	device_rig_start_some(&rig, fake_driver_offered(&rig.driver), 1u << CONTROL | 1u << REQUEST);
	for (unsigned i = 0; i < 30; i++) {
		target_reports(TRANSPORT_RESET, 1, REASON_RESCAN);
		usleep(2000);
	}
	cr_assert_not(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

/* A ring that is broken by the driver stops the device, as any other queue's. */
Test(virtio_scsi, a_broken_event_ring_needs_a_reset)
{
	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	offer_event(GIB(64), 16);
	target_reports(TRANSPORT_RESET, 1, REASON_RESCAN);
	for (unsigned i = 0; i < 200 && !(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	     i++) {
		usleep(10000);
		fake_machine_pump(rig.machine);
	}
	cr_assert(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert(fake_vhost_saw(&fake, "SCSI_CLEAR_ENDPOINT"));
}

/* --- what can be wrong with the host --------------------------------------------------------- */

static int create_fails(void)
{
	struct virtio_scsi_config config = make_config();
	struct virtio_device *dev;
	int r = virtio_scsi_create(&dev, &config);

	cr_assert_lt(r, 0);
	cr_assert_null(dev);
	cr_assert_eq(fake.n_open, 0);
	return r;
}

static bool chain_has(const char *text)
{
	struct error_chain chain;
	bool found;

	error_save(&chain);
	found = strstr(chain.hint, text) != NULL;
	for (unsigned i = 0; i < chain.n; i++)
		found = found || strstr(chain.line[i], text);
	return found;
}

Test(virtio_scsi, a_target_that_is_missing_is_said_with_the_fix)
{
	remove_target();
	make_target(1);
	cr_assert_eq(create_fails(), -ENODEV);
	cr_assert(chain_has("no vhost-scsi target is called '" WWPN "'"));
	cr_assert(chain_has("targetcli /vhost create " WWPN));
}

Test(virtio_scsi, a_target_without_a_nexus_is_said_with_the_fix)
{
	remove_target();
	make_target(3);
	cr_assert_eq(create_fails(), -ENODEV);
	cr_assert(chain_has("no port group with a nexus"));
	cr_assert(chain_has("/tpgt_1/nexus"));
}

/* In a container there may be no configfs; the kernel then says it when the device starts. */
Test(virtio_scsi, without_configfs_the_kernel_is_asked)
{
	remove_target();
	plug(FAKE_PCI, 1);
	device_rig_start_all(&rig, QUEUES);
	cr_assert(fake_vhost_saw(&fake, "SCSI_SET_ENDPOINT"));
}

Test(virtio_scsi, an_interface_of_another_version_is_refused)
{
	fake.scsi_abi = 2;
	cr_assert_eq(create_fails(), -ENOTSUP);
	cr_assert(chain_has("version 2"));
}

Test(virtio_scsi, a_node_that_does_not_open_is_named)
{
	fake.open_fails = -EACCES;
	cr_assert_eq(create_fails(), -EACCES);
}

/* Whatever step fails: an error or a device that needs reset, and nothing stays behind. */
Test(virtio_scsi, each_request_can_fail)
{
	struct virtio_scsi_config config = make_config();
	struct virtio_device *dev;
	unsigned n;

	for (n = 1; n < 100; n++) {
		fake_vhost_init(&fake, fake_vhost_scsi_features());
		fake.fail_at = n;
		if (virtio_scsi_create(&dev, &config) < 0) {
			error_clear();
			cr_assert_eq(fake.n_open, 0);
			continue;
		}
		device_rig_plug(&rig, dev, FAKE_PCI);
		cr_assert(fake_driver_negotiate(&rig.driver, fake_driver_offered(&rig.driver)));
		bool started = starts();
		bool reached = fake.n_requests >= n;
		fake_driver_reset(&rig.driver);
		rig.next = MIB(1);
		device_rig_unplug(&rig);
		cr_assert_eq(fake.n_open, 0);
		if (started && !reached)
			break;
	}
	cr_assert(n > 15 && n < 100, "%u", n);
}
