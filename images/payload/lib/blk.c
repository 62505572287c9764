#include "images/payload/lib/blk.h"

#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/run.h"

void blk_find(struct blk *b, unsigned nth)
{
	*b = (struct blk){ 0 };
	if (!virtio_find(&b->v, VIRTIO_ID_BLOCK, nth))
		check_skip("no disk");
	b->header = heap_alloc(sizeof(*b->header), 16);
	b->status = heap_alloc(1, 1);
}

static void give_up(const char *why)
{
	check(false, "%s", why);
	payload_exit((uint32_t)check_result("disk"));
}

void blk_open(struct blk *b, uint64_t wanted, uint16_t size)
{
	if (!virtio_negotiate(&b->v, wanted, &b->features))
		give_up("FEATURES_OK does not stand");
	b->capacity = b->v.ops->read_config(&b->v, BLK_CONFIG_CAPACITY, 4);
	b->capacity |= (uint64_t)b->v.ops->read_config(&b->v, BLK_CONFIG_CAPACITY + 4, 4) << 32;
	if (!ring_init(&b->ring, &b->v, 0, size, b->features))
		give_up("no queue 0");
	if (b->uses_vectors) {
		check_equal(virtio_set_config_vector(&b->v, 0), 0, "configuration vector");
		b->v.ops->select_queue(&b->v, 0);
		check_equal(virtio_set_queue_vector(&b->v, 1), 1, "queue vector");
	}
	virtio_driver_ok(&b->v);
}

uint8_t blk_request(struct blk *b, uint32_t type, uint64_t sector, void *data, uint32_t len)
{
	bool is_read = type == BLK_IN || type == BLK_GET_ID;
	unsigned n = 0;
	struct piece p[3];

	*b->header = (struct blk_header){ .type = type, .sector = sector };
	*b->status = BLK_PENDING;
	p[n++] = (struct piece){ b->header, sizeof(*b->header) };
	if (len > 0)
		p[n++] = (struct piece){ data, len };
	p[n++] = (struct piece){ (void *)b->status, 1 };
	if (is_read && len > 0)
		ring_add(&b->ring, p, 1, 2);
	else
		ring_add(&b->ring, p, n - 1, 1);
	ring_publish(&b->ring);
	ring_wait(&b->ring);
	return *b->status;
}
