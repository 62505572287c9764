/* Guest RAM: one sealed memfd, one mapping per region, guard pages around each. */
#include "vmm/machine/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"

enum { PAGE = 4096, HUGE_PAGE = 2 << 20 };

static int complain(const struct memory_extent *extent, const char *why)
{
	return error_set(EINVAL, "guest memory region at 0x%llx, size 0x%llx: %s",
			 (unsigned long long)extent->base, (unsigned long long)extent->size, why);
}

static int check_extents(const struct memory_extent *extent, unsigned n, uint64_t page)
{
	uint64_t end = 0, total = 0;

	if (n == 0 || n > GUEST_MEMORY_MAX_REGIONS)
		return error_set(EINVAL, "guest memory of %u regions, not 1 to %d", n,
				 GUEST_MEMORY_MAX_REGIONS);
	for (unsigned i = 0; i < n; i++) {
		gpa_t base = extent[i].base;
		uint64_t size = extent[i].size;

		if (size == 0 || base % page || size % page)
			return complain(&extent[i], "not whole pages");
		/*
		 * Half of the space is far beyond any host, and keeps all sums below from
		 * wrapping.
		 */
		if (base < end || base > INT64_MAX || size > INT64_MAX - base ||
		    size > INT64_MAX - total)
			return complain(&extent[i], "overlaps, or is too large");
		end = base + size;
		total += size;
	}
	return 0;
}

/*
 * The seals keep a process that is handed the memfd (vhost-user) from shrinking it under us, which
 * would turn our next access into SIGBUS.
 */
