/*
 * What the fuzz targets share: the input as a sequence of small values, and the check that ends a
 * run.  A value that is not there any more reads 0, so that every input means something, also one
 * that was cut or glued, and a corpus keeps its meaning when a target learns new operations (they
 * are added at the end).
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/le.h"
#include "vmm/base/util.h"

/* libFuzzer calls it for each input; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* An invariant.  Says what is wrong and where; the report of the sanitizer follows. */
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz_input {
	const uint8_t *data;
	size_t len;			/* what is left */
};

static inline uint64_t fuzz_value(struct fuzz_input *in, unsigned size)
{
	uint8_t bytes[8] = { 0 };

	for (unsigned i = 0; i < size && in->len > 0; i++) {
		bytes[i] = *in->data++;
		in->len--;
	}
	return load_le64(bytes);
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	return (uint8_t)fuzz_value(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	return (uint16_t)fuzz_value(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	return (uint32_t)fuzz_value(in, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	return fuzz_value(in, 8);
}

/* The width of a register access: 1, 2, 4 or 8. */
static inline unsigned fuzz_width(uint8_t byte)
{
	return 1u << (byte & 3);
}

#endif
