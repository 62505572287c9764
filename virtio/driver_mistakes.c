#include "virtio/driver_mistakes.h"

#define DRIVER_MISTAKE_ROW(symbol, name, text, section)                                            \
	[MISTAKE_##symbol] = { name, text, section },
static const struct {
	const char *name, *text, *section;
} table[] = { DRIVER_MISTAKE_TABLE(DRIVER_MISTAKE_ROW) };
#undef DRIVER_MISTAKE_ROW

uint64_t driver_mistakes_total(const struct driver_mistakes *m)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < DRIVER_MISTAKE_KINDS; i++)
		total += m->n[i];
	return total;
}

const char *driver_mistake_name(enum driver_mistake kind)
{
	return table[kind].name;
}

const char *driver_mistake_text(enum driver_mistake kind)
{
	return table[kind].text;
}

const char *driver_mistake_section(enum driver_mistake kind)
{
	return table[kind].section;
}
