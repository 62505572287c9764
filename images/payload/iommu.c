/*
 * A guest with every device that it has behind the IOMMU, each in a domain of its own, and all of
 * them at work; then requests that no driver sends: of the wrong shape, out of range, of types that
 * there are not, too many mappings, and faults that nobody takes.  Each answer is the right one,
 * what was refused has changed nothing, and disk and entropy source go on.
 *
 * Options: ring=packed for that ring; console and net: these must be there, too; class=X for one of
 * W working, S shapes, J judgement, M many mappings, E events.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/iommu_bed.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

enum { CONSOLE_DOMAIN = 4, NET_DOMAIN = 5, NOBODY = 77, TRANSMIT = 1, N_PAGES = 16 };

#define AT (BED_DISK_IOVA + FIELD_PHYS)
#define LAST_ADDRESS ((1ull << 56) - 1)

static struct ring *requests = &bed.iommu.driver.ring[0];

static void others_work(const char *what)
{
	bed.n_cases++;
	bed_rng_works(what);
	memset(bed.buffer, 0, PAGE);
	check(bed_moves(BLK_IN, BED_SECTOR, bed.buffer) &&
		      memcmp(bed.buffer, bed.expected, PAGE) == 0, "no I/O after: %s", what);
	check(!(virtio_status(&bed.iommu.driver.v) & VIRTIO_STATUS_NEEDS_RESET),
	      "the IOMMU needs a reset after: %s", what);
}

/* --- W: everything at work ------------------------------------------------------------------- */

static bool open_other(struct fenced *f, uint32_t id, uint32_t domain, uint64_t iova)
{
	return fenced_find(f, id, domain, iova) && fenced_attach(f, &bed.iommu) &&
	       fenced_open(f, bed.ring_feature, 2);
}

static void console_works(void)
{
	static const char text[] = "a line through the IOMMU\n";
	struct fenced console;
	struct ring *r = &console.driver.ring[TRANSMIT];

	if (!check(open_other(&console, VIRTIO_ID_CONSOLE, CONSOLE_DOMAIN, 0x7000000000),
		   "no console behind the IOMMU"))
		return;
	ring_add(r, &(struct piece){ (void *)text, sizeof(text) - 1 }, 1, 0);
	ring_publish(r);
	check(ring_wait(r) >= 0, "the console takes nothing");
	driver_close(&console.driver);
}

enum { HEADER = 12, ARP_FRAME = HEADER + 42 };

/* Who has 10.0.2.2?  The network that needs no rights answers. */
static void net_works(void)
{
	static const uint8_t arp[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15,
		0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
	};
	uint8_t *out = heap_alloc(ARP_FRAME, 1), *in = heap_alloc(2048, 1);
	struct fenced net;
	struct ring *rx = &net.driver.ring[0], *tx = &net.driver.ring[TRANSMIT];

	if (!check(open_other(&net, VIRTIO_ID_NET, NET_DOMAIN, 0x8000000000),
		   "no network interface behind the IOMMU"))
		return;
	memcpy(out + HEADER, arp, sizeof(arp));
	ring_add(rx, &(struct piece){ in, 2048 }, 0, 1);
	ring_publish(rx);
	ring_add(tx, &(struct piece){ out, ARP_FRAME }, 1, 0);
	ring_publish(tx);
	check(ring_wait(tx) >= 0, "the frame is not taken");
	check(ring_wait(rx) >= 0 && rx->taken_len >= ARP_FRAME && in[HEADER + 13] == 6 &&
		      in[HEADER + 21] == 2, "no answer to ARP");
	driver_close(&net.driver);
}

