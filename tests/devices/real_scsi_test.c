/*
 * The SCSI host over the vhost-scsi of a real kernel: the test is the driver, and speaks to a target
 * that tests/vhost/check has made.  VIREO_SCSI_WWPN names it, VIREO_SCSI_TARGET is the script that
 * adds and removes its disks, VIREO_SCSI_DISK a file for another one.  LUN 0 has 16 MiB.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/real_vhost.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum { CONTROL, EVENT, REQUEST, QUEUES = 3 };

/* virtio-v1.4 5.6.6.1 "Device Operation: Request Queues" */
enum {
	HEADER_LEN = 19 + 32,
	ANSWER_LEN = 12 + 96,
	RESPONSE_OK = 0, RESPONSE_ABORTED = 2, RESPONSE_BAD_TARGET = 3,
	RESPONSE_RESET = 4,
	GOOD = 0, CHECK_CONDITION = 2,
	ILLEGAL_REQUEST = 5, NOT_SUPPORTED_LUN = 0x25, INVALID_OPCODE = 0x20,
};

static struct device_rig rig;
static const char *wwpn;

static int try_create(struct virtio_device **dev)
{
	return virtio_scsi_create(dev, &(struct virtio_scsi_config){
		.name = "scsi0", .wwpn = wwpn, .n_queues = 1, .vhost_path = "/dev/vhost-scsi",
		.loop = rig.io,
	});
}

static void plug(enum fake_transport how)
{
	struct virtio_device *dev;

	cr_assert_eq(try_create(&dev), 0, "%s", error_text());
	device_rig_plug(&rig, dev, how);
}

static void setup(void)
{
	real_vhost_need("/dev/vhost-scsi");
	wwpn = getenv("VIREO_SCSI_WWPN");
	if (!wwpn)
		cr_skip_test("needs a target; tests/check vhost");
	device_rig_create(&rig);
}

static void teardown(void)
{
	if (!wwpn)
		return;
	if (rig.transport)
		device_rig_destroy(&rig);
}

TestSuite(real_scsi, .init = setup, .fini = teardown);

struct command {
	uint8_t target, status, response, sense_key, asc;
	uint16_t lun;
	uint8_t cdb[32];
	uint32_t residual, used, len;
	bool writes;
	uint64_t data, header, answer;
};

static void put_lun(uint8_t lun[8], uint8_t target, uint16_t number)
{
	memset(lun, 0, 8);
	lun[0] = 1;
	lun[1] = target;
	lun[2] = (uint8_t)(0x40 | number >> 8);
	lun[3] = (uint8_t)number;
}

/* Send it, in as many descriptors as a driver has, and wait. */
static void issue(struct command *c)
{
	struct fake_buf buf[4];
	unsigned n = 0;

	c->header = device_rig_alloc(&rig, HEADER_LEN);
	c->answer = device_rig_alloc(&rig, ANSWER_LEN);
	uint8_t *h = device_rig_at(&rig, c->header, HEADER_LEN);
	memset(h, 0, HEADER_LEN);
	put_lun(h, c->target, c->lun);
	memcpy(h + 19, c->cdb, sizeof(c->cdb));
	buf[n++] = (struct fake_buf){ c->header, HEADER_LEN, false };
	if (c->len && c->writes)
		buf[n++] = (struct fake_buf){ c->data, c->len, false };
	buf[n++] = (struct fake_buf){ c->answer, ANSWER_LEN, true };
	if (c->len && !c->writes)
		buf[n++] = (struct fake_buf){ c->data, c->len, true };
	device_rig_add(&rig, REQUEST, buf, n);
	c->used = device_rig_wait(&rig, REQUEST, NULL);
	const uint8_t *a = device_rig_at(&rig, c->answer, ANSWER_LEN);
	c->residual = load_le32(a + 4);
	c->status = a[10];
	c->response = a[11];
	c->sense_key = a[12 + 2] & 0xf;
	c->asc = a[12 + 12];
}

/* A driver may find a unit attention before the first answer: it asks again. */
static void issue_patiently(struct command *c)
{
	for (unsigned i = 0; i < 5; i++) {
		issue(c);
		if (c->response != RESPONSE_OK || c->status != CHECK_CONDITION || c->sense_key != 6)
			return;
	}
}

