#include "vhost/vhost_memory.h"

#include <assert.h>

#include "vmm/base/fd.h"

enum { LOG_PAGE = 4096 };

static_assert((int)GUEST_MEMORY_MAX_REGIONS <= (int)VHOST_MAX_REGIONS, "all of a guest's RAM fits");

struct vhost_memory_table vhost_memory_describe(const struct guest_memory *memory)
{
	struct vhost_memory_table table = { .n = memory->n_regions };

	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct memory_region *r = &memory->region[i];
		table.region[i] = (struct vhost_region){
			.gpa = r->base,
			.size = r->size,
			.host = (uintptr_t)r->host,
			.fd = memory->is_private ? FD_NONE : memory->fd,
			.fd_offset = r->fd_offset,
		};
	}
	return table;
}

uint64_t vhost_memory_log_bytes(const struct guest_memory *memory)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < memory->n_regions; i++)
		end = max_u64(end, memory->region[i].base + memory->region[i].size);
	/* The kernel sets bits in words of 64. */
	return align_up((end + LOG_PAGE - 1) / LOG_PAGE, 64) / 8;
}
