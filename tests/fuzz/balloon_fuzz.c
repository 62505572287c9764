/*
 * What a balloon's driver can say, through the code that judges it: frames, the roles of queues,
 * statistics, hinting.  The oracle are small second opinions and the promises of the headers:
 * exactly the pages that were named are gone, no role without its feature, no id twice, only known
 * tags.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/balloon_discard.h"
#include "devices/balloon_hints.h"
#include "devices/balloon_roles.h"
#include "devices/balloon_stats.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	LOW = 24, HIGH = 8,		/* pages of the two regions */
	FRAMES = LOW + HIGH,
	HIGH_FRAME = 0x100000,
	MAX_FRAMES = 256,
};

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* --- Frames ---------------------------------------------------------------------------------- */

/* Frames near memory are worth more than others: a byte chooses among them. */
static uint32_t frame_of(uint8_t byte)
{
	if (byte < 32)
		return byte;
	if (byte < 64)
		return HIGH_FRAME - 8 + (byte - 32u);
	return byte < 128 ? UINT32_MAX - (byte & 3u) : byte % FRAMES;
}

/* The page's number in 'ram', or -1. */
static int page_of(uint32_t frame)
{
	if (frame < LOW)
		return (int)frame;
	if (frame >= HIGH_FRAME && frame - HIGH_FRAME < HIGH)
		return (int)(LOW + frame - HIGH_FRAME);
	return -1;
}

static void fuzz_frames(const uint8_t *data, size_t len)
{
	static uint8_t ram[FRAMES * BALLOON_PAGE];
	const unsigned granule = data[0] & 1 ? 4 : 1;	/* pages */
	struct guest_memory mem = {
		.region = {
			{ 0, LOW * BALLOON_PAGE, ram, 0 },
			{ (gpa_t)HIGH_FRAME << BALLOON_PAGE_SHIFT, HIGH * BALLOON_PAGE,
			  ram + LOW * BALLOON_PAGE, LOW * BALLOON_PAGE },
		},
		.n_regions = 2,
		.fd = FD_NONE,
		.granule = granule * BALLOON_PAGE,
	};
	struct balloon_discard d = { .name = "balloon", .memory = &mem };
	bool named[FRAMES] = { false };
	uint32_t frame[MAX_FRAMES];
	unsigned n = 0, gone = 0;

	memset(ram, 0xcc, sizeof(ram));
	for (size_t i = 1; i < len && n < MAX_FRAMES; i++) {
		frame[n] = frame_of(data[i]);
		if (page_of(frame[n]) >= 0)
			named[page_of(frame[n])] = true;
		n++;
	}
	balloon_discard_frames(&d, frame, n);
	for (unsigned page = 0; page < FRAMES; page++) {
		unsigned first = page / granule * granule;
		bool all = true;

		for (unsigned i = first; i < first + granule; i++)
			all &= named[i];
		for (unsigned i = 0; i < BALLOON_PAGE; i += 64)
			CHECK(ram[page * BALLOON_PAGE + i] == (all ? 0 : 0xcc));
		gone += all;
	}
	CHECK(d.bytes == gone * BALLOON_PAGE);
}

/* --- Roles ----------------------------------------------------------------------------------- */

static void fuzz_roles(const uint8_t *data, size_t len)
{
	static const uint8_t feature[] = {
		[BALLOON_STATS] = VIRTIO_BALLOON_F_STATS_VQ,
		[BALLOON_HINTING] = VIRTIO_BALLOON_F_FREE_PAGE_HINT,
		[BALLOON_REPORTING] = VIRTIO_BALLOON_F_PAGE_REPORTING,
	};
	enum balloon_role role[BALLOON_QUEUES];
	unsigned seen = 0;

	if (len < 3)
		return;
	struct features offered = { { data[0], 0 } }, accepted = { { data[0] & data[1], 0 } };
	balloon_roles_assign(role, &offered, &accepted, data[2]);
	for (unsigned i = 0; i < BALLOON_QUEUES; i++) {
		if (role[i] == BALLOON_INERT)
			continue;
		CHECK(data[2] >> i & 1);
		CHECK(!(seen >> role[i] & 1));
		seen |= 1u << role[i];
		CHECK(i < 2 || role[i] >= BALLOON_STATS);
		CHECK(i < 2 || features_has(&accepted, feature[role[i]]));
	}
}

