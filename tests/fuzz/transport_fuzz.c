/*
 * A driver that does anything at the registers of an echo device, over any transport: virtio-pci
 * (the BAR, the configuration space, the window in it), its legacy ports, virtio-mmio of both
 * versions.  At a transitional device it goes from one window to the other.  The host can be slow.
 * The input is a list of operations; after each of them the rules of echo_watch.c must hold, and a
 * driver that broke none of its own is served.
 */
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/echo_client.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/msix_internal.h"

enum {
	MAX_STEPS = 300,
	PATIENCE_MS = 100,		/* how long a write may keep the vCPU */
	PAGE = 4096,
};

/* Operations, by number: new ones are added at the end. */
enum op {
	OP_STATUS, OP_FEATURES, OP_SELECT, OP_SIZE, OP_ADDRESS, OP_ENABLE, OP_KICK, OP_PUMP,
	OP_WRITE, OP_READ, OP_CONFIG_WRITE, OP_CONFIG_READ, OP_WINDOW, OP_BRING_UP, OP_ASK,
	OP_RAM, OP_DEVICE, OP_HOST, OP_SYSTEM_RESET, OP_VECTOR, OP_NEXT_STATUS,
	OP_FACE, OP_QUEUE_RESET, OP_SUSPEND, OP_LEGACY_QUEUE, OP_KICK_DATA, OP_DEVICE_CONFIG,
	OP_MASTER, OP_SLOW, OP_ROUND_TRIP, OP_REAP, OP_SHM, N_OPS
};

struct world {
	struct echo_rig *rig;
	struct virtio_device *dev;
	struct virtio_pci *pci;		/* NULL: virtio-mmio */
	unsigned ends_after_ms;		/* a slow host is done then; 0: never by itself */
	struct echo_watch watch;
	struct echo_client client;
};

/* Time passes only in here. */
static struct world *current;
static unsigned slept_ms, slept_in_all_ms;

static void release_all(struct echo_device *echo)
{
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		if (echo->queue[i].vq)
			echo_device_release(echo, i);
}

int usleep(useconds_t us)
{
	(void)us;
	slept_ms++;
	slept_in_all_ms++;
	if (current && current->ends_after_ms > 0 && --current->ends_after_ms == 0)
		release_all(current->rig->echo);
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC) {
		ts->tv_sec += slept_in_all_ms / 1000;
		ts->tv_nsec += slept_in_all_ms % 1000 * 1000000L;
		ts->tv_sec += ts->tv_nsec / 1000000000;
		ts->tv_nsec %= 1000000000;
	}
	return r;
}

static bool is_started(const struct world *w)
{
	return w->dev->state == VIRTIO_STARTED;
}

static bool is_mmio(const struct world *w)
{
	return !w->pci;
}

static bool is_legacy(const struct world *w)
{
	return echo_client_is_legacy(&w->client);
}

static void write_status(struct world *w, uint8_t value)
{
	struct fake_driver *d = &w->rig->driver;

	fake_driver_set_status(d, value);
	uint8_t status = fake_driver_status(d);
	CHECK(status == w->dev->negotiation.status);
	if (value != 0)
		return;
	/* Only a slow host keeps a reset from being over. */
	CHECK(status == 0 || (w->dev->negotiation.resetting && w->rig->echo->slow));
	if (status == 0 && !w->dev->negotiation.resetting)
		echo_watch_check_reset(&w->watch);
}

static void accept(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);
	unsigned half = how & 7;

	if (how & 0x80)
		fake_driver_accept_half(d, half < 7 ? half : 0x80000000u, fuzz_u32(in));
	else	/* Mostly what is offered. */
		fake_driver_accept_half(d, half, fake_driver_offered_half(d, half) &
							 ~(uint32_t)fuzz_u8(in));
}

static void set_size(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t value = how & 0x80 ? fuzz_u16(in) : 1u << (how & 15);

	fake_driver_write(&w->rig->driver, is_mmio(w) ? 0x38 : 24, is_mmio(w) ? 4 : 2, value);
}

static void set_address(struct world *w, struct fuzz_input *in)
{
	static const unsigned mmio[] = { 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4 };
	uint8_t how = fuzz_u8(in);
	unsigned which = (how & 7) % 6;
	uint32_t value = how & 0x80 ? fuzz_u32(in) : RIG_RINGS + fuzz_u16(in);

	if (how & 0x40 && !is_mmio(w))
		fake_driver_write(&w->rig->driver, 32 + 8 * (which / 2), 8, fuzz_u64(in));
	else
		fake_driver_write(&w->rig->driver, is_mmio(w) ? mmio[which] : 32 + 4 * which, 4,
				  which & 1 && !(how & 0x80) ? 0 : value);
}

static void bring_up(struct world *w, uint8_t how)
{
	w->rig->echo->slow = false;
	echo_client_bring_up(&w->client, how);
}

