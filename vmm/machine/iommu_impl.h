/*
 * The inside of an IOMMU, shared by iommu.c (what the guest changes) and dma.c (what devices
 * access).  Nobody else includes it.
 */
#ifndef MACHINE_IOMMU_IMPL_H
#define MACHINE_IOMMU_IMPL_H

#include <pthread.h>

#include "vmm/machine/iommu.h"

/*
 * A chain that is in progress belongs to the era in which it began.  A change of what the endpoint
 * is attached to begins another one; the old one is over when it has no users left.
 */
enum { IOMMU_ERAS = 4, IOMMU_FAULTS = 64 };

struct iommu_era {
	atomic_uint users;
	uint64_t serial;		/* of the change that ended it; 0: free or present */
};

struct iommu_endpoint {
	struct iommu *iommu;
	struct dma dma;
	uint32_t id;
	_Atomic(struct iommu_domain *) domain;	/* NULL: not attached */
	atomic_uint era;		/* the present one */
	struct iommu_era eras[IOMMU_ERAS];
	uint64_t late;			/* a change that should have ended the present era, when no
					 * other was free; 0: none */
	struct dma_hold *holds;
	struct iommu_listener *listeners;
	void (*lost)(void *arg, const char *reason);
	void *lost_arg;
};

enum iommu_domain_state { IOMMU_DOMAIN_FREE, IOMMU_DOMAIN_LIVE, IOMMU_DOMAIN_ENDING };

struct iommu_domain {
	enum iommu_domain_state state;
	uint32_t id;
	bool bypass;			/* constant while it is reachable */
	unsigned n_endpoints;
	uint64_t ended;			/* serial of the change that left it without endpoints */
	struct iommu_map map;
};

enum iommu_slot_state { IOMMU_SLOT_FREE, IOMMU_SLOT_WRITING, IOMMU_SLOT_READY };

struct iommu_fault_slot {
	atomic_uint state;		/* enum iommu_slot_state */
	struct iommu_fault fault;
};

struct iommu {
	pthread_mutex_t lock;		/* everything but what is atomic */
	const struct guest_memory *memory;
	atomic_bool bypass;
	uint64_t serial;		/* of the last change that took something away */
	struct iommu_endpoint *endpoint;
	unsigned n_endpoints, n_endpoints_max;
	struct iommu_domain *domain;	/* two for each endpoint: one that lives, one that ends */
	unsigned n_domains;
	struct iommu_fault_slot slot[IOMMU_FAULTS];
	atomic_uint next_slot;		/* for who reports */
	unsigned next_fault;		/* for who takes */
	int fault_fd;
};

/* Does the hold still lead to the same memory?  Lock held. */
bool iommu_hold_is_good(const struct dma_hold *hold);

#endif
