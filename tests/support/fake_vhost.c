#include "tests/support/fake_vhost.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* The one that is opened next: 'open' has no argument for it. */
static struct fake_vhost *current;

struct fake_node {
	struct vhost_node base;
	struct fake_vhost *fake;
	unsigned index;
};

static struct fake_node *from_node(struct vhost_node *node)
{
	return container_of(node, struct fake_node, base);
}

/* Write a request down; what it comes to. */
static int PRINTF_LIKE(2, 3) note(struct vhost_node *node, const char *fmt, ...)
{
	struct fake_vhost *fake = from_node(node)->fake;
	char text[80];
	va_list ap;

	pthread_mutex_lock(&fake->lock);
	/* It would wait in the kernel. */
	cr_assert_not(fake->is_clearing, "%s", fmt);
	cr_assert_lt(fake->n_lines, FAKE_VHOST_LINES);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	char *line = fake->line[fake->n_lines++];

	/* With one node there is nothing to tell apart. */
	if (fake->n_opened > 1)
		snprintf(line, 96, "%u: %s", from_node(node)->index, text);
	else
		snprintf(line, 96, "%s", text);
	bool fails = ++fake->n_requests == fake->fail_at;

	if (fails)
		strncat(line, " fails", 95 - strlen(line));
	pthread_mutex_unlock(&fake->lock);
	if (!fails)
		return 0;
	return fake->fail_with ? fake->fail_with : -EIO;
}

static void set_clearing(struct fake_vhost *fake, bool clearing)
{
	pthread_mutex_lock(&fake->lock);
	fake->is_clearing = clearing;
	pthread_mutex_unlock(&fake->lock);
}

static struct fake_vhost_ring *ring_of(struct vhost_node *node, unsigned ring)
{
	cr_assert_lt(ring, FAKE_VHOST_RINGS);
	return &from_node(node)->fake->ring[from_node(node)->index][ring];
}

static const char *some(int fd)
{
	return fd == FD_NONE ? "none" : "fd";
}

static int fake_get_features(struct vhost_node *node, struct features *out)
{
	*out = from_node(node)->fake->features;
	return note(node, "GET_FEATURES");
}

/* Bit numbers are easier to read than masks. */
static int fake_set_features(struct vhost_node *node, const struct features *f)
{
	char bits[80] = "";
	size_t n = 0;

	for (unsigned i = 0; i < FEATURES_BITS && n < sizeof(bits) - 5; i++)
		if (features_has(f, i))
			n += (size_t)snprintf(bits + n, sizeof(bits) - n, " %u", i);
	int r = note(node, "SET_FEATURES%s", bits);

	if (r == 0)
		from_node(node)->fake->told = *f;
	return r;
}

static int fake_get_backend_features(struct vhost_node *node, uint64_t *out)
{
	struct fake_vhost *fake = from_node(node)->fake;
	int r = note(node, "GET_BACKEND_FEATURES");

	*out = fake->backend_features;
	return r == 0 && !fake->has_backend_features ? -ENOTTY : r;
}

static int fake_set_backend_features(struct vhost_node *node, uint64_t f)
{
	return note(node, "SET_BACKEND_FEATURES %#llx", (unsigned long long)f);
}

static int fake_set_owner(struct vhost_node *node)
{
	return note(node, "SET_OWNER");
}

static int fake_set_memory(struct vhost_node *node, const struct vhost_memory_table *table)
{
	from_node(node)->fake->memory = *table;
	return note(node, "SET_MEM_TABLE %u", table->n);
}

static int fake_set_ring_size(struct vhost_node *node, unsigned ring, unsigned size)
{
	ring_of(node, ring)->size = size;
	return note(node, "SET_VRING_NUM %u: %u", ring, size);
}

static int fake_set_ring_base(struct vhost_node *node, unsigned ring, uint32_t base)
{
	ring_of(node, ring)->base = base;
	return note(node, "SET_VRING_BASE %u: %#x", ring, base);
}

static int fake_get_ring_base(struct vhost_node *node, unsigned ring, uint32_t *base)
{
	*base = ring_of(node, ring)->base;
	return note(node, "GET_VRING_BASE %u", ring);
}

static int fake_set_ring_addr(struct vhost_node *node, unsigned ring,
			      const struct vhost_ring_addr *addr)
{
	ring_of(node, ring)->addr = *addr;
	return note(node, "SET_VRING_ADDR %u%s", ring, addr->log ? " log" : "");
}

