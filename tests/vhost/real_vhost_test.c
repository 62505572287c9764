/*
 * Our vhost datapaths over the vhost of a real kernel: the test is the driver.  Where
 * /dev/vhost-* is missing these are skipped; tests/check vhost runs them in the test bed.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cable.h"
#include "tests/support/loop_pump.h"
#include "tests/support/real_vhost.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_kernel.h"
#include "vhost/vhost_net.h"
#include "vhost/vhost_vsock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	RX = 0, TX = 1,
	BUFFERS_AT = 0x100000, BUFFER_SIZE = 0x1000,
	WAIT_MS = 20000,
	STARTS = 200,
};

/*
 * virtio-v1.4 5.10.6 "Device Operation"; the kernel's header has names that are ours, too.
 */
struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

enum {
	OP_REQUEST = 1, OP_RESPONSE = 2, OP_RST = 3, OP_SHUTDOWN = 4, OP_RW = 5,
	OP_CREDIT_UPDATE = 6, OP_CREDIT_REQUEST = 7,
};

static struct vhost_rig rig;

static void *at(uint64_t gpa, uint64_t len)
{
	return fake_machine_driver_at(rig.machine, gpa, len);
}

/* --- the driver ------------------------------------------------------------------------------ */

/* Buffer 'i' of queue 'q'. */
static uint64_t buffer(unsigned q, unsigned i)
{
	return BUFFERS_AT + (q * VHOST_RIG_QUEUE_SIZE + i % VHOST_RIG_QUEUE_SIZE) * BUFFER_SIZE;
}

static void give_rx(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t gpa = buffer(RX, rig.ring[RX].next_head);
		fake_ring_add(&rig.ring[RX], &(struct fake_buf){ gpa, BUFFER_SIZE, true }, 1);
	}
	fd_signal(rig.kick[RX]);
}

/* Wait for the next used entry of queue 'q'; false if none comes within 'ms'. */
static bool wait_used(unsigned q, uint32_t *id, uint32_t *len, int ms)
{
	struct pollfd p = { .fd = rig.call[q], .events = POLLIN };

	while (!fake_ring_reap(&rig.ring[q], id, len)) {
		if (poll(&p, 1, ms) <= 0)
			return fake_ring_reap(&rig.ring[q], id, len);
		fd_drain(rig.call[q]);
	}
	return true;
}

static uint8_t *expect_rx(uint32_t *len)
{
	uint32_t id;

	cr_assert(wait_used(RX, &id, len, WAIT_MS), "nothing was received");
	return at(buffer(RX, id), *len);
}

static void send_tx(const void *bytes, uint32_t len)
{
	uint64_t gpa = buffer(TX, rig.ring[TX].next_head);
	uint32_t id, written;

	memcpy(at(gpa, len), bytes, len);
	fake_ring_add(&rig.ring[TX], &(struct fake_buf){ gpa, len, false }, 1);
	fd_signal(rig.kick[TX]);
	cr_assert(wait_used(TX, &id, &written, WAIT_MS), "what was sent does not come back");
}

static void wait_for_failure(void)
{
	for (unsigned i = 0; i < WAIT_MS / 10 && rig.n_fails == 0; i++) {
		usleep(10000);
		loop_pump(rig.loop);
	}
}

/* --- what may not stay behind ---------------------------------------------------------------- */

struct held {
	unsigned n_fds, n_threads;
	unsigned long locked_kb, pinned_kb;
};

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static struct held measure(void)
{
	struct held h = {
		.n_fds = count_entries("/proc/self/fd"),
		.n_threads = count_entries("/proc/self/task"),
	};
	char line[128];
	FILE *status = fopen("/proc/self/status", "re");

	cr_assert_not_null(status);
	while (fgets(line, sizeof(line), status)) {
		(void)sscanf(line, "VmLck: %lu", &h.locked_kb);
		(void)sscanf(line, "VmPin: %lu", &h.pinned_kb);
	}
	fclose(status);
	return h;
}

static void expect_same(const struct held *a, const struct held *b)
{
	cr_assert_eq(a->n_fds, b->n_fds, "%u descriptors, before %u", b->n_fds, a->n_fds);
	cr_assert_eq(a->n_threads, b->n_threads, "%u threads, before %u", b->n_threads,
		     a->n_threads);
	cr_assert_eq(a->locked_kb, b->locked_kb);
	cr_assert_eq(a->pinned_kb, b->pinned_kb);
}

/* --- workers --------------------------------------------------------------------------------- */

/*
 * Signal each of the kernel's threads that move our buffers.  They are the kernel's own before Linux
 * 6.4, and no signal ends or stops those; later ones are threads of this process, which has what
 * is sent to them.
 */