static void inquire(struct command *c)
{
	c->data = device_rig_alloc(&rig, 96);
	c->len = 96;
	c->cdb[0] = 0x12;
	c->cdb[4] = 96;
	issue_patiently(c);
}

static void transfer(struct command *c, bool writes, uint32_t sector)
{
	c->writes = writes;
	c->len = 4096;
	c->cdb[0] = writes ? 0x2a : 0x28;
	c->cdb[4] = (uint8_t)(sector >> 8);
	c->cdb[5] = (uint8_t)sector;
	c->cdb[8] = 8;
	issue_patiently(c);
}

/* The kernel says no more than "error" of a ring and of a request: of a ring the driver is told.  N10 */
Test(real_scsi, n10_a_broken_ring_needs_a_reset)
{
	struct fake_driver *d = &rig.driver;

	plug(FAKE_PCI);
	for (unsigned round = 0; round < 2; round++) {
		device_rig_start_all(&rig, QUEUES);
		struct command c = { .target = 1 };
		inquire(&c);
		cr_assert_eq(c.response, RESPONSE_OK);
		fake_ring_offer(&rig.ring[REQUEST], 0xffff);
		fake_ring_publish(&rig.ring[REQUEST]);
		fake_driver_kick(d, REQUEST);
		for (unsigned i = 0; i < 5000; i++) {
			fake_machine_pump(rig.machine);
			if (fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET)
				break;
			usleep(1000);
		}
		cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
		fake_driver_reset(d);
	}
}

/* SCSI-REQ-01, -02, -16, -18 */
Test(real_scsi, a_disk_answers)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	struct command c = { .target = 1 };
	inquire(&c);
	cr_assert_eq(c.response, RESPONSE_OK);
	cr_assert_eq(c.status, GOOD);
	cr_assert(!memcmp((char *)device_rig_at(&rig, c.data, 96) + 8, "LIO-ORG", 7));
	/* READ CAPACITY (10): 16 MiB of 512 bytes */
	struct command capacity = { .target = 1, .cdb = { 0x25 }, .len = 8 };
	capacity.data = device_rig_alloc(&rig, 8);
	issue_patiently(&capacity);
	cr_assert_eq(capacity.status, GOOD);
	const uint8_t *p = device_rig_at(&rig, capacity.data, 8);
	cr_assert_eq((uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3], (16u << 20) / 512 - 1);
}

Test(real_scsi, what_was_written_is_read_back)
{
	plug(FAKE_MMIO);
	device_rig_start_all(&rig, QUEUES);
	for (uint32_t i = 0; i < 8; i++) {
		struct command w = { .target = 1, .data = device_rig_alloc(&rig, 4096) };
		struct command r = { .target = 1, .data = device_rig_alloc(&rig, 4096) };
		uint8_t *p = device_rig_at(&rig, w.data, 4096);
		for (unsigned k = 0; k < 4096; k++)
			p[k] = (uint8_t)(k * 7 + i);
		transfer(&w, true, 100 + i * 8);
		cr_assert(w.response == RESPONSE_OK && w.status == GOOD, "%u %u %u", w.response,
			  w.status, w.asc);
		transfer(&r, false, 100 + i * 8);
		cr_assert(r.response == RESPONSE_OK && r.status == GOOD);
		cr_assert(!memcmp(p, device_rig_at(&rig, r.data, 4096), 4096));
	}
}

/* SCSI-REQ-05, -21, -23, -24 */
Test(real_scsi, what_is_not_there_is_refused)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	struct command nobody = { .target = 77 };
	inquire(&nobody);
	cr_assert_eq(nobody.response, RESPONSE_BAD_TARGET);
	struct command beyond = { .target = 1, .lun = 99, .data = device_rig_alloc(&rig, 4096) };
	transfer(&beyond, false, 0);
	cr_assert_eq(beyond.response, RESPONSE_OK);
	cr_assert_eq(beyond.status, CHECK_CONDITION);
	cr_assert_eq(beyond.sense_key, ILLEGAL_REQUEST);
	cr_assert_eq(beyond.asc, NOT_SUPPORTED_LUN);
	struct command odd = { .target = 1, .cdb = { 0xff } };
	issue_patiently(&odd);
	cr_assert_eq(odd.status, CHECK_CONDITION);
	cr_assert_eq(odd.asc, INVALID_OPCODE);
}

