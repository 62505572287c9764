#include "vhost/vhost_kernel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vhost/vhost_probe.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"

/* Newer than the headers that we may be built with. */
#ifndef VHOST_GET_VRING_WORKER
struct vhost_vring_worker {
	unsigned int index, worker_id;
};
#define VHOST_GET_VRING_WORKER _IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif
#ifndef VHOST_GET_FEATURES_ARRAY
struct vhost_features_array {
	__u64 count;
	__u64 features[];
};
#define VHOST_GET_FEATURES_ARRAY _IOR(VHOST_VIRTIO, 0x83, struct vhost_features_array)
#define VHOST_SET_FEATURES_ARRAY _IOW(VHOST_VIRTIO, 0x83, struct vhost_features_array)
#endif

struct features_request {
	__u64 count;
	__u64 word[FEATURES_WORDS];
};

static int request(struct vhost_node *node, unsigned long nr, void *arg)
{
	int r;

	do
		r = ioctl(node->fd, nr, arg);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int request_state(struct vhost_node *node, unsigned long nr, unsigned ring, unsigned num)
{
	struct vhost_vring_state state = { .index = ring, .num = num };

	return request(node, nr, &state);
}

static int request_file(struct vhost_node *node, unsigned long nr, unsigned ring, int fd)
{
	struct vhost_vring_file file = { .index = ring, .fd = fd };

	return request(node, nr, &file);
}

static int kernel_get_features(struct vhost_node *node, struct features *out)
{
	struct features_request all = { .count = FEATURES_WORDS };
	__u64 first = 0;

	*out = FEATURES_EMPTY;
	/* A kernel that has no such request says so in several ways. */
	if (request(node, VHOST_GET_FEATURES_ARRAY, &all) == 0) {
		memcpy(out->word, all.word, sizeof(out->word));
		return 0;
	}
	int r = request(node, VHOST_GET_FEATURES, &first);

	out->word[0] = first;
	return r;
}

static int kernel_set_features(struct vhost_node *node, const struct features *f)
{
	struct features_request all = { .count = FEATURES_WORDS };
	__u64 first = f->word[0];

	if (f->word[1] == 0)
		return request(node, VHOST_SET_FEATURES, &first);
	memcpy(all.word, f->word, sizeof(all.word));
	return request(node, VHOST_SET_FEATURES_ARRAY, &all);
}

static int kernel_get_backend_features(struct vhost_node *node, uint64_t *out)
{
	__u64 f = 0;
	int r = request(node, VHOST_GET_BACKEND_FEATURES, &f);

	*out = f;
	return r;
}

static int kernel_set_backend_features(struct vhost_node *node, uint64_t f)
{
	__u64 value = f;

	return request(node, VHOST_SET_BACKEND_FEATURES, &value);
}

static int kernel_set_owner(struct vhost_node *node)
{
	return request(node, VHOST_SET_OWNER, NULL);
}

static int kernel_set_memory(struct vhost_node *node, const struct vhost_memory_table *table)
{
	/* struct vhost_memory, whose regions have no number. */
	struct {
		__u32 nregions, padding;
		struct vhost_memory_region region[VHOST_MAX_REGIONS];
	} memory = { .nregions = table->n };

	static_assert(offsetof(struct vhost_memory, regions) == 8, "the head has 8 bytes");

	for (unsigned i = 0; i < table->n; i++)
		memory.region[i] = (struct vhost_memory_region){
			.guest_phys_addr = table->region[i].gpa,
			.memory_size = table->region[i].size,
			.userspace_addr = table->region[i].host,
		};
	return request(node, VHOST_SET_MEM_TABLE, &memory);
}

static int kernel_set_ring_size(struct vhost_node *node, unsigned ring, unsigned size)
{
	return request_state(node, VHOST_SET_VRING_NUM, ring, size);
}

static int kernel_set_ring_base(struct vhost_node *node, unsigned ring, uint32_t base)
{
	return request_state(node, VHOST_SET_VRING_BASE, ring, base);
}

static int kernel_get_ring_base(struct vhost_node *node, unsigned ring, uint32_t *base)
{
	struct vhost_vring_state state = { .index = ring };
	int r = request(node, VHOST_GET_VRING_BASE, &state);

	*base = state.num;
	return r;
}

static int kernel_set_ring_addr(struct vhost_node *node, unsigned ring,
				const struct vhost_ring_addr *addr)
{
	struct vhost_vring_addr a = {
		.index = ring,
		.flags = addr->log ? 1u << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = addr->desc,
		.avail_user_addr = addr->avail,
		.used_user_addr = addr->used,
		.log_guest_addr = addr->used_gpa,
	};

	return request(node, VHOST_SET_VRING_ADDR, &a);
}

static int kernel_set_ring_kick(struct vhost_node *node, unsigned ring, int fd)
{
	return request_file(node, VHOST_SET_VRING_KICK, ring, fd);
}

static int kernel_set_ring_call(struct vhost_node *node, unsigned ring, int fd)
{
	return request_file(node, VHOST_SET_VRING_CALL, ring, fd);
}

static int kernel_set_ring_err(struct vhost_node *node, unsigned ring, int fd)
{
	return request_file(node, VHOST_SET_VRING_ERR, ring, fd);
}

static int kernel_set_ring_poll(struct vhost_node *node, unsigned ring, unsigned us)
{
	return request_state(node, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, ring, us);
}

static int kernel_get_ring_worker(struct vhost_node *node, unsigned ring, unsigned *worker)
{
	struct vhost_vring_worker w = { .index = ring };
	int r = request(node, VHOST_GET_VRING_WORKER, &w);

	*worker = w.worker_id;
	return r;
}

static int kernel_set_log_base(struct vhost_node *node, const void *bitmap)
{
	__u64 base = (uintptr_t)bitmap;

	return request(node, VHOST_SET_LOG_BASE, &base);
}

static int kernel_set_log_fd(struct vhost_node *node, int fd)
{
	return request(node, VHOST_SET_LOG_FD, &fd);
}

static int kernel_write_iotlb(struct vhost_node *node, const struct vhost_iotlb_message *m)
{
	struct vhost_msg_v2 msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = VHOST_IOTLB_MSG_V2;
	msg.iotlb = (struct vhost_iotlb_msg){
		.iova = m->iova,
		.size = m->size,
		.uaddr = m->host,
		.perm = (__u8)m->may,
		.type = (__u8)m->type,
	};
	ssize_t r;

	do
		r = write(node->fd, &msg, sizeof(msg));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == (ssize_t)sizeof(msg) ? 0 : -EIO;
}

static int kernel_read_iotlb(struct vhost_node *node, struct vhost_iotlb_message *m)
{
	struct vhost_msg_v2 msg;
	ssize_t r;

	do
		r = read(node->fd, &msg, sizeof(msg));
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : -EAGAIN;
	if (r != (ssize_t)sizeof(msg) || msg.type != VHOST_IOTLB_MSG_V2)
		return -EIO;
	*m = (struct vhost_iotlb_message){
		.type = (enum vhost_iotlb_type)msg.iotlb.type,
		.iova = msg.iotlb.iova,
		.size = msg.iotlb.size,
		.host = msg.iotlb.uaddr,
		.may = msg.iotlb.perm,
	};
	return 0;
}

static int kernel_net_set_backend(struct vhost_node *node, unsigned ring, int fd)
{
	return request_file(node, VHOST_NET_SET_BACKEND, ring, fd);
}

static int kernel_vsock_set_cid(struct vhost_node *node, uint64_t cid)
{
	__u64 value = cid;

	return request(node, VHOST_VSOCK_SET_GUEST_CID, &value);
}

static int kernel_vsock_set_running(struct vhost_node *node, bool running)
{
	int value = running;

	return request(node, VHOST_VSOCK_SET_RUNNING, &value);
}

static int kernel_scsi_get_abi(struct vhost_node *node, int *abi)
{
	return request(node, VHOST_SCSI_GET_ABI_VERSION, abi);
}

static int request_target(struct vhost_node *node, unsigned long nr, const char *wwpn,
			  uint16_t tpgt)
{
	struct vhost_scsi_target target = { .vhost_tpgt = tpgt };

	if (strlen(wwpn) >= sizeof(target.vhost_wwpn))
		return -ENAMETOOLONG;
	memcpy(target.vhost_wwpn, wwpn, strlen(wwpn));
	return request(node, nr, &target);
}

static int kernel_scsi_set_endpoint(struct vhost_node *node, const char *wwpn, uint16_t tpgt)
{
	return request_target(node, VHOST_SCSI_SET_ENDPOINT, wwpn, tpgt);
}

static int kernel_scsi_clear_endpoint(struct vhost_node *node, const char *wwpn, uint16_t tpgt)
{
	return request_target(node, VHOST_SCSI_CLEAR_ENDPOINT, wwpn, tpgt);
}

static int kernel_scsi_set_events_missed(struct vhost_node *node, uint32_t missed)
{
	__u32 value = missed;

	return request(node, VHOST_SCSI_SET_EVENTS_MISSED, &value);
}

static void kernel_close(struct vhost_node *node)
{
	fd_close(&node->fd);
	free(node);
}

static const struct vhost_ops kernel_ops = {
	.get_features = kernel_get_features,
	.set_features = kernel_set_features,
	.get_backend_features = kernel_get_backend_features,
	.set_backend_features = kernel_set_backend_features,
	.set_owner = kernel_set_owner,
	.set_memory = kernel_set_memory,
	.set_ring_size = kernel_set_ring_size,
	.set_ring_base = kernel_set_ring_base,
	.get_ring_base = kernel_get_ring_base,
	.set_ring_addr = kernel_set_ring_addr,
	.set_ring_kick = kernel_set_ring_kick,
	.set_ring_call = kernel_set_ring_call,
	.set_ring_err = kernel_set_ring_err,
	.set_ring_poll = kernel_set_ring_poll,
	.get_ring_worker = kernel_get_ring_worker,
	.set_log_base = kernel_set_log_base,
	.set_log_fd = kernel_set_log_fd,
	.write_iotlb = kernel_write_iotlb,
	.read_iotlb = kernel_read_iotlb,
	.net_set_backend = kernel_net_set_backend,
	.vsock_set_cid = kernel_vsock_set_cid,
	.vsock_set_running = kernel_vsock_set_running,
	.scsi_get_abi = kernel_scsi_get_abi,
	.scsi_set_endpoint = kernel_scsi_set_endpoint,
	.scsi_clear_endpoint = kernel_scsi_clear_endpoint,
	.scsi_set_events_missed = kernel_scsi_set_events_missed,
	.close = kernel_close,
};

const unsigned long vhost_requests_running[] = {
	/* Up and down the ladder: DRIVER_OK, reset, a switch of datapaths. */
	VHOST_SET_FEATURES, VHOST_SET_FEATURES_ARRAY, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM,
	VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,
	VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
	/* Who is connected to the rings. */
	VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_RUNNING, VHOST_SCSI_SET_ENDPOINT,
	VHOST_SCSI_CLEAR_ENDPOINT, VHOST_SCSI_SET_EVENTS_MISSED,
	/* The dirty bitmap. */
	VHOST_SET_LOG_BASE, VHOST_SET_LOG_FD,
};
const unsigned vhost_requests_running_len = ARRAY_SIZE(vhost_requests_running);

int vhost_kernel_adopt(struct vhost_node **out, int fd)
{
	struct vhost_node *node = calloc(1, sizeof(*node));
	__u64 features;

	*out = NULL;
	if (!node) {
		fd_close(&fd);
		return error_set(ENOMEM, "take over a vhost node");
	}
	*node = (struct vhost_node){ .ops = &kernel_ops, .fd = fd };
	int r = request(node, VHOST_GET_FEATURES, &features);

	if (r < 0) {
		kernel_close(node);
		return error_set(EINVAL, "descriptor %d does not answer as vhost", fd);
	}
	/* Whoever opened it need not have known: a look for a miss must not wait for one. */
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		r = error_set(errno, "have reads of descriptor %d not wait", fd);
		kernel_close(node);
		return r;
	}
	*out = node;
	return 0;
}

int vhost_kernel_open(struct vhost_node **out, const char *path)
{
	/* Non-blocking: for IOTLB misses; nothing else is read from it. */
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	*out = NULL;
	if (fd < 0)
		return vhost_open_failed(errno, path);
	int r = vhost_kernel_adopt(out, fd);

	return r < 0 ? error_add(r, "use %s", path) : 0;
}
