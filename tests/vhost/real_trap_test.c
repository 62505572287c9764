/*
 * The trap of N15, by hand, with nothing of ours in between: what VIRTIO_F_ACCESS_PLATFORM does
 * to a vhost that is told it.  A host's own idea of the bit is "ring addresses are I/O virtual
 * addresses, and I ask you for each"; a VMM that passes on what the guest accepted meets it as an
 * error much later than the call that caused it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/real_vhost.h"

#define BIT(n) (UINT64_C(1) << (n))

enum {
	VERSION_1 = 32, ACCESS_PLATFORM = 33, INDIRECT_DESC = 28,
	N_QUEUES = 2, QUEUE_SIZE = 16,
	RX = 0, TX = 1,
	DESC = 0, AVAIL = 0x400, USED = 0x800, BUFFER = 0x1000, STRIDE = 0x2000,
	MEMORY_SIZE = N_QUEUES * STRIDE,
	GUEST_CID = 4711, HOST_CID = 2, NOBODY_PORT = 65000,
	WAIT_MS = 10000,
};

/* What the trap's features were called on the test bed: 0x130000000 and 0x330000000. */
static const uint64_t masked = BIT(VERSION_1) | BIT(29) | BIT(INDIRECT_DESC);
static const uint64_t leaked = BIT(VERSION_1) | BIT(29) | BIT(INDIRECT_DESC) | BIT(ACCESS_PLATFORM);

/*
 * A driver and a VMM in one: two rings in 'memory', which begins at guest address 0 or at 'iova'.
 */
struct bench {
	int fd;
	int kick[N_QUEUES], call[N_QUEUES];
	uint8_t *memory;
	uint64_t seen_at;	/* what the device is to call the start of 'memory' */
};

static void bench_open(struct bench *b, const char *node)
{
	*b = (struct bench){ .fd = real_vhost_open(node) };
	b->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			 0);
	cr_assert_neq(b->memory, MAP_FAILED);
	cr_assert_eq(ioctl(b->fd, VHOST_SET_OWNER), 0);
	for (int i = 0; i < N_QUEUES; i++) {
		b->kick[i] = eventfd(0, EFD_CLOEXEC);
		b->call[i] = eventfd(0, EFD_CLOEXEC);
	}
}

static void bench_close(struct bench *b)
{
	close(b->fd);
	for (int i = 0; i < N_QUEUES; i++) {
		close(b->kick[i]);
		close(b->call[i]);
	}
	munmap(b->memory, MEMORY_SIZE);
}

static void set_memory(struct bench *b)
{
	union {
		struct vhost_memory table;
		uint8_t room[sizeof(struct vhost_memory) + sizeof(struct vhost_memory_region)];
	} m = { .table = { .nregions = 1 } };

	m.table.regions[0] = (struct vhost_memory_region){
		.guest_phys_addr = b->seen_at,
		.memory_size = MEMORY_SIZE,
		.userspace_addr = (uintptr_t)b->memory,
	};
	cr_assert_eq(ioctl(b->fd, VHOST_SET_MEM_TABLE, &m.table), 0);
}

/* 'ring_at': what the rings' addresses are counted from. */
static void set_rings(struct bench *b, uint64_t ring_at)
{
	for (unsigned i = 0; i < N_QUEUES; i++) {
		struct vhost_vring_state num = { i, QUEUE_SIZE }, base = { i, 0 };
		struct vhost_vring_file kick = { i, b->kick[i] }, call = { i, b->call[i] };
		uint64_t at = ring_at + i * STRIDE;
		struct vhost_vring_addr addr = {
			.index = i,
			.desc_user_addr = at + DESC,
			.avail_user_addr = at + AVAIL,
			.used_user_addr = at + USED,
		};

		cr_assert_eq(ioctl(b->fd, VHOST_SET_VRING_NUM, &num), 0);
		cr_assert_eq(ioctl(b->fd, VHOST_SET_VRING_BASE, &base), 0);
		cr_assert_eq(ioctl(b->fd, VHOST_SET_VRING_ADDR, &addr), 0, "%s", strerror(errno));
		cr_assert_eq(ioctl(b->fd, VHOST_SET_VRING_KICK, &kick), 0);
		cr_assert_eq(ioctl(b->fd, VHOST_SET_VRING_CALL, &call), 0);
	}
}

static int set_running(struct bench *b)
{
	uint64_t cid = GUEST_CID;
	int on = 1;

	cr_assert_eq(ioctl(b->fd, VHOST_VSOCK_SET_GUEST_CID, &cid), 0);
	return ioctl(b->fd, VHOST_VSOCK_SET_RUNNING, &on) < 0 ? -errno : 0;
}

static void offer(struct bench *b, unsigned queue, uint32_t len, bool writable)
{
	uint8_t *at = b->memory + queue * STRIDE;
	struct vring_desc *desc = (struct vring_desc *)(at + DESC);
	struct vring_avail *avail = (struct vring_avail *)(at + AVAIL);
	const uint64_t one = 1;

	*desc = (struct vring_desc){ .addr = b->seen_at + queue * STRIDE + BUFFER, .len = len,
				     .flags = writable ? VRING_DESC_F_WRITE : 0 };
	avail->ring[0] = 0;
	__atomic_store_n(&avail->idx, 1, __ATOMIC_RELEASE);
	cr_assert_eq(write(b->kick[queue], &one, sizeof(one)), (ssize_t)sizeof(one));
}

