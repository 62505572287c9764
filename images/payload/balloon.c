/*
 * The memory balloon.  At each stage a line is printed and one byte of console input awaited, so
 * that the test can look at the host's side of the memory.  Options: what=inflate, report, stats or
 * hint; accept=MASK (features, default all); queue=N (the number of the optional queue, default
 * that which Linux would give it); target=PAGES; poison_val=N.
 *
 * virtio-v1.4 5.5 "Traditional Memory Balloon Device".
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/ring.h"
#include "virtio/features.h"

enum {
	PAGE = 4096,
	AREA = 16 << 20,		/* nobody else's */
	AREA_SIZE = 32 << 20,
	N_FRAMES = AREA_SIZE / PAGE,
	INFLATE = 0,
	DEFLATE = 1,
	CONFIG_NUM_PAGES = 0,
	CONFIG_ACTUAL = 4,
	CONFIG_HINT_ID = 8,
	CONFIG_POISON = 12,
	FRAMES_AT_ONCE = 1024,
	PIECE = 4 << 20,
	HINT_STOP = 0,
	HINT_DONE = 1,
};

static struct virtio device, console;
static struct ring inflate, deflate, extra, receive;
static uint64_t features;

/* --- The test --------------------------------------------------------------------------------- */

static void open_console(void)
{
	uint64_t accepted;

	if (!virtio_find(&console, VIRTIO_ID_CONSOLE, 0))
		check_skip("no console to be told to go on");
	check(virtio_negotiate(&console, ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT), &accepted),
	      "console: FEATURES_OK does not stand");
	check(ring_init(&receive, &console, 0, 0, accepted), "console: no receive queue");
	virtio_driver_ok(&console);
}

