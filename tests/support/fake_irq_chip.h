/*
 * An interrupt controller that records: line levels, routes, and the messages that attached
 * event fds would have sent.  Stands behind the real irq_chip.c.
 */
#ifndef TESTS_FAKE_IRQ_CHIP_H
#define TESTS_FAKE_IRQ_CHIP_H

#include "vmm/machine/irq_chip.h"

enum { FAKE_IRQ_MAX_FDS = 1024, FAKE_IRQ_MAX_MESSAGES = 4096 };

struct fake_message {
	uint32_t gsi;
	uint64_t addr;
	uint32_t data;
};

struct fake_irq_chip {
	struct irq_chip chip;
	bool level[IRQ_CHIP_PINS];
	unsigned n_rises[IRQ_CHIP_PINS];	/* low-to-high changes, and edges by event fd */
	struct {
		bool set;
		uint64_t addr;
		uint32_t data;
	} route[IRQ_CHIP_MAX_GSI];
	unsigned n_set_routes;			/* calls that succeeded */
	struct {
		uint32_t gsi;
		int fd;
	} attached[FAKE_IRQ_MAX_FDS];
	unsigned n_attached;
	struct fake_message message[FAKE_IRQ_MAX_MESSAGES];	/* in order of delivery */
	unsigned n_messages;

	uint64_t refused_addr;	/* routes to this address fail with EINVAL, when not 0 */
	bool refuse_attach;	/* attach_fd fails with ENOSPC */
};

void fake_irq_chip_init(struct fake_irq_chip *fake);

/* Turn what lies in attached event fds into messages or edges, as KVM does by itself. */
void fake_irq_chip_run(struct fake_irq_chip *fake);

/* Run, then return how many messages (addr, data) there were since the last call. */
unsigned fake_irq_chip_take(struct fake_irq_chip *fake, uint64_t addr, uint32_t data);

/* Is 'fd' attached to any GSI? */
bool fake_irq_chip_is_attached(const struct fake_irq_chip *fake, int fd);

#endif
