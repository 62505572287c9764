#include "images/payload/lib/boot_info.h"

#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"

enum { START_INFO_MAGIC = 0x336ec578 };

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp;
	uint64_t memory_map;		/* version 1 and later */
	uint32_t n_memory_map, reserved;
};

extern uint64_t boot_start_info;	/* start.S */

struct boot_info boot_info;

void boot_info_init(void)
{
	const struct start_info *s = (const void *)boot_start_info;
	const char *cmdline = (const char *)s->cmdline;
	unsigned n;

	if (s->magic != START_INFO_MAGIC) {
		print("start info at %lx has no magic: %x\n", boot_start_info, s->magic);
		payload_exit(EXIT_FAULT);
	}
	boot_info.version = s->version;
	boot_info.n_modules = s->n_modules;
	boot_info.rsdp = s->rsdp;
	for (n = 0; cmdline != NULL && cmdline[n] != '\0' && n < sizeof(boot_info.cmdline) - 1; n++)
		boot_info.cmdline[n] = cmdline[n];
	if (s->version >= 1) {
		n = s->n_memory_map < MEMORY_MAX_RANGES ? s->n_memory_map : MEMORY_MAX_RANGES;
		memcpy(boot_info.range, (const void *)s->memory_map,
		       n * sizeof(struct memory_range));
		boot_info.n_ranges = n;
	}
}

/*
 * The text behind "name", at '=' or at the end of the word, from 'p' on, which is not inside a
 * word; NULL when the option is not there.
 */
static const char *option_find_from(const char *p, const char *name)
{
	size_t len = strlen(name);

	while (*p != '\0') {
		while (*p == ' ')
			p++;
		if (memcmp(p, name, len) == 0 && (p[len] == '=' || p[len] == ' ' || p[len] == '\0'))
			return p + len;
		while (*p != '\0' && *p != ' ')
			p++;
	}
	return NULL;
}

static const char *option_find(const char *name)
{
	return option_find_from(boot_info.cmdline, name);
}

bool option_given(const char *name)
{
	return option_find(name) != NULL;
}

bool option_is(const char *name, const char *value)
{
	const char *p = option_find(name);
	size_t len = strlen(value);

	return p != NULL && *p == '=' && memcmp(p + 1, value, len) == 0 &&
	       (p[1 + len] == ' ' || p[1 + len] == '\0');
}

const char *option_next(const char *name, const char *after)
{
	const char *p = boot_info.cmdline;

	if (after != NULL) {
		for (p = after; *p != '\0' && *p != ' ';)
			p++;
	}
	do {
		p = option_find_from(p, name);
	} while (p != NULL && *p != '=');
	return p != NULL ? p + 1 : NULL;
}

uint64_t option_parse(const char **text)
{
	const char *p = *text;
	uint64_t v = 0, base = 10;

	if (p[0] == '0' && p[1] == 'x') {
		base = 16;
		p += 2;
	}
	for (;; p++) {
		if (*p >= '0' && *p <= '9')
			v = v * base + (uint64_t)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			v = v * base + (uint64_t)(*p - 'a' + 10);
		else
			break;
	}
	if (*p == 'K' || *p == 'M')
		v <<= *p++ == 'K' ? 10 : 20;
	*text = p;
	return v;
}

uint64_t option_number(const char *name, uint64_t otherwise)
{
	const char *p = option_find(name);

	if (p == NULL || *p++ != '=')
		return otherwise;
	return option_parse(&p);
}
