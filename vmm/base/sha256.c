#include "vmm/base/sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2 "SHA-224 and SHA-256 Constants" */
static const uint32_t round_constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

void sha256_init(struct sha256 *hash)
{
	/* 5.3.3 "SHA-256" */
	*hash = (struct sha256){
		.state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
			   0x1f83d9ab, 0x5be0cd19 },
	};
}

static uint32_t rotate(uint32_t word, unsigned bits)
{
	return word >> bits | word << (32 - bits);
}

/* 6.2.2 "SHA-256 Hash Computation" */
static void add_block(struct sha256 *hash, const uint8_t *p)
{
	uint32_t w[64], s[8];

	for (unsigned i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (unsigned i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, hash->state, sizeof(s));
	for (unsigned i = 0; i < 64; i++) {
		uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
			      ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constant[i] + w[i];
		uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
			      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		hash->state[i] += s[i];
}

void sha256_add(struct sha256 *hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t used = hash->len % sizeof(hash->block);

	hash->len += len;
	if (used > 0) {
		size_t n = min_u64(len, sizeof(hash->block) - used);

		memcpy(hash->block + used, p, n);
		p += n;
		len -= n;
		if (used + n < sizeof(hash->block))
			return;
		add_block(hash, hash->block);
	}
	for (; len >= sizeof(hash->block); p += sizeof(hash->block), len -= sizeof(hash->block))
		add_block(hash, p);
	if (len > 0)
		memcpy(hash->block, p, len);
}

void sha256_end(struct sha256 *hash, char text[SHA256_TEXT_SIZE])
{
	static const char digit[] = "0123456789abcdef";
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = hash->len * 8;
	uint8_t end[8];

	for (unsigned i = 0; i < 8; i++)
		end[i] = (uint8_t)(bits >> (56 - 8 * i));
	/* 5.1.1: a one, zeros, and the length as the last 8 bytes of a block. */
	sha256_add(hash, padding, 1 + (119 - hash->len % 64) % 64);
	sha256_add(hash, end, sizeof(end));
	for (unsigned i = 0; i < SHA256_SIZE; i++) {
		uint8_t byte = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));

		*text++ = digit[byte >> 4];
		*text++ = digit[byte & 15];
	}
	*text = '\0';
}