/* --- what the control queue says ------------------------------------------------------------- */

enum { TMF = 0, AN_QUERY = 1, AN_SUBSCRIBE = 2, NO_SUCH_TYPE = 99 };
enum { TMF_LEN = 24, AN_LEN = 16, TMF_LUN_RESET = 5, TMF_QUERY_TASK_SET = 7 };
enum { COMPLETE = 0, SUCCEEDED = 10, REJECTED = 11, INCORRECT_LUN = 12 };

/* Send a control request of 'len' bytes to LUN 0; returns where its answer, of 'in_len', will be. */
static uint64_t put_control(uint32_t type, uint32_t subtype, uint32_t len, uint32_t in_len)
{
	uint64_t out = device_rig_alloc(&rig, 64), in = device_rig_alloc(&rig, 256);
	uint8_t *p = device_rig_at(&rig, out, 64);
	struct fake_buf buf[] = { { out, len, false }, { in, in_len, true } };

	memset(p, 0, TMF_LEN);
	store_le32(p, type);
	if (type == TMF) {
		store_le32(p + 4, subtype);
		put_lun(p + 8, 1, 0);
	} else {
		put_lun(p + 4, 1, 0);
		store_le32(p + 12, 0x7e);
	}
	device_rig_add(&rig, CONTROL, buf, 2);
	return in;
}

/* The answer, and nothing behind it. */
static const uint8_t *control(uint32_t type, uint32_t subtype, uint32_t len, uint32_t in_len)
{
	uint64_t in = put_control(type, subtype, len, in_len);

	device_rig_wait(&rig, CONTROL, NULL);
	const uint8_t *a = device_rig_at(&rig, in, 256);
	cr_assert_eq(a[in_len], 0xcc);
	return a;
}

static void expect_usable(void)
{
	struct command c = { .target = 1 };

	inquire(&c);
	cr_assert_eq(c.response, RESPONSE_OK);
	cr_assert_eq(c.status, GOOD);
	cr_assert_not(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
}

/* SCSI-CTRL-01, -03, -06: one is carried out, the others are rejected, known or not. */
Test(real_scsi, each_task_management_function_is_answered)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	for (uint32_t subtype = 0; subtype <= TMF_QUERY_TASK_SET; subtype++) {
		uint8_t answer = control(TMF, subtype, TMF_LEN, 1)[0];
		cr_assert(answer == COMPLETE || answer == SUCCEEDED || answer == REJECTED ||
			  answer == INCORRECT_LUN, "%u: %u", subtype, answer);
		if (subtype == TMF_LUN_RESET)
			cr_assert_neq(answer, REJECTED);
	}
	cr_assert_eq(control(TMF, 99, TMF_LEN, 1)[0], REJECTED);
	cr_assert_eq(control(TMF, 0xffffffff, TMF_LEN, 1)[0], REJECTED);
	expect_usable();
}

/* SCSI-CTRL-05: nothing can be subscribed to.  In the bed only: it fells kernels before 6.1.113. */
Test(real_scsi, asynchronous_notifications_are_answered)
{
	if (!getenv("VIREO_REAL_VHOST"))
		cr_skip_test("the host's kernel may be one that a query fells; tests/check vhost");
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	for (uint32_t type = AN_QUERY; type <= AN_SUBSCRIBE; type++) {
		const uint8_t *a = control(type, 0, AN_LEN, 5);
		cr_assert_eq(load_le32(a), 0);
		cr_assert_eq(a[4], RESPONSE_OK);
	}
	expect_usable();
}

/* SCSI-CTRL-06: the kernel drops them, and says "ring error"; the queue and the device go on. */
Test(real_scsi, control_requests_that_are_wrong_are_dropped)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	put_control(NO_SUCH_TYPE, 0, TMF_LEN, 1);
	put_control(0xffffffff, 0, TMF_LEN, 1);
	put_control(TMF, TMF_LUN_RESET, 3, 1);
	cr_assert(device_rig_is_quiet(&rig, CONTROL));
	uint8_t answer = control(TMF, TMF_LUN_RESET, TMF_LEN, 1)[0];
	cr_assert(answer == COMPLETE || answer == SUCCEEDED, "%u", answer);
	expect_usable();
}