static void write_ram(struct world *w, struct fuzz_input *in)
{
	uint32_t at = RIG_RINGS + (fuzz_u8(in) & 3) * 0x10000u + fuzz_u16(in) % 0x2000;
	unsigned n = fuzz_u8(in) % 32;
	uint8_t *p = fake_machine_driver_at(w->rig->machine, at, n + 1);

	for (unsigned i = 0; i < n; i++)
		p[i] = fuzz_u8(in);
	echo_client_spoil(&w->client);
	echo_watch_driver_wrote(&w->watch);
}

static void window(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);

	if (is_mmio(w) || !w->pci->window)
		return;
	echo_client_spoil(&w->client);
	fake_driver_pci_write(d, w->pci->window + 4, 1, how & 0x80 ? fuzz_u8(in) : VIRTIO_PCI_BAR);
	fake_driver_pci_write(d, w->pci->window + 8, 4, how & 0x40 ? fuzz_u32(in) : fuzz_u16(in));
	fake_driver_pci_write(d, w->pci->window + 12, 4,
			      how & 0x20 ? fuzz_u32(in) : fuzz_width(how));
	if (how & 0x10)
		fake_driver_pci_write(d, w->pci->window + 16, 1u << (how >> 2) % 3, fuzz_u32(in));
	else
		fake_driver_pci_read(d, w->pci->window + 16, 1u << (how >> 2) % 3);
}

/* What the device's side does by itself. */
static void device_side(struct world *w, struct fuzz_input *in)
{
	struct echo_device *echo = w->rig->echo;
	struct machine *m = &w->rig->machine->m;
	uint8_t what = fuzz_u8(in), index = fuzz_u8(in);
	unsigned queue = index % ECHO_QUEUES, at = index % ECHO_CONFIG_LEN;

	switch (what % 4) {
	case 0:
		echo->hold = index & 1;
		break;
	case 1:
		if (echo->queue[queue].vq)
			echo_device_release(echo, queue);
		break;
	case 2:
		w->watch.config[at] = fuzz_u8(in);
		machine_lock(m);
		virtio_device_update_config(w->dev, at, &w->watch.config[at], 1);
		machine_unlock(m);
		break;
	case 3:
		if (is_started(w))
			virtio_device_fail(w->dev, queue, "the fuzzer says so");
		echo_client_spoil(&w->client);
		break;
	}
}

/* What the host refuses from now on. */
static void host_side(struct world *w, uint8_t what)
{
	w->rig->machine->refuse_bells = what & 1;
	w->watch.bells_refused |= what & 1;
	/* virtio-mmio attaches once, when it is created. */
	w->rig->machine->irq.refuse_attach = what & 2;
	w->rig->echo->refuse_start = what & 4;
	w->rig->machine->irq.refused_addr = what & 8 ? 0xfee00000 : 0;
}

/* Route a queue or the configuration to a vector, with a message or masked. */
static void set_vector(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in), vector = fuzz_u8(in);
	uint64_t base, entry;

	if (is_mmio(w) || !w->pci->pci.bar[VIRTIO_PCI_BAR].mapped ||
	    !echo_client_find(&w->client, &base))
		return;
	entry = w->pci->pci.bar[VIRTIO_PCI_BAR].region.base + VIRTIO_PCI_MSIX_TABLE +
		16 * (vector % 8);
	fake_machine_mmio_write(w->rig->machine, entry, 4, 0xfee00000u + (how & 0x20 ? 0x1000 : 0));
	fake_machine_mmio_write(w->rig->machine, entry + 8, 4, 0x4000 + vector);
	fake_machine_mmio_write(w->rig->machine, entry + 12, 4, how & 0x40 ? 1 : 0);
	if (how & 4) {
		fake_driver_write(d, is_legacy(w) ? 20 : 16, 2, vector);
	} else {
		fake_driver_write(d, is_legacy(w) ? 14 : 22, 2, how & 3);
		fake_driver_write(d, is_legacy(w) ? 22 : 26, 2,
				  vector & 0x80 ? MSIX_NO_VECTOR : vector & 7);
	}
	if (how & 8)	/* MSI-X Enable, and perhaps Function Mask */
		fake_driver_pci_write(d, w->pci->msix->capability + 2, 2,
				      how & 0x10 ? 0xc000 : 0x8000);
}

/* Pause, or go on. */
static void suspend(struct world *w)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t status = fake_driver_status(d);

	if (status & VIRTIO_STATUS_SUSPEND)
		write_status(w, (status & ~VIRTIO_STATUS_SUSPEND) | VIRTIO_STATUS_DRIVER_OK);
	else
		write_status(w, status | VIRTIO_STATUS_SUSPEND);
}

