#include "vmm/machine/bus.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"

static bool size_is_valid(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint64_t all_ones(unsigned size)
{
	return size < 8 ? (UINT64_C(1) << (8 * size)) - 1 : UINT64_MAX;
}

/*
 * The index of the first region whose base is above 'addr': where one at 'addr' would be
 * inserted.
 */
static unsigned first_above(const struct bus *bus, uint64_t addr)
{
	unsigned low = 0, high = bus->n_regions;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		if (bus->region[mid]->base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int complain(const struct bus *bus, const struct region *region, int err, const char *why,
		    const char *whom)
{
	return error_set(err, "%s bus: '%s' at 0x%llx, size 0x%llx: %s%s", bus->name, region->name,
			 (unsigned long long)region->base, (unsigned long long)region->size, why,
			 whom);
}

int bus_add(struct bus *bus, struct region *region)
{
	uint64_t last = region->base + region->size - 1;
	unsigned at = first_above(bus, region->base);

	if (region->size == 0 || last < region->base)
		return complain(bus, region, EINVAL, "empty, or beyond the end of the bus", "");
	if (at > 0) {
		const struct region *below = bus->region[at - 1];
		if (region->base - below->base < below->size)
			return complain(bus, region, EEXIST, "overlaps ", below->name);
	}
	if (at < bus->n_regions && bus->region[at]->base <= last)
		return complain(bus, region, EEXIST, "overlaps ", bus->region[at]->name);
	if (bus->n_regions == BUS_MAX_REGIONS)
		return complain(bus, region, ENOSPC, "the bus is full", "");

	memmove(&bus->region[at + 1], &bus->region[at],
		(bus->n_regions - at) * sizeof(bus->region[0]));
	bus->region[at] = region;
	bus->n_regions++;
	return 0;
}

void bus_remove(struct bus *bus, struct region *region)
{
	for (unsigned i = 0; i < bus->n_regions; i++) {
		if (bus->region[i] != region)
			continue;
		bus->n_regions--;
		memmove(&bus->region[i], &bus->region[i + 1],
			(bus->n_regions - i) * sizeof(bus->region[0]));
		return;
	}
}

static bool holds(const struct region *region, uint64_t addr, unsigned size)
{
	return addr >= region->base && range_inside(addr - region->base, size, region->size);
}

struct region *bus_find(struct bus *bus, uint64_t addr, unsigned size)
{
	/* Accesses come in runs to one device. */
	if (bus->last < bus->n_regions && holds(bus->region[bus->last], addr, size))
		return bus->region[bus->last];

	unsigned at = first_above(bus, addr);
	if (at == 0 || !holds(bus->region[at - 1], addr, size))
		return NULL;
	bus->last = at - 1;
	return bus->region[at - 1];
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size)
{
	struct region *region = size_is_valid(size) ? bus_find(bus, addr, size) : NULL;

	if (!region) {
		bus->unclaimed_reads++;
		return all_ones(size);
	}
	return region->ops->read(region->arg, addr - region->base, size) & all_ones(size);
}

void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
	struct region *region = size_is_valid(size) ? bus_find(bus, addr, size) : NULL;

	if (!region) {
		bus->unclaimed_writes++;
		return;
	}
	/* The region may be gone from the bus (a BAR that moves) when this returns. */
	region->ops->write(region->arg, addr - region->base, size, value & all_ones(size));
}
