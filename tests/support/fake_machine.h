/*
 * A machine without KVM: guest memory, buses, a PCI root, a recording interrupt controller and
 * recording doorbells, a main loop that the test pumps (loop_pump.h).  No vCPUs: the test is
 * the guest and uses the buses; fake_machine_in, _mmio_write and so on are its instructions.
 */
#ifndef TESTS_FAKE_MACHINE_H
#define TESTS_FAKE_MACHINE_H

#include "tests/support/fake_irq_chip.h"
#include "vmm/machine/machine.h"

enum { FAKE_MACHINE_MAX_BELLS = 1024 };

/* The default memory: two regions, the second above 4 GiB. */
#define FAKE_LOW_RAM_SIZE MIB(16)
#define FAKE_HIGH_RAM_BASE GIB(4)
#define FAKE_HIGH_RAM_SIZE MIB(1)

struct fake_machine {
	struct machine m;
	struct fake_irq_chip irq;
	struct doorbell bell[FAKE_MACHINE_MAX_BELLS];
	unsigned n_bells;
	bool refuse_bells;		/* attach fails with ENOSPC */
	unsigned n_outcomes;		/* how often on_outcome ran */
	uint8_t *driver[GUEST_MEMORY_MAX_REGIONS];	/* the driver's mapping of each region */
	int memory_fd;
};

/*
 * Each region lies between inaccessible pages, and its driver's view at another host address,
 * so that confusing a guest address, a device's pointer and a driver's pointer shows.  Failure
 * ends the test.
 */
struct fake_machine *fake_machine_create(void);
struct fake_machine *fake_machine_create_with(const struct memory_extent *extent, unsigned n);
void fake_machine_destroy(struct fake_machine *fake);

/* The driver's view of guest memory [gpa, gpa + len); failure ends the test. */
void *fake_machine_driver_at(struct fake_machine *fake, uint64_t gpa, uint64_t len);

/* The attached doorbell at 'addr', or NULL. */
const struct doorbell *fake_machine_bell(const struct fake_machine *fake, enum doorbell_space space,
					 uint64_t addr);

/* What a guest does, with the machine lock held during the access as by a vCPU thread. */
uint64_t fake_machine_mmio_read(struct fake_machine *fake, uint64_t addr, unsigned size);
void fake_machine_mmio_write(struct fake_machine *fake, uint64_t addr, unsigned size,
			     uint64_t value);
uint64_t fake_machine_in(struct fake_machine *fake, uint16_t port, unsigned size);
void fake_machine_out(struct fake_machine *fake, uint16_t port, unsigned size, uint64_t value);

/* Configuration space of 00:slot.function through CF8/CFC. */
uint32_t fake_machine_config_read(struct fake_machine *fake, unsigned slot, unsigned function,
				  unsigned offset, unsigned size);
void fake_machine_config_write(struct fake_machine *fake, unsigned slot, unsigned function,
			       unsigned offset, unsigned size, uint32_t value);

/* Handle what is ready on the main loop. */
void fake_machine_pump(struct fake_machine *fake);

/* The outcome so far, and start over. */
enum machine_outcome fake_machine_take_outcome(struct fake_machine *fake);

#endif
