#include "vmm/exec/module_file.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/kernel_unpack.h"

const char *const module_file_endings[] = { ".ko", ".ko.gz", ".ko.xz", ".ko.zst", NULL };

bool module_file_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	size_t len;

	base = base ? base + 1 : path;
	for (unsigned i = 0; module_file_endings[i]; i++) {
		size_t ending = strlen(module_file_endings[i]);

		len = strlen(base);
		if (len <= ending || strcmp(base + len - ending, module_file_endings[i]) != 0)
			continue;
		len -= ending;
		if (len >= size)
			return false;
		for (size_t k = 0; k < len; k++)
			name[k] = base[k] == '-' ? '_' : base[k];
		name[len] = '\0';
		return true;
	}
	return false;
}

/* --- Unpacking ------------------------------------------------------------------------------- */

static int grow(void *arg, const uint8_t *data, size_t len)
{
	struct module_file *file = arg;
	uint8_t *bigger = realloc(file->data, file->len + len + 1);

	if (!bigger)
		return error_set(ENOMEM, "unpack a module");
	file->data = bigger;
	memcpy(bigger + file->len, data, len);
	file->len += len;
	return 0;
}

static int read_plain(struct module_file *file, const struct boot_file *from)
{
	int r;

	if (from->size > MODULE_FILE_MAX)
		return error_set(EFBIG, "read a module");
	file->data = malloc(from->size);
	if (!file->data)
		return error_set(ENOMEM, "read a module");
	r = boot_file_read(from, 0, file->data, from->size);
	file->len = from->size;
	return r;
}

static int read_any(struct module_file *file, const struct boot_file *from)
{
	struct unpack_request request = {
		.file = from,
		.size = from->size,
		.output_size = MODULE_FILE_MAX,
		.at_most = true,
		.write = grow,
		.arg = file,
	};
	uint8_t magic[UNPACK_MAGIC_SIZE];
	int r;

	if (from->size < sizeof(magic))
		return error_set(ENOEXEC, "it is too short");
	r = boot_file_read(from, 0, magic, sizeof(magic));
	if (r < 0)
		return r;
	request.format = unpack_detect(magic);
	return request.format == UNPACK_UNKNOWN ? read_plain(file, from) : kernel_unpack(&request);
}

int module_file_read(struct module_file *file, const char *path)
{
	struct boot_file from = BOOT_FILE_INIT;
	int r;

	*file = (struct module_file){ 0 };
	r = boot_file_open(&from, "module", path);
	if (r < 0)
		return r;
	r = read_any(file, &from);
	boot_file_close(&from);
	if (r == 0 && (file->len < sizeof(Elf64_Ehdr) || memcmp(file->data, ELFMAG, SELFMAG) ||
		       file->data[EI_CLASS] != ELFCLASS64 || file->data[EI_DATA] != ELFDATA2LSB))
		r = error_set(ENOEXEC, "it is no 64-bit ELF file");
	if (r < 0) {
		module_file_free(file);
		return error_add(r, "read the module '%s'", path);
	}
	return 0;
}

void module_file_free(struct module_file *file)
{
	free(file->data);
	*file = (struct module_file){ 0 };
}

/* --- What it says ---------------------------------------------------------------------------- */

static bool section_at(const struct module_file *file, const Elf64_Ehdr *head, unsigned i,
		       Elf64_Shdr *section)
{
	uint64_t offset = (uint64_t)i * sizeof(*section);

	if (head->e_shentsize != sizeof(*section) || head->e_shoff > file->len ||
	    !range_inside(offset, sizeof(*section), file->len - head->e_shoff))
		return false;
	memcpy(section, file->data + head->e_shoff + offset, sizeof(*section));
	return section->sh_type == SHT_NOBITS ||
	       range_inside(section->sh_offset, section->sh_size, file->len);
}

/* Does the string at 'offset' of the section 'names' say 'wanted'? */
static bool is_called(const struct module_file *file, const Elf64_Shdr *names, uint64_t offset,
		      const char *wanted)
{
	size_t size = strlen(wanted) + 1;

	return names->sh_type != SHT_NOBITS && range_inside(offset, size, names->sh_size) &&
	       !memcmp(file->data + names->sh_offset + offset, wanted, size);
}

static bool find_section(const struct module_file *file, const char *name, Elf64_Shdr *section)
{
	Elf64_Shdr names;
	Elf64_Ehdr head;

	memcpy(&head, file->data, sizeof(head));
	if (!section_at(file, &head, head.e_shstrndx, &names))
		return false;
	for (unsigned i = 1; i < head.e_shnum; i++)
		if (section_at(file, &head, i, section) && section->sh_type != SHT_NOBITS &&
		    is_called(file, &names, section->sh_name, name))
			return true;
	return false;
}

const char *module_file_info(const struct module_file *file, const char *key)
{
	size_t key_len = strlen(key), left;
	const char *line, *end;
	Elf64_Shdr section;

	if (file->len < sizeof(Elf64_Ehdr) || !find_section(file, ".modinfo", &section))
		return NULL;
	line = (const char *)file->data + section.sh_offset;
	left = section.sh_size;
	while (left > 0) {
		end = memchr(line, '\0', left);
		if (!end)
			return NULL;
		if ((size_t)(end - line) > key_len && !memcmp(line, key, key_len) &&
		    line[key_len] == '=')
			return line + key_len + 1;
		left -= (size_t)(end - line) + 1;
		line = end + 1;
	}
	return NULL;
}
