/*
 * An IOMMU: which addresses each device (endpoint) can use, and for which memory.  An endpoint is
 * attached to a domain, whose mappings then are what it reaches; or to none, and then it reaches
 * all of memory as it is ("bypass") or nothing.  How the guest says so is devices/virtio_iommu.h;
 * how devices go through it is dma.h.
 *
 * Changes take the IOMMU's own lock, which may be taken with the machine lock held and never the
 * other way round; accesses by devices take no lock.  A change that takes something away is in
 * force for every new access on return.  Accesses that began before may still be in progress: its
 * ticket tells when they are over.
 */
#ifndef MACHINE_IOMMU_H
#define MACHINE_IOMMU_H

#include "vmm/base/util.h"
#include "vmm/machine/dma.h"
#include "vmm/machine/iommu_map.h"

struct iommu;
struct iommu_domain;

struct iommu_config {
	unsigned n_endpoints;		/* at most */
	uint32_t n_mappings;		/* of each domain, at most */
	bool bypass;			/* at power-on */
};

/* Returns 0 and an owned IOMMU without endpoints, or -errno with an error chain. */
MUST_USE int iommu_create(struct iommu **out, const struct iommu_config *config);
/* No device uses it any more.  NULL is fine. */
void iommu_destroy(struct iommu *iommu);

/* The memory behind it.  Before an endpoint is added. */
void iommu_set_memory(struct iommu *iommu, const struct guest_memory *memory);

/*
 * Add an endpoint; 'id' is what the guest calls it.  'lost' (any thread, the IOMMU's lock held; the
 * reason is a string constant) tells its owner that something it works with permanently is not
 * mapped any more, or that it did not let go of memory that was taken from it: it must stop.
 *
 * Returns the address space of the device, which lives as long as the IOMMU; NULL if there are too
 * many or the id is taken.  Before the guest runs.
 */
const struct dma *iommu_add_endpoint(struct iommu *iommu, uint32_t id,
				     void (*lost)(void *arg, const char *reason), void *arg);
bool iommu_has_endpoint(const struct iommu *iommu, uint32_t id);

/* --- What the guest changes.  Any thread but the devices' own accesses. ---------------------- */

/* When is nobody left who uses what a change took away?  Zeroed: nobody does. */
struct iommu_ticket {
	uint64_t serial;		/* 0: it is over */
	struct iommu_domain *domain;	/* of a removed mapping */
	struct iommu_endpoint *endpoint;	/* that was moved */
};

/*
 * All without an error chain: it is the guest's business.
 *
 *   attach  -ENOENT no such endpoint; -EINVAL the domain exists and bypasses or not, unlike this;
 *           -EOPNOTSUPP it cannot be moved there, or -ENOMEM attached: too much is in progress
 *   detach  -ENOENT no such endpoint; -EINVAL it is not attached to that domain; -ENOMEM too much
 *           is in progress
 *   map     -ENOENT no such domain; -EINVAL it bypasses, or something is mapped there; -ERANGE
 *           [phys, phys + last - first] is not memory; -ENOMEM too many mappings
 *   unmap   -ENOENT no such domain; -EINVAL it bypasses; -ERANGE it would split a mapping
 *
 * A domain exists while an endpoint is attached to it.
 */
int iommu_attach(struct iommu *iommu, uint32_t endpoint, uint32_t domain, bool bypass,
		 struct iommu_ticket *ticket);
int iommu_detach(struct iommu *iommu, uint32_t endpoint, uint32_t domain,
		 struct iommu_ticket *ticket);
int iommu_map(struct iommu *iommu, uint32_t domain, uint64_t first, uint64_t last, uint64_t phys,
	      uint32_t access);
int iommu_unmap(struct iommu *iommu, uint32_t domain, uint64_t first, uint64_t last,
		struct iommu_ticket *ticket);

/*
 * Do endpoints that are attached to no domain reach all of memory?  It has no ticket, as the guest
 * has no answer to wait for: an endpoint's accesses that began before are over when its next attach
 * is, or the reset.
 */
void iommu_set_bypass(struct iommu *iommu, bool bypass);
bool iommu_bypass(const struct iommu *iommu);

/* No endpoint is attached and there is no domain; bypass stays. */
void iommu_reset(struct iommu *iommu);

/*
 * Is everything over, whatever change it was that took something away?  The second is
 * iommu_ticket_enforce() for whom that waits for.
 */
bool iommu_is_quiet(struct iommu *iommu);
void iommu_enforce(struct iommu *iommu);

/*
 * Is it over?  The first also gives back what can be.  iommu_ticket_enforce() has the devices
 * stopped that still use what was taken away.
 */
bool iommu_ticket_is_over(struct iommu *iommu, const struct iommu_ticket *ticket);
void iommu_ticket_enforce(struct iommu *iommu, const struct iommu_ticket *ticket);

/* How many domains there are and how many mappings, those included that are being given back. */
void iommu_count(struct iommu *iommu, unsigned *domains, unsigned *mappings);

/* --- Faults ---------------------------------------------------------------------------------- */

enum iommu_fault_reason {
	IOMMU_NOT_MEMORY,		/* the IOMMU lets it pass, and nothing is there: no fault */
	IOMMU_NO_DOMAIN,
	IOMMU_NO_MAPPING,
};

/* An access that was not allowed; nothing was read or written. */
struct iommu_fault {
	uint32_t endpoint;		/* its id */
	enum iommu_fault_reason reason;
	uint32_t access;		/* enum iommu_access: what was tried */
	uint64_t addr;
};

/* Take the next one.  Returns false if there is none.  One thread. */
bool iommu_take_fault(struct iommu *iommu, struct iommu_fault *out);

/* An eventfd that is signalled when there is one.  Those that do not fit are dropped. */
int iommu_fault_fd(const struct iommu *iommu);

/* --- For whoever keeps translations (vhost) -------------------------------------------------- */

/*
 * Called with the IOMMU's lock held, after a change and before its request is answered: nothing of
 * [first, last] may be used any more when it returns.
 */
struct iommu_listener {
	void (*invalidate)(struct iommu_listener *listener, uint64_t first, uint64_t last);
	struct iommu_listener *next;
};

void iommu_listen(const struct dma *dma, struct iommu_listener *listener);
/* On return it is not called any more. */
void iommu_unlisten(const struct dma *dma, struct iommu_listener *listener);

/*
 * What an address of the device means now, as the largest range around it that is one piece of host
 * memory: iotlb entries.  Returns false, with an enum iommu_fault_reason in '*reason', if nothing
 * is there; 'access' is what the mapping allows, which the caller compares.  No pin is taken: only
 * for those who listen.
 */
struct iommu_range {
	uint64_t first, last;
	uint8_t *host;			/* where 'first' is */
	uint32_t access;
};
bool iommu_lookup(const struct dma *dma, uint64_t addr, struct iommu_range *out,
		  enum iommu_fault_reason *reason);

/* Report a fault of the device behind 'dma'; IOMMU_NOT_MEMORY is none.  Any thread. */
void iommu_report(const struct dma *dma, uint64_t addr, uint32_t access,
		  enum iommu_fault_reason reason);

#endif
