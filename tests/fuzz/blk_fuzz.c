/*
 * A whole block device (ring, requests, engine of threads, file) that gets any chains, several at a
 * time.  A model of the disk tells what must be read; whatever the guest asks for, each chain comes
 * back once or the device needs reset, and no byte of guest memory changes that was not given to be
 * written.  The devices live on over inputs and are reset for each.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/blk_request.h"
#include "devices/virtio_models.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/device_rig.h"
#include "tests/support/loop_pump.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum {
	DISK_SIZE = 64 * 512, RING = 0x10000, AREA = 0x20000, AREA_SIZE = 0x4000,
	SIZE = 32, MAX_DESCS = 6, MAX_STEPS = 40, WAIT_S = 10,
};

struct disk_world {
	struct device_rig rig;
	struct memory_file file;
	bool readonly, ephemeral;
	unsigned n_chains;		/* offered and not yet come back */
	uint32_t in_len[SIZE];		/* of the chain with that head */
	bool is_out[SIZE];
	uint16_t next_desc;
	uint8_t model[DISK_SIZE];	/* what the disk holds; right while 'exact' */
	bool exact;
	uint8_t before[AREA_SIZE];
	uint8_t may_change[AREA_SIZE];
};

static struct disk_world worlds[3];

static uint8_t *area(struct disk_world *w)
{
	return device_rig_at(&w->rig, AREA, AREA_SIZE);
}

static void create(struct disk_world *w, unsigned kind)
{
	static uint8_t zero[DISK_SIZE];
	struct virtio_device *dev;
	struct virtio_blk_config config = {
		.name = "disk0",
		.readonly = kind == 1,
		.ephemeral = kind == 2,
		.engine = BLK_ENGINE_THREADS,
		.n_queues = 1,
		.queue_size = SIZE,
		.loop = &w->rig.io,
		.n_loops = 1,
	};

	memory_file_create(&w->file, zero, sizeof(zero));
	config.path = w->file.path;
	w->rig.machine = fake_machine_create();
	/* Nobody runs it: it is pumped here. */
	CHECK(event_loop_create(&w->rig.io, "io") == 0);
	w->readonly = config.readonly;
	w->ephemeral = config.ephemeral;
	CHECK(virtio_blk_create(&dev, &config) == 0);
	device_rig_plug(&w->rig, dev, FAKE_MMIO);
}

static void start(struct disk_world *w, uint8_t refused)
{
	struct fake_driver *d = &w->rig.driver;
	struct features f = fake_driver_offered(d);
	uint8_t bit, needs;

	/* Without some of the device's bits, if that set makes sense. */
	struct features less = f;
	less.word[0] &= ~((uint64_t)refused << 8);
	if (!features_find_unmet(&less, VIRTIO_ID_BLOCK, &bit, &needs))
		f = less;
	CHECK(fake_driver_negotiate(d, f));
	fake_ring_init(&w->rig.ring[0], w->rig.machine, SIZE, RING);
	fake_driver_set_queue(d, 0, &w->rig.ring[0]);
	fake_driver_enable_queue(d, 0);
	fake_driver_set_status(d, 0xf);
	CHECK(fake_driver_status(d) == 0xf);
	w->n_chains = 0;
	w->next_desc = 0;
	memset(w->is_out, 0, sizeof(w->is_out));
	memset(w->may_change, 0, sizeof(w->may_change));
	memcpy(w->before, area(w), AREA_SIZE);
}

static bool needs_reset(struct disk_world *w)
{
	return fake_driver_status(&w->rig.driver) & VIRTIO_STATUS_NEEDS_RESET;
}

static void pump(struct disk_world *w)
{
	loop_pump(w->rig.io);
	fake_machine_pump(w->rig.machine);
}

static void reap(struct disk_world *w)
{
	uint32_t head, len;

	while (fake_ring_reap(&w->rig.ring[0], &head, &len)) {
		CHECK(head < SIZE && w->is_out[head]);
		CHECK(len <= w->in_len[head]);
		w->is_out[head] = false;
		w->n_chains--;
	}
}

/* All come back, or the device says that it is broken. */
static void settle(struct disk_world *w)
{
	time_t deadline = time(NULL) + WAIT_S;

	fake_driver_kick(&w->rig.driver, 0);
	for (;;) {
		pump(w);
		reap(w);
		if (w->n_chains == 0 || needs_reset(w))
			return;
		CHECK(time(NULL) <= deadline);
		usleep(20);
	}
}

static void check_area(struct disk_world *w)
{
	const uint8_t *p = area(w);

	for (unsigned i = 0; i < AREA_SIZE; i++) {
		if (i % 256 == 0 && memcmp(p + i, w->before + i, 256) == 0)
			i += 255;
		else
			CHECK(w->may_change[i] || p[i] == w->before[i]);
	}
	memset(w->may_change, 0, sizeof(w->may_change));
	memcpy(w->before, p, AREA_SIZE);
}

