/*
 * What the guest changes of an IOMMU.  A change first makes the tables say so, for all new
 * accesses; then tells those that keep translations; then finds out who still uses the old ones.
 */
#include "vmm/machine/iommu.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/iommu_impl.h"

/* How much of what was removed is given back beside a request, and when somebody waits for it. */
enum { COLLECT_LITTLE = 16, COLLECT_MUCH = 512 };

/* --- Making one ------------------------------------------------------------------------------ */

static int init(struct iommu *iommu, const struct iommu_config *config)
{
	unsigned n = config->n_endpoints;

	iommu->endpoint = calloc(n, sizeof(*iommu->endpoint));
	iommu->domain = calloc(2 * (size_t)n, sizeof(*iommu->domain));
	if (!iommu->endpoint || !iommu->domain)
		return error_set(ENOMEM, "create an IOMMU for %u devices", n);
	iommu->n_endpoints_max = n;
	for (; iommu->n_domains < 2 * n; iommu->n_domains++) {
		int r = iommu_map_init(&iommu->domain[iommu->n_domains].map, config->n_mappings);
		if (r < 0)
			return r;
	}
	int r = fd_create_event(&iommu->fault_fd);

	return r < 0 ? error_set(r, "create the eventfd for faults of an IOMMU") : 0;
}

int iommu_create(struct iommu **out, const struct iommu_config *config)
{
	struct iommu *iommu = calloc(1, sizeof(*iommu));

	*out = NULL;
	if (!iommu)
		return error_set(ENOMEM, "create an IOMMU");
	pthread_mutex_init(&iommu->lock, NULL);
	iommu->fault_fd = FD_NONE;
	atomic_init(&iommu->bypass, config->bypass);
	int r = init(iommu, config);

	if (r < 0) {
		iommu_destroy(iommu);
		return r;
	}
	*out = iommu;
	return 0;
}

void iommu_destroy(struct iommu *iommu)
{
	if (!iommu)
		return;
	for (unsigned i = 0; i < iommu->n_domains; i++)
		iommu_map_fini(&iommu->domain[i].map);
	fd_close(&iommu->fault_fd);
	pthread_mutex_destroy(&iommu->lock);
	free(iommu->domain);
	free(iommu->endpoint);
	free(iommu);
}

void iommu_set_memory(struct iommu *iommu, const struct guest_memory *memory)
{
	iommu->memory = memory;
}

static struct iommu_endpoint *find_endpoint(const struct iommu *iommu, uint32_t id)
{
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (iommu->endpoint[i].id == id)
			return &iommu->endpoint[i];
	return NULL;
}

bool iommu_has_endpoint(const struct iommu *iommu, uint32_t id)
{
	return find_endpoint(iommu, id) != NULL;
}

const struct dma *iommu_add_endpoint(struct iommu *iommu, uint32_t id,
				     void (*lost)(void *arg, const char *reason), void *arg)
{
	struct iommu_endpoint *ep = &iommu->endpoint[iommu->n_endpoints];

	if (iommu->n_endpoints == iommu->n_endpoints_max || find_endpoint(iommu, id))
		return NULL;
	ep->iommu = iommu;
	ep->dma = (struct dma){ .memory = iommu->memory, .endpoint = ep };
	ep->id = id;
	ep->lost = lost;
	ep->lost_arg = arg;
	iommu->n_endpoints++;
	return &ep->dma;
}

int iommu_fault_fd(const struct iommu *iommu)
{
	return iommu->fault_fd;
}

bool iommu_bypass(const struct iommu *iommu)
{
	return atomic_load(&iommu->bypass);
}

/* --- Eras of an endpoint --------------------------------------------------------------------- */

static void free_eras(struct iommu_endpoint *ep)
{
	for (unsigned i = 0; i < IOMMU_ERAS; i++)
		if (ep->eras[i].serial != 0 && atomic_load(&ep->eras[i].users) == 0)
			ep->eras[i].serial = 0;
}

/* Returns IOMMU_ERAS if there is none. */
static unsigned find_era(struct iommu_endpoint *ep)
{
	unsigned i = 0;

	free_eras(ep);
	while (i < IOMMU_ERAS && (i == atomic_load(&ep->era) || ep->eras[i].serial != 0))
		i++;
	return i;
}

static void end_era(struct iommu_endpoint *ep, uint64_t serial)
{
	unsigned next = find_era(ep), now = atomic_load(&ep->era);

	/* The earlier change: who waits for a later one waits for that, too. */
	if (ep->late != 0)
		serial = ep->late;
	ep->late = next == IOMMU_ERAS ? serial : 0;
	if (next == IOMMU_ERAS)
		return;
	ep->eras[now].serial = serial;
	atomic_store(&ep->era, next);
	free_eras(ep);
}

