/*
 * A guest that writes anything into the configuration space of a few functions, by both of its
 * ways, and into an MSI-X table.  The oracle is computed anew from the bytes of the configuration
 * space after each operation: what must decode, what a line's level must be, who may listen.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/msix_rig.h"
#include "tests/support/pci_toy.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/msix_internal.h"
#include "vmm/machine/pci_internal.h"

enum { N_TOYS = 3, N_DEVICES = N_TOYS + 1, MAX_STEPS = 300, N_EXTRA = 2 };

/* Operations, by number: new ones are added at the end. */
enum op {
	OP_CONFIG_WRITE, OP_CONFIG_READ, OP_ECAM_WRITE, OP_BAR, OP_COMMAND, OP_ACCESS, OP_INTX,
	OP_UNPLUG, OP_RESET, OP_SELF_MOVE, OP_PORT, OP_TABLE, OP_VECTOR, OP_SIGNAL, OP_PUMP,
	OP_CONTROL, OP_REGION, OP_HOST, N_OPS
};

struct world {
	struct msix_rig rig;		/* the last of the devices */
	struct fake_machine *fake;
	struct toy toy[N_TOYS];
	struct pci_device *device[N_DEVICES];
	struct region extra[N_EXTRA];	/* of something else, in the windows' way */
	bool refused;			/* the host once refused a route or an irqfd */
};

static void check_bus(const struct bus *bus)
{
	for (unsigned i = 0; i + 1 < bus->n_regions; i++) {
		const struct region *r = bus->region[i];
		CHECK(r->size > 0 && r->base + (r->size - 1) < bus->region[i + 1]->base);
	}
}

static unsigned count_on(const struct bus *bus, const struct region *region)
{
	unsigned n = 0;

	for (unsigned i = 0; i < bus->n_regions; i++)
		n += bus->region[i] == region;
	return n;
}

static bool is_free(const struct bus *bus, uint64_t addr, uint64_t size)
{
	for (unsigned i = 0; i < bus->n_regions; i++) {
		const struct region *r = bus->region[i];
		if (r->base <= addr + (size - 1) && addr <= r->base + (r->size - 1))
			return false;
	}
	return true;
}

/* PCI Local Bus Specification 3.0, 6.2.5.1 "Address Maps", 6.2.2 "Device Control". */
static void check_bar(const struct world *w, const struct pci_device *dev, unsigned index)
{
	const struct machine *m = &w->fake->m;
	const struct pci_bar *bar = &dev->bar[index];
	const uint8_t *reg = dev->config + PCI_BAR_0 + 4 * index;
	bool is_io = bar->kind == PCI_BAR_IO;
	const struct bus *bus = is_io ? &m->pio : &m->mmio;
	uint64_t addr = bar->kind == PCI_BAR_MEM64 ? load_le64(reg) : load_le32(reg);
	uint64_t first = is_io ? PORT_PCI_BARS : LAYOUT_PCI_MMIO;
	uint64_t end = is_io ? PORT_PCI_BARS_END + 1 : LAYOUT_PCI_MMIO_END;
	uint16_t enable = is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	bool on = load_le16(dev->config + PCI_COMMAND) & enable;

	if (bar->kind == PCI_BAR_NONE) {
		CHECK(!bar->mapped);
		return;
	}
	addr &= is_io ? ~3ull : ~15ull;
	CHECK(addr % bar->size == 0);
	CHECK(count_on(&m->pio, &bar->region) + count_on(&m->mmio, &bar->region) == bar->mapped);
	on = on && dev->root && addr >= first && addr < end && bar->size <= end - addr;
	if (bar->mapped)
		CHECK(on && bar->region.base == addr && count_on(bus, &bar->region) == 1);
	else
		CHECK(!on || !is_free(bus, addr, bar->size));
}

/* What a guest cannot change is as it was built. */
static void check_read_only(const struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t changed = dev->config[i] ^ dev->initial[i];

		changed &= (uint8_t)~(dev->writable[i] | dev->write_1_clears[i]);
		if (i == PCI_STATUS)
			changed &= (uint8_t)~PCI_STATUS_INTERRUPT;
		CHECK(changed == 0);
	}
}

