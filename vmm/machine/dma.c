/* What devices behind an IOMMU access, and how that is kept from being taken away under them. */
#include "vmm/machine/dma.h"

#include "vmm/base/fd.h"
#include "vmm/machine/iommu_impl.h"

static uint32_t wanted(enum dma_dir dir)
{
	static const uint32_t access[] = {
		[DMA_TO_DEVICE] = IOMMU_READ,
		[DMA_FROM_DEVICE] = IOMMU_WRITE,
		[DMA_BOTH] = IOMMU_READ | IOMMU_WRITE,
	};

	return access[dir];
}

unsigned dma_enter(const struct dma *dma)
{
	struct iommu_endpoint *ep = dma->endpoint;

	for (;;) {
		unsigned era = atomic_load(&ep->era);

		/* As with pins: whoever ends this era sees this user, or this sees the next era. */
		atomic_fetch_add(&ep->eras[era].users, 1);
		if (atomic_load(&ep->era) == era)
			return era;
		dma_leave(dma, era);
	}
}

void dma_leave(const struct dma *dma, unsigned era)
{
	atomic_fetch_sub_explicit(&dma->endpoint->eras[era].users, 1, memory_order_release);
}

void dma_unpin(struct iommu_mapping *pin)
{
	iommu_mapping_unpin(pin);
}

/* --- Faults ---------------------------------------------------------------------------------- */

void iommu_report(const struct dma *dma, uint64_t addr, uint32_t access,
		  enum iommu_fault_reason reason)
{
	struct iommu *iommu = dma->endpoint->iommu;
	unsigned n = atomic_fetch_add(&iommu->next_slot, 1) % IOMMU_FAULTS;
	unsigned state = IOMMU_SLOT_FREE;

	/* A storm of them is not worth more than its beginning. */
	if (reason == IOMMU_NOT_MEMORY ||
	    !atomic_compare_exchange_strong(&iommu->slot[n].state, &state, IOMMU_SLOT_WRITING))
		return;
	iommu->slot[n].fault = (struct iommu_fault){
		.endpoint = dma->endpoint->id,
		.reason = reason,
		.access = access,
		.addr = addr,
	};
	atomic_store(&iommu->slot[n].state, IOMMU_SLOT_READY);
	fd_signal(iommu->fault_fd);
}

bool iommu_take_fault(struct iommu *iommu, struct iommu_fault *out)
{
	for (unsigned i = 0; i < IOMMU_FAULTS; i++) {
		unsigned n = (iommu->next_fault + i) % IOMMU_FAULTS;
		struct iommu_fault_slot *slot = &iommu->slot[n];

		if (atomic_load(&slot->state) != IOMMU_SLOT_READY)
			continue;
		*out = slot->fault;
		atomic_store(&slot->state, IOMMU_SLOT_FREE);
		iommu->next_fault = (n + 1) % IOMMU_FAULTS;
		return true;
	}
	return false;
}

/* --- Translation ----------------------------------------------------------------------------- */

static void *identity(const struct dma *dma, uint64_t addr, uint64_t *len)
{
	uint64_t room = guest_memory_room(dma->memory, addr);

	/* Not memory: that is no fault of the IOMMU. */
	if (room == 0)
		return NULL;
	*len = min_u64(*len, room);
	return guest_memory_at(dma->memory, addr, *len);
}

static struct dma_cache_entry *cached(struct dma_cache *cache, uint64_t addr)
{
	return &cache->entry[(addr >> 12) % DMA_CACHE_ENTRIES];
}

/* Find the mapping of 'addr', pinned; 'view' is of the cache if that is still good. */
static bool find_pinned(const struct iommu_map *map, struct dma_cache *cache, uint64_t addr,
			struct iommu_view *view)
{
	struct dma_cache_entry *e = cached(cache, addr);

	if (e->map == map && addr >= e->first && addr <= e->last) {
		*view = (struct iommu_view){ e->seq, e->first, e->last, e->host, e->access,
					     e->mapping };
		if (iommu_map_pin(map, view))
			return true;
	}
	do {
		if (!iommu_map_find(map, addr, view))
			return false;
	} while (!iommu_map_pin(map, view));
	*e = (struct dma_cache_entry){ view->first, view->last, view->seq, view->host, map,
				       view->mapping, view->access };
	return true;
}

void *dma_pin(const struct dma *dma, struct dma_cache *cache, uint64_t addr, uint64_t *len,
	      enum dma_dir dir, struct iommu_mapping **pin)
{
	struct iommu_endpoint *ep = dma->endpoint;
	struct iommu_domain *domain = atomic_load_explicit(&ep->domain, memory_order_acquire);
	uint32_t access = wanted(dir);
	struct iommu_view view;

	*pin = NULL;
	if (domain ? domain->bypass : atomic_load(&ep->iommu->bypass))
		return identity(dma, addr, len);
	if (!domain) {
		iommu_report(dma, addr, access, IOMMU_NO_DOMAIN);
		return NULL;
	}
	if (!find_pinned(&domain->map, cache, addr, &view)) {
		iommu_report(dma, addr, access, IOMMU_NO_MAPPING);
		return NULL;
	}
	if ((view.access & access) != access) {
		iommu_mapping_unpin(view.mapping);
		iommu_report(dma, addr, access, IOMMU_NO_MAPPING);
		return NULL;
	}
	if (*len - 1 > view.last - addr)
		*len = view.last - addr + 1;
	*pin = view.mapping;
	return view.host + (addr - view.first);
}

