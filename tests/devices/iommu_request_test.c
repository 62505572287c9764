/* What the bytes of a request mean, and which cannot be. */
#include "devices/iommu_request.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/le.h"
#include "vmm/machine/iommu_map.h"

static const struct iommu_request_rules all = {
	.map_unmap = true, .probe = true, .bypass_config = true,
	.input_range = true, .domain_range = true,
};

static struct iommu_request request;
static enum iommu_status status;

static enum iommu_parse parse(const uint8_t *bytes, size_t len)
{
	status = 0xff;
	return iommu_request_parse(&all, bytes, len, &request, &status);
}

Test(iommu_request, is_as_long_as_its_type_says)
{
	static const size_t size[] = { 0, 20, 20, 36, 28, 72, 0 };
	uint8_t bytes[IOMMU_REQUEST_MAX] = { 0 };

	for (uint8_t type = 0; type < ARRAY_SIZE(size); type++) {
		bytes[0] = type;
		for (size_t len = 0; len <= sizeof(bytes); len++) {
			enum iommu_parse p = parse(bytes, len);

			if (size[type] == 0 || len < 4)
				cr_expect_eq(p, IOMMU_PARSE_IGNORE);
			else if (len < size[type])
				cr_expect(p == IOMMU_PARSE_REFUSE && status == IOMMU_S_INVAL);
			else
				cr_expect(p == IOMMU_PARSE_OK || type == IOMMU_T_MAP);
		}
	}
}

Test(iommu_request, fields_are_where_the_specification_has_them)
{
	uint8_t bytes[IOMMU_REQUEST_MAX] = { IOMMU_T_MAP, 0xa5, 0xa5, 0xa5 };

	store_le32(bytes + 4, 7);
	store_le64(bytes + 8, 0x123000);
	store_le64(bytes + 16, 0x124fff);
	store_le64(bytes + 24, 0x456000);
	store_le32(bytes + 32, 2);
	cr_assert_eq(parse(bytes, 36), IOMMU_PARSE_OK);
	cr_expect_eq(request.domain, 7);
	cr_expect(request.first == 0x123000 && request.last == 0x124fff);
	cr_expect_eq(request.phys, 0x456000);
	cr_expect_eq(request.access, IOMMU_WRITE);
	bytes[0] = IOMMU_T_ATTACH;
	store_le32(bytes + 8, 9);
	store_le32(bytes + 12, 1);
	store_le32(bytes + 16, 0);
	cr_assert_eq(parse(bytes, 20), IOMMU_PARSE_OK);
	cr_expect(request.domain == 7 && request.endpoint == 9 && request.bypass);
}

Test(iommu_request, without_ranges_the_last_page_of_all_can_be_mapped)
{
	struct iommu_request_rules rules = all;
	uint8_t bytes[IOMMU_REQUEST_MAX] = { IOMMU_T_MAP };

	store_le64(bytes + 8, UINT64_MAX - 0xfff);
	store_le64(bytes + 16, UINT64_MAX);
	cr_expect_eq(parse(bytes, 36), IOMMU_PARSE_REFUSE);
	cr_expect_eq(status, IOMMU_S_RANGE);
	rules.input_range = false;
	cr_expect_eq(iommu_request_parse(&rules, bytes, 36, &request, &status), IOMMU_PARSE_OK);
}
