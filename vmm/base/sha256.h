/*
 * SHA-256, to tell whether files are the same.  FIPS 180-4.  Nothing secret is hashed: the time
 * that it takes may depend on the bytes.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "vmm/base/util.h"

enum { SHA256_SIZE = 32, SHA256_TEXT_SIZE = 2 * SHA256_SIZE + 1 };

struct sha256 {
	uint32_t state[8];
	uint64_t len;		/* bytes so far */
	uint8_t block[64];
};

void sha256_init(struct sha256 *hash);
/* Append 'len' bytes. */
void sha256_add(struct sha256 *hash, const void *bytes, size_t len);
/* The digest of all that was added, in hexadecimal.  The state is used up. */
void sha256_end(struct sha256 *hash, char text[SHA256_TEXT_SIZE]);

#endif