static int create_memfd(int *out, uint64_t size, uint64_t huge_page)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	if (huge_page)
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(huge_page) << MFD_HUGE_SHIFT;
	*out = memfd_create("guest-ram", flags);
	if (*out < 0)
		return error_set(errno, "create a memfd");
	if (ftruncate(*out, (off_t)size) < 0)
		return error_set(errno, "set the size of the memfd to %llu bytes",
				 (unsigned long long)size);
	if (fcntl(*out, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set(errno, "seal the memfd");
	return 0;
}

/* Advice about mapped memory, which the kernel may not know. */
static int advise(const struct memory_region *region, int advice, const char *setting)
{
	if (madvise(region->host, region->size, advice) == 0)
		return 0;
	return error_set(errno, "%s: the host's kernel cannot do that", setting);
}

static int advise_kind(const struct memory_region *region, const struct memory_kind *kind)
{
	int r = 0;

	/* It is worth it where the host has huge pages for who asks (shmem_enabled is 'advise'). */
	if (kind->transparent == MEMORY_AS_HOST && !kind->huge_page)
		madvise(region->host, region->size, MADV_HUGEPAGE);
	if (kind->transparent == MEMORY_YES)
		r = advise(region, MADV_HUGEPAGE, "transparent huge pages for guest memory");
	else if (kind->transparent == MEMORY_NO)
		r = advise(region, MADV_NOHUGEPAGE, "no transparent huge pages");
	if (r == 0 && kind->merge)
		r = advise(region, MADV_MERGEABLE, "merge same pages of guest memory (KSM)");
	return r;
}

/*
 * Address space for 'size' bytes and their guard pages, where the host address of the first byte
 * is as far into a huge page as 'base' is: else KVM maps each page of 4 KiB by itself (it gives up
 * huge pages for the whole slot), and so does the host.
 */
static uint8_t *reserve(uint64_t size, gpa_t base, uint64_t huge_page)
{
	size_t span = size + 2 * PAGE, whole = span + huge_page;
	uint8_t *reserved = mmap(NULL, whole, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (reserved == MAP_FAILED)
		return NULL;
	size_t skip = (base - (uintptr_t)reserved - PAGE) % huge_page;

	if (skip > 0)
		munmap(reserved, skip);
	munmap(reserved + skip + span, whole - span - skip);
	return reserved + skip;
}

/* Pages of the pool are reserved when they are mapped: one missing later would be a SIGBUS. */
static int map_region(struct memory_region *region, int fd, const struct memory_kind *kind)
{
	int sharing = kind->merge ? MAP_PRIVATE : MAP_SHARED;
	int unreserved = kind->huge_page ? 0 : MAP_NORESERVE;
	uint8_t *reserved = reserve(region->size, region->base,
				    kind->huge_page ? kind->huge_page : HUGE_PAGE);

	if (!reserved)
		return error_set(errno, "reserve %llu bytes of address space",
				 (unsigned long long)region->size);
	region->host = mmap(reserved + PAGE, region->size, PROT_READ | PROT_WRITE,
			    sharing | unreserved | MAP_FIXED, fd, (off_t)region->fd_offset);
	if (region->host == MAP_FAILED) {
		int err = errno;
		munmap(reserved, region->size + 2 * PAGE);
		return error_set(err, "map %llu bytes of guest memory",
				 (unsigned long long)region->size);
	}
	/* It is the guest's: a core dump of Vireo shall not hold it.  Advice only. */
	madvise(region->host, region->size, MADV_DONTDUMP);
	return 0;
}

/* A number in the pool's folder, 0 where there is none. */
static unsigned long long pool(uint64_t huge_page, const char *name)
{
	unsigned long long n = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
		 (unsigned long long)(huge_page >> 10), name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/* How many of its pages nobody has, or will have. */
static unsigned long long pool_free(uint64_t huge_page)
{
	unsigned long long free = pool(huge_page, "free_hugepages");
	unsigned long long reserved = pool(huge_page, "resv_hugepages");

	return free > reserved ? free - reserved : 0;
}

static int complain_of_pool(uint64_t size, uint64_t huge_page)
{
	unsigned long long needed = size / huge_page, all = pool(huge_page, "nr_hugepages");
	unsigned long long free = pool_free(huge_page);
	char text[24];
	int r;

	text_format_size(text, huge_page);
	r = error_set(ENOMEM, "guest memory takes %llu huge pages of %s, and the host has %llu "
		      "free (of %llu)", needed, text, free, all);
	if (huge_page == MIB(2))
		error_hint("sudo sysctl vm.nr_hugepages=%llu", all + needed - free);
	else
		error_hint("echo %llu | sudo tee /sys/kernel/mm/hugepages/hugepages-%llukB/"
			   "nr_hugepages", all + needed - free,
			   (unsigned long long)(huge_page >> 10));
	return r;
}

int guest_memory_check_pool(uint64_t size, const struct memory_kind *kind)
{
	uint64_t page = kind->huge_page;
	unsigned long long more;

	if (!page)
		return 0;
	more = pool(page, "nr_overcommit_hugepages");
	return size / page > pool_free(page) + more ? complain_of_pool(size, page) : 0;
}

int guest_memory_create(struct guest_memory *mem, const struct memory_extent *extent, unsigned n)
{
	static const struct memory_kind ordinary;

	return guest_memory_create_kind(mem, extent, n, &ordinary);
}

int guest_memory_create_kind(struct guest_memory *mem, const struct memory_extent *extent,
			     unsigned n, const struct memory_kind *kind)
{
	uint64_t total = 0, offset = 0;
	int r = check_extents(extent, n, kind->huge_page ? kind->huge_page : PAGE);

	*mem = (struct guest_memory)GUEST_MEMORY_INIT;
	if (r < 0)
		return r;
	mem->granule = kind->huge_page ? kind->huge_page : (uint64_t)sysconf(_SC_PAGESIZE);
	mem->is_private = kind->merge;
	for (unsigned i = 0; i < n; i++)
		total += extent[i].size;
	r = create_memfd(&mem->fd, total, kind->huge_page);
	for (unsigned i = 0; i < n && r == 0; i++) {
		struct memory_region *region = &mem->region[i];

		region->base = extent[i].base;
		region->size = extent[i].size;
		region->fd_offset = offset;
		offset += region->size;
		r = map_region(region, mem->fd, kind);
		if (r == 0) {
			mem->n_regions++;
			r = advise_kind(region, kind);
		}
	}
	if (r < 0) {
		guest_memory_destroy(mem);
		if (kind->huge_page && (r == -ENOMEM || r == -ENODEV || r == -ENOENT))
			r = complain_of_pool(total, kind->huge_page);
		else if (r == -ENOMEM)
			error_hint("give the guest less memory (--memory), or raise 'ulimit -v'");
	}
	return r;
}

void guest_memory_destroy(struct guest_memory *mem)
{
	/* A zeroed object has no regions, and 0 is then not its memfd. */
	if (mem->n_regions == 0 && mem->fd == 0)
		return;
	if (mem->fd != FD_NONE)
		for (unsigned i = 0; i < mem->n_regions; i++)
			munmap(mem->region[i].host - PAGE,
			       mem->region[i].size + 2 * PAGE);
	fd_close(&mem->fd);
	mem->n_regions = 0;
}

static const struct memory_region *find(const struct guest_memory *mem, gpa_t gpa)
{
	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct memory_region *region = &mem->region[i];
		if (gpa >= region->base && gpa - region->base < region->size)
			return region;
	}
	return NULL;
}

void *guest_memory_at(const struct guest_memory *mem, gpa_t gpa, uint64_t len)
{
	const struct memory_region *region = find(mem, gpa);

	if (!region || !range_inside(gpa - region->base, len, region->size))
		return NULL;
	return region->host + (gpa - region->base);
}

uint64_t guest_memory_room(const struct guest_memory *mem, gpa_t gpa)
{
	const struct memory_region *region = find(mem, gpa);

	return region ? region->size - (gpa - region->base) : 0;
}

uint64_t guest_memory_size(const struct guest_memory *mem)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < mem->n_regions; i++)
		size += mem->region[i].size;
	return size;
}

