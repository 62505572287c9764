#include "vmm/test/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

struct progress {
	struct progress_config config;
};

bool progress_is_live(FILE *out)
{
	return isatty(fileno(out)) && !getenv("CI");
}

int progress_create(struct progress **out, const struct progress_config *config)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->config = *config;
	return 0;
}

void progress_destroy(struct progress *p)
{
	free(p);
}

void progress_start(struct progress *p, unsigned slot, const char *title, uint64_t limit_ms)
{
	(void)p;
	(void)slot;
	(void)title;
	(void)limit_ms;
}

void progress_step(struct progress *p, unsigned slot, const char *text, unsigned index,
		   unsigned of)
{
	(void)p;
	(void)slot;
	(void)text;
	(void)index;
	(void)of;
}

void progress_end(struct progress *p, unsigned slot, const struct test_result *result,
		  const char *console)
{
	(void)slot;
	(void)console;
	fprintf(p->config.out, "%s %s\n", verdict_words(result->verdict), result->name);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(p->config.out, fmt, args);
	va_end(args);
	fputc('\n', p->config.out);
}

void progress_tick(struct progress *p)
{
	(void)p;
}

void progress_summary(struct progress *p, const struct test_results *results)
{
	fprintf(p->config.out, "%u tests\n", results->n_tests);
}
