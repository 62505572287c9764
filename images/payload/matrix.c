/*
 * Every ring that the devices offer, one after the other in one boot: {split, packed} x {indirect}
 * x {event index} x {in order}, each by polling and by interrupts, with and without a queue reset
 * in between, kicks with and without data, on a disk, an entropy source and a balloon.  One line
 * for each combination, behind its failures, says what ran, "not offered" where a bit is missing.
 *
 * Options: expect=N, expect_rng=N, expect_balloon=N combinations must have run on that device
 * (so that nothing is left out quietly); ring=split|packed, bits=N (one combination: 1 packed, 2
 * indirect, 4 event index, 8 in order) and only=blk|rng|balloon restrict; reset=required: queue
 * reset must be offered; data=required: so must notification data; qemu: what is known of it;
 * gsi=N: the line where there is no MSI-X, on machines other than ours.
 * The disk is written from sector 8 on and has 4 MiB.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/driver.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

enum { N_BITS = 4, N_COMBINATIONS = 1 << N_BITS, SECOND_SIZE = 100, SECOND_SIZE_SPLIT = 32 };

/* The size that queues have after their reset, and from the beginning when there is none. */
static uint16_t second_size(uint64_t features)
{
	return features >> VIRTIO_F_RING_PACKED & 1 ? SECOND_SIZE : SECOND_SIZE_SPLIT;
}

static const struct {
	const char *name;
	unsigned bit;
} ring_bit[N_BITS] = {
	{ "packed", VIRTIO_F_RING_PACKED },
	{ "indirect", VIRTIO_F_INDIRECT_DESC },
	{ "event_idx", VIRTIO_F_EVENT_IDX },
	{ "in_order", VIRTIO_F_IN_ORDER },
};

static const struct {
	bool by_interrupt, with_reset, with_data, with_config_data;
} variant[] = {
	{ false, false, false, false },
	{ true, false, true, false },
	{ false, true, false, true },
	{ true, true, true, true },
};

struct target {
	const struct load *load;
	const char *expect;		/* the option */
	struct driver driver;
	bool is_there;
	uint64_t offered;
	unsigned n_run;
};

static struct target target[] = {
	{ .load = &load_blk, .expect = "expect" },
	{ .load = &load_rng, .expect = "expect_rng" },
	{ .load = &load_balloon, .expect = "expect_balloon" },
};

static struct {
	uint64_t kicks, interrupts, out_of_order, resets;
} total;

enum { N_TARGETS = sizeof(target) / sizeof(target[0]) };

static uint64_t features_of(unsigned combination)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < N_BITS; i++) {
		if (combination >> i & 1)
			features |= 1ull << ring_bit[i].bit;
	}
	return features;
}

static void print_name(unsigned combination)
{
	if (!(combination & 1))
		print("split");
	for (unsigned i = 0; i < N_BITS; i++) {
		if (combination >> i & 1)
			print("%s%s", i > 0 ? " " : "", ring_bit[i].name);
	}
	print(":");
}

static bool is_offered(const struct target *t, unsigned bit)
{
	return t->offered >> bit & 1;
}

/*
 * Legacy queues are stopped by a queue address of 0; QEMU takes that for a reset of the device, and
 * its virtio-mmio offers what it has no register for.
 */
static bool can_reset_queues(const struct target *t)
{
	if (option_given("qemu") && (t->driver.v.is_legacy || !t->driver.v.is_pci))
		return false;
	if (t->driver.v.is_legacy)
		return true;
	return is_offered(t, VIRTIO_F_RING_RESET);
}

/*
 * With buffers in flight; what was in flight never comes, and its memory is left alone.
 * covers: PCI-COMMON-11 PCI-COMMON-13 MMIO-REG-11 MMIO-REG-13 MMIO-LEGACY-04 CORE-QRESET-01
 * covers: CORE-QRESET-02 CORE-QRESET-03 CORE-QRESET-05 CORE-QRESET-06 RING-PACKED-12
 */
static void reset_queues(struct target *t)
{
	struct driver *d = &t->driver;
	uint32_t status = virtio_status(&d->v);

	for (unsigned i = 0; i < d->n_queues; i++) {
		if (!option_given("qemu"))
			t->load->leave_in_flight(d, i);
		if (!check(ring_stop(&d->ring[i]), "%s: queue %u cannot be reset", t->load->name,
			   i))
			return;
		if (!option_given("qemu"))
			t->load->check_untouched(d, i);
		total.kicks += d->ring[i].n_kicks;
		total.out_of_order += d->ring[i].n_out_of_order;
		check(driver_make_queue(d, i, second_size(d->features)),
		      "%s: queue %u is not enabled again", t->load->name, i);
		total.resets++;
	}
	check_equal(virtio_status(&d->v), status, "status after the reset of queues");
}

