/*
 * A ring full of anything, split or packed.  The input is the guest's memory (descriptors,
 * available ring, indirect tables) and a list of what the device does; the oracle are the promises
 * of virtqueue.h, not only the absence of a crash: every iovec lies in guest memory, sums agree,
 * nothing is out twice, nothing but what is the device's to write is written, and the work is
 * bounded.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "virtio/virtqueue.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"
#include "vmm/machine/dma.h"

enum { RAM_SIZE = 0x4000, RAM_BASE = 0x1000, MAX_SIZE = 64, MAX_STEPS = 4096 };

struct world {
	uint8_t *ram, *before;
	struct guest_memory memory;
	struct dma dma;
	struct virtqueue_config config;
	struct virtqueue *q;
	bool packed, in_order;
	struct chain out[MAX_SIZE];
	unsigned n_out;
	bool is_out[MAX_SIZE];
	unsigned n_pushed, n_popped_since_flush;
};

static size_t check_iov(const struct world *w, const struct iovec *iov, unsigned n)
{
	size_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = iov[i].iov_base;
		CHECK(iov[i].iov_len > 0);
		CHECK(p >= w->ram);
		CHECK(range_inside((uint64_t)(p - w->ram), iov[i].iov_len, RAM_SIZE));
		sum += iov[i].iov_len;
	}
	return sum;
}

static void check_chain(const struct world *w, const struct chain *c)
{
	CHECK(c->head < w->config.size);
	CHECK(!w->is_out[c->head]);
	CHECK(c->n_out + c->n_in <= w->config.size);
	CHECK(c->in == c->out + c->n_out);
	CHECK(check_iov(w, c->out, c->n_out) == c->out_len);
	CHECK(check_iov(w, c->in, c->n_in) == c->in_len);
	CHECK(c->out_len + c->in_len <= UINT32_MAX);
}

static void push(struct world *w, unsigned i, uint32_t written)
{
	struct chain c = w->out[i];

	/* Still as it was when it was popped. */
	w->is_out[c.head] = false;
	check_chain(w, &c);
	virtqueue_push(w->q, c.head, written);
	w->out[i] = w->out[--w->n_out];
	if (virtqueue_fault(w->q) == VQ_FAULT_NONE)
		w->n_pushed++;
}

static void pop(struct world *w, bool give_back)
{
	struct chain c;
	enum vq_pop verdict = virtqueue_pop(w->q, &c);

	CHECK((verdict == VQ_BROKEN) == (virtqueue_fault(w->q) != VQ_FAULT_NONE));
	if (verdict != VQ_CHAIN)
		return;
	check_chain(w, &c);
	if (give_back) {
		virtqueue_unpop(w->q, &c);
		return;
	}
	CHECK(w->n_out < w->config.size);
	w->is_out[c.head] = true;
	w->out[w->n_out++] = c;
	w->n_popped_since_flush++;
	CHECK(w->n_popped_since_flush <= w->config.size);
}

static void flush(struct world *w)
{
	virtqueue_flush(w->q);
	/* Answers that are held back now may be followed by as many again. */
	w->n_popped_since_flush = w->n_out;
	if (virtqueue_fault(w->q) == VQ_FAULT_NONE && w->n_pushed > 0 && !w->packed && !w->in_order)
		CHECK(load_le16(w->ram + (w->config.device - RAM_BASE) + 2) ==
		      (uint16_t)(w->config.used_base + w->n_pushed));
}

static void run(struct world *w, const uint8_t *op, size_t n)
{
	for (size_t i = 0; i < n && i < MAX_STEPS; i++) {
		switch (op[i] & 7) {
		case 0: case 1: case 2:
			pop(w, false);
			break;
		case 3:
			pop(w, true);
			break;
		case 4: case 5:
			if (w->n_out > 0)
				push(w, (op[i] >> 3) % w->n_out, op[i] * 0x01010101u);
			break;
		case 6:
			flush(w);
			break;
		case 7:
			virtqueue_suppress(w->q);
			if (virtqueue_rearm(w->q))
				CHECK(virtqueue_has_work(w->q));
			break;
		}
		CHECK(virtqueue_in_flight(w->q) == w->n_out);
	}
	while (w->n_out > 0)
		push(w, 0, UINT32_MAX);
	flush(w);
	CHECK(virtqueue_in_flight(w->q) == 0);
}

