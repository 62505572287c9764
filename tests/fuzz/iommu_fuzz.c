/*
 * Requests to the IOMMU in any bytes, and accesses of the devices behind it, against a model: three
 * endpoints, a domain per endpoint at most, a byte per page.  The model has its own idea of each
 * request's status, of every page that is probed, and of what keeps an UNMAP from being over.
 */
#include <errno.h>
#include <string.h>

#include "devices/iommu_request.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/fd.h"
#include "vmm/machine/iommu.h"

enum {
	PAGE = 4096, RAM_PAGES = 32, IOVA_PAGES = 48, ENDPOINTS = 3, N_MAPPINGS = 12,
	MAX_PINS = 8, MAX_STEPS = 400, NO_DOMAIN = -1,
};

/* A domain of the model; page[] is 0 or 1 + the page of memory. */
struct domain {
	uint32_t id;
	bool exists, bypass;
	unsigned page[IOVA_PAGES], access[IOVA_PAGES], mapping[IOVA_PAGES];
	unsigned next_mapping;
};

struct pin {
	struct iommu_mapping *mapping;
	unsigned endpoint, era;
	uint8_t *host;
};

struct world {
	struct iommu *iommu;
	const struct dma *dma[ENDPOINTS];
	struct dma_cache cache[ENDPOINTS];
	struct domain domain[ENDPOINTS];
	int in[ENDPOINTS];		/* index of the domain, or NO_DOMAIN */
	bool bypass;
	struct pin pin[MAX_PINS];
	unsigned n_pins;
	struct iommu_request_rules rules;
};

static uint8_t ram[RAM_PAGES * PAGE];
static const struct guest_memory memory = {
	.region = { { .base = 0, .size = sizeof(ram), .host = ram } }, .n_regions = 1,
	.fd = FD_NONE,
};

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
	/* Nobody holds a ring here. */
	CHECK(false);
}

static uint32_t id_of(unsigned endpoint)
{
	return 8 * (endpoint + 1);
}

/* --- The model ------------------------------------------------------------------------------- */

static int find_domain(const struct world *w, uint32_t id)
{
	for (int i = 0; i < ENDPOINTS; i++)
		if (w->domain[i].exists && w->domain[i].id == id)
			return i;
	return NO_DOMAIN;
}

static void forget_unused(struct world *w)
{
	for (int d = 0; d < ENDPOINTS; d++) {
		bool used = false;

		for (unsigned e = 0; e < ENDPOINTS; e++)
			used |= w->in[e] == d;
		if (!used)
			w->domain[d] = (struct domain){ 0 };
	}
}

static int model_attach(struct world *w, const struct iommu_request *r, int e)
{
	int d = find_domain(w, r->domain);

	if (d != NO_DOMAIN && w->domain[d].bypass != r->bypass)
		return -EINVAL;
	if (d == NO_DOMAIN) {
		w->in[e] = NO_DOMAIN;
		forget_unused(w);
		for (d = 0; w->domain[d].exists; d++)
			CHECK(d + 1 < ENDPOINTS);
		w->domain[d] = (struct domain){ r->domain, true, r->bypass };
	}
	w->in[e] = d;
	forget_unused(w);
	return 0;
}

static int model_map(struct domain *d, const struct iommu_request *r)
{
	uint64_t first = r->first / PAGE, n = (r->last - r->first) / PAGE + 1;

	if (d->bypass)
		return -EINVAL;
	if (r->phys / PAGE >= RAM_PAGES || n > RAM_PAGES - r->phys / PAGE)
		return -ERANGE;
	/* Elsewhere it is not looked at: there is nothing in the model. */
	for (uint64_t i = first; i < first + n && i < IOVA_PAGES; i++)
		if (d->page[i])
			return -EINVAL;
	d->next_mapping++;
	for (uint64_t i = first; i < first + n && i < IOVA_PAGES; i++) {
		d->page[i] = (unsigned)(r->phys / PAGE + (i - first) + 1);
		d->access[i] = r->access;
		d->mapping[i] = d->next_mapping;
	}
	return 0;
}

/* Would it split one?  'from' and 'to' are pages; what begins or ends inside of a page does. */
static bool splits(const struct domain *d, const struct iommu_request *r)
{
	for (unsigned i = 0; i < IOVA_PAGES; i++) {
		uint64_t at = (uint64_t)i * PAGE;
		bool first = r->first > at && r->first < at + PAGE;
		bool last = r->last >= at && r->last < at + PAGE - 1;

		if (d->page[i] && (first || last))
			return true;
		if (i == 0 || !d->page[i] || d->mapping[i - 1] != d->mapping[i])
			continue;
		if (r->first == at || r->last == at - 1)
			return true;
	}
	return false;
}

