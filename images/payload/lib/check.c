#include "images/payload/lib/check.h"

#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"

static unsigned n_checks, n_failed;

bool check(bool ok, const char *format, ...)
{
	va_list args;

	n_checks++;
	if (ok)
		return true;
	n_failed++;
	print("FAILED: ");
	va_start(args, format);
	print_va(format, args);
	va_end(args);
	print("\n");
	return false;
}

bool check_equal(uint64_t is, uint64_t should_be, const char *what)
{
	return check(is == should_be, "%s is 0x%lx, not 0x%lx", what, is, should_be);
}

int check_result(const char *what)
{
	if (n_failed == 0)
		print("ok: %s, %u checks\n", what, n_checks);
	else
		print("FAILED: %u of %u checks of %s\n", n_failed, n_checks, what);
	return n_failed != 0;
}

void check_skip(const char *why)
{
	print("skipped: %s\n", why);
	payload_exit(EXIT_SKIP);
}