/* --- Statistics ------------------------------------------------------------------------------ */

static void fuzz_stats(const uint8_t *data, size_t len)
{
	struct balloon_stats stats, expect = { 0 };
	struct iovec iov[8];
	unsigned n = 0;
	size_t cut = 1 + data[0], used = 0;

	data++;
	len--;
	/* The same bytes in pieces. */
	while (used < len && n < ARRAY_SIZE(iov)) {
		size_t piece = n + 1 < ARRAY_SIZE(iov) ? min_u64(cut, len - used) : len - used;

		iov[n++] = (struct iovec){ (void *)(uintptr_t)(data + used), piece };
		used += piece;
	}
	for (size_t i = 0; i + BALLOON_STAT_SIZE <= len; i += BALLOON_STAT_SIZE) {
		uint16_t tag = load_le16(data + i);

		if (i / BALLOON_STAT_SIZE == BALLOON_STATS_MAX_ENTRIES)
			break;
		if (tag >= BALLOON_N_STATS)
			continue;
		expect.present |= 1u << tag;
		expect.value[tag] = load_le64(data + i + 2);
	}
	stats.sequence = 0;
	balloon_stats_parse(&stats, iov, n, len);
	CHECK(stats.present == expect.present);
	CHECK(memcmp(stats.value, expect.value, sizeof(stats.value)) == 0);
	char text[BALLOON_STATS_TEXT];
	CHECK(strlen(balloon_stats_text(&stats, text)) < sizeof(text));
}

/* --- Hinting --------------------------------------------------------------------------------- */

static void fuzz_hints(const uint8_t *data, size_t len)
{
	struct balloon_hints h = { .last_id = data[0] & 1 ? UINT32_MAX - 3 : 0 };
	uint32_t current = HINT_STOP, told = HINT_STOP;

	for (size_t i = 1; i + 1 < len; i += 2) {
		uint64_t before = h.bytes;
		uint32_t id;

		switch (data[i] % 5) {
		case 0:
			id = balloon_hints_begin(&h);
			CHECK(id == 0 || (id >= HINT_FIRST_ID && id != current));
			/* Only a driver in the last of all sessions is in the way. */
			CHECK(id != 0 || (h.last_id == UINT32_MAX && told != HINT_STOP));
			current = id ? id : current;
			break;
		case 1:
			id = balloon_hints_end(&h);
			CHECK(id == HINT_STOP || id == HINT_DONE);
			CHECK(id == HINT_DONE || told == current);
			break;
		case 2:
			/* Mostly what a driver would say. */
			told = data[i + 1] & 1 ? HINT_STOP :
			       data[i + 1] & 2 ? current : data[i + 1];
			balloon_hints_command(&h, told);
			continue;
		case 3:
			balloon_hints_page(&h, data[i + 1] * UINT64_C(1000), data[i + 1] * 512u);
			CHECK(h.bytes == before || (told == current && told >= HINT_FIRST_ID));
			CHECK(h.bytes - before <= data[i + 1] * 512u);
			continue;
		case 4:
			if (balloon_hints_settle(&h))
				CHECK(h.finished == current && h.wanted == HINT_STOP);
			break;
		}
		CHECK(h.bytes == before);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const fuzz[])(const uint8_t *data, size_t len) = {
		fuzz_frames, fuzz_roles, fuzz_stats, fuzz_hints,
	};

	if (len >= 2)
		fuzz[data[0] % ARRAY_SIZE(fuzz)](data + 1, len - 1);
	return 0;
}