/* A request whose meaning the model knows, in three pieces; checked when it has come back. */
static void plain_request(struct disk_world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), sector = fuzz_u8(in), n = fuzz_u8(in) % 9, fill = fuzz_u8(in);
	bool is_in = how & 1;
	uint32_t len = n * 512u;
	uint8_t *p = area(w);
	struct fake_buf buf[] = {
		{ AREA, 16, false }, { AREA + 1024, len, is_in }, { AREA + 32, 1, true },
	};
	bool fits = n > 0 && sector + n <= DISK_SIZE / 512;

	settle(w);
	if (needs_reset(w))
		return;
	check_area(w);
	memset(p, 0, 64);
	store_le32(p, is_in ? BLK_T_IN : BLK_T_OUT);
	store_le64(p + 8, sector);
	p[32] = 0xee;
	if (!is_in)
		memset(p + 1024, fill, len);
	memcpy(w->before, p, AREA_SIZE);
	/* All heads are free. */
	fake_ring_chain(&w->rig.ring[0], w->rig.ring[0].desc, SIZE, 0, buf, 3);
	fake_ring_offer(&w->rig.ring[0], 0);
	fake_ring_publish(&w->rig.ring[0]);
	w->n_chains = 1;
	w->is_out[0] = true;
	w->in_len[0] = 1 + (is_in ? len : 0);
	w->may_change[32] = 1;
	if (is_in)
		memset(w->may_change + 1024, 1, len);
	settle(w);
	CHECK(!needs_reset(w));
	CHECK(p[32] == (fits && (is_in || !w->readonly) ? BLK_S_OK : BLK_S_IOERR));
	if (p[32] == BLK_S_OK && !is_in)
		memset(w->model + sector * 512, fill, len);
	if (p[32] == BLK_S_OK && is_in && w->exact)
		CHECK(memcmp(p + 1024, w->model + sector * 512, len) == 0);
	check_area(w);
}

/* A chain of anything; the model does not follow it. */
static void wild_chain(struct disk_world *w, struct fuzz_input *in)
{
	static const uint8_t types[] = { 0, 1, 4, 8, 11, 13, 2, 255 };
	struct fake_ring *ring = &w->rig.ring[0];
	unsigned n = fuzz_u8(in) % MAX_DESCS + 1, head = w->next_desc;
	uint8_t *p = area(w), how = fuzz_u8(in);
	uint32_t at = (how & 0x1f) * 64, total = 0;

	if (w->n_chains >= SIZE / MAX_DESCS || needs_reset(w))
		return;
	store_le32(p + at, types[how >> 5]);
	store_le64(p + at + 8, fuzz_u16(in) & 0x80ff);
	store_le64(p + at + 16, fuzz_u16(in) & 0x80ff);
	store_le32(p + at + 24, fuzz_u8(in));
	store_le32(p + at + 28, how >> 7);
	memcpy(w->before + at, p + at, 32);
	w->is_out[head] = true;
	for (unsigned i = 0; i < n; i++) {
		uint8_t kind = fuzz_u8(in);
		uint64_t addr = i == 0 && !(kind & 0x40) ? AREA + at : AREA + fuzz_u16(in) % (AREA_SIZE - 0x1000);
		uint32_t len = kind & 0x20 ? (kind & 7) * 512u : kind & 15;
		bool write = kind & 0x80;

		if (kind == 0x7f)
			addr = fuzz_u64(in);
		fake_ring_desc(ring, ring->desc, (head + i) % SIZE, addr, len,
			       (uint16_t)((i + 1 < n ? DESC_NEXT : 0) | (write ? DESC_WRITE : 0)),
			       (uint16_t)((head + i + 1) % SIZE));
		if (write && addr >= AREA && addr - AREA < AREA_SIZE)
			memset(w->may_change + (addr - AREA), 1,
			       min_u64(len, AREA_SIZE - (addr - AREA)));
		total += write ? len : 0;
	}
	w->in_len[head] = total;
	w->next_desc = (uint16_t)((head + MAX_DESCS) % (SIZE - SIZE % MAX_DESCS));
	w->n_chains++;
	w->exact = false;
	fake_ring_offer(ring, (uint16_t)head);
	fake_ring_publish(ring);
}

static void step(struct disk_world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig.driver;

	switch (fuzz_u8(in) % 8) {
	case 0: case 1:
		plain_request(w, in);
		break;
	case 2: case 3: case 4:
		wild_chain(w, in);
		break;
	case 5:
		fake_driver_kick(d, 0);
		loop_pump(w->rig.io);
		reap(w);
		break;
	case 6:	/* Reset with requests on their way, then nothing more may be written. */
		fake_driver_reset(d);
		check_area(w);
		start(w, fuzz_u8(in));
		break;
	case 7:	/* The cache's mode, and what cannot be written. */
		fake_driver_set_config(d, fuzz_u8(in) % 64, fuzz_width(fuzz_u8(in)), fuzz_u64(in));
		break;
	}
}

/* The file is as long as it was, and holds what the model says unless nothing may be written. */
static void check_file(struct disk_world *w)
{
	static uint8_t file[DISK_SIZE + 1];
	ssize_t n = pread(w->file.fd, file, sizeof(file), 0);

	CHECK(n == DISK_SIZE);
	if (w->readonly || w->ephemeral)
		for (unsigned i = 0; i < DISK_SIZE; i++)
			CHECK(file[i] == 0);
	else if (w->exact)
		CHECK(memcmp(file, w->model, DISK_SIZE) == 0);
	else
		memcpy(w->model, file, DISK_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	unsigned kind = fuzz_u8(&in) % 3;
	struct disk_world *w = &worlds[kind];

	log_set_level(LOG_ERROR);
	if (!w->rig.machine)
		create(w, kind);
	/* An overlay keeps what was written: it is known while nothing wild happens. */
	w->exact = kind != 2;
	start(w, fuzz_u8(&in));
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		if (needs_reset(w)) {
			fake_driver_reset(&w->rig.driver);
			start(w, 0);
		}
		step(w, &in);
	}
	settle(w);
	check_area(w);
	fake_driver_reset(&w->rig.driver);
	check_file(w);
	error_clear();
	return 0;
}