static void signal_workers(int sig)
{
	struct datapath_account a = { 0 };
	char path[64];

	rig.dp->ops->account(rig.dp, &a);
	cr_assert_gt(a.n_workers, 0);
	for (unsigned i = 0; i < a.n_workers; i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d", a.worker[i]);
		if (access(path, F_OK) == 0)
			cr_skip_test("this kernel's workers are threads of the process");
		cr_assert_eq(kill(a.worker[i], sig), 0, "%s", strerror(errno));
	}
	usleep(100000);
	for (unsigned i = 0; i < a.n_workers; i++)
		cr_assert_eq(kill(a.worker[i], 0), 0, "a worker has gone");
}

/* --- vsock ----------------------------------------------------------------------------------- */

static uint64_t cid;

static void need_vsock(void)
{
	real_vhost_need("/dev/vhost-vsock");
	vhost_rig_init(&rig, FEATURES_EMPTY, 2);
	cid = 0;
}

static int make_vsock(struct datapath **out,
		      int (*open_node)(struct vhost_node **out, const char *path))
{
	return vhost_vsock_create(out, &cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock",
		.fd = FD_NONE,
		.cid = cid,
		.loop = rig.loop,
		.open = open_node,
	});
}

static void use_vsock(void)
{
	struct datapath *dp;

	cr_assert_eq(make_vsock(&dp, NULL), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM);
}

/* A packet that answers 'to', or NULL. */
static void vsock_send(const struct vsock_header *to, uint16_t op, const char *text)
{
	uint8_t bytes[256] = { 0 };
	size_t len = text ? strlen(text) : 0;
	struct vsock_header h = {
		.src_cid = htole64(cid),
		.dst_cid = htole64(VMADDR_CID_HOST),
		.src_port = to->dst_port,
		.dst_port = to->src_port,
		.len = htole32((uint32_t)len),
		.type = to->type,
		.op = htole16(op),
		.buf_alloc = htole32(0x10000),
	};

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), text ? text : "", len);
	send_tx(bytes, (uint32_t)(sizeof(h) + len));
}

/* Of credit, or the end of the connection before. */
static bool is_aside(uint16_t op)
{
	return op == OP_CREDIT_UPDATE || op == OP_CREDIT_REQUEST || op == OP_SHUTDOWN ||
	       op == OP_RST;
}

/* The next packet of the connection. */
static const struct vsock_header *vsock_expect(uint16_t op, const char *text)
{
	static struct vsock_header h;
	uint8_t *p;
	uint32_t len;

	do {
		p = expect_rx(&len);
		cr_assert_geq(len, sizeof(h));
		memcpy(&h, p, sizeof(h));
		give_rx(1);
	} while (is_aside(le16toh(h.op)));
	cr_assert_eq(le16toh(h.op), op, "operation %u, expected %u", le16toh(h.op), op);
	if (text)
		cr_assert_eq(memcmp(p + sizeof(h), text, strlen(text)), 0);
	return &h;
}

static int host_connect(int type)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = 1234,
	};
	int fd = socket(AF_VSOCK, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	cr_assert(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ||
		  errno == EINPROGRESS, "%s", strerror(errno));
	return fd;
}

static void host_expect(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[64] = "";

	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	cr_assert_eq(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text), "%s", strerror(errno));
	cr_assert_str_eq(got, text);
}

/* A connection from the host: data both ways, and closed. */
static void vsock_talk(int type)
{
	struct vsock_header request;
	int fd = host_connect(type);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	request = *vsock_expect(OP_REQUEST, NULL);
	vsock_send(&request, OP_RESPONSE, NULL);
	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	cr_assert_eq(send(fd, "from the host", 13, MSG_EOR), 13, "%s", strerror(errno));
	vsock_expect(OP_RW, "from the host");
	vsock_send(&request, OP_RW, "from the guest");
	if (type == SOCK_STREAM)
		host_expect(fd, "from the guest");
	close(fd);
	vsock_send(&request, OP_RST, NULL);
}

static void fini(void)
{
	vhost_rig_fini(&rig);
}

TestSuite(real_vhost_vsock, .init = need_vsock, .fini = fini, .timeout = 120);

/* N15: a driver that accepted ACCESS_PLATFORM works, because vhost is not told. */
Test(real_vhost_vsock, moves_data_both_ways)
{
	use_vsock();
	vhost_rig_start(&rig);
	give_rx(8);
	vsock_talk(SOCK_STREAM);
	cr_assert_eq(rig.n_fails, 0);
}