static int model_unmap(struct domain *d, const struct iommu_request *r)
{
	if (d->bypass)
		return -EINVAL;
	if (splits(d, r))
		return -ERANGE;
	for (unsigned i = 0; i < IOVA_PAGES; i++)
		if ((uint64_t)i * PAGE >= r->first && (uint64_t)i * PAGE <= r->last)
			d->page[i] = d->mapping[i] = 0;
	return 0;
}

/* --- Requests -------------------------------------------------------------------------------- */

static void build_bytes(struct fuzz_input *in, uint8_t *bytes)
{
	uint8_t how = fuzz_u8(in);
	uint64_t page = fuzz_u8(in) % IOVA_PAGES, n = fuzz_u8(in) % 8 + 1;

	memset(bytes, 0, IOMMU_REQUEST_MAX);
	bytes[0] = how % 5 + 1;
	store_le32(bytes + 4, fuzz_u8(in) % 4);
	switch (bytes[0]) {
	case IOMMU_T_ATTACH:
		store_le32(bytes + 12, how >> 6 & 1);
		/* fall through */
	case IOMMU_T_DETACH:
		store_le32(bytes + 8, id_of(how >> 4 & 3));
		break;
	case IOMMU_T_MAP:
		store_le64(bytes + 24, fuzz_u8(in) % (RAM_PAGES + 2) * (uint64_t)PAGE);
		store_le32(bytes + 32, how >> 6);
		/* fall through */
	case IOMMU_T_UNMAP:
		store_le64(bytes + 8, page * PAGE);
		store_le64(bytes + 16, (page + n) * PAGE - 1);
		break;
	}
	/* And something that is not meant. */
	uint8_t strange = fuzz_u8(in);

	if (strange & 0x80)
		bytes[strange % IOMMU_REQUEST_MAX] = fuzz_u8(in);
}

static bool is_in_model(const struct iommu_request *r)
{
	return r->last < (uint64_t)IOVA_PAGES * PAGE;
}

static int endpoint_of(uint32_t id)
{
	for (int e = 0; e < ENDPOINTS; e++)
		if (id == id_of((unsigned)e))
			return e;
	return NO_DOMAIN;
}

static bool has_pin(const struct world *w, int domain, uint64_t first, uint64_t last);

static void check_mapped(struct world *w, const struct iommu_request *r)
{
	int d = find_domain(w, r->domain);
	struct domain before;
	int got = iommu_map(w->iommu, r->domain, r->first, r->last, r->phys, r->access);

	if (d == NO_DOMAIN) {
		CHECK(got == -ENOENT);
		return;
	}
	before = w->domain[d];
	int want = model_map(&w->domain[d], r);

	/* There is an end to mappings, which the model does not count. */
	if (got == -ENOMEM && want == 0)
		w->domain[d] = before;
	else
		CHECK(got == want);
}

static void carry_out(struct world *w, const struct iommu_request *r)
{
	struct iommu_ticket ticket = { 0 };
	int e = endpoint_of(r->endpoint), d = find_domain(w, r->domain), got;

	switch (r->type) {
	case IOMMU_T_ATTACH:
		got = iommu_attach(w->iommu, r->endpoint, r->domain, r->bypass, &ticket);
		if (e == NO_DOMAIN)
			CHECK(got == -ENOENT);
		else if (got == -ENOMEM || got == -EOPNOTSUPP)
			CHECK(w->n_pins > 0);
		else
			CHECK(got == model_attach(w, r, e));
		break;
	case IOMMU_T_DETACH:
		got = iommu_detach(w->iommu, r->endpoint, r->domain, &ticket);
		if (e == NO_DOMAIN) {
			CHECK(got == -ENOENT);
		} else if (got == -ENOMEM) {
			CHECK(w->n_pins > 0);
		} else if (d == NO_DOMAIN || w->in[e] != d) {
			CHECK(got == -EINVAL);
		} else {
			CHECK(got == 0);
			w->in[e] = NO_DOMAIN;
			forget_unused(w);
		}
		break;
	case IOMMU_T_MAP:
		if (is_in_model(r))
			check_mapped(w, r);
		break;
	case IOMMU_T_UNMAP:
		if (d == NO_DOMAIN) {
			CHECK(iommu_unmap(w->iommu, r->domain, r->first, r->last, &ticket) ==
			      -ENOENT);
			break;
		}
		got = iommu_unmap(w->iommu, r->domain, r->first, r->last, &ticket);
		CHECK(got == model_unmap(&w->domain[d], r));
		if (got == 0 && !has_pin(w, d, r->first, r->last))
			CHECK(iommu_ticket_is_over(w->iommu, &ticket) || w->n_pins > 0);
		break;
	case IOMMU_T_PROBE:
		break;
	}
	if (w->n_pins == 0)
		CHECK(iommu_ticket_is_over(w->iommu, &ticket));
}

