/*
 * Doorbells: guest writes that become eventfd signals without an exit to user space (ioeventfd).
 * An optimisation only: whoever registers one also handles the write when it does exit.
 */
#ifndef MACHINE_DOORBELL_H
#define MACHINE_DOORBELL_H

#include "vmm/base/util.h"

enum doorbell_space { DOORBELL_PIO, DOORBELL_MMIO };

struct doorbell {
	enum doorbell_space space;
	uint64_t addr;
	uint32_t len;		/* 0 (any), 1, 2, 4 or 8 */
	bool match;		/* only writes of 'value'; needs len > 0 */
	uint64_t value;
	int fd;			/* borrowed while attached */
};

struct doorbell_ops {
	int (*attach)(void *arg, const struct doorbell *bell);
	int (*detach)(void *arg, const struct doorbell *bell);
};

/* The KVM one has ops &doorbell_kvm_ops and the VM's fd in 'arg' ((void *)(intptr_t)vm_fd). */
struct doorbells {
	const struct doorbell_ops *ops;
	void *arg;
};
extern const struct doorbell_ops doorbell_kvm_ops;

/* Returns 0 or -errno (the write then exits and must be handled there), no chain.  Machine lock. */
MUST_USE int doorbell_attach(const struct doorbells *bells, const struct doorbell *bell);
void doorbell_detach(const struct doorbells *bells, const struct doorbell *bell);

#endif