/* Each page of the field is another page for the disk: they lie in reverse order. */
static void pages_in_reverse(void)
{
	uint8_t *page = field_page(0);

	for (unsigned i = 0; i < N_PAGES; i++) {
		uint64_t first = AT + (uint64_t)i * PAGE;

		check_equal(iommu_map(&bed.iommu, bed.disk.domain, first, first + PAGE - 1,
				      (uintptr_t)field_page(N_PAGES - 1 - i), IOMMU_READ_WRITE),
			    IOMMU_OK, "MAP of a page");
		memset(field_page(N_PAGES - 1 - i), (int)i + 1, PAGE);
	}
	bed_submit(BLK_OUT, 64, (struct piece){ page, N_PAGES * PAGE }, false);
	check(ring_wait(&bed.disk.driver.ring[0]) >= 0 && *bed.status == BLK_OK, "a write");
	bed_fill_field();
	bed_submit(BLK_IN, 64, (struct piece){ page, N_PAGES * PAGE }, false);
	check(ring_wait(&bed.disk.driver.ring[0]) >= 0 && *bed.status == BLK_OK, "a read");
	for (unsigned i = 0; i < N_PAGES * PAGE; i += 64)
		check_equal(page[i], N_PAGES - i / PAGE, "what a page in reverse order holds");
	check(load_is_canary(field_page(N_PAGES), (BED_FIELD - N_PAGES) * PAGE),
	      "something behind the pages was written");
	for (unsigned i = 0; i < N_PAGES; i++)
		check(bed_moves(BLK_IN, 64 + i * (PAGE / BLK_SECTOR), bed.buffer) &&
			      bed.buffer[i] == i + 1, "page %u is not what is on the disk", i);
}

static void class_w(void)
{
	check(iommu_is_described(&bed.iommu), "VIOT does not say where the IOMMU is");
	pages_in_reverse();
	if (option_given("console"))
		console_works();
	if (option_given("net"))
		net_works();
	others_work("everything at work");
}

/* --- S: shapes ------------------------------------------------------------------------------- */

/* One MAP that could be carried out, cut or stretched, and what comes back. */
static void shape(uint8_t type, uint32_t len, uint32_t in_len, uint32_t used, uint8_t status,
		  uint32_t status_at)
{
	struct { struct iommu_map_request map; uint8_t more[100]; } r = {
		.map = { .type = type, .domain = bed.disk.domain, .first = AT,
			 .last = AT + PAGE - 1, .phys = FIELD_PHYS, .flags = IOMMU_READ_WRITE },
	};
	unsigned id = iommu_submit(&bed.iommu, &r, len, in_len);
	const uint8_t *answer = iommu_answer(&bed.iommu, id);

	iommu_publish(&bed.iommu);
	if (!check(ring_wait(requests) == (int)id, "type %x, %u bytes: no answer", type, len))
		return;
	check(requests->taken_len == used, "type %x, %u and %u bytes: used length %u, not %u", type,
	      len, in_len, requests->taken_len, used);
	if (used > 0)
		check_equal(answer[status_at], status, "status of a request of odd shape");
	for (uint32_t i = used; i < IOMMU_SLOT_SIZE; i++)
		check(answer[i] == IOMMU_UNTOUCHED, "type %x, %u and %u bytes: byte %u is written",
		      type, len, in_len, i);
}

/* covers: IOMMU-OP-02 IOMMU-OP-03 IOMMU-OP-07 IOMMU-PROBE-08 IOMMU-PROBE-09 */
static void class_s(void)
{
	static const uint8_t unknown[] = { 0, 6, 7, 99, 0x83, 0xff };
	const uint32_t all = sizeof(struct iommu_map_request), probe = 72;
	uint32_t room = bed.iommu.driver.v.ops->read_config(&bed.iommu.driver.v,
							    IOMMU_CONFIG_PROBE_SIZE, 4);

	for (unsigned i = 0; i < sizeof(unknown); i++)
		for (uint32_t len = 1; len <= 128; len += 127)
			shape(unknown[i], len, 64, 0, 0, 0);
	/* Without room for the tail it is not carried out; cut short it is refused, if anything. */
	for (uint32_t in = 0; in < IOMMU_TAIL; in++)
		shape(IOMMU_MAP, all, in, 0, 0, 0);
	for (uint32_t len = 0; len < all; len++)
		shape(IOMMU_MAP, len, 4, len < 4 ? 0 : 4, IOMMU_INVAL, 0);
	shape(IOMMU_PROBE, probe, room + 3, room + 3, IOMMU_INVAL, room - 1);
	shape(IOMMU_PROBE, probe, 4, 4, IOMMU_INVAL, 0);
	shape(IOMMU_PROBE, probe - 1, room + 4, room + 4, IOMMU_INVAL, room);
	/* What follows is of no meaning, before and behind; and then it is mapped. */
	shape(IOMMU_MAP, all + 100, 200, 4, IOMMU_OK, 0);
	shape(IOMMU_MAP, all, 4, 4, IOMMU_INVAL, 0);
	check_equal(iommu_unmap(&bed.iommu, bed.disk.domain, AT, AT + PAGE - 1), IOMMU_OK,
		    "UNMAP after all shapes");
	others_work("requests of odd shapes");
}

