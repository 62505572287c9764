#include "vmm/mistakes.h"

#include <stdarg.h>

void mistakes_add(struct mistakes *mistakes, const char *fmt, ...)
{
	unsigned at = mistakes->n++;
	va_list ap;

	if (at >= MISTAKES_SHOWN)
		return;
	va_start(ap, fmt);
	vsnprintf(mistakes->line[at], sizeof(mistakes->line[at]), fmt, ap);
	va_end(ap);
}

void mistakes_print(const struct mistakes *mistakes, FILE *out)
{
	unsigned shown = mistakes->n < MISTAKES_SHOWN ? mistakes->n : MISTAKES_SHOWN;

	for (unsigned i = 0; i < shown; i++)
		fprintf(out, "vireo: %s\n", mistakes->line[i]);
	if (mistakes->n > shown)
		fprintf(out, "vireo: and %u more mistakes\n", mistakes->n - shown);
}