Test(real_vhost_vsock, a_worker_that_is_killed_goes_on)
{
	static const int sig[] = { SIGKILL, SIGTERM, SIGSTOP };

	use_vsock();
	vhost_rig_start(&rig);
	give_rx(8);
	vsock_talk(SOCK_STREAM);
	for (unsigned i = 0; i < ARRAY_SIZE(sig); i++) {
		signal_workers(sig[i]);
		vsock_talk(SOCK_STREAM);
	}
	cr_assert_eq(rig.n_fails, 0);
	vhost_rig_stop(&rig);
}

Test(real_vhost_vsock, seqpacket_where_the_kernel_has_it)
{
	struct features served;

	use_vsock();
	served = rig.dp->ops->features(rig.dp);
	if (!features_has(&served, VIRTIO_VSOCK_F_SEQPACKET))
		cr_skip_test("this kernel's vhost-vsock has no SEQPACKET");
	features_add(&rig.start.features, VIRTIO_VSOCK_F_SEQPACKET);
	vhost_rig_start(&rig);
	give_rx(8);
	vsock_talk(SOCK_SEQPACKET);
}

/* As by a reset of the guest: fresh rings each time, and nothing stays behind. */
Test(real_vhost_vsock, starts_and_stops_leave_nothing)
{
	struct held before;

	use_vsock();
	vhost_rig_start(&rig);
	vhost_rig_stop(&rig);
	before = measure();
	for (unsigned i = 0; i < STARTS; i++) {
		vhost_rig_lay_out(&rig, FAKE_SPLIT);
		vhost_rig_start(&rig);
		if (i % 50 == 0) {
			give_rx(8);
			vsock_talk(SOCK_STREAM);
		}
		vhost_rig_stop(&rig);
	}
	struct held after = measure();

	expect_same(&before, &after);
}

/* Stopped and started again in the middle of a ring: as a switch of datapaths does. */
Test(real_vhost_vsock, goes_on_where_it_stood)
{
	use_vsock();
	vhost_rig_start(&rig);
	give_rx(8);
	for (unsigned i = 0; i < 5; i++) {
		vsock_talk(SOCK_STREAM);
		vhost_rig_stop(&rig);
		for (unsigned q = 0; q < 2; q++) {
			rig.queue[q].resume = true;
			cr_assert(rig.dp->ops->position(rig.dp, q, &rig.queue[q].position));
		}
		cr_assert_eq(rig.queue[TX].position.avail, rig.ring[TX].avail_idx);
		vhost_rig_start(&rig);
	}
	vsock_talk(SOCK_STREAM);
}

/* N15, the other way: the same datapath with the bit leaked behind its back. */
static struct vhost_ops leaky;
static int (*honest_set_features)(struct vhost_node *node, const struct features *f);

static int leak(struct vhost_node *node, const struct features *f)
{
	struct features all = *f;

	features_add(&all, VIRTIO_F_ACCESS_PLATFORM);
	return honest_set_features(node, &all);
}

static int open_leaky(struct vhost_node **out, const char *path)
{
	int r = vhost_kernel_open(out, path);

	if (r < 0)
		return r;
	leaky = *(*out)->ops;
	honest_set_features = leaky.set_features;
	leaky.set_features = leak;
	(*out)->ops = &leaky;
	return 0;
}

