/*
 * Cycles for one 4 KiB random read, by polling, at queue depths 1, 4, 16 and 64.  One line each:
 * "depth D cycles C best B kicks K of N", the median and the best of N_SLICES slices: what else
 * the host does disturbs a few of them, not all.  Options: reads=N in all for each depth,
 * area=BYTES of the disk to read in, depth=D for that one only; packed=1, in_order=1 take these
 * features, which the device must offer.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/random.h"
#include "virtio/features.h"

enum { BLOCK = 4096, MAX_DEPTH = 64, N_SLICES = 21 };

struct slot {
	struct blk_header *header;
	uint8_t *data;
	volatile uint8_t *status;
};

static struct blk disk;
static struct slot slot_of_head[RING_MAX_SIZE];
static uint64_t seed = 0x9e3779b97f4a7c15ull;

static void submit(struct slot s, uint64_t n_blocks)
{
	struct piece p[3] = {
		{ s.header, sizeof(*s.header) },
		{ s.data, BLOCK },
		{ (void *)s.status, 1 },
	};

	s.header->type = BLK_IN;
	s.header->sector = random_below(&seed, n_blocks) * (BLOCK / BLK_SECTOR);
	*s.status = BLK_PENDING;
	if (disk.ring.indirect)
		slot_of_head[ring_add_indirect(&disk.ring, p, 1, 2, 0)] = s;
	else
		slot_of_head[ring_add(&disk.ring, p, 1, 2)] = s;
}

/* Returns the cycles that 'n_reads' took with 'depth' of them in flight. */
static uint64_t measure(struct slot *slot, unsigned depth, uint64_t n_reads, uint64_t n_blocks)
{
	uint64_t n_submitted = 0, n_done = 0, begin = cycles();

	while (n_submitted < depth && n_submitted < n_reads)
		submit(slot[n_submitted++], n_blocks);
	ring_publish(&disk.ring);
	while (n_done < n_reads) {
		bool any = false;
		int head;

		while ((head = ring_take(&disk.ring)) >= 0) {
			check(*slot_of_head[head].status == BLK_OK, "status of a read");
			n_done++;
			if (n_submitted < n_reads) {
				submit(slot_of_head[head], n_blocks);
				n_submitted++;
				any = true;
			}
		}
		if (any)
			ring_publish(&disk.ring);
		else
			pause();
	}
	return cycles() - begin;
}

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		for (unsigned j = i; j > 0 && v[j] < v[j - 1]; j--) {
			uint64_t swap = v[j];

			v[j] = v[j - 1];
			v[j - 1] = swap;
		}
	}
}

int main(void)
{
	static const unsigned depth[] = { 1, 4, 16, MAX_DEPTH };
	uint64_t n_reads = option_number("reads", 8400) / N_SLICES, n_blocks, took[N_SLICES];
	uint64_t only = option_number("depth", 0);
	uint64_t wanted = 1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_INDIRECT_DESC;
	uint64_t asked = option_number("packed", 0) << VIRTIO_F_RING_PACKED |
			 option_number("in_order", 0) << VIRTIO_F_IN_ORDER;
	struct slot slot[MAX_DEPTH];

	blk_find(&disk, 0);
	blk_open(&disk, wanted | asked, 0);
	check_equal(disk.features & asked, asked, "features that were asked for");
	n_blocks = option_number("area", disk.capacity * BLK_SECTOR) / BLOCK;
	for (unsigned i = 0; i < MAX_DEPTH; i++) {
		slot[i].header = heap_alloc(sizeof(struct blk_header), 16);
		slot[i].data = heap_alloc(BLOCK, BLOCK);
		slot[i].status = heap_alloc(1, 1);
	}
	measure(slot, MAX_DEPTH, 1000, n_blocks);	/* touch everything once */
	for (unsigned i = 0; i < sizeof(depth) / sizeof(depth[0]); i++) {
		uint64_t kicks = disk.ring.n_kicks;

		if (only != 0 && only != depth[i])
			continue;
		for (unsigned j = 0; j < N_SLICES; j++)
			took[j] = measure(slot, depth[i], n_reads, n_blocks) / n_reads;
		sort(took, N_SLICES);
		print("depth %u cycles %lu best %lu kicks %lu of %lu\n", depth[i],
		      took[N_SLICES / 2], took[0], disk.ring.n_kicks - kicks, n_reads * N_SLICES);
	}
	return check_result("bench-blk");
}