static bool was_used(struct bench *b, unsigned queue, int wait_ms)
{
	struct vring_used *used = (struct vring_used *)(b->memory + queue * STRIDE + USED);

	for (int i = 0; i < wait_ms; i++) {
		if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == 1)
			return true;
		usleep(1000);
	}
	return false;
}

/* Knock at a port where nobody listens: the host answers with a reset, so that both rings move. */
static void knock(struct bench *b)
{
	struct virtio_vsock_hdr *out = (struct virtio_vsock_hdr *)(b->memory + TX * STRIDE + BUFFER);
	struct virtio_vsock_hdr *in = (struct virtio_vsock_hdr *)(b->memory + RX * STRIDE + BUFFER);

	*out = (struct virtio_vsock_hdr){
		.src_cid = GUEST_CID, .dst_cid = HOST_CID, .src_port = 1, .dst_port = NOBODY_PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = VIRTIO_VSOCK_OP_REQUEST,
		.buf_alloc = 4096,
	};
	offer(b, RX, 4096, true);
	offer(b, TX, sizeof(*out), false);
	cr_assert(was_used(b, TX, WAIT_MS));
	cr_assert(was_used(b, RX, WAIT_MS));
	cr_assert_eq(in->op, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(in->dst_cid, GUEST_CID);
}

static int set_features(struct bench *b, uint64_t features)
{
	return ioctl(b->fd, VHOST_SET_FEATURES, &features) < 0 ? -errno : 0;
}

/* N15: not told the bit, vhost takes addresses of this process, and the rings run. */
Test(real_trap, n15_masked_it_works)
{
	struct bench b;

	bench_open(&b, "/dev/vhost-vsock");
	cr_assert_eq(set_features(&b, masked), 0);
	set_memory(&b);
	set_rings(&b, (uintptr_t)b.memory);
	cr_assert_eq(set_running(&b), 0);
	knock(&b);
	bench_close(&b);
}

/* N15: told it, every call succeeds but the last, and nothing before that one warns. */
Test(real_trap, n15_leaked_it_fails_at_the_last_step)
{
	struct bench b;

	bench_open(&b, "/dev/vhost-vsock");
	cr_assert_eq(set_features(&b, leaked), 0);
	set_memory(&b);
	set_rings(&b, (uintptr_t)b.memory);
	cr_assert_eq(set_running(&b), -EFAULT);
	offer(&b, RX, 4096, true);
	cr_assert_not(was_used(&b, RX, 200));
	bench_close(&b);
}

/* What the host waits for instead: a question can be read from the descriptor. */
Test(real_trap, n15_leaked_it_asks_for_a_translation)
{
	struct pollfd poller = { .events = POLLIN };
	uint64_t backend = BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct vhost_msg_v2 miss;
	struct bench b;

	bench_open(&b, "/dev/vhost-vsock");
	cr_assert_eq(ioctl(b.fd, VHOST_SET_BACKEND_FEATURES, &backend), 0);
	cr_assert_eq(set_features(&b, leaked), 0);
	set_memory(&b);
	set_rings(&b, (uintptr_t)b.memory);
	cr_assert_eq(set_running(&b), -EFAULT);
	poller.fd = b.fd;
	cr_assert_eq(poll(&poller, 1, WAIT_MS), 1);
	cr_assert_eq(read(b.fd, &miss, sizeof(miss)), (ssize_t)sizeof(miss));
	cr_assert_eq(miss.type, VHOST_IOTLB_MSG_V2);
	cr_assert_eq(miss.iotlb.type, VHOST_IOTLB_MISS);
	cr_assert_geq(miss.iotlb.iova, (uintptr_t)b.memory);
	cr_assert_lt(miss.iotlb.iova, (uintptr_t)b.memory + MEMORY_SIZE);
	bench_close(&b);
}

/*
 * N16: told it, with rings at I/O virtual addresses and their translation given beforehand, it
 * works.
 */
Test(real_trap, n16_with_translations_it_works)
{
	const uint64_t iova = UINT64_C(0xfee00000) + MEMORY_SIZE;
	uint64_t backend = BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct bench b;

	bench_open(&b, "/dev/vhost-vsock");
	b.seen_at = iova;
	struct vhost_msg_v2 update = {
		.type = VHOST_IOTLB_MSG_V2,
		.iotlb = {
			.iova = iova, .size = MEMORY_SIZE, .uaddr = (uintptr_t)b.memory,
			.perm = VHOST_ACCESS_RW, .type = VHOST_IOTLB_UPDATE,
		},
	};
	cr_assert_eq(ioctl(b.fd, VHOST_SET_BACKEND_FEATURES, &backend), 0);
	cr_assert_eq(set_features(&b, leaked), 0);
	/* Not looked at, but without one nothing starts. */
	set_memory(&b);
	set_rings(&b, iova);
	cr_assert_eq(write(b.fd, &update, sizeof(update)), (ssize_t)sizeof(update));
	cr_assert_eq(set_running(&b), 0);
	knock(&b);
	bench_close(&b);
}

/* N13: a bit that a vhost does not advertise is refused by all of them. */
Test(real_trap, n13_what_is_not_advertised_is_refused)
{
	static const char *const node[] = { "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vhost-scsi" };

	for (unsigned i = 0; i < sizeof(node) / sizeof(node[0]); i++) {
		struct bench b;

		bench_open(&b, node[i]);
		cr_assert_eq(set_features(&b, BIT(VERSION_1) | BIT(34)), -EOPNOTSUPP, "%s", node[i]);
		bench_close(&b);
	}
}