/* A legacy driver's queue, with any page size and alignment where they are registers. */
static void legacy_queue(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);
	uint32_t pfn = how & 1 ? 0 : how & 2 ? fuzz_u32(in) :
			(RIG_RINGS + WATCH_RING_STRIDE * (how >> 6)) / PAGE + (fuzz_u8(in) & 3);

	echo_client_spoil(&w->client);
	if (is_mmio(w)) {
		fake_driver_write(d, 0x28, 4, how & 4 ? fuzz_u32(in) : PAGE);
		fake_driver_write(d, 0x3c, 4, how & 8 ? fuzz_u32(in) : 1u << (how >> 4));
	}
	fake_driver_write(d, is_mmio(w) ? 0x40 : 8, 4, pfn);
}

/* A kick by exit, with any data in it, of any width. */
static void kick_data(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);
	uint64_t value = how & 0x80 ? fuzz_u64(in) : (uint64_t)fuzz_u16(in) << 16 | (how & 3);

	if (is_legacy(w) || is_mmio(w))
		fake_driver_write(d, is_mmio(w) ? 0x50 : 16, is_mmio(w) ? 4 : 2, value);
	else
		fake_machine_mmio_write(w->rig->machine, d->notify.addr + (how & 15),
					fuzz_width(how >> 4), value);
}

static void slow_host(struct world *w, uint8_t how)
{
	w->rig->echo->slow = how & 1;
	w->ends_after_ms = how & 2 ? 1u + how / 2 : 0;
}

static void access_registers(struct world *w, struct fuzz_input *in, uint64_t base, bool write)
{
	struct fake_machine *m = w->rig->machine;
	uint16_t at = fuzz_u16(in);
	unsigned width = fuzz_width(at >> 14);

	if (!is_mmio(w) && is_legacy(w)) {
		uint16_t port = (uint16_t)(base + at % 64);

		if (write)
			fake_machine_out(m, port, width % 8, fuzz_u64(in));
		else
			fake_machine_in(m, port, width % 8);
		return;
	}
	base += at % VIRTIO_PCI_BAR_SIZE;
	if (write)
		fake_machine_mmio_write(m, base, width, fuzz_u64(in));
	else
		fake_machine_mmio_read(m, base, width);
}

/* Operations that need the registers. */
static void step_registers(struct world *w, enum op op, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint64_t base;

	if (!echo_client_find(&w->client, &base))
		return;
	switch (op) {
	case OP_STATUS:
		write_status(w, fuzz_u8(in));
		break;
	case OP_NEXT_STATUS: {
		/* The next bit in the usual order; a legacy driver has no FEATURES_OK. */
		const uint8_t next[] = { 1, 2, is_legacy(w) ? 4 : 8, 4 };
		uint8_t status = fake_driver_status(d);
		unsigned i = 0;
		while (i < 3 && status & next[i])
			i++;
		write_status(w, status | next[i]);
		break;
	}
	case OP_FEATURES:
		accept(w, in);
		break;
	case OP_SELECT:
		fake_driver_write(d, is_mmio(w) ? 0x30 : is_legacy(w) ? 14 : 22,
				  is_mmio(w) ? 4 : 2, fuzz_u8(in) % 5);
		break;
	case OP_SIZE:
		echo_client_spoil(&w->client);
		set_size(w, in);
		break;
	case OP_ADDRESS:
		echo_client_spoil(&w->client);
		set_address(w, in);
		break;
	case OP_ENABLE:
		echo_client_spoil(&w->client);
		fake_driver_write(d, is_mmio(w) ? 0x44 : 28, is_mmio(w) ? 4 : 2, fuzz_u8(in) % 3);
		break;
	case OP_KICK:
		fake_driver_kick(d, fuzz_u8(in) % 5);
		break;
	case OP_WRITE:
		echo_client_spoil(&w->client);
		access_registers(w, in, base, true);
		break;
	case OP_READ:
		access_registers(w, in, base, false);
		break;
	case OP_QUEUE_RESET: {
		unsigned index = fuzz_u8(in) % 5;
		echo_client_spoil(&w->client);
		fake_driver_reset_queue(d, index);
		fake_driver_queue_in_reset(d, index);
		break;
	}
	case OP_SUSPEND:
		suspend(w);
		break;
	case OP_LEGACY_QUEUE:
		legacy_queue(w, in);
		break;
	case OP_KICK_DATA:
		kick_data(w, in);
		break;
	case OP_DEVICE_CONFIG: {
		uint8_t at = fuzz_u8(in);
		fake_driver_set_config(d, at & 31, fuzz_width(at >> 6) % 8, fuzz_u32(in));
		fake_driver_config(d, at & 31, 4);
		break;
	}
	default:
		break;
	}
}

/* Shared memory belongs to nobody's registers: it does nothing here but be reached. */
static uint64_t shm_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	CHECK(offset < PAGE && size <= PAGE - offset);
	return offset;
}

