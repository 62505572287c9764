/* The core file of a fake memory, read back. */
#include "vmm/report/core.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { LOW = 1 << 21, HIGH = 1 << 22 };

static struct guest_memory mem;
static struct cpu_look cpu[2];
static struct core_result result;
static char path[] = "/tmp/core-XXXXXX";
static int fd = FD_NONE;

static void set(gpa_t at, uint64_t value)
{
	memcpy(guest_memory_at(&mem, at, 8), &value, 8);
}

static void make_memory(const struct memory_kind *kind)
{
	const struct memory_extent extent[] = { { 0, LOW }, { 1ull << 32, HIGH } };

	cr_assert_eq(guest_memory_create_kind(&mem, extent, 2, kind), 0, "%s", error_text());
	/* Kernel text at 2 MiB granularity leads to the second region. */
	set(0x1000 + 511 * 8, 0x2003);
	set(0x2000 + 510 * 8, 0x3003);
	set(0x3000 + 8 * 8, (1ull << 32) | 0x83);
}

static void setup(void)
{
	make_memory(&(struct memory_kind){ 0 });
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cpu[0] = (struct cpu_look){
		.index = 0, .doing = CPU_HALTED, .bits = 64, .rip = 0xffffffff81000040,
		.cr0 = 0x80000001, .cr3 = 0x1000, .cr4 = 1 << 5, .efer = 1 << 10,
		.rflags = 0x46,
	};
	cpu[0].reg[CPU_RSP] = 0x1234;
	cpu[1] = (struct cpu_look){ .index = 1, .doing = CPU_INSIDE };
}

static void teardown(void)
{
	close(fd);
	unlink(path);
	guest_memory_destroy(&mem);
}

TestSuite(core, .init = setup, .fini = teardown);

static Elf64_Ehdr head;

static Elf64_Phdr segment(unsigned i)
{
	Elf64_Phdr p;

	cr_assert_eq(fd_pread_all(fd, &p, sizeof(p), (off_t)(head.e_phoff + i * sizeof(p))), 0);
	return p;
}

static void write_it(void)
{
	cr_assert_eq(core_write(fd, &mem, cpu, 2, &result), 0, "%s", error_text());
	cr_assert_eq(fd_pread_all(fd, &head, sizeof(head), 0), 0);
	cr_assert_eq(head.e_type, ET_CORE);
}

static uint64_t word_at(uint64_t offset)
{
	uint64_t word;

	cr_assert_eq(fd_pread_all(fd, &word, sizeof(word), (off_t)offset), 0);
	return word;
}

Test(core, has_memory_by_both_addresses)
{
	set((1ull << 32) + 0x40, 0xfeedbeef);
	set(0x1ff000, 0x11);
	write_it();
	cr_assert_eq(head.e_phnum, 4);
	Elf64_Phdr text = segment(1), low = segment(2), high = segment(3);
	cr_expect_eq(text.p_type, PT_LOAD);
	cr_expect_eq(text.p_vaddr, 0xffffffff81000000);
	cr_expect_eq(text.p_paddr, 1ull << 32);
	cr_expect_eq(text.p_filesz, LOW);
	cr_expect_eq(word_at(text.p_offset + 0x40), 0xfeedbeef);
	cr_expect_eq(low.p_paddr, 0);
	cr_expect_eq(low.p_memsz, LOW);
	cr_expect_eq(low.p_offset % 4096, 0);
	cr_expect_eq(word_at(low.p_offset + 0x1ff000), 0x11);
	cr_expect_eq(word_at(low.p_offset + 0x1000 + 511 * 8), 0x2003);
	cr_expect_eq(high.p_paddr, 1ull << 32);
	cr_expect_eq(high.p_offset, text.p_offset);
}

Test(core, pages_of_zeros_are_holes)
{
	struct stat st;

	/* Touched, but zero; and one in the middle that is not. */
	memset(guest_memory_at(&mem, 1ull << 32, HIGH), 0, HIGH);
	set((1ull << 32) + 0x200000, 1);
	write_it();
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq((uint64_t)st.st_size, result.size);
	cr_expect_gt(result.size, (uint64_t)LOW + HIGH);
	cr_expect_lt(result.written, 32768u);
	cr_expect_lt(st.st_blocks * 512, 1 << 20);
}