static int fake_set_ring_kick(struct vhost_node *node, unsigned ring, int fd)
{
	int r = note(node, "SET_VRING_KICK %u: %s", ring, some(fd));

	if (r == 0)
		ring_of(node, ring)->kick = fd;
	return r;
}

static int fake_set_ring_call(struct vhost_node *node, unsigned ring, int fd)
{
	int r = note(node, "SET_VRING_CALL %u: %s", ring, some(fd));

	if (r == 0)
		ring_of(node, ring)->call = fd;
	return r;
}

static int fake_set_ring_err(struct vhost_node *node, unsigned ring, int fd)
{
	int r = note(node, "SET_VRING_ERR %u: %s", ring, some(fd));

	if (r == 0)
		ring_of(node, ring)->err = fd;
	return r;
}

static int fake_set_ring_poll(struct vhost_node *node, unsigned ring, unsigned us)
{
	int r = note(node, "SET_VRING_BUSYLOOP_TIMEOUT %u: %u", ring, us);

	return r == 0 && from_node(node)->fake->cannot_poll ? -ENOTTY : r;
}

static int fake_get_ring_worker(struct vhost_node *node, unsigned ring, unsigned *worker)
{
	*worker = 0;
	return note(node, "GET_VRING_WORKER %u", ring);
}

static int fake_set_log_base(struct vhost_node *node, const void *bitmap)
{
	from_node(node)->fake->log = bitmap;
	return note(node, "SET_LOG_BASE");
}

static int fake_set_log_fd(struct vhost_node *node, int fd)
{
	return note(node, "SET_LOG_FD %s", some(fd));
}

static int fake_write_iotlb(struct vhost_node *node, const struct vhost_iotlb_message *m)
{
	return note(node, "IOTLB %d %#llx+%#llx", (int)m->type, (unsigned long long)m->iova,
		    (unsigned long long)m->size);
}

static int fake_read_iotlb(struct vhost_node *node, struct vhost_iotlb_message *m)
{
	struct fake_vhost *fake = from_node(node)->fake;

	*m = fake->miss;
	if (fake->miss_again > 0)
		fake->miss_again--;
	else
		fake->miss.size = 0;
	return m->size > 0 ? 0 : -EAGAIN;
}

static int fake_net_set_backend(struct vhost_node *node, unsigned ring, int fd)
{
	int r = note(node, "NET_SET_BACKEND %u: %s", ring, some(fd));

	if (r == 0)
		ring_of(node, ring)->backend = fd;
	return r;
}

static int fake_vsock_set_cid(struct vhost_node *node, uint64_t cid)
{
	const struct fake_vhost *fake = from_node(node)->fake;
	int r = note(node, "VSOCK_SET_GUEST_CID %llu", (unsigned long long)cid);

	return r == 0 && cid < 64 && fake->cids_taken >> cid & 1 ? -EADDRINUSE : r;
}

static int fake_vsock_set_running(struct vhost_node *node, bool running)
{
	struct fake_vhost *fake = from_node(node)->fake;
	int r = note(node, "VSOCK_SET_RUNNING %d", running);

	if (r == 0)
		fake->running = running;
	return r;
}

static int fake_scsi_get_abi(struct vhost_node *node, int *abi)
{
	*abi = from_node(node)->fake->scsi_abi;
	return note(node, "SCSI_GET_ABI_VERSION");
}

static int fake_scsi_set_endpoint(struct vhost_node *node, const char *wwpn, uint16_t tpgt)
{
	return note(node, "SCSI_SET_ENDPOINT %s %u", wwpn, tpgt);
}

static int fake_scsi_clear_endpoint(struct vhost_node *node, const char *wwpn, uint16_t tpgt)
{
	struct fake_vhost *fake = from_node(node)->fake;
	int r = note(node, "SCSI_CLEAR_ENDPOINT %s %u", wwpn, tpgt);

	set_clearing(fake, true);
	while (atomic_load(&fake->commands_hang))
		usleep(200);
	set_clearing(fake, false);
	return r;
}

static int fake_scsi_set_events_missed(struct vhost_node *node, uint32_t missed)
{
	return note(node, "SCSI_SET_EVENTS_MISSED %u", missed);
}

static void fake_close(struct vhost_node *node)
{
	struct fake_node *f = from_node(node);
	unsigned fail_at = f->fake->fail_at;

	f->fake->fail_at = 0;
	(void)note(node, "close");
	f->fake->fail_at = fail_at;
	f->fake->n_open--;
	free(f);
}