/*
 * SCSI-CTRL-02, -04, SCSI-REQ-06: a LUN is reset under commands.  The kernel serves the queues in
 * turn, so which ones it finds in progress is chance; all are answered, and none twice.
 */
Test(real_scsi, a_lun_reset_leaves_no_command_behind)
{
	enum { COMMANDS = 12, LEN = 65536 };
	uint64_t answer[COMMANDS];

	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	expect_usable();
	uint64_t data = device_rig_alloc(&rig, LEN);
	for (unsigned i = 0; i < COMMANDS; i++) {
		uint64_t header = device_rig_alloc(&rig, HEADER_LEN);
		uint8_t *h = device_rig_at(&rig, header, HEADER_LEN);
		answer[i] = device_rig_alloc(&rig, ANSWER_LEN);
		memset(h, 0, HEADER_LEN);
		put_lun(h, 1, 0);
		h[19] = 0x28;
		h[19 + 8] = LEN / 512;
		device_rig_add(&rig, REQUEST, (struct fake_buf[]){
			{ header, HEADER_LEN, false }, { answer[i], ANSWER_LEN, true },
			{ data, LEN, true } }, 3);
	}
	uint8_t said = control(TMF, TMF_LUN_RESET, TMF_LEN, 1)[0];
	cr_assert(said == COMPLETE || said == SUCCEEDED, "%u", said);
	for (unsigned i = 0; i < COMMANDS; i++)
		device_rig_wait(&rig, REQUEST, NULL);
	for (unsigned i = 0; i < COMMANDS; i++) {
		uint8_t response = ((uint8_t *)device_rig_at(&rig, answer[i], ANSWER_LEN))[11];
		cr_assert(response == RESPONSE_OK || response == RESPONSE_ABORTED ||
			  response == RESPONSE_RESET, "%u", response);
	}
	cr_assert(device_rig_is_quiet(&rig, REQUEST));
	expect_usable();
}

/* --- requests that say too much -------------------------------------------------------------- */

/* SCSI-REQ-03, -18, -23 */
Test(real_scsi, no_more_is_transferred_than_there_is_room_for)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	expect_usable();
	/* Eight sectors into a buffer of one. */
	struct command c = { .target = 1, .cdb = { 0x28 }, .len = 512 };
	c.cdb[8] = 8;
	c.data = device_rig_alloc(&rig, 8192);
	issue_patiently(&c);
	const uint8_t *p = device_rig_at(&rig, c.data, 8192);
	for (unsigned i = 512; i < 8192; i++)
		cr_assert_eq(p[i], 0xcc, "%u", i);
	/* The kernel does not say OVERRUN: it refuses, or transfers what there is room for. */
	cr_assert_eq(c.response, RESPONSE_OK);
	cr_assert(c.status == CHECK_CONDITION || (c.status == GOOD && c.residual == 7 * 512));
	/* Of a buffer that is not filled the rest is told. */
	struct command i = { .target = 1, .cdb = { 0x12, 0, 0, 0, 36 }, .len = 96 };
	i.data = device_rig_alloc(&rig, 96);
	issue_patiently(&i);
	cr_assert_eq(i.response, RESPONSE_OK);
	cr_assert_eq(i.status, GOOD);
	cr_assert_eq(i.residual, 60);
	/* A CDB that claims to be longer than CDBs are. */
	struct command v = { .target = 1, .cdb = { 0x7f, [7] = 0xff } };
	issue_patiently(&v);
	cr_assert(v.response == RESPONSE_BAD_TARGET || v.status == CHECK_CONDITION);
	expect_usable();
}

/* SCSI-REQ-21: the kernel says "ring error" of it, too, and answers; the device goes on. */
Test(real_scsi, an_address_of_another_format_reaches_nobody)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t gpa = device_rig_alloc(&rig, 4096);
		uint8_t *h = device_rig_at(&rig, gpa, HEADER_LEN);
		memset(h, 0, HEADER_LEN);
		put_lun(h, 1, 0);
		h[0] = (uint8_t[]){ 0, 2, 0xff }[i];
		h[19] = 0x12;
		device_rig_add(&rig, REQUEST, (struct fake_buf[]){
			{ gpa, HEADER_LEN, false }, { gpa + 1024, ANSWER_LEN, true } }, 2);
		device_rig_wait(&rig, REQUEST, NULL);
		cr_assert_eq(h[1024 + 11], RESPONSE_BAD_TARGET);
	}
	expect_usable();
}