/* Are accesses over that began before change 'serial'? */
static bool is_over(struct iommu_endpoint *ep, uint64_t serial)
{
	if (ep->late != 0)
		end_era(ep, ep->late);
	free_eras(ep);
	for (unsigned i = 0; i < IOMMU_ERAS; i++)
		if (ep->eras[i].serial != 0 && ep->eras[i].serial <= serial)
			return false;
	return ep->late == 0 || ep->late > serial;
}

/* --- Holds and listeners --------------------------------------------------------------------- */

static bool overlaps(const struct dma_hold *hold, uint64_t first, uint64_t last)
{
	return hold->addr <= last && hold->addr + (hold->len - 1) >= first;
}

/* [first, last] of 'domain' is not what it was: who works with it permanently hears of that. */
static void invalidate(struct iommu_endpoint *ep, const struct iommu_domain *domain,
		       uint64_t first, uint64_t last, uint64_t serial)
{
	bool lost = false;

	for (struct dma_hold *h = ep->holds; h; h = h->next)
		if (h->lost == 0 && overlaps(h, first, last) && !iommu_hold_is_good(h)) {
			h->lost = serial;
			h->lost_in = domain;
			lost = true;
		}
	for (struct iommu_listener *l = ep->listeners; l; l = l->next)
		l->invalidate(l, first, last);
	if (lost)
		ep->lost(ep->lost_arg, "a ring of it is not mapped by its IOMMU any more");
}

/*
 * Does it still have a hold that was lost by change 'serial' or earlier, in 'domain' (NULL: in
 * any)?
 */
static bool has_lost(const struct iommu_endpoint *ep, const struct iommu_domain *domain,
		     uint64_t serial)
{
	for (const struct dma_hold *h = ep->holds; h; h = h->next)
		if (h->lost != 0 && h->lost <= serial && (!domain || h->lost_in == domain))
			return true;
	return false;
}

/* Does the endpoint work with nothing that change 'serial' or an earlier one took from it? */
static bool has_let_go(struct iommu_endpoint *ep, uint64_t serial)
{
	return is_over(ep, serial) && !has_lost(ep, NULL, serial);
}

/* --- Domains --------------------------------------------------------------------------------- */

static struct iommu_domain *find_domain(const struct iommu *iommu, uint32_t id)
{
	for (unsigned i = 0; i < iommu->n_domains; i++)
		if (iommu->domain[i].state == IOMMU_DOMAIN_LIVE && iommu->domain[i].id == id)
			return &iommu->domain[i];
	return NULL;
}

/* Nothing is left in it, and nobody can have found it before it ended and look into it now. */
static bool is_free(struct iommu *iommu, struct iommu_domain *domain)
{
	if (domain->state != IOMMU_DOMAIN_ENDING)
		return domain->state == IOMMU_DOMAIN_FREE;
	iommu_map_collect(&domain->map, COLLECT_LITTLE, true);
	if (domain->map.n > 0)
		return false;
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (!is_over(&iommu->endpoint[i], domain->ended))
			return false;
	domain->state = IOMMU_DOMAIN_FREE;
	return true;
}

static struct iommu_domain *create_domain(struct iommu *iommu, uint32_t id, bool bypass)
{
	for (unsigned i = 0; i < iommu->n_domains; i++) {
		struct iommu_domain *domain = &iommu->domain[i];

		if (!is_free(iommu, domain))
			continue;
		domain->id = id;
		domain->bypass = bypass;
		domain->n_endpoints = 0;
		domain->state = IOMMU_DOMAIN_LIVE;
		return domain;
	}
	return NULL;
}

static void leave(struct iommu_domain *domain, uint64_t serial)
{
	if (!domain || --domain->n_endpoints > 0)
		return;
	domain->state = IOMMU_DOMAIN_ENDING;
	domain->ended = serial;
	(void)!iommu_map_remove(&domain->map, 0, UINT64_MAX, serial);
}

/* --- Changes --------------------------------------------------------------------------------- */

/* The endpoint goes from where it is to 'domain' (NULL: to none). */
static void move(struct iommu_endpoint *ep, struct iommu_domain *domain)
{
	uint64_t serial = ++ep->iommu->serial;
	struct iommu_domain *before = atomic_load(&ep->domain);

	if (domain)
		domain->n_endpoints++;
	atomic_store(&ep->domain, domain);
	end_era(ep, serial);
	leave(before, serial);
	invalidate(ep, before, 0, UINT64_MAX, serial);
}