static const struct vhost_ops fake_ops = {
	.get_features = fake_get_features,
	.set_features = fake_set_features,
	.get_backend_features = fake_get_backend_features,
	.set_backend_features = fake_set_backend_features,
	.set_owner = fake_set_owner,
	.set_memory = fake_set_memory,
	.set_ring_size = fake_set_ring_size,
	.set_ring_base = fake_set_ring_base,
	.get_ring_base = fake_get_ring_base,
	.set_ring_addr = fake_set_ring_addr,
	.set_ring_kick = fake_set_ring_kick,
	.set_ring_call = fake_set_ring_call,
	.set_ring_err = fake_set_ring_err,
	.set_ring_poll = fake_set_ring_poll,
	.get_ring_worker = fake_get_ring_worker,
	.set_log_base = fake_set_log_base,
	.set_log_fd = fake_set_log_fd,
	.write_iotlb = fake_write_iotlb,
	.read_iotlb = fake_read_iotlb,
	.net_set_backend = fake_net_set_backend,
	.vsock_set_cid = fake_vsock_set_cid,
	.vsock_set_running = fake_vsock_set_running,
	.scsi_get_abi = fake_scsi_get_abi,
	.scsi_set_endpoint = fake_scsi_set_endpoint,
	.scsi_clear_endpoint = fake_scsi_clear_endpoint,
	.scsi_set_events_missed = fake_scsi_set_events_missed,
	.close = fake_close,
};

/* Linux: VHOST_FEATURES. */
static struct features common_features(void)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_NOTIFY_ON_EMPTY);
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VHOST_F_LOG_ALL);
	features_add(&f, VIRTIO_F_ANY_LAYOUT);
	features_add(&f, VIRTIO_F_VERSION_1);
	features_add(&f, VIRTIO_F_ACCESS_PLATFORM);
	return f;
}

struct features fake_vhost_net_features(void)
{
	struct features f = common_features();

	features_add(&f, VIRTIO_NET_F_MRG_RXBUF);
	features_add(&f, VIRTIO_F_RING_RESET);
	return f;
}

struct features fake_vhost_vsock_features(void)
{
	struct features f = common_features();

	features_add(&f, VIRTIO_VSOCK_F_SEQPACKET);
	return f;
}

struct features fake_vhost_scsi_features(void)
{
	struct features f = common_features();

	features_remove(&f, VIRTIO_F_ACCESS_PLATFORM);
	features_add(&f, VIRTIO_SCSI_F_HOTPLUG);
	features_add(&f, VIRTIO_SCSI_F_T10_PI);
	return f;
}

void fake_vhost_init(struct fake_vhost *fake, struct features features)
{
	*fake = (struct fake_vhost){
		.features = features,
		.has_backend_features = true,
		.backend_features = 0x6,
		.scsi_abi = 1,
		.miss_fd = FD_NONE,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	for (unsigned i = 0; i < FAKE_VHOST_NODES; i++)
		for (unsigned k = 0; k < FAKE_VHOST_RINGS; k++)
			fake->ring[i][k] = (struct fake_vhost_ring){
				.kick = FD_NONE, .call = FD_NONE, .err = FD_NONE,
				.backend = FD_NONE,
			};
	current = fake;
}

int fake_vhost_open(struct vhost_node **out, const char *path)
{
	struct fake_node *f;

	(void)path;
	*out = NULL;
	if (current->open_fails)
		return error_set(current->open_fails, "open %s", path);
	cr_assert_lt(current->n_opened, FAKE_VHOST_NODES);
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_set(ENOMEM, "open %s", path);
	*f = (struct fake_node){
		.base = { .ops = &fake_ops, .fd = current->miss_fd },
		.fake = current,
		.index = current->n_opened++,
	};
	current->n_open++;
	*out = &f->base;
	return 0;
}

void fake_vhost_clear(struct fake_vhost *fake)
{
	fake->n_lines = 0;
	fake->n_requests = 0;
}

void fake_vhost_expect(struct fake_vhost *fake, const char *expected)
{
	static char all[FAKE_VHOST_LINES * 97];
	size_t n = 0;

	all[0] = '\0';
	for (unsigned i = 0; i < fake->n_lines; i++)
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s\n", fake->line[i]);
	cr_assert_str_eq(all, expected, "what vhost was asked:\n%s\nexpected:\n%s", all, expected);
	fake_vhost_clear(fake);
}

bool fake_vhost_saw(const struct fake_vhost *fake, const char *text)
{
	for (unsigned i = 0; i < fake->n_lines; i++)
		if (strstr(fake->line[i], text))
			return true;
	return false;
}