/* --- events ---------------------------------------------------------------------------------- */

/* SCSI-FEAT-02 */
Test(real_scsi, a_lun_that_comes_or_goes_is_told)
{
	char command[512];

	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	uint64_t gpa = device_rig_alloc(&rig, 32);
	device_rig_add(&rig, EVENT, &(struct fake_buf){ gpa, 16, true }, 1);
	device_rig_add(&rig, EVENT, &(struct fake_buf){ gpa + 16, 16, true }, 1);
	cr_assert(device_rig_is_quiet(&rig, EVENT));
	snprintf(command, sizeof(command), "%s add %s 5 %s", getenv("VIREO_SCSI_TARGET"), wwpn,
		 getenv("VIREO_SCSI_DISK"));
	cr_assert_eq(system(command), 0);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	/* TRANSPORT_RESET of target 1, LUN 5: RESCAN */
	const uint8_t *e = device_rig_at(&rig, gpa, 32);
	cr_assert_eq(load_le32(e), 1);
	cr_assert(e[4] == 1 && e[5] == 1 && e[7] == 5);
	cr_assert_eq(load_le32(e + 12), 1);
	struct command c = { .target = 1, .lun = 5 };
	inquire(&c);
	cr_assert_eq(c.response, RESPONSE_OK);
	cr_assert_eq(c.status, GOOD);
	snprintf(command, sizeof(command), "%s remove %s 5", getenv("VIREO_SCSI_TARGET"), wwpn);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert_eq(load_le32(e + 16), 1);
	cr_assert_eq(e[16 + 7], 5);
	cr_assert_eq(load_le32(e + 16 + 12), 2);
}

/* SCSI-EVT-01: a storm of LUNs that come and go, and a driver without a buffer for it. */
Test(real_scsi, a_hotplug_storm_is_told_as_lost_events)
{
	char command[1024];

	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	snprintf(command, sizeof(command),
		 "set -e; for i in 1 2 3; do %s add %s 6 %s; %s remove %s 6; done",
		 getenv("VIREO_SCSI_TARGET"), wwpn, getenv("VIREO_SCSI_DISK"),
		 getenv("VIREO_SCSI_TARGET"), wwpn);
	cr_assert_eq(system(command), 0);
	uint64_t gpa = device_rig_alloc(&rig, 16);
	device_rig_add(&rig, EVENT, &(struct fake_buf){ gpa, 16, true }, 1);
	cr_assert_eq(device_rig_wait(&rig, EVENT, NULL), 16);
	cr_assert(load_le32(device_rig_at(&rig, gpa, 4)) & UINT32_C(1) << 31);
	expect_usable();
}

/* SCSI-EVT-03: the target has no ring to report on, and serves all the same. */
Test(real_scsi, without_hotplug_it_serves)
{
	plug(FAKE_PCI);
	struct features f = fake_driver_offered(&rig.driver);

	features_remove(&f, VIRTIO_SCSI_F_HOTPLUG);
	device_rig_start(&rig, f, QUEUES);
	expect_usable();
}

