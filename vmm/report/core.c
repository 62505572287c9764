#include "vmm/report/core.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/machine/x86/page_walk.h"

enum {
	PAGE = 4096,
	MAX_COLLECTED = 16384,		/* pieces, of which the largest are kept */
	MAX_ENTRIES = 1 << 21,		/* of page tables that are looked at */
	WRITE_AT_ONCE = 1 << 20,
};

struct core {
	int fd;
	const struct guest_memory *mem;
	const struct cpu_look *cpu;
	unsigned n_cpus;
	struct page_piece *piece;
	unsigned n_pieces;
	char info[PAGE];		/* VMCOREINFO, a copy */
	size_t info_len;
	uint64_t data_offset;		/* of the first region in the file */
	uint64_t written;
};

/* --- What is in memory ------------------------------------------------------------------------ */

/*
 * The next range of the region with pages that the host has given, from '*at' on (offset into the
 * region).  Returns false at the end.  A page of private memory that was written has one of the
 * memfd below it, which Linux gave it to copy: the memfd tells of both kinds.
 */
static bool next_data(const struct core *c, const struct memory_region *region, uint64_t *at,
		      uint64_t *end)
{
	off_t from, to, limit = (off_t)(region->fd_offset + region->size);

	if (*at >= region->size)
		return false;
	*end = region->size;
	if (c->mem->fd == -1)
		return true;
	from = lseek(c->mem->fd, (off_t)(region->fd_offset + *at), SEEK_DATA);
	if (from < 0)
		return errno != ENXIO;	/* it cannot tell: all of it */
	if (from >= limit)
		return false;
	to = lseek(c->mem->fd, from, SEEK_HOLE);
	*at = (uint64_t)from - region->fd_offset;
	if (to >= 0 && to < limit)
		*end = (uint64_t)to - region->fd_offset;
	return *end > *at;
}

/* Linux keeps it in a page of its own, which it begins like that. */
static void find_vmcoreinfo(struct core *c)
{
	static const char begin[] = "OSRELEASE=";

	for (unsigned i = 0; i < c->mem->n_regions; i++) {
		const struct memory_region *region = &c->mem->region[i];
		uint64_t at = 0, end;
		for (; next_data(c, region, &at, &end); at = end) {
			for (uint64_t page = at & ~(uint64_t)(PAGE - 1); page < end; page += PAGE) {
				if (memcmp(region->host + page, begin, sizeof(begin) - 1) != 0)
					continue;
				memcpy(c->info, region->host + page, PAGE);
				c->info_len = strnlen(c->info, PAGE);
				/* A kernel's, not the text of a program that knows of it. */
				if (memmem(c->info, c->info_len, "\nPAGESIZE=", 10))
					return;
			}
		}
	}
	c->info_len = 0;
}