static struct iommu_ticket ticket_of_move(struct iommu_endpoint *ep)
{
	struct iommu_ticket ticket = { .serial = ep->iommu->serial, .endpoint = ep };

	if (has_let_go(ep, ticket.serial))
		ticket = (struct iommu_ticket){ 0 };
	return ticket;
}

static int attach(struct iommu *iommu, struct iommu_endpoint *ep, uint32_t id, bool bypass,
		  struct iommu_ticket *ticket)
{
	struct iommu_domain *domain = find_domain(iommu, id), *before = atomic_load(&ep->domain);

	if (domain && domain->bypass != bypass)
		return -EINVAL;
	if (domain && domain == before)
		return 0;
	if (!domain && find_era(ep) != IOMMU_ERAS)
		domain = create_domain(iommu, id, bypass);
	if (!domain || find_era(ep) == IOMMU_ERAS) {
		/* The look for a free one may have begun the last era that there was. */
		if (domain && domain->n_endpoints == 0)
			domain->state = IOMMU_DOMAIN_FREE;
		return before ? -EOPNOTSUPP : -ENOMEM;
	}
	move(ep, domain);
	*ticket = ticket_of_move(ep);
	return 0;
}

int iommu_attach(struct iommu *iommu, uint32_t endpoint, uint32_t domain, bool bypass,
		 struct iommu_ticket *ticket)
{
	struct iommu_endpoint *ep = find_endpoint(iommu, endpoint);

	*ticket = (struct iommu_ticket){ 0 };
	if (!ep)
		return -ENOENT;
	pthread_mutex_lock(&iommu->lock);
	int r = attach(iommu, ep, domain, bypass, ticket);
	pthread_mutex_unlock(&iommu->lock);
	return r;
}

static int detach(struct iommu *iommu, struct iommu_endpoint *ep, uint32_t id,
		  struct iommu_ticket *ticket)
{
	struct iommu_domain *domain = find_domain(iommu, id);

	if (!domain || domain != atomic_load(&ep->domain))
		return -EINVAL;
	if (find_era(ep) == IOMMU_ERAS)
		return -ENOMEM;
	move(ep, NULL);
	*ticket = ticket_of_move(ep);
	return 0;
}

int iommu_detach(struct iommu *iommu, uint32_t endpoint, uint32_t domain,
		 struct iommu_ticket *ticket)
{
	struct iommu_endpoint *ep = find_endpoint(iommu, endpoint);

	*ticket = (struct iommu_ticket){ 0 };
	if (!ep)
		return -ENOENT;
	pthread_mutex_lock(&iommu->lock);
	int r = detach(iommu, ep, domain, ticket);
	pthread_mutex_unlock(&iommu->lock);
	return r;
}

static int map(struct iommu_domain *domain, const struct guest_memory *memory, uint64_t first,
	       uint64_t last, uint64_t phys, uint32_t access)
{
	uint8_t *host;

	if (!domain)
		return -ENOENT;
	if (domain->bypass)
		return -EINVAL;
	/* A range of 2^64 bytes has no length, and is no memory either. */
	if (first > last || last - first == UINT64_MAX)
		return -ERANGE;
	host = guest_memory_at(memory, phys, last - first + 1);
	if (!host)
		return -ERANGE;
	iommu_map_collect(&domain->map, COLLECT_LITTLE, false);
	int r = iommu_map_insert(&domain->map, first, last, host, access);
	if (r == -ENOSPC) {
		iommu_map_collect(&domain->map, COLLECT_MUCH, true);
		r = iommu_map_insert(&domain->map, first, last, host, access);
	}
	return r == -EEXIST ? -EINVAL : r == -ENOSPC ? -ENOMEM : r;
}

int iommu_map(struct iommu *iommu, uint32_t domain, uint64_t first, uint64_t last, uint64_t phys,
	      uint32_t access)
{
	pthread_mutex_lock(&iommu->lock);
	int r = map(find_domain(iommu, domain), iommu->memory, first, last, phys, access);
	pthread_mutex_unlock(&iommu->lock);
	return r;
}

static bool unmap_is_over(struct iommu *iommu, struct iommu_domain *domain, uint64_t serial)
{
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (has_lost(&iommu->endpoint[i], domain, serial))
			return false;
	return iommu_map_is_quiet(&domain->map, serial);
}

