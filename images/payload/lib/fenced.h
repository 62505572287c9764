/*
 * A device behind the IOMMU, in a domain of its own in which the heap is mapped far from where it
 * lies.  What else it may reach, the program says.
 */
#ifndef PAYLOAD_FENCED_H
#define PAYLOAD_FENCED_H

#include "images/payload/lib/iommu.h"

enum { PAGE = 4096 };

/* Memory that no device can reach unless it is mapped: all above the heap. */
#define FIELD_PHYS 0x1000000ull

struct fenced {
	struct driver driver;
	uint32_t endpoint, domain;
	uint64_t iova;			/* what is added to the address of memory */
};

/* Find the first device of type 'id' and its endpoint.  False when there is none. */
bool fenced_find(struct fenced *f, uint32_t id, uint32_t domain, uint64_t iova);

/* Reset it, attach it to its domain and map the heap.  False when the IOMMU will not. */
bool fenced_attach(struct fenced *f, struct iommu *m);

/* As driver_open; ACCESS_PLATFORM is wanted always. */
bool fenced_open(struct fenced *f, uint64_t wanted, unsigned n_queues);

/* The device's address of memory. */
static inline uint64_t fenced_address(const struct fenced *f, const volatile void *at)
{
	return f->iova + (uintptr_t)at;
}

/* A piece that begins at an address of the device. */
static inline struct piece fenced_piece(const struct fenced *f, uint64_t address, uint32_t len)
{
	return (struct piece){ (void *)(address - f->iova), len };
}

/* Map / unmap whole pages of memory. */
uint8_t fenced_map(struct fenced *f, struct iommu *m, const volatile void *at, unsigned n_pages,
		   uint32_t flags);
uint8_t fenced_unmap(struct fenced *f, struct iommu *m, const volatile void *at,
		     unsigned n_pages);

static inline uint8_t *field_page(unsigned n)
{
	return (uint8_t *)(FIELD_PHYS + (uint64_t)n * PAGE);
}

#endif