static void stage(const char *name)
{
	static uint8_t byte;

	print("stage: %s\n", name);
	ring_add(&receive, &(struct piece){ &byte, 1 }, 0, 1);
	ring_publish(&receive);
	check(ring_wait(&receive) >= 0, "stage %s: nobody looked", name);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static uint64_t pattern(uintptr_t at, uint64_t salt)
{
	return (at ^ salt) * 0x9e3779b97f4a7c15ull | 1;
}

static void fill(uintptr_t at, uintptr_t end, uint64_t salt)
{
	for (; at < end; at += 8)
		*(volatile uint64_t *)at = pattern(at, salt);
}

static void expect_pattern(uintptr_t at, uintptr_t end, uint64_t salt, const char *when)
{
	for (; at < end; at += 8)
		if (!check(*(volatile uint64_t *)at == pattern(at, salt), "%s: %lx is not what was "
			   "written", when, at))
			return;
}

static void expect_zero(uintptr_t at, uintptr_t end, const char *when)
{
	for (; at < end; at += 8)
		if (!check(*(volatile uint64_t *)at == 0, "%s: %lx is not zero", when, at))
			return;
}

/* --- The device ------------------------------------------------------------------------------- */

static void send(struct ring *r, const struct piece *piece, unsigned n_out, unsigned n_in)
{
	ring_add(r, piece, n_out, n_in);
	ring_publish(r);
	check(ring_wait(r) >= 0, "queue %u: no answer", r->index);
	check_equal(r->taken_len, 0, "used length");
}

/* Odd frames first, then the even ones, from the top: a device must not rely on an order. */
static void frames(struct ring *r)
{
	static uint32_t frame[FRAMES_AT_ONCE];

	for (unsigned done = 0; done < N_FRAMES; done += FRAMES_AT_ONCE) {
		for (unsigned i = 0; i < FRAMES_AT_ONCE; i++) {
			unsigned half = FRAMES_AT_ONCE / 2;
			unsigned at = i < half ? 2 * i + 1 : 2 * (FRAMES_AT_ONCE - 1 - i);

			frame[i] = AREA / PAGE + done + at;
		}
		send(r, &(struct piece){ frame, sizeof(frame) }, 1, 0);
	}
}

/*
 * covers: BALLOON-CFG-01 BALLOON-OP-01 BALLOON-OP-03 BALLOON-OP-08 BALLOON-OP-09
 */
static void inflate_and_deflate(void)
{
	uint32_t target = read32(device.config + CONFIG_NUM_PAGES);

	check_equal(target, option_number("target", target), "num_pages");
	fill(AREA, AREA + AREA_SIZE, 1);
	fill(AREA + AREA_SIZE, AREA + AREA_SIZE + PAGE, 1);
	stage("touched");
	frames(&inflate);
	write32(device.config + CONFIG_ACTUAL, N_FRAMES);
	check_equal(read32(device.config + CONFIG_ACTUAL), N_FRAMES, "actual");
	stage("given back");
	expect_pattern(AREA + AREA_SIZE, AREA + AREA_SIZE + PAGE, 1, "the page behind");
	frames(&deflate);
	write32(device.config + CONFIG_ACTUAL, 0);
	expect_zero(AREA, AREA + AREA_SIZE, "after deflating");
	fill(AREA, AREA + AREA_SIZE, 2);
	stage("taken again");
	expect_pattern(AREA, AREA + AREA_SIZE, 2, "after deflating and writing");
	/* A reset while pages are in the balloon leaves plain memory. */
	frames(&inflate);
	check(virtio_reset(&device), "reset");
	fill(AREA, AREA + AREA_SIZE, 3);
	expect_pattern(AREA, AREA + AREA_SIZE, 3, "after a reset");
}

/* covers: BALLOON-REPORT-01 BALLOON-REPORT-02 BALLOON-REPORT-03 BALLOON-VQ-06 */
static void report(bool keeps)
{
	fill(AREA, AREA + AREA_SIZE, 1);
	stage("touched");
	for (uintptr_t at = AREA; at < AREA + AREA_SIZE; at += 2 * PIECE) {
		struct piece piece[] = { { (void *)at, PIECE }, { (void *)(at + PIECE), PIECE } };

		send(&extra, piece, 0, 2);
	}
	stage(keeps ? "kept" : "given back");
	if (keeps)
		expect_pattern(AREA, AREA + AREA_SIZE, 1, "reported with poison");
	else
		expect_zero(AREA, AREA + AREA_SIZE, "reported");
	fill(AREA, AREA + AREA_SIZE, 2);
	stage("taken again");
	expect_pattern(AREA, AREA + AREA_SIZE, 2, "reported and written");
}

/* The values show in the log of the host.  covers: BALLOON-STATS-03 BALLOON-STATS-04 */
static void statistics(void)
{
	struct __attribute__((packed)) {
		uint16_t tag;
		uint64_t value;
	} stat[] = { { 5, 0 }, { 0xabcd, 7 }, { 4, 0x1122334455667788 } };

	for (uint64_t i = 1; i <= 3; i++) {
		stat[0].value = i * 1000;
		send(&extra, &(struct piece){ stat, sizeof(stat) }, 1, 0);
	}
}

/* covers: BALLOON-HINT-01 BALLOON-HINT-05 BALLOON-HINT-06 BALLOON-HINT-07 */
static void hint(void)
{
	uint32_t id = read32(device.config + CONFIG_HINT_ID), stop = HINT_STOP;

	check(id >= 2, "hinting session %u", id);
	fill(AREA, AREA + AREA_SIZE, 1);
	send(&extra, &(struct piece){ &id, sizeof(id) }, 1, 0);
	for (uintptr_t at = AREA; at < AREA + AREA_SIZE; at += PIECE)
		send(&extra, &(struct piece){ (void *)at, PIECE }, 0, 1);
	fill(AREA, AREA + AREA_SIZE / 2, 2);
	send(&extra, &(struct piece){ &stop, sizeof(stop) }, 1, 0);
	check(WAIT_UNTIL(read32(device.config + CONFIG_HINT_ID) == HINT_DONE, WAIT_LONG),
	      "the session does not end");
	expect_pattern(AREA, AREA + AREA_SIZE / 2, 2, "hinted and written");
	expect_pattern(AREA + AREA_SIZE / 2, AREA + AREA_SIZE, 1, "hinted");
	check(virtio_reset(&device), "reset");
	check_equal(read32(device.config + CONFIG_HINT_ID), HINT_STOP, "session after a reset");
}

static bool accepted(unsigned bit)
{
	return features >> bit & 1;
}

/* Where Linux has the queue of 'bit'. */
static uint16_t dense_queue(unsigned bit)
{
	uint16_t queue = 2;

	queue += bit > VIRTIO_BALLOON_F_STATS_VQ && accepted(VIRTIO_BALLOON_F_STATS_VQ);
	queue += bit > VIRTIO_BALLOON_F_FREE_PAGE_HINT && accepted(VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	return queue;
}

static void begin(unsigned bit)
{
	uint64_t accept = option_number("accept", 0x3f);
	uint64_t poison = option_number("poison_val", 0);

	check(virtio_negotiate(&device, ~0x3full | accept, &features),
	      "FEATURES_OK does not stand");
	check(ring_init(&inflate, &device, INFLATE, 0, features), "no inflate queue");
	check(ring_init(&deflate, &device, DEFLATE, 0, features), "no deflate queue");
	if (bit != 0) {
		check(accepted(bit), "feature %u is not offered", bit);
		check(ring_init(&extra, &device,
				(uint16_t)option_number("queue", dense_queue(bit)), 0, features),
		      "no such queue");
	}
	if (accepted(VIRTIO_BALLOON_F_PAGE_POISON))
		write32(device.config + CONFIG_POISON, (uint32_t)poison);
	virtio_driver_ok(&device);
}

int main(void)
{
	if (!virtio_find(&device, VIRTIO_ID_BALLOON, 0))
		check_skip("no balloon");
	open_console();
	if (option_is("what", "inflate")) {
		begin(0);
		inflate_and_deflate();
	} else if (option_is("what", "report")) {
		begin(VIRTIO_BALLOON_F_PAGE_REPORTING);
		report(accepted(VIRTIO_BALLOON_F_PAGE_POISON) && option_number("poison_val", 0));
	} else if (option_is("what", "stats")) {
		begin(VIRTIO_BALLOON_F_STATS_VQ);
		statistics();
	} else {
		begin(VIRTIO_BALLOON_F_FREE_PAGE_HINT);
		hint();
	}
	return check_result("balloon");
}
