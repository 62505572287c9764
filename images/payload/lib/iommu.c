#include "images/payload/lib/iommu.h"

#include "images/payload/lib/acpi.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "virtio/features.h"

enum { REQUESTS, EVENTS, N_QUEUES, ALL_OWN = 0x7f };

/* --- VIOT ------------------------------------------------------------------------------------ */

enum {
	VIOT_N_NODES = 36, VIOT_FIRST = 38,
	NODE_PCI_RANGE = 1, NODE_MMIO = 2, NODE_IOMMU_PCI = 3, NODE_IOMMU_MMIO = 4,
};

static uint64_t number_at(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static uint32_t place_of(const struct virtio *v)
{
	return (uint32_t)(v->function.slot << 3 | v->function.function);
}

/* Call 'fn' with each node until it returns something else than IOMMU_NO_ENDPOINT. */
static int64_t each_node(const struct virtio *v,
			 int64_t (*fn)(const struct virtio *v, const uint8_t *node))
{
	const uint8_t *viot = (const uint8_t *)acpi_find("VIOT");
	uint64_t n, at;

	if (viot == NULL)
		return IOMMU_NO_ENDPOINT;
	n = number_at(viot + VIOT_N_NODES, 2);
	at = number_at(viot + VIOT_FIRST, 2);
	while (n-- > 0 && at + 4 <= number_at(viot + 4, 4)) {
		uint64_t len = number_at(viot + at + 2, 2);
		int64_t found = fn(v, viot + at);

		if (found != IOMMU_NO_ENDPOINT || len == 0)
			return found;
		at += len;
	}
	return IOMMU_NO_ENDPOINT;
}

static int64_t endpoint_in(const struct virtio *v, const uint8_t *node)
{
	uint64_t first, last, place = place_of(v);

	if (node[0] == NODE_MMIO && !v->is_pci && number_at(node + 8, 8) == v->base)
		return (int64_t)number_at(node + 4, 4);
	if (node[0] != NODE_PCI_RANGE || !v->is_pci)
		return IOMMU_NO_ENDPOINT;
	first = number_at(node + 12, 2);
	last = number_at(node + 14, 2);
	if (place < first || place > last)
		return IOMMU_NO_ENDPOINT;
	return (int64_t)(number_at(node + 4, 4) + place - first);
}

int64_t iommu_endpoint(const struct virtio *v)
{
	return each_node(v, endpoint_in);
}

static int64_t iommu_in(const struct virtio *v, const uint8_t *node)
{
	if (node[0] == NODE_IOMMU_PCI && v->is_pci && number_at(node + 6, 2) == place_of(v))
		return 0;
	if (node[0] == NODE_IOMMU_MMIO && !v->is_pci && number_at(node + 8, 8) == v->base)
		return 0;
	return IOMMU_NO_ENDPOINT;
}

bool iommu_is_described(const struct iommu *m)
{
	return each_node(&m->driver.v, iommu_in) == 0;
}

/* --- The device ------------------------------------------------------------------------------ */

bool iommu_find(struct iommu *m)
{
	*m = (struct iommu){ 0 };
	return driver_find(&m->driver, VIRTIO_ID_IOMMU);
}

void iommu_add_event_buffers(struct iommu *m, unsigned n)
{
	struct ring *r = &m->driver.ring[EVENTS];

	while (n-- > 0 && r->n_free > 0) {
		/* The id is not known before, but it is the next one that is free. */
		struct iommu_fault *e = m->event + r->free_head;

		memset(e, IOMMU_UNTOUCHED, sizeof(*e));
		ring_add(r, &(struct piece){ e, sizeof(*e) }, 0, 1);
	}
	ring_publish(r);
}

bool iommu_open(struct iommu *m, uint64_t wanted, unsigned n_events)
{
	if (m->request == NULL) {
		m->request = heap_alloc(IOMMU_SLOTS * IOMMU_SLOT_SIZE, 16);
		m->answer = heap_alloc(IOMMU_SLOTS * IOMMU_SLOT_SIZE, 16);
		m->event = heap_alloc(IOMMU_SLOTS * sizeof(*m->event), 16);
	}
	m->driver.size = IOMMU_SLOTS;
	if (!driver_open(&m->driver, wanted, ALL_OWN, N_QUEUES, false))
		return false;
	iommu_add_event_buffers(m, n_events);
	return true;
}

bool iommu_next_fault(struct iommu *m, struct iommu_fault *out, uint64_t wait)
{
	struct ring *r = &m->driver.ring[EVENTS];
	int id = -1;

	WAIT_UNTIL((id = ring_take(r)) >= 0, wait);
	if (id < 0)
		return false;
	*out = m->event[id];
	iommu_add_event_buffers(m, 1);
	return true;
}

unsigned iommu_submit(struct iommu *m, const void *request, uint32_t len, uint32_t in_len)
{
	struct ring *r = &m->driver.ring[REQUESTS];
	size_t at = (size_t)r->free_head * IOMMU_SLOT_SIZE;
	struct piece p[2];
	unsigned n = 0;

	memcpy(m->request + at, request, len);
	memset(m->answer + at, IOMMU_UNTOUCHED, IOMMU_SLOT_SIZE);
	if (len > 0)
		p[n++] = (struct piece){ m->request + at, len };
	if (in_len > 0)
		p[n++] = (struct piece){ m->answer + at, in_len };
	return ring_add(r, p, len > 0, in_len > 0);
}

void iommu_publish(struct iommu *m)
{
	ring_publish(&m->driver.ring[REQUESTS]);
}

int iommu_take(struct iommu *m)
{
	return ring_take(&m->driver.ring[REQUESTS]);
}

uint8_t iommu_request(struct iommu *m, const void *request, uint32_t len)
{
	unsigned id = iommu_submit(m, request, len, IOMMU_TAIL);

	iommu_publish(m);
	if (ring_wait(&m->driver.ring[REQUESTS]) != (int)id)
		return IOMMU_LOST;
	return iommu_answer(m, id)[0];
}

uint8_t iommu_attach(struct iommu *m, uint32_t endpoint, uint32_t domain, uint32_t flags)
{
	const struct iommu_attach_request r = {
		.type = IOMMU_ATTACH, .domain = domain, .endpoint = endpoint, .flags = flags,
	};

	return iommu_request(m, &r, sizeof(r));
}

uint8_t iommu_detach(struct iommu *m, uint32_t endpoint, uint32_t domain)
{
	const struct iommu_attach_request r = {
		.type = IOMMU_DETACH, .domain = domain, .endpoint = endpoint,
	};

	return iommu_request(m, &r, sizeof(r));
}

uint8_t iommu_map(struct iommu *m, uint32_t domain, uint64_t first, uint64_t last, uint64_t phys,
		  uint32_t flags)
{
	const struct iommu_map_request r = {
		.type = IOMMU_MAP, .domain = domain, .first = first, .last = last, .phys = phys,
		.flags = flags,
	};

	return iommu_request(m, &r, sizeof(r));
}

uint8_t iommu_unmap(struct iommu *m, uint32_t domain, uint64_t first, uint64_t last)
{
	const struct iommu_unmap_request r = {
		.type = IOMMU_UNMAP, .domain = domain, .first = first, .last = last,
	};

	return iommu_request(m, &r, sizeof(r));
}