static bool find_region(const struct guest_memory *memory, uint64_t addr, struct iommu_range *out)
{
	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct memory_region *r = &memory->region[i];

		if (addr < r->base || addr - r->base >= r->size)
			continue;
		*out = (struct iommu_range){ r->base, r->base + r->size - 1, r->host,
					     IOMMU_READ | IOMMU_WRITE };
		return true;
	}
	return false;
}

bool iommu_lookup(const struct dma *dma, uint64_t addr, struct iommu_range *out,
		  enum iommu_fault_reason *reason)
{
	struct iommu_endpoint *ep = dma->endpoint;
	unsigned era = dma_enter(dma);
	struct iommu_domain *domain = atomic_load_explicit(&ep->domain, memory_order_acquire);
	bool found = false;

	*reason = domain ? IOMMU_NO_MAPPING : IOMMU_NO_DOMAIN;
	if (domain ? domain->bypass : atomic_load(&ep->iommu->bypass)) {
		*reason = IOMMU_NOT_MEMORY;
		found = find_region(dma->memory, addr, out);
	} else if (domain) {
		struct iommu_view view;

		found = iommu_map_find(&domain->map, addr, &view);
		if (found)
			*out = (struct iommu_range){ view.first, view.last, view.host,
						     view.access };
	}
	dma_leave(dma, era);
	return found;
}

/* --- Holds ----------------------------------------------------------------------------------- */

/* The whole range if it is one piece, else NULL; '*fault' is where it ends otherwise. */
static void *find_whole(const struct dma *dma, uint64_t addr, uint64_t len, uint32_t access,
			uint64_t *fault, enum iommu_fault_reason *reason)
{
	uint8_t *host = NULL;
	struct iommu_range range;

	*reason = IOMMU_NOT_MEMORY;
	if (len == 0 || len - 1 > UINT64_MAX - addr)
		return NULL;
	for (uint64_t done = 0; done < len; done += range.last - (addr + done) + 1) {
		*fault = addr + done;
		if (!iommu_lookup(dma, addr + done, &range, reason))
			return NULL;
		uint8_t *here = range.host + (addr + done - range.first);

		if ((range.access & access) != access)
			return NULL;
		/* What follows is about memory that is mapped, if not in one piece. */
		*reason = IOMMU_NOT_MEMORY;
		if (done == 0)
			host = here;
		else if (here != host + done)
			return NULL;
		/* The last address of all cannot be stepped over. */
		if (range.last >= addr + (len - 1))
			break;
	}
	return host;
}

bool iommu_hold_is_good(const struct dma_hold *hold)
{
	enum iommu_fault_reason reason;
	uint64_t fault;

	return find_whole(hold->dma, hold->addr, hold->len, wanted(hold->dir), &fault, &reason) ==
	       hold->host;
}

void *dma_hold(const struct dma *dma, uint64_t addr, uint64_t len, enum dma_dir dir,
	       struct dma_hold *hold)
{
	struct iommu_endpoint *ep = dma->endpoint;
	enum iommu_fault_reason reason;
	uint64_t fault = addr;

	*hold = (struct dma_hold){ .dma = dma, .addr = addr, .len = len, .dir = dir };
	if (!ep) {
		hold->host = dma_map(dma, addr, len, dir);
		return hold->host;
	}
	pthread_mutex_lock(&ep->iommu->lock);
	hold->host = find_whole(dma, addr, len, wanted(dir), &fault, &reason);
	if (hold->host) {
		hold->next = ep->holds;
		ep->holds = hold;
	}
	pthread_mutex_unlock(&ep->iommu->lock);
	if (!hold->host)
		iommu_report(dma, fault, wanted(dir), reason);
	return hold->host;
}

void dma_release(struct dma_hold *hold)
{
	struct iommu_endpoint *ep = hold->host ? hold->dma->endpoint : NULL;

	if (ep) {
		pthread_mutex_lock(&ep->iommu->lock);
		struct dma_hold **at = &ep->holds;
		while (*at != hold)
			at = &(*at)->next;
		*at = hold->next;
		pthread_mutex_unlock(&ep->iommu->lock);
	}
	hold->host = NULL;
}

void iommu_listen(const struct dma *dma, struct iommu_listener *listener)
{
	struct iommu_endpoint *ep = dma->endpoint;

	pthread_mutex_lock(&ep->iommu->lock);
	listener->next = ep->listeners;
	ep->listeners = listener;
	pthread_mutex_unlock(&ep->iommu->lock);
}

void iommu_unlisten(const struct dma *dma, struct iommu_listener *listener)
{
	struct iommu_endpoint *ep = dma->endpoint;

	pthread_mutex_lock(&ep->iommu->lock);
	for (struct iommu_listener **at = &ep->listeners; *at; at = &(*at)->next)
		if (*at == listener) {
			*at = listener->next;
			break;
		}
	pthread_mutex_unlock(&ep->iommu->lock);
}