static void request(struct world *w, struct fuzz_input *in)
{
	uint8_t bytes[IOMMU_REQUEST_MAX];
	enum iommu_status status;
	struct iommu_request r;

	build_bytes(in, bytes);
	size_t len = fuzz_u8(in);

	if (iommu_request_parse(&w->rules, bytes, min_u64(len < 80 ? 72 : len - 80, sizeof(bytes)),
				&r, &status) == IOMMU_PARSE_OK)
		carry_out(w, &r);
}

/* --- Accesses -------------------------------------------------------------------------------- */

/* What the model says is there; NULL: nothing. */
static uint8_t *expected(const struct world *w, unsigned e, uint64_t addr, uint32_t access)
{
	const struct domain *d = w->in[e] == NO_DOMAIN ? NULL : &w->domain[w->in[e]];
	uint64_t page = addr / PAGE;

	if (d ? d->bypass : w->bypass)
		return page < RAM_PAGES ? ram + addr : NULL;
	if (!d || page >= IOVA_PAGES || !d->page[page] || (d->access[page] & access) != access)
		return NULL;
	return ram + (d->page[page] - 1) * (uint64_t)PAGE + addr % PAGE;
}

static bool has_pin(const struct world *w, int domain, uint64_t first, uint64_t last)
{
	(void)first;
	(void)last;
	for (unsigned i = 0; i < w->n_pins; i++)
		if (w->in[w->pin[i].endpoint] == domain)
			return true;
	return false;
}

static void unpin(struct world *w, unsigned i)
{
	struct pin *p = &w->pin[i];

	if (p->mapping)
		dma_unpin(p->mapping);
	dma_leave(w->dma[p->endpoint], p->era);
	*p = w->pin[--w->n_pins];
}

static void touch(struct world *w, struct fuzz_input *in)
{
	static const enum dma_dir dirs[] = { DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BOTH };
	uint8_t how = fuzz_u8(in);
	unsigned e = how % ENDPOINTS, dir = how >> 2 & 3;
	uint64_t addr = fuzz_u8(in) % (IOVA_PAGES + 1) * (uint64_t)PAGE + fuzz_u16(in) % PAGE;
	uint64_t len = fuzz_u16(in) + 1, wanted = len;
	struct pin p = { .endpoint = e };

	dir = dir > 2 ? 2 : dir;
	p.era = dma_enter(w->dma[e]);
	p.host = dma_pin(w->dma[e], &w->cache[e], addr, &len, dirs[dir], &p.mapping);
	CHECK(p.host == expected(w, e, addr, dir == 0 ? IOMMU_READ : dir == 1 ? IOMMU_WRITE :
								    IOMMU_READ | IOMMU_WRITE));
	if (!p.host) {
		CHECK(!p.mapping);
		dma_leave(w->dma[e], p.era);
		return;
	}
	/* Never more than was asked for, and inside of memory. */
	CHECK(len > 0 && len <= wanted);
	CHECK(p.host >= ram && p.host + len <= ram + sizeof(ram));
	w->pin[w->n_pins++] = p;
	if (how & 0x80 || w->n_pins == MAX_PINS)
		unpin(w, how % w->n_pins);
}

static void step(struct world *w, struct fuzz_input *in)
{
	struct iommu_fault fault;
	uint8_t op = fuzz_u8(in);

	switch (op % 8) {
	case 0: case 1: case 2: case 3:
		request(w, in);
		break;
	case 4: case 5:
		touch(w, in);
		break;
	case 6:
		if (w->n_pins > 0)
			unpin(w, op % w->n_pins);
		while (iommu_take_fault(w->iommu, &fault))
			CHECK(iommu_has_endpoint(w->iommu, fault.endpoint));
		break;
	case 7:
		if (op & 0x80) {
			iommu_reset(w->iommu);
			for (unsigned e = 0; e < ENDPOINTS; e++)
				w->in[e] = NO_DOMAIN;
			forget_unused(w);
		} else {
			w->bypass = op & 0x40;
			iommu_set_bypass(w->iommu, w->bypass);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct iommu_config config = { .n_endpoints = ENDPOINTS, .n_mappings = N_MAPPINGS };
	struct fuzz_input in = { data, len };
	static struct world w;
	unsigned domains, mappings;

	w = (struct world){ .rules = { true, true, true, true, true } };
	CHECK(iommu_create(&w.iommu, &config) == 0);
	iommu_set_memory(w.iommu, &memory);
	for (unsigned e = 0; e < ENDPOINTS; e++) {
		w.dma[e] = iommu_add_endpoint(w.iommu, id_of(e), lost, NULL);
		w.in[e] = NO_DOMAIN;
	}
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++)
		step(&w, &in);
	while (w.n_pins > 0)
		unpin(&w, 0);
	/* Nothing is left of it. */
	iommu_reset(w.iommu);
	for (unsigned i = 0; i < 4; i++)
		iommu_count(w.iommu, &domains, &mappings);
	CHECK(domains == 0 && mappings == 0);
	iommu_destroy(w.iommu);
	return 0;
}