Test(real_vhost_vsock, a_leaked_access_platform_is_efault_at_set_running)
{
	struct datapath *dp;
	struct features kernel;

	cr_assert_eq(make_vsock(&dp, open_leaky), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
	kernel = vhost_datapath_node(dp, 0)->kernel;
	if (!features_has(&kernel, VIRTIO_F_ACCESS_PLATFORM))
		cr_skip_test("this kernel's vhost-vsock does not advertise ACCESS_PLATFORM");
	cr_assert_eq(dp->ops->start(dp, &rig.start), -EFAULT);
	cr_assert_not_null(strstr(error_text(), "VHOST_VSOCK_SET_RUNNING"), "%s", error_text());
}

Test(real_vhost_vsock, a_cid_is_held_and_auto_finds_another)
{
	struct datapath *second;
	uint64_t first;

	use_vsock();
	first = cid;
	cr_assert_eq(make_vsock(&second, NULL), -EADDRINUSE);
	error_clear();
	cid = 0;
	cr_assert_eq(make_vsock(&second, NULL), 0, "%s", error_text());
	cr_assert_neq(cid, first);
	second->ops->destroy(second);
	cid = first;
}

/* The kernel's thread is ours to name. */
Test(real_vhost_vsock, its_thread_is_found)
{
	struct datapath_account a = { 0 };
	char path[64];

	use_vsock();
	rig.dp->ops->account(rig.dp, &a);
	cr_assert_eq(a.n_workers, 1);
	snprintf(path, sizeof(path), "/proc/%d/comm", a.worker[0]);
	cr_assert_eq(access(path, R_OK), 0);
}

/* N16: a descriptor from elsewhere may block; the loop that looks for misses must not. */
Test(real_vhost_vsock, a_node_that_others_opened_does_not_block)
{
	struct vhost_iotlb_message miss;
	struct vhost_node *node;
	int fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(vhost_kernel_adopt(&node, fd), 0, "%s", error_text());
	cr_assert(fcntl(node->fd, F_GETFL) & O_NONBLOCK);
	cr_assert_eq(node->ops->read_iotlb(node, &miss), -EAGAIN);
	node->ops->close(node);
}

/* What the driver did wrong reaches us through VHOST_SET_VRING_ERR. */
Test(real_vhost_vsock, a_broken_ring_is_reported)
{
	use_vsock();
	vhost_rig_start(&rig);
	fake_ring_offer(&rig.ring[TX], 0xffff);
	fake_ring_publish(&rig.ring[TX]);
	fd_signal(rig.kick[TX]);
	wait_for_failure();
	cr_assert_eq(rig.n_fails, 1);
	cr_assert_eq(rig.fail_queue, TX);
	vhost_rig_stop(&rig);
}

/* --- net ------------------------------------------------------------------------------------- */

static int tap = FD_NONE, wire = FD_NONE;

enum { NET_HEADER = 12, FRAME = 100, TEST_ETHERTYPE = 0x88b5 };

static int tap_fd(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
	return tap;
}

static void need_net(void)
{
	struct datapath *dp;

	real_vhost_need("/dev/vhost-net");
	cable_create(&tap, &wire, 0);
	vhost_rig_init(&rig, FEATURES_EMPTY, 2);
	cr_assert_eq(vhost_net_create(&dp, &(struct vhost_net_config){
		.path = "/dev/vhost-net",
		.n_pairs = 1,
		.tap_fd = tap_fd,
		.poll_us = 20,
		.loop = &rig.loop,
		.n_loops = 1,
	}), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MAC,
				      VIRTIO_F_ACCESS_PLATFORM);
}

static void fini_net(void)
{
	vhost_rig_fini(&rig);
	fd_close(&tap);
	fd_close(&wire);
}

TestSuite(real_vhost_net, .init = need_net, .fini = fini_net, .timeout = 120);

static void fill_frame(uint8_t frame[FRAME], unsigned number)
{
	memset(frame, (int)number, FRAME);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02vhost", 6);
	frame[12] = TEST_ETHERTYPE >> 8;
	frame[13] = TEST_ETHERTYPE & 0xff;
	frame[14] = (uint8_t)(number >> 8);
	frame[15] = (uint8_t)number;
}

/* The next of our frames at the wire: the host sends some of its own. */
static void wire_expect(unsigned number)
{
	uint8_t want[FRAME], got[2048];
	struct pollfd p = { .fd = wire, .events = POLLIN };
	ssize_t n;

	fill_frame(want, number);
	do {
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "frame %u did not come", number);
		n = read(wire, got, sizeof(got));
	} while (n < 14 || got[12] != want[12] || got[13] != want[13]);
	cr_assert_eq(n, FRAME);
	cr_assert_eq(memcmp(got, want, FRAME), 0, "frame %u", number);
}

static void net_send(unsigned number)
{
	uint8_t bytes[NET_HEADER + FRAME] = { 0 };

	fill_frame(bytes + NET_HEADER, number);
	send_tx(bytes, sizeof(bytes));
	wire_expect(number);
}

static void net_receive(unsigned number)
{
	uint8_t frame[FRAME], *got;
	uint32_t len;

	fill_frame(frame, number);
	cr_assert_eq(write(wire, frame, FRAME), FRAME, "%s", strerror(errno));
	do {
		got = expect_rx(&len);
		give_rx(1);
	} while (len < NET_HEADER + 14 || got[NET_HEADER + 12] != TEST_ETHERTYPE >> 8);
	cr_assert_eq(len, NET_HEADER + FRAME);
	cr_assert_eq(memcmp(got + NET_HEADER, frame, FRAME), 0);
	cr_assert_eq(got[10] | got[11] << 8, 1, "num_buffers is 1");
}

Test(real_vhost_net, moves_frames_both_ways)
{
	vhost_rig_start(&rig);
	give_rx(8);
	for (unsigned i = 0; i < 50; i++) {
		net_send(2 * i);
		net_receive(2 * i + 1);
	}
	cr_assert_eq(rig.n_fails, 0);
}

