#include "devices/iommu_request.h"

#include "vmm/base/le.h"
#include "vmm/machine/iommu_map.h"

/* Offsets in the requests and how long each is, without its tail. */
enum {
	HEAD_SIZE = 4,

	ATTACH_DOMAIN = 4, ATTACH_ENDPOINT = 8, ATTACH_FLAGS = 12, ATTACH_RESERVED = 16,
	ATTACH_SIZE = 20,
	DETACH_DOMAIN = 4, DETACH_ENDPOINT = 8, DETACH_SIZE = 20,
	MAP_DOMAIN = 4, MAP_FIRST = 8, MAP_LAST = 16, MAP_PHYS = 24, MAP_FLAGS = 32,
	MAP_SIZE = 36,
	UNMAP_DOMAIN = 4, UNMAP_FIRST = 8, UNMAP_LAST = 16, UNMAP_RESERVED = 24, UNMAP_SIZE = 28,
	PROBE_ENDPOINT = 4, PROBE_REQUEST_SIZE = 72,
};

/* virtio-v1.4 5.13.6.9 "PROBE properties" */
enum { PROPERTY_RESV_MEM = 1, PROPERTY_HEAD = 4, RESV_MEM_SIZE = 24, RESV_MEM_MSI = 1 };

/* virtio-v1.4 5.13.6.10 "Fault reporting" */
enum { FAULT_F_READ = 1, FAULT_F_WRITE = 2, FAULT_F_ADDRESS = 1 << 8 };

static enum iommu_parse refuse(enum iommu_status *status, enum iommu_status why)
{
	*status = why;
	return IOMMU_PARSE_REFUSE;
}

static enum iommu_parse parse_attach(const struct iommu_request_rules *rules, const uint8_t *p,
				     struct iommu_request *out, enum iommu_status *status)
{
	uint32_t flags = load_le32(p + ATTACH_FLAGS);
	uint32_t known = rules->bypass_config ? IOMMU_ATTACH_F_BYPASS : 0;

	out->domain = load_le32(p + ATTACH_DOMAIN);
	out->endpoint = load_le32(p + ATTACH_ENDPOINT);
	out->bypass = flags & IOMMU_ATTACH_F_BYPASS;
	if (load_le32(p + ATTACH_RESERVED) != 0 || flags & ~known)
		return refuse(status, IOMMU_S_INVAL);
	if (rules->domain_range && out->domain > IOMMU_DOMAIN_LAST)
		return refuse(status, IOMMU_S_RANGE);
	return IOMMU_PARSE_OK;
}

static bool is_beyond(const struct iommu_request_rules *rules, const struct iommu_request *r)
{
	return r->first > r->last || (rules->input_range && r->last > IOMMU_INPUT_LAST);
}

static enum iommu_parse parse_map(const struct iommu_request_rules *rules, const uint8_t *p,
				  struct iommu_request *out, enum iommu_status *status)
{
	uint32_t flags = load_le32(p + MAP_FLAGS);

	out->domain = load_le32(p + MAP_DOMAIN);
	out->first = load_le64(p + MAP_FIRST);
	out->last = load_le64(p + MAP_LAST);
	out->phys = load_le64(p + MAP_PHYS);
	out->access = (flags & IOMMU_MAP_F_READ ? IOMMU_READ : 0u) |
		      (flags & IOMMU_MAP_F_WRITE ? IOMMU_WRITE : 0u);
	if (flags & ~(uint32_t)(IOMMU_MAP_F_READ | IOMMU_MAP_F_WRITE))
		return refuse(status, IOMMU_S_INVAL);
	/* The end may be the last address of all, and then wraps to an aligned 0. */
	if ((out->first | out->phys | (out->last + 1)) % IOMMU_GRANULE != 0 ||
	    is_beyond(rules, out))
		return refuse(status, IOMMU_S_RANGE);
	if (out->first <= IOMMU_MSI_LAST && out->last >= IOMMU_MSI_FIRST)
		return refuse(status, IOMMU_S_INVAL);
	return IOMMU_PARSE_OK;
}

static enum iommu_parse parse_unmap(const struct iommu_request_rules *rules, const uint8_t *p,
				    struct iommu_request *out, enum iommu_status *status)
{
	out->domain = load_le32(p + UNMAP_DOMAIN);
	out->first = load_le64(p + UNMAP_FIRST);
	out->last = load_le64(p + UNMAP_LAST);
	if (load_le32(p + UNMAP_RESERVED) != 0)
		return refuse(status, IOMMU_S_INVAL);
	return is_beyond(rules, out) ? refuse(status, IOMMU_S_RANGE) : IOMMU_PARSE_OK;
}

/* How many bytes a request of that type has; 0: there is none. */
static size_t size_of(const struct iommu_request_rules *rules, uint8_t type)
{
	switch (type) {
	case IOMMU_T_ATTACH: return ATTACH_SIZE;
	case IOMMU_T_DETACH: return DETACH_SIZE;
	case IOMMU_T_MAP: return rules->map_unmap ? MAP_SIZE : 0;
	case IOMMU_T_UNMAP: return rules->map_unmap ? UNMAP_SIZE : 0;
	case IOMMU_T_PROBE: return rules->probe ? PROBE_REQUEST_SIZE : 0;
	default: return 0;
	}
}

enum iommu_parse iommu_request_parse(const struct iommu_request_rules *rules, const void *bytes,
				     size_t len, struct iommu_request *out,
				     enum iommu_status *status)
{
	const uint8_t *p = bytes;
	size_t size = len >= HEAD_SIZE ? size_of(rules, p[0]) : 0;

	*out = (struct iommu_request){ 0 };
	if (size == 0)
		return IOMMU_PARSE_IGNORE;
	out->type = (enum iommu_request_type)p[0];
	if (len < size)
		return refuse(status, IOMMU_S_INVAL);
	switch (out->type) {
	case IOMMU_T_ATTACH: return parse_attach(rules, p, out, status);
	case IOMMU_T_MAP: return parse_map(rules, p, out, status);
	case IOMMU_T_UNMAP: return parse_unmap(rules, p, out, status);
	case IOMMU_T_DETACH:
		out->domain = load_le32(p + DETACH_DOMAIN);
		out->endpoint = load_le32(p + DETACH_ENDPOINT);
		return IOMMU_PARSE_OK;
	case IOMMU_T_PROBE:
		out->endpoint = load_le32(p + PROBE_ENDPOINT);
		return IOMMU_PARSE_OK;
	}
	return IOMMU_PARSE_IGNORE;
}

void iommu_write_properties(uint8_t *bytes)
{
	memset(bytes, 0, IOMMU_PROBE_SIZE);
	store_le16(bytes, PROPERTY_RESV_MEM);
	store_le16(bytes + 2, RESV_MEM_SIZE - PROPERTY_HEAD);
	bytes[4] = RESV_MEM_MSI;
	store_le64(bytes + 8, IOMMU_MSI_FIRST);
	store_le64(bytes + 16, IOMMU_MSI_LAST);
}

void iommu_write_fault(uint8_t *bytes, uint8_t reason, uint32_t access, uint32_t endpoint,
		       uint64_t addr)
{
	uint32_t flags = FAULT_F_ADDRESS | (access & IOMMU_READ ? FAULT_F_READ : 0u) |
			 (access & IOMMU_WRITE ? FAULT_F_WRITE : 0u);

	memset(bytes, 0, IOMMU_FAULT_SIZE);
	bytes[0] = reason;
	store_le32(bytes + 4, flags);
	store_le32(bytes + 8, endpoint);
	store_le64(bytes + 16, addr);
}