static void check_lines(const struct world *w)
{
	bool level[GSI_PCI_LINES] = { false };

	for (unsigned i = 0; i < N_DEVICES; i++) {
		const struct pci_device *dev = w->device[i];
		bool shown = dev->config[PCI_STATUS] & PCI_STATUS_INTERRUPT;

		CHECK(shown == dev->intx_level);
		if (dev->root && shown &&
		    !(load_le16(dev->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE))
			level[pci_device_gsi(dev) - GSI_PCI_INTA] = true;
	}
	for (unsigned i = 0; i < GSI_PCI_LINES; i++)
		CHECK(w->fake->irq.level[GSI_PCI_INTA + i] == level[i]);
}

static void check_msix(const struct world *w)
{
	const struct msix *msix = w->rig.msix;
	bool enabled = msix_enabled(msix), open = enabled && !msix_is_masked(msix) &&
						   pci_device_is_master(&w->rig.dev);
	unsigned n_attached = 0;

	for (unsigned i = 0; i < RIG_SOURCES; i++) {
		const struct msix_source *s = &w->rig.source[i];
		const struct msix_vector *v =
			s->vector == MSIX_NO_VECTOR ? NULL : &msix->vector[s->vector];
		bool may_send = v && open && !(v->entry[12] & 1);

		CHECK(s->vector == MSIX_NO_VECTOR || s->vector < RIG_VECTORS);
		if (s->attached_gsi) {
			n_attached++;
			CHECK(may_send && v->gsi == s->attached_gsi && v->routed);
			CHECK(v->addr == load_le64(v->entry) && v->data == load_le32(v->entry + 8));
			CHECK(fake_irq_chip_is_attached(&w->fake->irq, s->fd));
		} else {
			CHECK(!may_send || w->refused);
		}
	}
	CHECK(n_attached == w->fake->irq.n_attached);
	for (unsigned i = 0; i < RIG_VECTORS; i++) {
		const struct msix_vector *v = &msix->vector[i];
		CHECK((load_le32(v->entry + 12) & ~1u) == 0 && (v->entry[0] & 3) == 0);
		CHECK((v->n_sources > 0) == (v->gsi != 0));
	}
}

static void check(const struct world *w)
{
	check_bus(&w->fake->m.pio);
	check_bus(&w->fake->m.mmio);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		for (unsigned k = 0; k < PCI_N_BARS; k++)
			check_bar(w, w->device[i], k);
		check_read_only(w->device[i]);
	}
	for (unsigned i = 0; i < N_TOYS; i++)
		for (unsigned k = 0; k < PCI_N_BARS; k++) {
			const struct pci_bar *bar = &w->toy[i].pci.bar[k];
			CHECK(w->toy[i].mapped_at[k] == (bar->mapped ? bar->region.base : 0));
		}
	check_lines(w);
	check_msix(w);
}

/* Somewhere in the windows, at their edges, or where something is. */
static uint64_t some_address(const struct world *w, uint8_t how, bool is_io)
{
	uint64_t step = (uint64_t)(how & 15) * (is_io ? 32 : 0x1000);

	switch (how >> 4 & 7) {
	case 0: return (is_io ? PORT_PCI_BARS : LAYOUT_PCI_MMIO) + step;
	case 1: return (is_io ? PORT_PCI_BARS_END + 1 : LAYOUT_PCI_MMIO_END) - step;
	case 2: return (is_io ? PORT_PCI_ADDRESS & ~31 : LAYOUT_ECAM) + step;
	case 3: return w->toy[how % N_TOYS].pci.bar[is_io ? 4 : 2].region.base;
	case 4: return w->extra[how & 1].base;
	case 5: return ~0ull - step;
	case 6: return GIB(4) + step;
	default: return is_io ? step : LAYOUT_PCI_MMIO + MIB(how & 15) * 16;
	}
}

static void move_bar(struct world *w, struct fuzz_input *in)
{
	static const unsigned bars[] = { 0, 2, 4 };
	uint8_t which = fuzz_u8(in), how = fuzz_u8(in);
	struct pci_device *dev = w->device[which % N_DEVICES];
	unsigned bar = bars[(which >> 2) % 3], reg = PCI_BAR_0 + 4 * bar;
	uint64_t addr = some_address(w, how, bar == 4);

	pci_config_write(dev, reg, 4, (uint32_t)addr);
	if (which & 0x80)
		pci_config_write(dev, reg + 4, 4, (uint32_t)(addr >> 32));
}

static void access_something(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), where = fuzz_u8(in);
	struct machine *m = &w->fake->m;
	bool is_io = how & 0x80;
	uint64_t addr = some_address(w, where, is_io) + (how >> 3 & 7);
	struct bus *bus = is_io ? &m->pio : &m->mmio;

	if (how & 0x40)
		bus_write(bus, addr, fuzz_width(how), fuzz_u32(in));
	else
		bus_read(bus, addr, fuzz_width(how));
}