static void shm_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	(void)arg;
	(void)value;
	CHECK(offset < PAGE && size <= PAGE - offset);
}

static const struct region_ops shm_ops = { .read = shm_read, .write = shm_write };

static void touch_shm(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t base = 0;

	if (is_mmio(w) && w->watch.mmio->n_shm > 0)
		base = w->watch.mmio->shm[0].base;
	else if (!is_mmio(w) && w->pci->pci.bar[VIRTIO_PCI_SHM_BAR].mapped)
		base = w->pci->pci.bar[VIRTIO_PCI_SHM_BAR].region.base;
	if (!base)
		return;
	base += fuzz_u16(in) % PAGE;
	if (how & 4)
		fake_machine_mmio_write(w->rig->machine, base, fuzz_width(how), fuzz_u64(in));
	else
		fake_machine_mmio_read(w->rig->machine, base, fuzz_width(how));
}

static void step(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	enum op op = fuzz_u8(in) % N_OPS;

	switch (op) {
	case OP_PUMP:
		if (fuzz_u8(in) & 1)
			fake_machine_pump(w->rig->machine);
		else
			loop_pump(w->rig->loop);
		break;
	case OP_CONFIG_WRITE: {
		uint8_t at = fuzz_u8(in), width = fuzz_u8(in);
		echo_client_spoil(&w->client);
		if (!is_mmio(w))
			fake_driver_pci_write(d, at, fuzz_width(width), fuzz_u32(in));
		break;
	}
	case OP_CONFIG_READ: {
		uint8_t at = fuzz_u8(in);
		if (!is_mmio(w))
			fake_driver_pci_read(d, at, fuzz_width(fuzz_u8(in)));
		break;
	}
	case OP_WINDOW:
		window(w, in);
		break;
	case OP_BRING_UP:
		bring_up(w, fuzz_u8(in));
		break;
	case OP_ASK:
		echo_client_ask(&w->client, fuzz_u8(in) % ECHO_QUEUES);
		break;
	case OP_RAM:
		write_ram(w, in);
		break;
	case OP_DEVICE:
		device_side(w, in);
		break;
	case OP_HOST:
		host_side(w, fuzz_u8(in));
		break;
	case OP_SYSTEM_RESET:
		echo_watch_system_reset(&w->watch);
		break;
	case OP_VECTOR:
		set_vector(w, in);
		break;
	case OP_FACE:
		echo_client_change_window(&w->client);
		break;
	case OP_MASTER: {
		uint8_t command = fuzz_u8(in);
		if (!is_mmio(w))
			fake_driver_pci_write(d, 4, 2, command & 7);
		break;
	}
	case OP_SLOW:
		slow_host(w, fuzz_u8(in));
		break;
	case OP_ROUND_TRIP:
		echo_client_round_trip(&w->client, fuzz_u8(in) % ECHO_QUEUES);
		break;
	case OP_REAP:
		echo_client_reap(&w->client, fuzz_u8(in) % ECHO_QUEUES);
		break;
	case OP_SHM:
		touch_shm(w, in);
		break;
	default:
		step_registers(w, op, in);
		break;
	}
}

/* The first byte: which transport, shared memory or not, and what is demanded. */
static void create(struct world *w, uint8_t what)
{
	static const enum fake_transport pci[] = { FAKE_PCI, FAKE_TRANSITIONAL, FAKE_PCI_LEGACY,
						   FAKE_PCI };
	static const uint8_t demanded[] = {
		VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER, VIRTIO_F_SUSPEND,
		VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA,
	};
	bool is_pci = what & 1;
	struct echo_rig_options options = {
		.transport = is_pci ? pci[what >> 1 & 3] : what & 2 ? FAKE_MMIO_LEGACY : FAKE_MMIO,
		.shm = { { .id = 5, .len = PAGE, .ops = &shm_ops } },
		.n_shm = is_pci ? (what & 6) == 6 : (what & 6) == 4,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(demanded) - !is_pci; i++)
		if (!fake_transport_is_legacy(options.transport) && what & 8u << i)
			features_add(&options.on, demanded[i]);
	memset(w, 0, sizeof(*w));
	w->rig = echo_rig_create_with(&options);
	w->dev = w->rig->dev;
	echo_watch_init(&w->watch, w->rig);
	w->pci = w->watch.pci;
	echo_client_init(&w->client, w->rig, &w->watch);
	current = w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	static struct world w;

	log_set_level(LOG_ERROR);
	create(&w, fuzz_u8(&in));
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		slept_ms = 0;
		step(&w, &in);
		CHECK(slept_ms <= PATIENCE_MS);
		echo_watch_check(&w.watch);
	}
	echo_watch_unplug(&w.watch);
	current = NULL;
	echo_rig_pump(w.rig);
	echo_rig_destroy(w.rig);
	error_clear();
	return 0;
}