/* --- J: judgement ---------------------------------------------------------------------------- */

static const struct {
	uint32_t domain;
	uint64_t first, last, phys;
	uint32_t flags;
	uint8_t status;
} bad_maps[] = {
	{ NOBODY, AT, AT + PAGE - 1, FIELD_PHYS, 3, IOMMU_NOENT },
	{ 0xffffffff, AT, AT + PAGE - 1, FIELD_PHYS, 3, IOMMU_NOENT },
	{ BED_DISK_DOMAIN, AT + 1, AT + PAGE - 1, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 2, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, FIELD_PHYS + 512, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT + PAGE, AT - 1, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, ~0ull, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, 0, ~0ull, 0, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, ~0ull - PAGE + 1, ~0ull, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, 1ull << 56, (1ull << 56) + PAGE - 1, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, ~0ull - PAGE + 1, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + 2 * PAGE - 1, ~0ull - PAGE + 1, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, 0xfee00000, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, 1ull << 46, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + (64ull << 20) - 1, FIELD_PHYS, 3, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, FIELD_PHYS, 4, IOMMU_INVAL },
	{ BED_DISK_DOMAIN, AT, AT + PAGE - 1, FIELD_PHYS, 0xffffffff, IOMMU_INVAL },
	{ BED_DISK_DOMAIN, 0xfee00000, 0xfee00fff, FIELD_PHYS, 3, IOMMU_INVAL },
	{ BED_DISK_DOMAIN, 0xfe000000, 0xffffffff, FIELD_PHYS, 3, IOMMU_INVAL },
	/* On what is mapped: its first page, its last, and all around it. */
	{ BED_DISK_DOMAIN, BED_DISK_IOVA + 0x100000, BED_DISK_IOVA + 0x100fff, FIELD_PHYS, 3,
	  IOMMU_INVAL },
	{ BED_DISK_DOMAIN, AT - PAGE, AT - 1, FIELD_PHYS, 3, IOMMU_INVAL },
	{ BED_DISK_DOMAIN, AT - PAGE, AT + PAGE - 1, FIELD_PHYS, 3, IOMMU_INVAL },
	{ BED_DISK_DOMAIN, BED_DISK_IOVA, BED_DISK_IOVA + (32ull << 20) - 1, 0x100000, 3,
	  IOMMU_INVAL },
};

static const struct {
	uint32_t domain;
	uint64_t first, last;
	uint8_t status;
} unmaps[] = {
	{ NOBODY, 0, LAST_ADDRESS, IOMMU_NOENT },
	{ BED_DISK_DOMAIN, AT, AT - 1, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, 0, ~0ull, IOMMU_RANGE },
	/* Through the middle of what is mapped, from either side and inside. */
	{ BED_DISK_DOMAIN, AT - PAGE, LAST_ADDRESS, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, 0, AT - PAGE, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, AT - 2 * PAGE, AT - PAGE - 1, IOMMU_RANGE },
	{ BED_DISK_DOMAIN, 0, BED_DISK_IOVA + 0x100000, IOMMU_RANGE },
	/* Where nothing is there is nothing to do. */
	{ BED_DISK_DOMAIN, AT, LAST_ADDRESS, IOMMU_OK },
	{ BED_DISK_DOMAIN, AT + 5, AT + 7, IOMMU_OK },
	{ BED_DISK_DOMAIN, 0, BED_DISK_IOVA, IOMMU_OK },
};