/* Off the bus and on it again, at the same or another place. */
static void replug(struct world *w, struct pci_device *dev)
{
	bool was_on = dev->root;

	if (was_on) {
		pci_root_remove(dev);
		CHECK(!dev->intx_asserted);
	} else {
		/* As its owner does: built anew, the type bits of its BARs in place. */
		memcpy(dev->config, dev->initial, sizeof(dev->config));
		for (unsigned i = 0; i < PCI_N_BARS; i++) {
			if (dev->bar[i].kind == PCI_BAR_NONE)
				continue;
			uint8_t *reg = dev->config + PCI_BAR_0 + 4 * i;
			store_le32(reg, load_le32(reg) & (dev->bar[i].kind == PCI_BAR_IO ? 3 : 15));
		}
		if (pci_root_add(&w->fake->m.pci, dev) < 0)
			error_clear();
		if (dev == &w->rig.dev)
			msix_config_written(w->rig.msix, PCI_COMMAND, 2);
	}
}

/* Another device comes or goes in the middle of the windows. */
static void toggle_extra(struct world *w, struct fuzz_input *in)
{
	uint8_t which = fuzz_u8(in), where = fuzz_u8(in);
	struct region *r = &w->extra[which & 1];
	struct bus *bus = &w->fake->m.mmio;

	if (count_on(bus, r)) {
		bus_remove(bus, r);
		/* BARs that were in its shadow come back when the guest next writes one. */
		pci_bars_map(&w->fake->m.pci);
		return;
	}
	*r = (struct region){
		.name = "extra",
		.base = some_address(w, where, false) & ~0xfffull,
		.size = 0x1000ull << (which >> 5),
		.ops = &toy_region_ops,
		.arg = &w->toy[0],
	};
	if (bus_add(bus, r) < 0)
		error_clear();
}

static void write_table(struct world *w, struct fuzz_input *in)
{
	uint8_t vector = fuzz_u8(in), how = fuzz_u8(in);
	uint64_t at = RIG_TABLE + 16 * (vector % (RIG_VECTORS + 2)) + (how & 15);

	if (how & 0x40)
		at += RIG_PBA - RIG_TABLE;
	msix_write(w->rig.msix, at, fuzz_width(how >> 4), fuzz_u32(in));
	msix_read(w->rig.msix, at, fuzz_width(how >> 4));
}

/* A signal is a message, or it is pending; it is never lost and never sent past a mask. */
static void signal_source(struct world *w, uint8_t which)
{
	struct msix_source *s = &w->rig.source[which % RIG_SOURCES];
	struct fake_irq_chip *irq = &w->fake->irq;
	const struct msix *msix = w->rig.msix;

	fake_irq_chip_run(irq);
	irq->n_messages = 0;
	unsigned n_intx = w->rig.n_intx[which % RIG_SOURCES];
	fd_signal(s->fd);
	fake_machine_pump(w->fake);
	fake_irq_chip_run(irq);
	if (!msix_enabled(msix)) {
		CHECK(irq->n_messages == 0 && w->rig.n_intx[which % RIG_SOURCES] == n_intx + 1);
	} else if (s->attached_gsi) {
		CHECK(irq->n_messages == 1);
		CHECK(irq->message[0].addr == load_le64(msix->vector[s->vector].entry));
		CHECK(irq->message[0].data == load_le32(msix->vector[s->vector].entry + 8));
	} else {
		CHECK(irq->n_messages == 0);
		CHECK(s->vector == MSIX_NO_VECTOR || msix->vector[s->vector].pending);
	}
}

static void reset(struct world *w)
{
	pci_root_reset(&w->fake->m.pci);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		const struct pci_device *dev = w->device[i];
		if (dev->root)
			CHECK(memcmp(dev->config, dev->initial, PCI_CONFIG_SIZE) == 0);
	}
	/* The rig's function has no reset of its own. */
	msix_reset(w->rig.msix);
	for (unsigned i = 0; i < RIG_SOURCES; i++)
		CHECK(w->rig.source[i].vector == MSIX_NO_VECTOR);
}

/* What is read by both ways is the same. */
static void read_both(struct world *w, const struct pci_device *dev, uint8_t at)
{
	if (!dev->root)
		return;
	uint32_t by_port =
		fake_machine_config_read(w->fake, dev->slot, dev->function, at & 0xfc, 4);
	uint64_t ecam = LAYOUT_ECAM + (dev->slot << 15 | dev->function << 12);

	CHECK(by_port == fake_machine_mmio_read(w->fake, ecam + (at & 0xfc), 4));
	CHECK(by_port == load_le32(dev->config + (at & 0xfc)));
	CHECK(fake_machine_mmio_read(w->fake, ecam + 0x100 + at, 1) == 0xff);
}

