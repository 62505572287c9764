#include "vmm/report/symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	MAX_FILE = 128 << 20,		/* of what is read: a text, or tables of an ELF file */
	FURTHEST = 1 << 20,		/* from a symbol to what is named after it */
};

struct symbol {
	uint64_t address;
	uint32_t name;			/* in 'names' */
	uint32_t is_text;
};

struct symbols {
	struct symbol *item;		/* sorted by address */
	unsigned n, capacity;
	char *names;
	size_t names_len, names_size;
	uint64_t text_begin, text_end;
};

static bool grow(void **array, size_t wanted, size_t *size, size_t item)
{
	size_t more = *size ? *size : 4096;
	void *p;

	while (more < wanted)
		more *= 2;
	if (more == *size)
		return true;
	p = realloc(*array, more * item);
	if (!p)
		return false;
	*array = p;
	*size = more;
	return true;
}

/* What nobody looks for: labels of the compiler, and of the per-CPU area. */
static bool is_interesting(uint64_t address, const char *name, size_t len)
{
	return len > 0 && address != 0 && name[0] != '.' && name[0] != '$';
}

static int add(struct symbols *s, uint64_t address, const char *name, size_t len, bool is_text)
{
	size_t capacity = s->capacity;

	if (!is_interesting(address, name, len))
		return 0;
	if (len >= SYMBOLS_NAME_SIZE)
		len = SYMBOLS_NAME_SIZE - 1;
	if (s->n == SYMBOLS_MAX)
		return error_set(E2BIG, "more than %d symbols", SYMBOLS_MAX);
	if (!grow((void **)&s->item, s->n + 1, &capacity, sizeof(*s->item)) ||
	    !grow((void **)&s->names, s->names_len + len + 1, &s->names_size, 1))
		return error_set(ENOMEM, "keep symbols");
	s->capacity = (unsigned)capacity;
	s->item[s->n++] = (struct symbol){ address, (uint32_t)s->names_len, is_text };
	/* It will be printed on a terminal. */
	for (size_t i = 0; i < len; i++)
		s->names[s->names_len++] = isgraph((unsigned char)name[i]) ? name[i] : '?';
	s->names[s->names_len++] = '\0';
	return 0;
}

/* --- System.map: "ffffffff81000000 T _text" --------------------------------------------------- */

static int read_map_line(struct symbols *s, const char *line, size_t len)
{
	char number[17];
	size_t digits = 0;

	while (digits < len && digits < 16 && isxdigit((unsigned char)line[digits]))
		digits++;
	/* A type and a blank on each side of it; perhaps "[module]" behind the name. */
	if (digits == 0 || len < digits + 4 || line[digits] != ' ' || line[digits + 2] != ' ')
		return -EINVAL;
	memcpy(number, line, digits);
	number[digits] = '\0';
	const char *name = line + digits + 3;
	size_t name_len = 0;
	while (name_len < len - digits - 3 && !isspace((unsigned char)name[name_len]))
		name_len++;
	char type = (char)toupper((unsigned char)line[digits + 1]);
	if (type == 'A')
		return 0;
	return add(s, strtoull(number, NULL, 16), name, name_len, type == 'T' || type == 'W');
}

static int read_map(struct symbols *s, const char *text, size_t size)
{
	size_t at = 0;

	while (at < size) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t len = end ? (size_t)(end - text) - at : size - at;
		int r = len ? read_map_line(s, text + at, len) : 0;
		if (r == -EINVAL)
			return error_set(ENOEXEC, "it is neither a System.map nor an ELF file");
		if (r < 0)
			return r;
		at += len + 1;
	}
	return 0;
}

/* --- ELF ------------------------------------------------------------------------------------- */

/* Read [offset, offset + size) of the file, 'size' being anything; to be freed. */
static int read_part(int fd, uint64_t offset, uint64_t size, char **out)
{
	*out = NULL;
	if (size > MAX_FILE || offset > INT64_MAX - size)
		return error_set(E2BIG, "its tables are too large");
	*out = malloc(size + 1);
	if (!*out)
		return error_set(ENOMEM, "read symbols");
	int r = fd_pread_all(fd, *out, size, (off_t)offset);
	if (r < 0) {
		free(*out);
		*out = NULL;
		return error_set(r, "read its tables");
	}
	(*out)[size] = '\0';
	return 0;
}

/* 'section' has its names in 'names', of 'names_size' bytes and a final zero. */
static int add_elf(struct symbols *s, const Elf64_Sym *symbol, uint64_t n, const char *names,
		   uint64_t names_size)
{
	int r = 0;

	for (uint64_t i = 0; i < n && r == 0; i++) {
		unsigned type = ELF64_ST_TYPE(symbol[i].st_info);
		if (symbol[i].st_name >= names_size || symbol[i].st_shndx == SHN_UNDEF ||
		    symbol[i].st_shndx == SHN_ABS || type > STT_FUNC)
			continue;
		const char *name = names + symbol[i].st_name;
		r = add(s, symbol[i].st_value, name, strnlen(name, SYMBOLS_NAME_SIZE),
			type == STT_FUNC || type == STT_NOTYPE);
	}
	return r;
}