static const struct {
	uint32_t endpoint, domain, flags, reserved;
	uint8_t status;
} attaches[] = {
	{ 0xdeadbeef, NOBODY, 0, 0, IOMMU_NOENT },
	{ 0xffffffff, BED_DISK_DOMAIN, 0, 0, IOMMU_NOENT },
	{ 0, NOBODY, 2, 0, IOMMU_INVAL },
	{ 0, NOBODY, 0xfffffffe, 0, IOMMU_INVAL },
	{ 0, NOBODY, 0, 1, IOMMU_INVAL },
	{ 0, 0x10000, 0, 0, IOMMU_RANGE },
	{ 0, 0xffffffff, 0, 0, IOMMU_RANGE },
	{ 0, BED_DISK_DOMAIN, IOMMU_BYPASS, 0, IOMMU_INVAL },
	{ 0, BED_DISK_DOMAIN, 0, 0, IOMMU_OK },	/* where it is: the disk does not notice */
};

/* Endpoint 0 of the table is the disk: it stays where it is. */
static void class_j(void)
{
	for (unsigned i = 0; i < sizeof(bad_maps) / sizeof(bad_maps[0]); i++)
		if (!check_equal(iommu_map(&bed.iommu, bad_maps[i].domain, bad_maps[i].first,
					   bad_maps[i].last, bad_maps[i].phys, bad_maps[i].flags),
				 bad_maps[i].status, "status of a bad MAP"))
			print("MAP %u\n", i);
	for (unsigned i = 0; i < sizeof(unmaps) / sizeof(unmaps[0]); i++)
		if (!check_equal(iommu_unmap(&bed.iommu, unmaps[i].domain, unmaps[i].first,
					     unmaps[i].last), unmaps[i].status,
				 "status of an odd UNMAP"))
			print("UNMAP %u\n", i);
	for (unsigned i = 0; i < sizeof(attaches) / sizeof(attaches[0]); i++) {
		const struct iommu_attach_request r = {
			.type = IOMMU_ATTACH,
			.domain = attaches[i].domain,
			.endpoint = attaches[i].endpoint ? attaches[i].endpoint : bed.disk.endpoint,
			.flags = attaches[i].flags,
			.reserved1 = attaches[i].reserved,
		};

		if (!check_equal(iommu_request(&bed.iommu, &r, sizeof(r)), attaches[i].status,
				 "status of an odd ATTACH"))
			print("ATTACH %u\n", i);
	}
	check_equal(iommu_detach(&bed.iommu, 0xdeadbeef, BED_DISK_DOMAIN), IOMMU_NOENT, "DETACH");
	check_equal(iommu_detach(&bed.iommu, bed.disk.endpoint, NOBODY), IOMMU_INVAL, "DETACH");
	check_equal(iommu_detach(&bed.iommu, bed.disk.endpoint, BED_RNG_DOMAIN), IOMMU_INVAL,
		    "DETACH");
	others_work("requests that are refused");
}

/* --- M: many mappings ------------------------------------------------------------------------ */

enum { MANY = 100000, AT_ONCE = 16 };

/* Until there is no more room; returns how many there was room for. */
static unsigned map_until_full(void)
{
	struct iommu_map_request r = { .type = IOMMU_MAP, .domain = bed.disk.domain,
				       .phys = FIELD_PHYS, .flags = IOMMU_READ };
	unsigned n = 0, n_ok = 0, n_full = 0;

	while (n_full == 0 && n < MANY) {
		for (unsigned i = 0; i < AT_ONCE; i++, n++) {
			/* Every other page, so that nothing can be merged. */
			r.first = AT + 2ull * n * PAGE;
			r.last = r.first + PAGE - 1;
			iommu_submit(&bed.iommu, &r, sizeof(r), IOMMU_TAIL);
		}
		iommu_publish(&bed.iommu);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			int id = ring_wait(requests);
			uint8_t status = IOMMU_LOST;

			if (id >= 0)
				status = iommu_answer(&bed.iommu, (unsigned)id)[0];

			n_ok += status == IOMMU_OK;
			n_full += status == IOMMU_NOMEM;
			if (!check(status == IOMMU_OK || status == IOMMU_NOMEM,
				   "status %x of one of many", status))
				return n_ok;
		}
	}
	check(n_full > 0, "%u mappings, and no end", n_ok);
	return n_ok;
}