/* The target belongs to one VM at a time; the second is told so when its driver starts. */
Test(real_scsi, a_target_that_is_taken_is_refused)
{
	struct device_rig other;
	struct virtio_device *dev;

	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	other = rig;
	device_rig_create(&rig);
	cr_assert_eq(try_create(&dev), 0);
	device_rig_plug(&rig, dev, FAKE_PCI);
	cr_assert(fake_driver_negotiate(&rig.driver, fake_driver_offered(&rig.driver)));
	for (unsigned i = 0; i < QUEUES; i++) {
		fake_driver_init_ring(&rig.driver, &rig.ring[i], 16, MIB(2) + i * 0x10000);
		fake_driver_set_queue(&rig.driver, i, &rig.ring[i]);
		fake_driver_enable_queue(&rig.driver, i);
	}
	fake_driver_set_status(&rig.driver, fake_driver_status(&rig.driver) |
						    VIRTIO_STATUS_DRIVER_OK);
	fake_machine_pump(rig.machine);
	cr_assert(fake_driver_status(&rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	/* The first gives it back; then the second has it. */
	device_rig_destroy(&other);
	fake_driver_reset(&rig.driver);
	device_rig_start_all(&rig, QUEUES);
	struct command c = { .target = 1 };
	inquire(&c);
	cr_assert_eq(c.response, RESPONSE_OK);
}

/* Requests that are wrong in themselves; the target answers or drops them, and goes on.  SCSI-REQ-20 */
Test(real_scsi, malformed_requests_leave_the_device_usable)
{
	plug(FAKE_PCI);
	device_rig_start_all(&rig, QUEUES);
	uint64_t gpa = device_rig_alloc(&rig, 4096);
	struct fake_buf bad[][2] = {
		{ { gpa, 1, false }, { gpa + 1024, ANSWER_LEN, true } },
		{ { gpa, HEADER_LEN - 1, false }, { gpa + 1024, ANSWER_LEN, true } },
		{ { gpa, HEADER_LEN, false }, { gpa + 1024, 1, true } },
		{ { gpa + 1024, ANSWER_LEN, true }, { gpa + 2048, 16, true } },
	};

	memset(device_rig_at(&rig, gpa, 4096), 0xff, 4096);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		device_rig_add(&rig, REQUEST, bad[i], 2);
		usleep(20000);
	}
	fake_driver_reset(&rig.driver);
	device_rig_start_all(&rig, QUEUES);
	struct command c = { .target = 1 };
	inquire(&c);
	cr_assert_eq(c.response, RESPONSE_OK);
	cr_assert_eq(c.status, GOOD);
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	cr_assert(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long status_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	cr_assert(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kib = atol(line + strlen(key));
	fclose(f);
	return kib;
}

/* The kernel's worker is a thread of ours on new kernels, "vhost-PID" on old ones. */
static unsigned count_workers(void)
{
	DIR *dir = opendir("/proc");
	char path[64], name[64], want[32];
	unsigned n = 0;

	snprintf(want, sizeof(want), "vhost-%d\n", (int)getpid());
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		n += fgets(name, sizeof(name), f) && !strcmp(name, want);
		fclose(f);
	}
	closedir(dir);
	return n;
}

/* 200 starts and stops, some with a request in progress: as many of everything as before. */
Test(real_scsi, nothing_stays_behind_after_200_starts)
{
	enum { STARTS = 200 };

	plug(FAKE_PCI);
	unsigned fds = 0, threads = 0;
	long locked = 0;
	for (unsigned i = 0; i < STARTS; i++) {
		rig.next = MIB(1);
		device_rig_start_all(&rig, QUEUES);
		struct command c = { .target = 1 };
		if (i % 2) {
			inquire(&c);
			cr_assert_eq(c.response, RESPONSE_OK);
		} else {
			/* Reset before the answer. */
			uint64_t header = device_rig_alloc(&rig, HEADER_LEN);
			uint64_t answer = device_rig_alloc(&rig, MIB(1));
			uint8_t *h = device_rig_at(&rig, header, HEADER_LEN);
			memset(h, 0, HEADER_LEN);
			put_lun(h, 1, 0);
			h[19] = 0x28;
			h[19 + 8] = 128;
			device_rig_add(&rig, REQUEST, (struct fake_buf[]){
				{ header, HEADER_LEN, false }, { answer, ANSWER_LEN, true },
				{ answer + 4096, 65536, true } }, 3);
		}
		fake_driver_reset(&rig.driver);
		cr_assert_eq(fake_driver_status(&rig.driver), 0);
		if (i == 1) {
			fds = count_entries("/proc/self/fd");
			threads = count_entries("/proc/self/task");
			locked = status_kib("VmLck:") + status_kib("VmPin:");
		}
	}
	cr_assert_eq(count_entries("/proc/self/fd"), fds);
	cr_assert_eq(count_entries("/proc/self/task"), threads);
	cr_assert_eq(status_kib("VmLck:") + status_kib("VmPin:"), locked);
	device_rig_destroy(&rig);
	/* The worker ends when the last reference to the node is gone. */
	for (unsigned i = 0; count_workers() > 0 && i < 200; i++)
		usleep(10000);
	cr_assert_eq(count_workers(), 0);
}
