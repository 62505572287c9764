#include "tests/support/fake_machine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

enum {
	GUARD = 4096,
	RUN_SIZE = 65536,		/* more than struct machine_run, which is machine.c's own */
};

static int fake_attach_bell(void *arg, const struct doorbell *bell)
{
	struct fake_machine *fake = arg;

	if (fake->refuse_bells || fake->n_bells == FAKE_MACHINE_MAX_BELLS)
		return -ENOSPC;
	fake->bell[fake->n_bells++] = *bell;
	return 0;
}

static int fake_detach_bell(void *arg, const struct doorbell *bell)
{
	struct fake_machine *fake = arg;

	for (unsigned i = 0; i < fake->n_bells; i++) {
		const struct doorbell *b = &fake->bell[i];
		if (b->space != bell->space || b->addr != bell->addr || b->fd != bell->fd ||
		    b->match != bell->match || (b->match && b->value != bell->value))
			continue;
		fake->bell[i] = fake->bell[--fake->n_bells];
		return 0;
	}
	return -ENOENT;
}

static const struct doorbell_ops fake_doorbell_ops = {
	.attach = fake_attach_bell,
	.detach = fake_detach_bell,
};

static void outcome_fn(struct event_post *post)
{
	struct machine *m = container_of(post, struct machine, outcome_post);

	if (m->on_outcome)
		m->on_outcome(m->on_outcome_arg);
}

static void count_outcome(void *arg)
{
	struct fake_machine *fake = arg;

	fake->n_outcomes++;
}

static uint8_t *map_guarded(int fd, uint64_t size, uint64_t offset)
{
	uint8_t *p = mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq((void *)p, MAP_FAILED);
	void *q = mmap(p + GUARD, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		       (off_t)offset);
	cr_assert_eq(q, (void *)(p + GUARD));
	return q;
}

static void make_memory(struct fake_machine *fake, const struct memory_extent *extent, unsigned n)
{
	uint64_t total = 0;

	cr_assert_leq(n, GUEST_MEMORY_MAX_REGIONS);
	for (unsigned i = 0; i < n; i++)
		total += extent[i].size;
	fake->memory_fd = memfd_create("fake-guest", MFD_CLOEXEC);
	cr_assert_geq(fake->memory_fd, 0);
	cr_assert_eq(ftruncate(fake->memory_fd, (off_t)total), 0);

	uint64_t offset = 0;
	fake->m.memory.fd = FD_NONE;
	for (unsigned i = 0; i < n; i++) {
		fake->m.memory.region[i] = (struct memory_region){
			.base = extent[i].base,
			.size = extent[i].size,
			.host = map_guarded(fake->memory_fd, extent[i].size, offset),
			.fd_offset = offset,
		};
		fake->driver[i] = map_guarded(fake->memory_fd, extent[i].size, offset);
		offset += extent[i].size;
	}
	fake->m.memory.n_regions = n;
}

struct fake_machine *fake_machine_create_with(const struct memory_extent *extent, unsigned n)
{
	struct fake_machine *fake = calloc(1, sizeof(*fake));

	cr_assert_not_null(fake);
	struct machine *m = &fake->m;
	pthread_mutex_init(&m->lock, NULL);
	m->kvm_fd = FD_NONE;
	m->vm_fd = FD_NONE;
	make_memory(fake, extent, n);
	m->dma.memory = &m->memory;
	m->pio.name = "ports";
	m->mmio.name = "memory";
	fake_irq_chip_init(&fake->irq);
	m->irq = &fake->irq.chip;
	m->doorbells = (struct doorbells){ .ops = &fake_doorbell_ops, .arg = fake };
	cr_assert_eq(event_loop_create(&m->main_loop, "fake-main"), 0);
	m->on_outcome = count_outcome;
	m->on_outcome_arg = fake;
	m->outcome_post.fn = outcome_fn;
	/* machine_report closes the vCPUs' gate; one that no vCPU passes may be all zero. */
	m->run = calloc(1, RUN_SIZE);
	cr_assert_not_null(m->run);
	cr_assert_eq(pci_root_init(&m->pci, &m->pio, &m->mmio, m->irq), 0);
	return fake;
}