/* Is the byte at 'i' one that the device may write? */
static bool is_ours(const struct world *w, size_t i)
{
	size_t device = w->config.device - RAM_BASE, desc = w->config.desc - RAM_BASE;

	if (!w->packed)
		return i >= device && i < device + 6 + 8ull * w->config.size;
	/* Of a descriptor everything but the address. */
	if (i >= desc && i < desc + 16ull * w->config.size)
		return (i - desc) % 16 >= 8;
	return i >= device && i < device + 4;
}

static void check_ram(const struct world *w)
{
	for (size_t i = 0; i < RAM_SIZE; i++)
		CHECK(w->ram[i] == w->before[i] || is_ours(w, i));
}

/*
 * The device's area stands first, so that the rest of the input is what the driver writes.  What
 * that published is given relative to the base, or no input would ever fit.
 */
static void lay_out_split(struct world *w)
{
	w->config.size = (uint16_t)(1u << w->config.size % 7);
	w->config.device = RAM_BASE;
	w->config.driver = align_up(RAM_BASE + 6 + 8ull * w->config.size, 16);
	w->config.desc = align_up(w->config.driver + 6 + 2ull * w->config.size, 16);
}

static void lay_out_packed(struct world *w)
{
	uint16_t size = (uint16_t)(1 + w->config.size % MAX_SIZE);

	w->config.size = size;
	w->config.device = RAM_BASE;
	w->config.driver = RAM_BASE + 16;
	w->config.desc = RAM_BASE + 32;
	/* A slot of the ring, and any lap. */
	w->config.avail_base = (uint16_t)((w->config.avail_base & 0x8000) |
					  (w->config.avail_base & 0x7fff) % size);
	w->config.used_base = w->config.avail_base;
}

/* Half of the flags are random; the other half get their AVAIL and USED right. */
static void make_available(struct world *w, unsigned choice)
{
	bool wrap = w->config.avail_base & 0x8000;
	unsigned slot = w->config.avail_base & 0x7fff;

	for (unsigned i = 0; i < w->config.size; i++) {
		uint8_t *flags = w->ram + (w->config.desc - RAM_BASE) + 16ull * slot + 14;

		if (choice >> i % 8 & 1)
			store_le16(flags, (uint16_t)((load_le16(flags) & 0x7f7f) |
						     (wrap ? 0x80 : 0x8000)));
		if (++slot == w->config.size) {
			slot = 0;
			wrap = !wrap;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = { .memory = GUEST_MEMORY_INIT };
	size_t n_ops;

	if (len < 8)
		return 0;
	w.ram = calloc(1, RAM_SIZE);
	w.before = malloc(RAM_SIZE);
	CHECK(w.ram && w.before);
	w.memory.region[0] = (struct memory_region){
		.base = RAM_BASE, .size = RAM_SIZE, .host = w.ram,
	};
	w.memory.n_regions = 1;
	w.dma.memory = &w.memory;

	w.config = (struct virtqueue_config){
		.size = data[0],
		.dma = &w.dma,
		.call = { .fd = FD_NONE },
		.resume = true,
		.avail_base = load_le16(data + 2),
		.used_base = load_le16(data + 2),
	};
	if (data[1] & 1)
		features_add(&w.config.features, VIRTIO_F_INDIRECT_DESC);
	if (data[1] & 2)
		features_add(&w.config.features, VIRTIO_F_EVENT_IDX);
	w.in_order = data[1] & 4;
	w.packed = data[1] & 8;
	if (w.in_order)
		features_add(&w.config.features, VIRTIO_F_IN_ORDER);
	if (w.packed)
		features_add(&w.config.features, VIRTIO_F_RING_PACKED);
	if (w.packed)
		lay_out_packed(&w);
	else
		lay_out_split(&w);

	n_ops = data[4];
	unsigned choice = data[5];
	data += 6;
	len -= 6;
	if (n_ops > len)
		n_ops = len;
	size_t room = RAM_SIZE - (w.config.driver - RAM_BASE);
	size_t rest = min_u64(len - n_ops, room);
	memcpy(w.ram + (w.config.driver - RAM_BASE), data + n_ops, rest);
	uint8_t *idx = w.ram + (w.config.driver - RAM_BASE) + 2;
	if (w.packed)
		make_available(&w, choice);
	else
		store_le16(idx, (uint16_t)(load_le16(idx) + w.config.avail_base));
	memcpy(w.before, w.ram, RAM_SIZE);

	CHECK(virtqueue_create(&w.q, &w.config) == 0);
	run(&w, data, n_ops);
	check_ram(&w);
	virtqueue_destroy(w.q);
	free(w.ram);
	free(w.before);
	return 0;
}