static void run_variant(struct target *t, unsigned combination, unsigned number)
{
	uint64_t wanted = features_of(combination), optional = 0;
	struct driver *d = &t->driver;
	uintptr_t mark = heap_mark();
	bool with_reset = variant[number].with_reset;

	if (with_reset && !can_reset_queues(t))
		return;
	d->size = with_reset || number == 0 ? 0 : second_size(wanted);
	if (with_reset)
		optional |= 1ull << VIRTIO_F_RING_RESET;
	if (variant[number].with_data)
		optional |= 1ull << VIRTIO_F_NOTIFICATION_DATA;
	if (variant[number].with_config_data)
		optional |= 1ull << VIRTIO_F_NOTIF_CONFIG_DATA;
	if (!driver_open(d, wanted, optional, t->load->n_queues, variant[number].by_interrupt)) {
		check(false, "%s cannot be opened with %lx", t->load->name, d->features);
		return;
	}
	t->load->run(d);
	if (with_reset) {
		reset_queues(t);
		t->load->run(d);
	}
	for (unsigned i = 0; i < d->n_queues; i++) {
		total.kicks += d->ring[i].n_kicks;
		total.out_of_order += d->ring[i].n_out_of_order;
		check(d->ring[i].n_misordered == 0, "%s: %u used entries out of order",
		      t->load->name, d->ring[i].n_misordered);
	}
	total.interrupts += d->n_interrupts;
	check(!variant[number].by_interrupt || d->n_interrupts > 0, "%s: no interrupt at all",
	      t->load->name);
	check_equal(virtio_status(&d->v) & VIRTIO_STATUS_NEEDS_RESET, 0, "NEEDS_RESET");
	driver_close(d);
	heap_release(mark);
}

/*
 * covers: RING-INORDER-01 RING-INORDER-03 RING-INORDER-04 RING-INORDER-06
 * covers: RING-INORDER-07 RING-INORDER-09 RING-INORDER-10 RING-PACKED-02
 * covers: RING-PACKED-08 RING-PACKED-10 RING-PACKED-11 RING-PACKED-13 RING-PACKED-14
 * covers: RING-PACKED-15 RING-PACKED-16 RING-PACKED-18 RING-PACKED-19 RING-PACKED-20
 * covers: RING-PACKED-22 RING-PACKED-27 RING-PACKED-28 RING-PACKED-33 RING-PACKED-34
 * covers: CORE-KICK-02 CORE-KICK-07 PCI-NOTIFY-14 PCI-NOTIFY-15 MMIO-REG-21 FEAT-17
 * covers: PCI-LEGACY-02 PCI-LEGACY-04 PCI-LEGACY-09 MMIO-LEGACY-02 MMIO-LEGACY-07
 * covers: FEAT-LEGACY-03
 */
static void run_combination(unsigned combination)
{
	uint64_t wanted = features_of(combination);
	const char *how[N_TARGETS];

	for (unsigned i = 0; i < N_TARGETS; i++) {
		struct target *t = &target[i];

		how[i] = !t->is_there			      ? " not there" :
			 (t->offered & wanted) != wanted ? " not offered" :
							      "";
		if (how[i][0] != '\0')
			continue;
		for (unsigned j = 0; j < sizeof(variant) / sizeof(variant[0]); j++)
			run_variant(t, combination, j);
		t->n_run++;
	}
	print_name(combination);
	for (unsigned i = 0; i < N_TARGETS; i++)
		print(" %s%s;", target[i].load->name, how[i]);
	if (total.kicks == 0) {
		print("\n");
		return;
	}
	print(" %lu kicks, %lu interrupts, %lu out of order, %lu queue resets\n", total.kicks,
	      total.interrupts, total.out_of_order, total.resets);
	total.kicks = total.interrupts = total.out_of_order = total.resets = 0;
}

static bool is_selected(unsigned combination)
{
	if (option_given("ring") && option_is("ring", "packed") != (combination & 1))
		return false;
	return option_number("bits", combination) == combination;
}

static void find_target(struct target *t)
{
	if (option_given("only") && !option_is("only", t->load->name))
		return;
	t->is_there = driver_find(&t->driver, t->load->id);
	if (!t->is_there)
		return;
	t->offered = virtio_offered(&t->driver.v);
	if (option_is("reset", "required"))
		check(can_reset_queues(t), "%s offers no queue reset", t->load->name);
	if (option_is("data", "required"))
		check(is_offered(t, VIRTIO_F_NOTIFICATION_DATA) &&
			      (!t->driver.v.is_pci || is_offered(t, VIRTIO_F_NOTIF_CONFIG_DATA)),
		      "%s offers no notification data", t->load->name);
	t->load->init();
}

int main(void)
{
	for (unsigned i = 0; i < N_TARGETS; i++)
		find_target(&target[i]);
	if (!target[0].is_there && !option_given("only"))
		check_skip("no disk");
	for (unsigned i = 0; i < N_COMBINATIONS; i++) {
		if (is_selected(i))
			run_combination(i);
	}
	print("combinations:");
	for (struct target *t = target; t < target + N_TARGETS; t++) {
		print(" %s %u", t->load->name, t->n_run);
		check_equal(t->n_run, option_number(t->expect, t->n_run), t->expect);
	}
	print("\n");
	check(target[0].n_run + target[1].n_run + target[2].n_run > 0, "nothing has run");
	return check_result("matrix");
}
