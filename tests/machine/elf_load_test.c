#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "tests/support/kernel_files.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/elf_load.h"

static struct kernel_file image;
static struct guest_memory mem;
static struct elf_stream stream;

static void setup(void)
{
	static const struct memory_extent extent = { 0, MIB(16) };

	mem = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&mem, &extent, 1), 0);
	kernel_file_elf(&image, 64);
	elf_stream_init(&stream, &mem, image.len);
}

static void teardown(void)
{
	guest_memory_destroy(&mem);
}

TestSuite(elf_load, .init = setup, .fini = teardown);

/* Feed the stream in pieces of 'step' bytes. */
static int feed(size_t step)
{
	int r = 0;

	for (size_t at = 0; at < image.len && r == 0; at += step)
		r = elf_stream_write(&stream, image.data + at, min_u64(step, image.len - at));
	return r ? r : elf_stream_finish(&stream);
}

static bool is_loaded(void)
{
	const uint8_t *p = guest_memory_at(&mem, KERNEL_ELF_PADDR, KERNEL_ELF_TEXT_SIZE + 1);

	return p[0] == KERNEL_ELF_BYTE && memcmp(p, p + 1, KERNEL_ELF_TEXT_SIZE - 1) == 0 &&
	       p[KERNEL_ELF_TEXT_SIZE] == 0;
}

Test(elf_load, pieces_of_any_size_give_the_same_memory)
{
	static const size_t step[] = { 1, 7, 4095, 4096, 4097, sizeof(image.data) };

	for (size_t i = 0; i < ARRAY_SIZE(step); i++) {
		cr_assert_eq(guest_memory_clear(&mem), 0);
		elf_stream_init(&stream, &mem, image.len);
		cr_assert_eq(feed(step[i]), 0, "%s", error_text());
		cr_assert(is_loaded(), "step %zu", step[i]);
		cr_assert_eq(stream.range.start, KERNEL_ELF_PADDR);
		cr_assert_eq(stream.range.end,
			     KERNEL_ELF_PADDR + KERNEL_ELF_TEXT_SIZE + KERNEL_ELF_BSS_SIZE);
	}
}

Test(elf_load, a_kernel_smaller_than_the_head_is_loaded)
{
	kernel_file_poke(&image, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_offset), 8, 0);
	kernel_file_poke(&image, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), 8, 1000);
	image.len = 1000;
	elf_stream_init(&stream, &mem, image.len);
	cr_assert_eq(feed(100), 0, "%s", error_text());
	cr_assert_arr_eq(guest_memory_at(&mem, KERNEL_ELF_PADDR, 4), ELFMAG, SELFMAG);
}

Test(elf_load, a_stream_that_ends_early_is_refused)
{
	elf_stream_init(&stream, &mem, image.len + 1);
	cr_assert_eq(feed(4096), -ENOEXEC);
}

Test(elf_load, what_is_no_64_bit_kernel_is_refused)
{
	kernel_file_elf(&image, 32);
	cr_assert_eq(feed(4096), -ENOEXEC);
	memset(image.data, 0, sizeof(image.data));
	elf_stream_init(&stream, &mem, image.len);
	cr_assert_eq(feed(4096), -ENOEXEC);
}

Test(elf_load, a_segment_outside_memory_is_refused_before_anything_is_written)
{
	static const uint64_t bad[] = { MIB(16), MIB(16) - 1, 0, 0xa0000, GIB(4) };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		kernel_file_poke(&image, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_paddr), 8,
				 bad[i]);
		elf_stream_init(&stream, &mem, image.len);
		cr_assert_eq(feed(4096), -ENOMEM, "%#lx", bad[i]);
		cr_assert(!stream.placed);
	}
}