static int read_table(struct symbols *s, int fd, const Elf64_Shdr *table, const Elf64_Shdr *strings)
{
	char *symbol = NULL, *names = NULL;
	int r = read_part(fd, table->sh_offset, table->sh_size, &symbol);

	if (r == 0)
		r = read_part(fd, strings->sh_offset, strings->sh_size, &names);
	if (r == 0)
		r = add_elf(s, (const Elf64_Sym *)symbol, table->sh_size / sizeof(Elf64_Sym),
			    names, strings->sh_size);
	free(symbol);
	free(names);
	return r;
}

static int read_elf(struct symbols *s, int fd)
{
	Elf64_Shdr *section;
	char *table = NULL;
	Elf64_Ehdr head;
	unsigned i = 0;
	int r = fd_pread_all(fd, &head, sizeof(head), 0);

	if (r < 0 || head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    head.e_shentsize != sizeof(Elf64_Shdr))
		return error_set(ENOEXEC, "it is not an ELF file of 64 bits with sections");
	r = read_part(fd, head.e_shoff, (uint64_t)head.e_shnum * sizeof(Elf64_Shdr), &table);
	if (r < 0)
		return r;
	section = (Elf64_Shdr *)table;
	/* A file has one such table: reading all that one may claim to have would never end. */
	while (i < head.e_shnum && section[i].sh_type != SHT_SYMTAB)
		i++;
	if (i < head.e_shnum && section[i].sh_link < head.e_shnum)
		r = read_table(s, fd, &section[i], &section[section[i].sh_link]);
	free(table);
	return r;
}

/* --- Both ------------------------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	/* Of two names for one place that of code says more, then the first one. */
	if (x->is_text != y->is_text)
		return x->is_text ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static void find_text(struct symbols *s)
{
	if (symbols_find(s, "_stext", &s->text_begin) && symbols_find(s, "_etext", &s->text_end))
		return;
	s->text_begin = s->text_end = 0;
	for (unsigned i = 0; i < s->n; i++) {
		if (!s->item[i].is_text)
			continue;
		if (!s->text_begin)
			s->text_begin = s->item[i].address;
		s->text_end = s->item[i].address + 1;
	}
}

static int read_file(struct symbols *s, int fd)
{
	char magic[SELFMAG], *text;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_set(errno, "look at it");
	if (!S_ISREG(st.st_mode))
		return error_set(EINVAL, "it is no regular file");
	if (fd_pread_all(fd, magic, sizeof(magic), 0) < 0)
		return error_set(ENODATA, "it is empty");
	if (memcmp(magic, ELFMAG, SELFMAG) == 0) {
		r = read_elf(s, fd);
	} else {
		r = read_part(fd, 0, (uint64_t)st.st_size, &text);
		if (r == 0)
			r = read_map(s, text, (size_t)st.st_size);
		free(text);
	}
	if (r == 0 && s->n == 0)
		r = error_set(ENODATA, "it has no symbols; an ELF file may have been stripped");
	return r;
}

int symbols_open(struct symbols **out, const char *path)
{
	struct symbols *s = calloc(1, sizeof(*s));
	int fd = FD_NONE, r;

	*out = NULL;
	if (!s)
		return error_set(ENOMEM, "read symbols");
	/* A FIFO that nobody writes must not hang us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? error_set(errno, "open it") : read_file(s, fd);
	fd_close(&fd);
	if (r < 0) {
		symbols_close(s);
		return error_add(r, "read symbols from '%s'", path);
	}
	qsort(s->item, s->n, sizeof(*s->item), by_address);
	find_text(s);
	*out = s;
	return 0;
}

void symbols_close(struct symbols *s)
{
	if (!s)
		return;
	free(s->item);
	free(s->names);
	free(s);
}

unsigned symbols_count(const struct symbols *s)
{
	return s->n;
}

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->names + s->item[i].name, name) != 0)
			continue;
		*address = s->item[i].address;
		return true;
	}
	return false;
}

bool symbols_is_text(const struct symbols *s, uint64_t address)
{
	return address >= s->text_begin && address < s->text_end;
}

/* How many symbols are at or below 'address'. */
static unsigned count_below(const struct symbols *s, uint64_t address)
{
	unsigned low = 0, high = s->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (s->item[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *symbols_name(const struct symbols *s, uint64_t address, char buf[SYMBOLS_TEXT_SIZE])
{
	unsigned below = s ? count_below(s, address) : 0, first = below;
	uint64_t base, size = 0;

	buf[0] = '\0';
	if (below == 0)
		return buf;
	base = s->item[below - 1].address;
	while (first > 1 && s->item[first - 2].address == base)
		first--;
	if (below < s->n)
		size = s->item[below].address - base;
	if (address - base >= FURTHEST)
		return buf;
	snprintf(buf, SYMBOLS_TEXT_SIZE, "%s+0x%llx/0x%llx", s->names + s->item[first - 1].name,
		 (unsigned long long)(address - base), (unsigned long long)size);
	return buf;
}