struct fake_machine *fake_machine_create(void)
{
	static const struct memory_extent extent[] = {
		{ .base = 0, .size = FAKE_LOW_RAM_SIZE },
		{ .base = FAKE_HIGH_RAM_BASE, .size = FAKE_HIGH_RAM_SIZE },
	};

	return fake_machine_create_with(extent, ARRAY_SIZE(extent));
}

void fake_machine_destroy(struct fake_machine *fake)
{
	if (!fake)
		return;
	for (unsigned i = 0; i < fake->m.memory.n_regions; i++) {
		uint64_t size = fake->m.memory.region[i].size;
		munmap(fake->m.memory.region[i].host - GUARD, size + 2 * GUARD);
		munmap(fake->driver[i] - GUARD, size + 2 * GUARD);
	}
	fd_close(&fake->memory_fd);
	event_loop_destroy(fake->m.main_loop);
	pthread_mutex_destroy(&fake->m.lock);
	free(fake->m.run);
	free(fake);
}

void *fake_machine_driver_at(struct fake_machine *fake, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < fake->m.memory.n_regions; i++) {
		const struct memory_region *r = &fake->m.memory.region[i];
		if (gpa >= r->base && range_inside(gpa - r->base, len, r->size))
			return fake->driver[i] + (gpa - r->base);
	}
	cr_assert_fail("0x%llx is not RAM of the fake machine", (unsigned long long)gpa);
	return NULL;
}

const struct doorbell *fake_machine_bell(const struct fake_machine *fake, enum doorbell_space space,
					 uint64_t addr)
{
	for (unsigned i = 0; i < fake->n_bells; i++)
		if (fake->bell[i].space == space && fake->bell[i].addr == addr)
			return &fake->bell[i];
	return NULL;
}

uint64_t fake_machine_mmio_read(struct fake_machine *fake, uint64_t addr, unsigned size)
{
	machine_lock(&fake->m);
	uint64_t value = bus_read(&fake->m.mmio, addr, size);
	machine_unlock(&fake->m);
	return value;
}

void fake_machine_mmio_write(struct fake_machine *fake, uint64_t addr, unsigned size,
			     uint64_t value)
{
	machine_lock(&fake->m);
	bus_write(&fake->m.mmio, addr, size, value);
	machine_unlock(&fake->m);
}

uint64_t fake_machine_in(struct fake_machine *fake, uint16_t port, unsigned size)
{
	machine_lock(&fake->m);
	uint64_t value = bus_read(&fake->m.pio, port, size);
	machine_unlock(&fake->m);
	return value;
}

void fake_machine_out(struct fake_machine *fake, uint16_t port, unsigned size, uint64_t value)
{
	machine_lock(&fake->m);
	bus_write(&fake->m.pio, port, size, value);
	machine_unlock(&fake->m);
}

static void select_config(struct fake_machine *fake, unsigned slot, unsigned function,
			  unsigned offset)
{
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4,
			 0x80000000u | slot << 11 | function << 8 | (offset & 0xfcu));
}

uint32_t fake_machine_config_read(struct fake_machine *fake, unsigned slot, unsigned function,
				  unsigned offset, unsigned size)
{
	select_config(fake, slot, function, offset);
	return (uint32_t)fake_machine_in(fake, (uint16_t)(PORT_PCI_DATA + (offset & 3)), size);
}

void fake_machine_config_write(struct fake_machine *fake, unsigned slot, unsigned function,
			       unsigned offset, unsigned size, uint32_t value)
{
	select_config(fake, slot, function, offset);
	fake_machine_out(fake, (uint16_t)(PORT_PCI_DATA + (offset & 3)), size, value);
}

void fake_machine_pump(struct fake_machine *fake)
{
	loop_pump(fake->m.main_loop);
}

enum machine_outcome fake_machine_take_outcome(struct fake_machine *fake)
{
	return atomic_exchange(&fake->m.outcome, MACHINE_RUNNING);
}
