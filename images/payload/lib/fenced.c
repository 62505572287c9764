#include "images/payload/lib/fenced.h"

#include "virtio/features.h"

/* The program, what it has and its heap. */
#define HEAP_FIRST 0x100000ull
#define HEAP_LAST (FIELD_PHYS - 1)

bool fenced_find(struct fenced *f, uint32_t id, uint32_t domain, uint64_t iova)
{
	int64_t endpoint;

	*f = (struct fenced){ .domain = domain, .iova = iova };
	if (!driver_find(&f->driver, id))
		return false;
	endpoint = iommu_endpoint(&f->driver.v);
	f->endpoint = (uint32_t)endpoint;
	f->driver.v.iova = iova;
	return endpoint != IOMMU_NO_ENDPOINT;
}

bool fenced_attach(struct fenced *f, struct iommu *m)
{
	return virtio_reset(&f->driver.v) &&
	       iommu_attach(m, f->endpoint, f->domain, 0) == IOMMU_OK &&
	       iommu_map(m, f->domain, f->iova + HEAP_FIRST, f->iova + HEAP_LAST, HEAP_FIRST,
			 IOMMU_READ_WRITE) == IOMMU_OK;
}

bool fenced_open(struct fenced *f, uint64_t wanted, unsigned n_queues)
{
	return driver_open(&f->driver, wanted | 1ull << VIRTIO_F_ACCESS_PLATFORM, 0, n_queues,
			   false);
}

uint8_t fenced_map(struct fenced *f, struct iommu *m, const volatile void *at, unsigned n_pages,
		   uint32_t flags)
{
	uint64_t first = fenced_address(f, at);

	return iommu_map(m, f->domain, first, first + (uint64_t)n_pages * PAGE - 1, (uintptr_t)at,
			 flags);
}

uint8_t fenced_unmap(struct fenced *f, struct iommu *m, const volatile void *at, unsigned n_pages)
{
	uint64_t first = fenced_address(f, at);

	return iommu_unmap(m, f->domain, first, first + (uint64_t)n_pages * PAGE - 1);
}
