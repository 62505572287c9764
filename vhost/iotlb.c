#include "vhost/iotlb.h"

#include <errno.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* The loop serves others, too. */
enum { MISSES_PER_TURN = 64 };

static int update(struct vhost_iotlb *t, const struct iommu_range *range)
{
	const struct vhost_iotlb_message m = {
		.type = VHOST_IOTLB_IS_UPDATE,
		.iova = range->first,
		.size = range->last - range->first + 1,
		.host = (uintptr_t)range->host,
		.may = (range->access & IOMMU_READ ? VHOST_IOTLB_MAY_READ : 0u) |
		       (range->access & IOMMU_WRITE ? VHOST_IOTLB_MAY_WRITE : 0u),
	};

	return t->node->ops->write_iotlb(t->node, &m);
}

static uint32_t wanted(unsigned may)
{
	return (may & VHOST_IOTLB_MAY_READ ? IOMMU_READ : 0u) |
	       (may & VHOST_IOTLB_MAY_WRITE ? IOMMU_WRITE : 0u);
}

/* Returns false if the device must not go on. */
static bool answer(struct vhost_iotlb *t, const struct vhost_iotlb_message *miss,
		   const char **reason)
{
	enum iommu_fault_reason why;
	struct iommu_range range;
	uint32_t access = wanted(miss->may);
	bool found = iommu_lookup(t->dma, miss->iova, &range, &why);

	if (found && (range.access & access) == access) {
		*reason = "vhost does not take a translation";
		return update(t, &range) == 0;
	}
	*reason = "it needs memory that its IOMMU does not map";
	iommu_report(t->dma, miss->iova, access, why);
	return false;
}

void vhost_iotlb_serve(struct vhost_iotlb *t)
{
	struct vhost_iotlb_message miss;
	const char *reason = NULL;
	bool good = true;

	pthread_mutex_lock(&t->lock);
	for (unsigned n = 0; n < MISSES_PER_TURN && good && t->node; n++) {
		if (t->node->ops->read_iotlb(t->node, &miss) < 0)
			break;
		if (miss.type == VHOST_IOTLB_IS_MISS)
			good = answer(t, &miss, &reason);
	}
	pthread_mutex_unlock(&t->lock);
	if (!good)
		t->fail(t->fail_arg, reason);
}

static void on_miss(struct event_source *source, uint32_t events)
{
	(void)events;
	vhost_iotlb_serve(container_of(source, struct vhost_iotlb, misses));
}

static void invalidate(struct iommu_listener *listener, uint64_t first, uint64_t last)
{
	struct vhost_iotlb *t = container_of(listener, struct vhost_iotlb, listener);
	/* 2^64 bytes cannot be said; nothing is mapped at the last one. */
	const struct vhost_iotlb_message m = {
		.type = VHOST_IOTLB_IS_INVALIDATE,
		.iova = first,
		.size = last - first == UINT64_MAX ? UINT64_MAX : last - first + 1,
	};

	pthread_mutex_lock(&t->lock);
	int r = t->node->ops->write_iotlb(t->node, &m);
	pthread_mutex_unlock(&t->lock);
	/* It would go on with memory that was taken away. */
	if (r < 0)
		t->fail(t->fail_arg, "vhost does not give up a translation");
}

struct watch_call {
	struct vhost_iotlb *t;
	int r;
	struct error_chain chain;
};

static void watch(void *arg)
{
	struct watch_call *call = arg;

	call->r = event_loop_add(call->t->loop, &call->t->misses, EPOLLIN);
	if (call->r < 0)
		error_save(&call->chain);
}

static void unwatch(void *arg)
{
	event_loop_remove(&((struct vhost_iotlb *)arg)->misses);
}

void vhost_iotlb_init(struct vhost_iotlb *t, struct event_loop *loop,
		      void (*fail)(void *arg, const char *reason), void *arg)
{
	*t = (struct vhost_iotlb){
		.loop = loop,
		.misses = { .fd = FD_NONE, .fn = on_miss },
		.listener = { .invalidate = invalidate },
		.fail = fail,
		.fail_arg = arg,
	};
	pthread_mutex_init(&t->lock, NULL);
}

void vhost_iotlb_fini(struct vhost_iotlb *t)
{
	pthread_mutex_destroy(&t->lock);
}

int vhost_iotlb_start(struct vhost_iotlb *t, struct vhost_node *node, bool batches,
		      const struct dma *dma)
{
	struct watch_call call = { .t = t };

	t->node = node;
	t->dma = dma;
	t->batches = batches;
	t->misses.fd = node->fd;
	if (node->fd != FD_NONE)
		event_loop_call(t->loop, watch, &call);
	if (call.r < 0) {
		error_restore(&call.chain);
		t->node = NULL;
		return call.r;
	}
	iommu_listen(dma, &t->listener);
	return 0;
}

void vhost_iotlb_stop(struct vhost_iotlb *t)
{
	if (!t->node)
		return;
	iommu_unlisten(t->dma, &t->listener);
	if (t->misses.fd != FD_NONE)
		event_loop_call(t->loop, unwatch, t);
	t->node = NULL;
}

static int mark(struct vhost_iotlb *t, enum vhost_iotlb_type type)
{
	const struct vhost_iotlb_message m = { .type = type };

	return t->batches ? t->node->ops->write_iotlb(t->node, &m) : 0;
}

/* What is held can be lost meanwhile: then its owner hears of it, and here it is just left out. */
static int tell_all(struct vhost_iotlb *t, uint64_t addr, uint64_t len)
{
	enum iommu_fault_reason why;
	struct iommu_range range;
	int r = 0;

	for (uint64_t at = addr; r == 0 && iommu_lookup(t->dma, at, &range, &why);
	     at = range.last + 1) {
		r = update(t, &range);
		if (range.last >= addr + (len - 1))
			break;
	}
	return r;
}

int vhost_iotlb_tell(struct vhost_iotlb *t, uint64_t addr, uint64_t len)
{
	pthread_mutex_lock(&t->lock);
	int r = mark(t, VHOST_IOTLB_IS_BATCH_BEGIN);

	if (r == 0)
		r = tell_all(t, addr, len);
	int end = mark(t, VHOST_IOTLB_IS_BATCH_END);
	pthread_mutex_unlock(&t->lock);
	if (r == 0)
		r = end;
	return r < 0 ? error_set(r, "tell vhost of a ring at 0x%llx", (unsigned long long)addr) : 0;
}
