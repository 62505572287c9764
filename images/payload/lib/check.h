/* What a program claims about its machine.  A claim that fails is printed and counted. */
#ifndef PAYLOAD_CHECK_H
#define PAYLOAD_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* Print "FAILED: ..." unless 'ok'.  Returns 'ok'. */
bool check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "... is 0x1, not 0x2" */
bool check_equal(uint64_t is, uint64_t should_be, const char *what);

/* Print "ok: what" or "FAILED: ... of what"; the exit status for main(): 0 or 1. */
int check_result(const char *what);

/* End as "not for this machine", with the reason. */
void check_skip(const char *why) __attribute__((noreturn));

#endif