/* As memory that the host may merge (KSM) is: the memfd has its pages, not what is in them. */
Test(core, private_memory_is_there_too)
{
	static const char info[] = "OSRELEASE=6.12.0\nPAGESIZE=4096\n";

	if (access("/sys/kernel/mm/ksm/run", F_OK) < 0)
		cr_skip("no KSM in the host's kernel");
	guest_memory_destroy(&mem);
	make_memory(&(struct memory_kind){ .merge = true });
	memcpy(guest_memory_at(&mem, 0x7000, sizeof(info)), info, sizeof(info));
	set((1ull << 32) + 0x40, 0xfeedbeef);
	write_it();
	cr_expect(result.has_vmcoreinfo);
	cr_assert_eq(head.e_phnum, 4);
	cr_expect_eq(word_at(segment(1).p_offset + 0x40), 0xfeedbeef);
}

Test(core, each_cpu_has_its_registers)
{
	struct elf_prstatus status;
	struct user_regs_struct regs;
	Elf64_Nhdr note;

	write_it();
	Elf64_Phdr notes = segment(0);
	cr_expect_eq(notes.p_type, PT_NOTE);
	cr_expect_eq(notes.p_filesz, 2 * (sizeof(note) + 8 + sizeof(status)));
	cr_assert_eq(fd_pread_all(fd, &note, sizeof(note), (off_t)notes.p_offset), 0);
	cr_expect_eq(note.n_type, (unsigned)NT_PRSTATUS);
	cr_assert_eq(fd_pread_all(fd, &status, sizeof(status),
				  (off_t)(notes.p_offset + sizeof(note) + 8)), 0);
	memcpy(&regs, &status.pr_reg, sizeof(regs));
	cr_expect_eq(status.pr_pid, 1);
	cr_expect_eq(regs.rip, 0xffffffff81000040);
	cr_expect_eq(regs.rsp, 0x1234);
	cr_expect_eq(regs.eflags, 0x46);
}

Test(core, vmcoreinfo_is_found)
{
	static const char info[] = "OSRELEASE=6.12.0\nPAGESIZE=4096\n";
	static char got[sizeof(info)];

	strcpy(guest_memory_at(&mem, 0x5000, sizeof(info)), "OSRELEASE=of a program");
	memcpy(guest_memory_at(&mem, (1ull << 32) + 0x7000, sizeof(info)), info, sizeof(info));
	write_it();
	cr_assert(result.has_vmcoreinfo);
	Elf64_Phdr notes = segment(0);
	off_t end = (off_t)(notes.p_offset + notes.p_filesz);
	cr_assert_eq(fd_pread_all(fd, got, sizeof(info) - 1, end - 32), 0);
	cr_expect_str_eq(got, info);
}

Test(core, page_tables_of_garbage_are_no_harm, .timeout = 30)
{
	uint32_t x = 1;

	for (gpa_t at = 0; at < LOW; at += 8) {
		x = x * 1103515245 + 12345;
		set(at, (uint64_t)(x & 0x3fff000) | 1 | (x >> 20 & 0x80));
	}
	write_it();
	cr_expect_leq(result.n_pieces, (unsigned)CORE_MAX_PIECES);
	cr_expect_leq(head.e_phnum, CORE_MAX_PIECES + 3);
	for (unsigned i = 1; i < head.e_phnum; i++) {
		Elf64_Phdr p = segment(i);
		cr_assert_leq(p.p_offset + p.p_filesz, result.size);
	}
}

Test(core, what_does_not_fit_is_an_error)
{
	const struct rlimit limit = { 1 << 16, 1 << 16 };

	signal(SIGXFSZ, SIG_IGN);
	memset(guest_memory_at(&mem, 1ull << 32, HIGH), 1, HIGH);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(core_write(fd, &mem, cpu, 2, &result), -EFBIG);
	cr_expect_not_null(strstr(error_text(), "core file"));
}
