/*
 * Loads and stores of little-endian wire fields at any alignment.  Everything that the guest or a
 * peer sees as bytes goes through these, never through a cast pointer.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_le16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t load_le32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t load_le64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void store_le16(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* 'size' is 1, 2, 4 or 8; other sizes load 0 and store nothing. */
static inline uint64_t load_le(const void *p, unsigned size)
{
	switch (size) {
	case 1: return *(const uint8_t *)p;
	case 2: return load_le16(p);
	case 4: return load_le32(p);
	case 8: return load_le64(p);
	default: return 0;
	}
}

static inline void store_le(void *p, unsigned size, uint64_t v)
{
	switch (size) {
	case 1: *(uint8_t *)p = (uint8_t)v; break;
	case 2: store_le16(p, (uint16_t)v); break;
	case 4: store_le32(p, (uint32_t)v); break;
	case 8: store_le64(p, v); break;
	default: break;
	}
}

#endif