Test(real_vhost_net, a_worker_that_is_killed_goes_on)
{
	static const int sig[] = { SIGKILL, SIGTERM, SIGSTOP };

	vhost_rig_start(&rig);
	give_rx(8);
	for (unsigned i = 0; i < ARRAY_SIZE(sig); i++) {
		net_send(2 * i);
		signal_workers(sig[i]);
		net_send(2 * i + 1);
		net_receive(2 * i + 1);
	}
	cr_assert_eq(rig.n_fails, 0);
	vhost_rig_stop(&rig);
}

/* A driver that gives no more to do while it is not to: nothing is lost, and nothing moves. */
Test(real_vhost_net, a_suspended_node_moves_nothing)
{
	uint8_t frame[FRAME];
	uint32_t id, len;

	vhost_rig_start(&rig);
	give_rx(8);
	net_send(1);
	net_receive(2);
	for (unsigned i = 0; i < 5; i++) {
		rig.dp->ops->suspend(rig.dp);
		cr_assert(rig.dp->ops->is_quiet(rig.dp));
		fill_frame(frame, i);
		cr_assert_eq(write(wire, frame, FRAME), FRAME);
		fd_signal(rig.kick[RX]);
		cr_assert_not(wait_used(RX, &id, &len, 50));
		rig.dp->ops->resume(rig.dp);
		do {
			cr_assert(wait_used(RX, &id, &len, WAIT_MS));
			give_rx(1);
		} while (len != NET_HEADER + FRAME);
		net_send(i);
	}
	cr_assert_eq(rig.n_fails, 0);
}

Test(real_vhost_net, starts_and_stops_leave_nothing)
{
	struct held before;

	vhost_rig_start(&rig);
	vhost_rig_stop(&rig);
	before = measure();
	for (unsigned i = 0; i < STARTS; i++) {
		vhost_rig_lay_out(&rig, FAKE_SPLIT);
		vhost_rig_start(&rig);
		if (i % 20 == 0) {
			give_rx(8);
			net_send(i);
			net_receive(i);
		}
		vhost_rig_stop(&rig);
	}
	struct held after = measure();

	expect_same(&before, &after);
}

Test(real_vhost_net, goes_on_where_it_stood)
{
	vhost_rig_start(&rig);
	give_rx(8);
	for (unsigned i = 0; i < 40; i++) {
		net_send(i);
		net_receive(i);
		vhost_rig_stop(&rig);
		for (unsigned q = 0; q < 2; q++) {
			rig.queue[q].resume = true;
			cr_assert(rig.dp->ops->position(rig.dp, q, &rig.queue[q].position));
		}
		vhost_rig_start(&rig);
	}
}

/*
 * The interface is deleted under it: the kernel says that the ring is broken, and loses what it
 * could not send; it can be stopped.
 */
Test(real_vhost_net, a_deleted_tap_hangs_nobody)
{
	uint64_t gpa = buffer(TX, 7);
	struct virtqueue_position position;

	vhost_rig_start(&rig);
	give_rx(8);
	net_send(1);
	cr_assert_eq(system("ip link del vhost0"), 0);
	fake_ring_add(&rig.ring[TX], &(struct fake_buf){ gpa, NET_HEADER + FRAME, false }, 1);
	fd_signal(rig.kick[TX]);
	wait_for_failure();
	cr_assert_eq(rig.n_fails, 1);
	cr_assert_eq(rig.fail_queue, TX);
	vhost_rig_stop(&rig);
	cr_assert_not(rig.dp->ops->position(rig.dp, TX, &position));
}

/* All that was written is in the bitmap: the used ring and the buffer of a frame. */
Test(real_vhost_net, the_dirty_bitmap_has_what_was_written)
{
	uint64_t *bitmap, n;
	uint64_t used_page = rig.ring[RX].device / 4096, buffer_page;

	vhost_rig_start(&rig);
	give_rx(8);
	net_receive(1);
	cr_assert_eq(vhost_log_start(vhost_datapath_node(rig.dp, 0), FD_NONE, &bitmap, &n), 0, "%s",
		     error_text());
	for (uint64_t i = 0; i < n; i++)
		cr_assert_eq(bitmap[i], 0);
	buffer_page = buffer(RX, rig.ring[RX].used_seen) / 4096;
	net_receive(2);
	cr_assert(bitmap[used_page / 64] >> used_page % 64 & 1, "the used ring");
	cr_assert(bitmap[buffer_page / 64] >> buffer_page % 64 & 1, "the buffer");
	vhost_log_stop(vhost_datapath_node(rig.dp, 0));
	net_receive(3);
}