static int unmap(struct iommu *iommu, struct iommu_domain *domain, uint64_t first, uint64_t last,
		 struct iommu_ticket *ticket)
{
	if (!domain)
		return -ENOENT;
	if (domain->bypass)
		return -EINVAL;
	if (first > last)
		return -ERANGE;
	uint64_t serial = ++iommu->serial;
	int r = iommu_map_remove(&domain->map, first, last, serial);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (atomic_load(&iommu->endpoint[i].domain) == domain)
			invalidate(&iommu->endpoint[i], domain, first, last, serial);
	iommu_map_collect(&domain->map, COLLECT_MUCH, false);
	if (!unmap_is_over(iommu, domain, serial))
		*ticket = (struct iommu_ticket){ .serial = serial, .domain = domain };
	return 0;
}

int iommu_unmap(struct iommu *iommu, uint32_t domain, uint64_t first, uint64_t last,
		struct iommu_ticket *ticket)
{
	*ticket = (struct iommu_ticket){ 0 };
	pthread_mutex_lock(&iommu->lock);
	int r = unmap(iommu, find_domain(iommu, domain), first, last, ticket);
	pthread_mutex_unlock(&iommu->lock);
	return r;
}

void iommu_set_bypass(struct iommu *iommu, bool bypass)
{
	pthread_mutex_lock(&iommu->lock);
	if (atomic_exchange(&iommu->bypass, bypass) != bypass)
		for (unsigned i = 0; i < iommu->n_endpoints; i++)
			if (!atomic_load(&iommu->endpoint[i].domain))
				move(&iommu->endpoint[i], NULL);
	pthread_mutex_unlock(&iommu->lock);
}

void iommu_reset(struct iommu *iommu)
{
	pthread_mutex_lock(&iommu->lock);
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (atomic_load(&iommu->endpoint[i].domain))
			move(&iommu->endpoint[i], NULL);
	pthread_mutex_unlock(&iommu->lock);
}

/* --- Tickets --------------------------------------------------------------------------------- */

bool iommu_ticket_is_over(struct iommu *iommu, const struct iommu_ticket *ticket)
{
	bool over = true;

	if (ticket->serial == 0)
		return true;
	pthread_mutex_lock(&iommu->lock);
	if (ticket->domain) {
		iommu_map_collect(&ticket->domain->map, COLLECT_MUCH, true);
		over = unmap_is_over(iommu, ticket->domain, ticket->serial);
	} else {
		over = has_let_go(ticket->endpoint, ticket->serial);
	}
	pthread_mutex_unlock(&iommu->lock);
	return over;
}

/* Whoever holds no ring has nothing in progress either. */
static void stop_device(struct iommu_endpoint *ep)
{
	if (ep->holds)
		ep->lost(ep->lost_arg, "memory that it works with was unmapped by the guest");
}

void iommu_ticket_enforce(struct iommu *iommu, const struct iommu_ticket *ticket)
{
	pthread_mutex_lock(&iommu->lock);
	for (unsigned i = 0; ticket->serial != 0 && i < iommu->n_endpoints; i++) {
		struct iommu_endpoint *ep = &iommu->endpoint[i];
		bool concerned = ticket->endpoint == ep ||
				 (ticket->domain && ticket->domain == atomic_load(&ep->domain));

		if (concerned)
			stop_device(ep);
	}
	pthread_mutex_unlock(&iommu->lock);
}

bool iommu_is_quiet(struct iommu *iommu)
{
	bool quiet = true;

	pthread_mutex_lock(&iommu->lock);
	for (unsigned i = 0; i < iommu->n_endpoints && quiet; i++)
		quiet = has_let_go(&iommu->endpoint[i], iommu->serial);
	pthread_mutex_unlock(&iommu->lock);
	return quiet;
}

void iommu_enforce(struct iommu *iommu)
{
	pthread_mutex_lock(&iommu->lock);
	for (unsigned i = 0; i < iommu->n_endpoints; i++)
		if (!has_let_go(&iommu->endpoint[i], iommu->serial))
			stop_device(&iommu->endpoint[i]);
	pthread_mutex_unlock(&iommu->lock);
}

void iommu_count(struct iommu *iommu, unsigned *domains, unsigned *mappings)
{
	pthread_mutex_lock(&iommu->lock);
	*domains = *mappings = 0;
	for (unsigned i = 0; i < iommu->n_domains; i++) {
		*domains += !is_free(iommu, &iommu->domain[i]);
		*mappings += iommu->domain[i].map.n;
	}
	pthread_mutex_unlock(&iommu->lock);
}