/* Copies that only this process has; the memfd's own pages are below them. */
static void forget_private(const struct guest_memory *mem, uint8_t *host, uint64_t len)
{
	if (mem->is_private)
		madvise(host, len, MADV_DONTNEED);
}

int guest_memory_clear(struct guest_memory *mem)
{
	if (mem->fd == FD_NONE) {
		for (unsigned i = 0; i < mem->n_regions; i++)
			memset(mem->region[i].host, 0, mem->region[i].size);
		return 0;
	}
	for (unsigned i = 0; i < mem->n_regions; i++)
		forget_private(mem, mem->region[i].host, mem->region[i].size);
	if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)guest_memory_size(mem)) < 0)
		return error_set(errno, "give guest memory back to the host");
	return 0;
}

static int give_back(const struct guest_memory *mem, const struct memory_region *region,
		     uint64_t offset, uint64_t len)
{
	if (mem->fd == FD_NONE) {
		memset(region->host + offset, 0, len);
		return 0;
	}
	forget_private(mem, region->host + offset, len);
	if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(region->fd_offset + offset), (off_t)len) < 0)
		return error_set(errno, "give %llu bytes of guest memory back to the host",
				 (unsigned long long)len);
	return 0;
}

int guest_memory_discard(const struct guest_memory *mem, gpa_t gpa, uint64_t len, uint64_t *freed)
{
	const struct memory_region *region = find(mem, gpa);
	uint64_t granule = mem->granule ? mem->granule : PAGE, done = 0;
	int r = 0;

	if (freed)
		*freed = 0;
	if (!region || !range_inside(gpa - region->base, len, region->size))
		return error_set(EFAULT, "discard %llu bytes at 0x%llx: not RAM",
				 (unsigned long long)len, (unsigned long long)gpa);
	if (atomic_load(&mem->holds) > 0)
		return error_set(EBUSY, "guest memory is held");
	/* Pages of the host are pages of the memfd, wherever the region begins in it. */
	uint64_t start = align_up(region->fd_offset + (gpa - region->base), granule);
	uint64_t end = (region->fd_offset + (gpa - region->base) + len) & ~(granule - 1);
	if (start < end) {
		done = end - start;
		r = give_back(mem, region, start - region->fd_offset, done);
	}
	if (r == 0 && freed)
		*freed = done;
	return r;
}

void guest_memory_hold(struct guest_memory *mem)
{
	atomic_fetch_add(&mem->holds, 1);
}

void guest_memory_release(struct guest_memory *mem)
{
	atomic_fetch_sub(&mem->holds, 1);
}

bool guest_memory_locate(const struct guest_memory *mem, const void *host, gpa_t *gpa)
{
	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct memory_region *region = &mem->region[i];
		uintptr_t at = (uintptr_t)host - (uintptr_t)region->host;
		if (at < region->size) {
			*gpa = region->base + at;
			return true;
		}
	}
	return false;
}
