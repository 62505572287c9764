/*
 * Criterion's assertions for the helpers in tests/support when a fuzz target uses them: there is no
 * test to end, so that what is not so ends the program, and the fuzzer keeps the input.
 */
#ifndef TESTS_FUZZ_CRITERION_H
#define TESTS_FUZZ_CRITERION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define cr_assert_fail(...)                                                                        \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: failed\n", __FILE__, __LINE__);                            \
		abort();                                                                           \
	} while (0)
#define cr_assert(x, ...)                                                                          \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
#define cr_assert_not(x, ...) cr_assert(!(x))
#define cr_assert_null(x, ...) cr_assert(!(x))
#define cr_assert_not_null(x, ...) cr_assert(x)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b))
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b))
#define cr_assert_lt(a, b, ...) cr_assert((a) < (b))
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b))
#define cr_assert_gt(a, b, ...) cr_assert((a) > (b))
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b))
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp(a, b) == 0)
#define cr_assert_str_neq(a, b, ...) cr_assert(strcmp(a, b) != 0)
#define cr_assert_arr_eq(a, b, size, ...) cr_assert(memcmp(a, b, size) == 0)
#define cr_expect(x, ...) cr_assert(x)
#define cr_expect_eq(a, b, ...) cr_assert_eq(a, b)
#define cr_expect_str_eq(a, b, ...) cr_assert_str_eq(a, b)
#define cr_skip_test(...) cr_assert_fail()

#endif