static void step(struct world *w, struct fuzz_input *in)
{
	enum op op = fuzz_u8(in) % N_OPS;
	uint8_t a = fuzz_u8(in);
	struct pci_device *dev = w->device[a % N_DEVICES];

	switch (op) {
	case OP_CONFIG_WRITE: {
		uint8_t at = fuzz_u8(in);
		if (dev->root)
			fake_machine_config_write(w->fake, dev->slot, dev->function, at,
						  fuzz_width(a >> 2), fuzz_u32(in));
		break;
	}
	case OP_CONFIG_READ:
		read_both(w, dev, fuzz_u8(in));
		break;
	case OP_ECAM_WRITE: {
		uint32_t at = fuzz_u16(in) % 0x1008;
		fake_machine_mmio_write(w->fake, LAYOUT_ECAM + (dev->slot << 15) + at,
					fuzz_width(a >> 2), fuzz_u64(in));
		break;
	}
	case OP_BAR:
		move_bar(w, in);
		break;
	case OP_COMMAND:
		pci_config_write(dev, PCI_COMMAND, 2, fuzz_u16(in));
		break;
	case OP_ACCESS:
		access_something(w, in);
		break;
	case OP_INTX:
		pci_device_set_intx(dev, a & 0x80);
		break;
	case OP_UNPLUG:
		replug(w, dev);
		break;
	case OP_RESET:
		reset(w);
		break;
	case OP_SELF_MOVE:
		w->toy[a % N_TOYS].move_to = a & 0x80 ? some_address(w, fuzz_u8(in), false) : 0;
		break;
	case OP_PORT: {
		unsigned width = fuzz_width(fuzz_u8(in));
		fake_machine_out(w->fake, PORT_PCI_ADDRESS + (a & 7), width, fuzz_u32(in));
		fake_machine_in(w->fake, PORT_PCI_ADDRESS + (a & 7), width);
		break;
	}
	case OP_TABLE:
		write_table(w, in);
		break;
	case OP_VECTOR: {
		struct msix_source *s = &w->rig.source[a % RIG_SOURCES];
		uint8_t vector = fuzz_u8(in);
		int r = msix_set_vector(s, vector == 255 ? MSIX_NO_VECTOR : vector);
		CHECK(r == 0 || s->vector == MSIX_NO_VECTOR);
		break;
	}
	case OP_SIGNAL:
		signal_source(w, a);
		break;
	case OP_PUMP:
		fake_machine_pump(w->fake);
		break;
	case OP_CONTROL:
		if (w->rig.dev.root)
			msix_rig_control(&w->rig, (uint16_t)(a << 8));
		break;
	case OP_REGION:
		toggle_extra(w, in);
		break;
	case OP_HOST:
		w->fake->irq.refuse_attach = a & 1;
		w->fake->irq.refused_addr = a & 2 ? 0xfee00000 : 0;
		w->refused |= a & 3;
		break;
	default:
		break;
	}
}

static void create(struct world *w)
{
	memset(w, 0, sizeof(*w));
	msix_rig_init(&w->rig);
	w->fake = w->rig.fake;
	for (unsigned i = 0; i < N_TOYS; i++) {
		toy_add(w->fake, &w->toy[i]);
		w->device[i] = &w->toy[i].pci;
	}
	w->device[N_TOYS] = &w->rig.dev;
}

static void destroy(struct world *w)
{
	w->fake->irq.refuse_attach = false;
	for (unsigned i = 0; i < N_TOYS; i++) {
		pci_root_remove(&w->toy[i].pci);
		for (unsigned k = 0; k < PCI_N_BARS; k++)
			CHECK(w->toy[i].n_mapped[k] == w->toy[i].n_unmapping[k]);
	}
	for (unsigned i = 0; i < N_EXTRA; i++)
		bus_remove(&w->fake->m.mmio, &w->extra[i]);
	/* CF8, CFC and ECAM are left. */
	CHECK(w->fake->m.pio.n_regions == 2 && w->fake->m.mmio.n_regions == 1);
	msix_rig_fini(&w->rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;
	struct fuzz_input in = { data, len };

	log_set_level(LOG_ERROR);
	create(&w);
	check(&w);
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		step(&w, &in);
		check(&w);
	}
	destroy(&w);
	error_clear();
	return 0;
}
