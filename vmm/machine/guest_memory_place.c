/* Guest RAM on the host: which node it comes from, and taking all of it at the start. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/guest_memory.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
	PAGE = 4096,
	MAX_NODES = 1024,
	MAX_HELPERS = 7,
	WORD_BITS = 8 * sizeof(unsigned long),
};
/* What a thread takes on at a time. */
#define PIECE MIB(256)

/* --- Nodes ----------------------------------------------------------------------------------- */

static int bind_range(uint8_t *host, uint64_t len, unsigned node)
{
	unsigned long mask[MAX_NODES / WORD_BITS] = { 0 };

	mask[node / WORD_BITS] = 1ul << node % WORD_BITS;
	if (syscall(SYS_mbind, host, len, MPOL_BIND, mask, (unsigned long)MAX_NODES + 1, 0) == 0)
		return 0;
	return error_set(errno, "take guest memory from node %u of the host", node);
}

int guest_memory_bind(struct guest_memory *mem, uint64_t offset, uint64_t len, unsigned node)
{
	uint64_t start = 0;

	if (node >= MAX_NODES)
		return error_set(EINVAL, "take guest memory from node %u of the host", node);
	for (unsigned i = 0; i < mem->n_regions && len > 0; i++) {
		const struct memory_region *region = &mem->region[i];

		if (offset < start + region->size) {
			uint64_t in_region = offset - start;
			uint64_t part = min_u64(len, region->size - in_region);
			int r = bind_range(region->host + in_region, part, node);

			if (r < 0)
				return r;
			offset += part;
			len -= part;
		}
		start += region->size;
	}
	return 0;
}

/* --- What the host does not do --------------------------------------------------------------- */

/* Does the file have that text? */
static bool file_says(const char *path, const char *text)
{
	char line[256] = "";
	FILE *f = fopen(path, "re");
	bool says = f && fgets(line, sizeof(line), f) && strstr(line, text);

	if (f)
		fclose(f);
	return says;
}

void guest_memory_warn(const struct memory_kind *kind)
{
	static const char shmem[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	static const char ksm[] = "/sys/kernel/mm/ksm/run";

	if (kind->transparent == MEMORY_YES && !kind->merge &&
	    (file_says(shmem, "[never]") || file_says(shmem, "[deny]")))
		log_warning("transparent huge pages have no effect: %s says 'never'; 'advise' "
			    "would do", shmem);
	if (kind->merge && file_says(ksm, "0"))
		log_warning("same pages are not merged: the host's KSM does not run; start it by "
			    "'echo 1 >%s'", ksm);
}

/* --- Taking it at the start ------------------------------------------------------------------ */

/* Pieces are taken by whoever is free. */
struct prefault {
	const struct guest_memory *mem;
	atomic_uint next;
	atomic_int error;	/* errno of the first failure */
};

/* Piece number 'index' of all regions; false: there are no more. */
static bool find_piece(const struct guest_memory *mem, uint64_t index, uint8_t **at, uint64_t *len)
{
	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct memory_region *region = &mem->region[i];
		uint64_t pieces = (region->size + PIECE - 1) / PIECE;

		if (index < pieces) {
			*at = region->host + index * PIECE;
			*len = min_u64(PIECE, region->size - index * PIECE);
			return true;
		}
		index -= pieces;
	}
	return false;
}

static int touch(uint8_t *at, uint64_t len)
{
	if (madvise(at, len, MADV_POPULATE_WRITE) == 0)
		return 0;
	/* EINVAL: a kernel before 5.14 does not know the advice. */
	if (errno != EINVAL)
		return errno;
	for (uint64_t i = 0; i < len; i += PAGE) {
		volatile uint8_t *byte = at + i;
		uint8_t as_it_was = *byte;
		*byte = as_it_was;
	}
	return 0;
}

static void *prefault_pieces(void *arg)
{
	struct prefault *p = arg;
	uint8_t *at;
	uint64_t len;

	while (atomic_load(&p->error) == 0 &&
	       find_piece(p->mem, atomic_fetch_add(&p->next, 1), &at, &len)) {
		int none = 0, err = touch(at, len);
		if (err)
			atomic_compare_exchange_strong(&p->error, &none, err);
	}
	return NULL;
}

int guest_memory_prefault(struct guest_memory *mem)
{
	struct prefault p = { .mem = mem };
	pthread_t helper[MAX_HELPERS];
	uint64_t pieces = guest_memory_size(mem) / PIECE;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = 0;

	/* Helpers are a help: without them it takes longer. */
	while (n < MAX_HELPERS && n + 1 < pieces && (long)n + 1 < cpus &&
	       pthread_create(&helper[n], NULL, prefault_pieces, &p) == 0)
		n++;
	prefault_pieces(&p);
	while (n > 0)
		pthread_join(helper[--n], NULL);
	int err = atomic_load(&p.error);
	return err ? error_set(err, "populate %llu bytes of guest memory",
			       (unsigned long long)guest_memory_size(mem)) : 0;
}
