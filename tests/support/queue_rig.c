#include "tests/support/queue_rig.h"

#include <criterion/criterion.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

void queue_rig_init(struct queue_rig *rig)
{
	*rig = (struct queue_rig){ .machine = fake_machine_create(), .call_fd = FD_NONE };
	cr_assert_eq(fd_create_event(&rig->call_fd), 0);
}

void queue_rig_fini(struct queue_rig *rig)
{
	virtqueue_destroy(rig->q);
	rig->q = NULL;
	fd_close(&rig->call_fd);
	fake_machine_destroy(rig->machine);
}

void queue_rig_make(struct queue_rig *rig, enum fake_layout layout, uint16_t size,
		    struct features features, uint64_t addr)
{
	features_add(&features, VIRTIO_F_VERSION_1);
	if (layout == FAKE_PACKED)
		features_add(&features, VIRTIO_F_RING_PACKED);
	virtqueue_destroy(rig->q);
	fake_ring_init_as(&rig->ring, layout, rig->machine, size, addr);
	rig->ring.event_idx = features_has(&features, VIRTIO_F_EVENT_IDX);
	struct virtqueue_config config = fake_ring_config(&rig->ring, features, rig->call_fd);
	cr_assert_eq(virtqueue_create(&rig->q, &config), 0, "%s", error_text());
	fd_drain(rig->call_fd);
}

int queue_rig_try(const struct virtqueue_config *config)
{
	struct virtqueue *other = NULL;
	int r = virtqueue_create(&other, config);

	virtqueue_destroy(other);
	return r;
}

struct chain queue_rig_pop(struct queue_rig *rig)
{
	struct chain c;

	cr_assert_eq(virtqueue_pop(rig->q, &c), VQ_CHAIN, "%s",
		     vq_fault_text(virtqueue_fault(rig->q)));
	return c;
}

void queue_rig_expect_empty(struct queue_rig *rig)
{
	struct chain c;

	cr_assert_eq(virtqueue_pop(rig->q, &c), VQ_EMPTY, "%s",
		     vq_fault_text(virtqueue_fault(rig->q)));
}

void queue_rig_use(struct queue_rig *rig, const struct chain *c, uint32_t written)
{
	virtqueue_push(rig->q, c->head, written);
	virtqueue_flush(rig->q);
}

void queue_rig_expect_used(struct queue_rig *rig, uint16_t name, uint32_t written)
{
	uint32_t id, len;

	cr_assert(fake_ring_reap(&rig->ring, &id, &len));
	cr_assert_eq(id, name);
	cr_assert_eq(len, written);
}
