/* The chain of sentences behind error.h.  One per thread; fixed size, so that errors never fail. */
#include "vmm/base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct error_chain chain;

static void PRINTF_LIKE(1, 0) push_line(const char *fmt, va_list ap)
{
	/* When the chain is full the newest sentence replaces the one below it: the first says
	 * what broke, the last what the user asked for; the middle is the least loss. */
	unsigned at = chain.n < ARRAY_SIZE(chain.line) ? chain.n++ : chain.n - 1;
	vsnprintf(chain.line[at], sizeof(chain.line[at]), fmt, ap);
}

int error_set(int err, const char *fmt, ...)
{
	va_list ap;

	error_clear();
	chain.err = abs(err);
	va_start(ap, fmt);
	push_line(fmt, ap);
	va_end(ap);
	return -chain.err;
}

int error_add(int err, const char *fmt, ...)
{
	va_list ap;

	if (chain.n == 0 || chain.err != abs(err)) {
		error_clear();
		chain.err = abs(err);
	}
	va_start(ap, fmt);
	push_line(fmt, ap);
	va_end(ap);
	return -chain.err;
}

void error_hint(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(chain.hint, sizeof(chain.hint), fmt, ap);
	va_end(ap);
}

void error_save(struct error_chain *out)
{
	*out = chain;
}

void error_restore(const struct error_chain *in)
{
	chain = *in;
}

const char *error_text(void)
{
	return chain.n ? chain.line[chain.n - 1] : "";
}

int error_errno(void)
{
	return chain.err;
}

const char *error_name(int err)
{
	const char *name = strerrorname_np(abs(err));
	return name ? name : "E?";
}

void error_print(FILE *out)
{
	if (chain.n == 0 && chain.err == 0)
		return;
	fprintf(out, "vireo: %s\n", chain.n ? chain.line[chain.n - 1] : "failed");
	for (unsigned i = chain.n; i > 1; i--)
		fprintf(out, "  because: %s\n", chain.line[i - 2]);
	if (chain.err)
		fprintf(out, "  because: %s (%s)\n", strerror(chain.err), error_name(chain.err));
	if (chain.hint[0])
		fprintf(out, "  hint: %s\n", chain.hint);
	error_clear();
}

void error_clear(void)
{
	chain.n = 0;
	chain.err = 0;
	chain.hint[0] = '\0';
}