static int by_size(const void *a, const void *b)
{
	const struct page_piece *x = a, *y = b;

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static int by_address(const void *a, const void *b)
{
	const struct page_piece *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* The page tables of the kernel, rather than those that a program sees of it. */
static const struct cpu_look *choose_cpu(const struct core *c)
{
	const struct cpu_look *best = NULL;

	for (unsigned i = 0; i < c->n_cpus; i++) {
		const struct cpu_look *look = &c->cpu[i];
		if (look->doing != CPU_RUNNING && look->doing != CPU_HALTED)
			continue;
		if (!best || (best->privilege > 0 && look->privilege == 0))
			best = look;
	}
	return best;
}

static int find_pieces(struct core *c)
{
	const struct cpu_look *look = choose_cpu(c);

	if (!look)
		return 0;
	c->piece = calloc(MAX_COLLECTED, sizeof(*c->piece));
	if (!c->piece)
		return error_set(ENOMEM, "look at the page tables");
	const struct paging paging = { look->cr0, look->cr3, look->cr4, look->efer };
	c->n_pieces = page_pieces(c->mem, &paging, c->piece, MAX_COLLECTED, MAX_ENTRIES);
	qsort(c->piece, c->n_pieces, sizeof(*c->piece), by_size);
	c->n_pieces = (unsigned)min_u64(c->n_pieces, CORE_MAX_PIECES);
	qsort(c->piece, c->n_pieces, sizeof(*c->piece), by_address);
	return 0;
}

/* --- Headers and notes ------------------------------------------------------------------------ */

static uint64_t offset_of(const struct core *c, gpa_t gpa)
{
	uint64_t offset = c->data_offset;

	for (unsigned i = 0; i < c->mem->n_regions; i++) {
		const struct memory_region *r = &c->mem->region[i];
		if (gpa >= r->base && gpa - r->base < r->size)
			return offset + (gpa - r->base);
		offset += r->size;
	}
	return offset;
}

static void put_note(FILE *out, const char *name, unsigned type, const void *desc, size_t len)
{
	static const char zeros[4];
	Elf64_Nhdr head = { .n_namesz = (Elf64_Word)strlen(name) + 1, .n_descsz = (Elf64_Word)len,
			    .n_type = type };

	fwrite(&head, sizeof(head), 1, out);
	fwrite(name, head.n_namesz, 1, out);
	fwrite(zeros, -head.n_namesz & 3, 1, out);
	fwrite(desc, len, 1, out);
	fwrite(zeros, -len & 3, 1, out);
}

static void put_cpu(FILE *out, const struct cpu_look *look)
{
	struct elf_prstatus status = { .pr_pid = (int)look->index + 1 };
	struct user_regs_struct regs = {
		.r15 = look->reg[15], .r14 = look->reg[14], .r13 = look->reg[13],
		.r12 = look->reg[12], .rbp = look->reg[CPU_RBP], .rbx = look->reg[CPU_RBX],
		.r11 = look->reg[11], .r10 = look->reg[10], .r9 = look->reg[9],
		.r8 = look->reg[8], .rax = look->reg[CPU_RAX], .rcx = look->reg[CPU_RCX],
		.rdx = look->reg[CPU_RDX], .rsi = look->reg[CPU_RSI], .rdi = look->reg[CPU_RDI],
		.orig_rax = UINT64_MAX, .rip = look->rip, .cs = look->segment[SEG_CS].selector,
		.eflags = look->rflags, .rsp = look->reg[CPU_RSP],
		.ss = look->segment[SEG_SS].selector, .fs_base = look->segment[SEG_FS].base,
		.gs_base = look->segment[SEG_GS].base, .ds = look->segment[SEG_DS].selector,
		.es = look->segment[SEG_ES].selector, .fs = look->segment[SEG_FS].selector,
		.gs = look->segment[SEG_GS].selector,
	};

	memcpy(&status.pr_reg, &regs, sizeof(regs));
	put_note(out, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static void put_notes(const struct core *c, FILE *out)
{
	for (unsigned i = 0; i < c->n_cpus; i++)
		put_cpu(out, &c->cpu[i]);
	if (c->info_len)
		put_note(out, "VMCOREINFO", 0, c->info, c->info_len);
}

static void put_load(const struct core *c, FILE *out, uint64_t vaddr, gpa_t gpa, uint64_t size)
{
	const Elf64_Phdr load = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_offset = offset_of(c, gpa),
		.p_vaddr = vaddr, .p_paddr = gpa, .p_filesz = size, .p_memsz = size,
	};

	fwrite(&load, sizeof(load), 1, out);
}

static void put_headers(const struct core *c, FILE *out, size_t notes_len)
{
	unsigned n = 1 + c->n_pieces + c->mem->n_regions;
	const Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = sizeof(head), .e_ehsize = sizeof(head),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (Elf64_Half)n,
	};
	const Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = sizeof(head) + n * sizeof(note),
		.p_filesz = notes_len,
	};

	fwrite(&head, sizeof(head), 1, out);
	fwrite(&note, sizeof(note), 1, out);
	for (unsigned i = 0; i < c->n_pieces; i++)
		put_load(c, out, c->piece[i].address, c->piece[i].gpa, c->piece[i].size);
	for (unsigned i = 0; i < c->mem->n_regions; i++)
		put_load(c, out, c->mem->region[i].base, c->mem->region[i].base,
			 c->mem->region[i].size);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static int write_at(struct core *c, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = pwrite(c->fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(n < 0 ? errno : EIO, "write the core file");
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
		c->written += (uint64_t)n;
	}
	return 0;
}

static int write_front(struct core *c)
{
	char *notes = NULL, *front = NULL;
	size_t notes_len = 0, len = 0;
	FILE *out = open_memstream(&notes, &notes_len);
	int r = -ENOMEM;

	if (out) {
		put_notes(c, out);
		if (fclose(out) == 0)
			out = open_memstream(&front, &len);
		else
			out = NULL;
	}
	if (out) {
		uint64_t n = 1 + c->n_pieces + c->mem->n_regions;
		c->data_offset = sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr) + notes_len;
		c->data_offset = (c->data_offset + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		put_headers(c, out, notes_len);
		fwrite(notes, notes_len, 1, out);
		r = fclose(out) == 0 ? 0 : -ENOMEM;
	}
	r = r < 0 ? error_set(r, "make the headers of the core file") : write_at(c, front, len, 0);
	free(notes);
	free(front);
	return r;
}

static bool is_zero(const uint8_t *page, size_t len)
{
	return page[0] == 0 && memcmp(page, page + 1, len - 1) == 0;
}

/* Runs of pages that are not zero, in [at, end) of a region whose byte 0 is at 'offset'. */
static int write_range(struct core *c, const uint8_t *host, uint64_t at, uint64_t end,
		       uint64_t offset)
{
	int r = 0;

	while (at < end && r == 0) {
		uint64_t run = at;
		while (run < end && run - at < WRITE_AT_ONCE &&
		       !is_zero(host + run, min_u64(PAGE, end - run)))
			run += min_u64(PAGE, end - run);
		if (run > at)
			r = write_at(c, host + at, run - at, offset + at);
		else
			run += min_u64(PAGE, end - run);
		at = run;
	}
	return r;
}

static int write_memory(struct core *c)
{
	for (unsigned i = 0; i < c->mem->n_regions; i++) {
		const struct memory_region *region = &c->mem->region[i];
		uint64_t at = 0, end, offset = offset_of(c, region->base);
		for (; next_data(c, region, &at, &end); at = end) {
			int r = write_range(c, region->host, at, end, offset);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int core_write(int fd, const struct guest_memory *mem, const struct cpu_look *cpu, unsigned n_cpus,
	       struct core_result *result)
{
	struct core *c = calloc(1, sizeof(*c));
	uint64_t size;
	int r;

	if (!c)
		return error_set(ENOMEM, "write a core file");
	*c = (struct core){ .fd = fd, .mem = mem, .cpu = cpu, .n_cpus = n_cpus };
	r = find_pieces(c);
	if (r == 0 && ftruncate(fd, 0) < 0)
		r = error_set(errno, "empty the core file");
	if (r == 0) {
		find_vmcoreinfo(c);
		r = write_front(c);
	}
	size = c->data_offset + guest_memory_size(mem);
	if (r == 0 && ftruncate(fd, (off_t)size) < 0)
		r = error_set(errno, "give the core file its size of %llu bytes",
			      (unsigned long long)size);
	if (r == 0)
		r = write_memory(c);
	*result = (struct core_result){ .size = size, .written = c->written,
					.n_pieces = c->n_pieces,
					.has_vmcoreinfo = c->info_len > 0 };
	free(c->piece);
	free(c);
	return r;
}