/* covers: IOMMU-OP-11 */
static void class_m(void)
{
	unsigned first = map_until_full(), again;

	others_work("as many mappings as there can be");
	check_equal(fenced_map(&bed.rng, &bed.iommu, field_page(0), 1, IOMMU_READ), IOMMU_OK,
		    "MAP in another domain while one is full");
	check_equal(iommu_unmap(&bed.iommu, bed.disk.domain, AT, LAST_ADDRESS), IOMMU_OK,
		    "UNMAP of them all");
	again = map_until_full();
	check_equal(again, first, "mappings that there is room for the second time");
	check_equal(iommu_unmap(&bed.iommu, bed.disk.domain, AT, LAST_ADDRESS), IOMMU_OK,
		    "UNMAP of them all");
	others_work("many mappings");
	print("%u mappings of one domain\n", first);
}

/* --- E: events ------------------------------------------------------------------------------- */

static void cause_fault(uint64_t addr)
{
	bed_submit(BLK_IN, 0, fenced_piece(&bed.disk, addr, 512), false);
	check(driver_needs_reset(&bed.disk.driver, WAIT_LONG), "no NEEDS_RESET");
	virtio_reset(&bed.disk.driver.v);
	bed_start_disk(0);
}

/*
 * Faults without a buffer are dropped, and a buffer that is too small or not to be written to takes
 * none.  covers: IOMMU-FAULT-05 IOMMU-FAULT-08
 */
static void class_e(void)
{
	uintptr_t mark = bed.mark;
	struct ring *events;
	struct piece p[2];

	check(iommu_open(&bed.iommu, bed.ring_feature, 0) && bed_attach_disk() &&
		      fenced_attach(&bed.rng, &bed.iommu) && fenced_open(&bed.rng, 0, 1),
	      "the IOMMU does not start without buffers for events");
	bed.mark = heap_mark();
	bed_start_disk(0);
	for (unsigned i = 0; i < 100; i++)
		cause_fault(AT + (uint64_t)i * PAGE);
	others_work("faults without buffers");
	events = &bed.iommu.driver.ring[1];
	p[0] = (struct piece){ bed.noise + 512, IOMMU_FAULT_SIZE - 1 };
	p[1] = (struct piece){ bed.noise + 1024, 512 };
	memset(bed.noise, LOAD_CANARY, PAGE);
	ring_add(events, &p[0], 0, 1);
	ring_add(events, &p[1], 1, 0);
	ring_publish(events);
	iommu_add_event_buffers(&bed.iommu, 2);
	cause_fault(AT + 0x123456000);
	for (unsigned i = 0; i < 3; i++) {
		check(ring_wait(events) >= 0, "buffer %u for events does not come back", i);
		check_equal(events->taken_len, i < 2 ? 0 : IOMMU_FAULT_SIZE,
			    "used length of a buffer for events");
	}
	check(load_is_canary(bed.noise, PAGE), "a buffer that takes no event was written to");
	check(ring_take(events) < 0, "one event too many");
	others_work("odd buffers for events");
	bed.mark = mark;
}

static const struct {
	char name[2];
	void (*run)(void);
} classes[] = {
	{ "W", class_w }, { "S", class_s }, { "J", class_j }, { "M", class_m }, { "E", class_e },
};

int main(void)
{
	bed_find();
	bed_fill_field();
	for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		unsigned before = bed.n_cases;

		if (option_given("class") && !option_is("class", classes[i].name))
			continue;
		if (!bed_open())
			break;
		classes[i].run();
		print("class %s: %u cases\n", classes[i].name, bed.n_cases - before);
	}
	check(bed.n_cases > 0, "no such class");
	return check_result("iommu");
}
