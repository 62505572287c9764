/* Names of a kernel's addresses: from a map, from an ELF file, and from what is neither. */
#include "vmm/report/symbols.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"

static struct symbols *symbols;
static char name[SYMBOLS_TEXT_SIZE];

static void go_to_an_empty_directory(void)
{
	char path[] = "/tmp/symbols-XXXXXX";

	cr_assert_not_null(mkdtemp(path));
	cr_assert_eq(chdir(path), 0);
}

TestSuite(symbols, .init = go_to_an_empty_directory);

static void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

static int open_text(const char *text)
{
	write_file("map", text, strlen(text));
	return symbols_open(&symbols, "map");
}

Test(symbols, of_a_map)
{
	cr_assert_eq(open_text("0000000000000000 A fixed_percpu_data\n"
			       "ffffffff81000000 T _stext\n"
			       "ffffffff81000100 t do_idle\n"
			       "ffffffff81000180 T schedule\t[core]\n"
			       "ffffffff81000180 T __sched_text_start\n"
			       "ffffffff81001000 T _etext\n"
			       "ffffffff82000000 D jiffies\n"), 0, "%s", error_text());
	cr_expect_eq(symbols_count(symbols), 6);
	cr_expect_str_eq(symbols_name(symbols, 0xffffffff81000123, name), "do_idle+0x23/0x80");
	cr_expect_str_eq(symbols_name(symbols, 0xffffffff81000180, name), "schedule+0x0/0xe80");
	cr_expect_str_eq(symbols_name(symbols, 0xffffffff80ffffff, name), "");
	cr_expect_str_eq(symbols_name(symbols, UINT64_MAX, name), "");
	cr_expect(symbols_is_text(symbols, 0xffffffff81000fff));
	cr_expect_not(symbols_is_text(symbols, 0xffffffff81001000));
	cr_expect_not(symbols_is_text(symbols, 0xffffffff82000000));
	uint64_t at;
	cr_assert(symbols_find(symbols, "schedule", &at));
	cr_expect_eq(at, 0xffffffff81000180);
	cr_expect_not(symbols_find(symbols, "sched", &at));
	symbols_close(symbols);
	cr_expect_str_eq(symbols_name(NULL, 1, name), "");
}

/* This program is an ELF file with symbols of its own. */
Test(symbols, of_an_elf_file)
{
	uint64_t at;

	cr_assert_eq(symbols_open(&symbols, "/proc/self/exe"), 0, "%s", error_text());
	cr_assert(symbols_find(symbols, "symbols_open", &at));
	cr_expect_eq(strncmp(symbols_name(symbols, at + 3, name), "symbols_open+0x3/", 17), 0,
		     "%s", name);
	cr_expect(symbols_is_text(symbols, at));
	symbols_close(symbols);
}

Test(symbols, names_are_cut_off_and_printable)
{
	char text[400] = "ffffffff81000000 T a\033[2J";

	memset(text + strlen(text), 'b', 300);
	cr_assert_eq(open_text(text), 0);
	symbols_name(symbols, 0xffffffff81000001, name);
	cr_expect_eq(strncmp(name, "a?[2Jbbb", 8), 0, "%s", name);
	cr_expect_lt(strlen(name), SYMBOLS_TEXT_SIZE - 1);
	symbols_close(symbols);
}

Test(symbols, other_files_are_refused_with_their_name)
{
	cr_expect_eq(symbols_open(&symbols, "none"), -ENOENT);
	cr_expect_not_null(strstr(error_text(), "'none'"));
	cr_expect_eq(open_text(""), -ENODATA);
	cr_expect_eq(open_text("hello\n"), -ENOEXEC);
	cr_expect_eq(open_text("ffffffff81000000 T _text\nffff\n"), -ENOEXEC);
	cr_expect_eq(open_text("0000000000000000 A nothing\n"), -ENODATA);
	cr_expect_eq(open_text("\177ELF"), -ENOEXEC);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_expect_eq(symbols_open(&symbols, "fifo"), -EINVAL);
	cr_expect_eq(symbols_open(&symbols, "."), -EINVAL);
}

/* Whatever the tables say: refused, or names from inside of the file. */
Test(symbols, damaged_elf_files_are_harmless)
{
	static unsigned char file[65536];
	FILE *f = fopen("/proc/self/exe", "r");
	size_t len = fread(file, 1, sizeof(file), f);

	fclose(f);
	file[0x28] = 0x40;		/* the sections are said to be right behind the header */
	memset(file + 0x29, 0, 7);
	for (unsigned seed = 1; seed < 300; seed++) {
		unsigned x = seed;
		for (size_t i = 0x40; i < 0x40 + 64 * 40; i++) {
			x = x * 1103515245 + 12345;
			file[i] = i % 8 < 3 ? (unsigned char)(x >> 16) : 0;
		}
		for (unsigned i = 0; i < 40; i++)
			file[0x40 + i * 64 + 4] = i % 2 ? 2 : 3;	/* tables, strings */
		write_file("elf", file, len);
		if (symbols_open(&symbols, "elf") == 0) {
			symbols_name(symbols, 0xffffffff81000000, name);
			symbols_close(symbols);
		}
	}
}

/* As many as a header can say, each as large as may be: to read all would take hours. */
Test(symbols, of_many_tables_one_is_read, .timeout = 20)
{
	enum { TABLE = 64 << 20 };
	Elf64_Ehdr head = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB },
			    .e_shoff = sizeof(head), .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = UINT16_MAX };
	Elf64_Shdr section = { .sh_type = SHT_SYMTAB, .sh_offset = 1 << 23, .sh_size = TABLE };
	FILE *f = fopen("many", "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(&head, sizeof(head), 1, f), 1);
	for (unsigned i = 0; i < head.e_shnum; i++)
		cr_assert_eq(fwrite(&section, sizeof(section), 1, f), 1);
	fclose(f);
	cr_assert_eq(truncate("many", (1 << 23) + TABLE), 0);
	cr_expect_eq(symbols_open(&symbols, "many"), -ENODATA, "%s", error_text());
}
