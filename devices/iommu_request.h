/*
 * A request to the virtio IOMMU, as bytes and as what it means.  Pure.
 *
 * virtio-v1.4 5.13.6 "IOMMU Device", Device operations
 */
#ifndef DEVICES_IOMMU_REQUEST_H
#define DEVICES_IOMMU_REQUEST_H

#include "vmm/base/util.h"

enum iommu_request_type {
	IOMMU_T_ATTACH = 1,
	IOMMU_T_DETACH = 2,
	IOMMU_T_MAP = 3,
	IOMMU_T_UNMAP = 4,
	IOMMU_T_PROBE = 5,
};

enum iommu_status {
	IOMMU_S_OK = 0,
	IOMMU_S_UNSUPP = 2,
	IOMMU_S_DEVERR = 3,
	IOMMU_S_INVAL = 4,
	IOMMU_S_RANGE = 5,
	IOMMU_S_NOENT = 6,
	IOMMU_S_NOMEM = 8,
};

enum {
	IOMMU_ATTACH_F_BYPASS = 1,
	IOMMU_MAP_F_READ = 1,
	IOMMU_MAP_F_WRITE = 2,

	IOMMU_REQUEST_MAX = 72,		/* no request has more bytes for the device to read */
	IOMMU_TAIL_SIZE = 4,

	IOMMU_PROBE_SIZE = 64,		/* of the properties of an endpoint */
	IOMMU_FAULT_SIZE = 24,

	IOMMU_GRANULE = 4096,
};

/* The interrupt controllers' window: what devices write there are messages, not memory. */
#define IOMMU_MSI_FIRST UINT64_C(0xfee00000)
#define IOMMU_MSI_LAST UINT64_C(0xfeefffff)
/* Device addresses end here; more than any guest's user space has. */
#define IOMMU_INPUT_LAST ((UINT64_C(1) << 56) - 1)
enum { IOMMU_DOMAIN_LAST = 0xffff };

/* Which requests and flags there are, by what was negotiated; what is offered restricts. */
struct iommu_request_rules {
	bool map_unmap, probe, bypass_config;
	bool input_range, domain_range;
};

struct iommu_request {
	enum iommu_request_type type;
	uint32_t domain, endpoint;
	uint64_t first, last, phys;
	bool bypass;			/* ATTACH */
	uint32_t access;		/* MAP: enum iommu_access */
};

enum iommu_parse {
	IOMMU_PARSE_OK,
	IOMMU_PARSE_IGNORE,		/* no request that there is: the buffer is not written to */
	IOMMU_PARSE_REFUSE,		/* answered with '*status' at once */
};

/*
 * Judge the 'len' bytes that the driver wrote, of which at most IOMMU_REQUEST_MAX are looked at.
 * What depends on endpoints, domains and mappings is not judged here.
 */
enum iommu_parse iommu_request_parse(const struct iommu_request_rules *rules, const void *bytes,
				     size_t len, struct iommu_request *out,
				     enum iommu_status *status);

/* The IOMMU_PROBE_SIZE bytes of an endpoint's properties: they are the same for all. */
void iommu_write_properties(uint8_t *bytes);

/* A fault report of IOMMU_FAULT_SIZE bytes; 'access' is an enum iommu_access. */
void iommu_write_fault(uint8_t *bytes, uint8_t reason, uint32_t access, uint32_t endpoint,
		       uint64_t addr);

#endif
