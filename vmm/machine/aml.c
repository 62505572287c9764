#include "vmm/machine/aml.h"

#include <string.h>

#include "vmm/base/le.h"

/* ACPI Specification 6.5, table 20.2 "AML Byte Stream Byte Values". */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
};

/* 6.4.2 "Small Resource Data Type" (with their length in the low bits) and 6.4.3 "Large ...". */
enum {
	RES_IRQ_2 = 0x22,
	RES_IO = 0x47,
	RES_END = 0x79,
	RES_MEMORY32_FIXED = 0x86,
	RES_DWORD_SPACE = 0x87,
	RES_WORD_SPACE = 0x88,
	RES_EXTENDED_INTERRUPT = 0x89,

	SPACE_MEMORY = 0,
	SPACE_IO = 1,
	SPACE_BUS = 2,
	SPACE_FIXED = 0x0c,		/* minimum and maximum fixed, positive decode, producer */
	SPACE_IO_ENTIRE_RANGE = 0x03,
	SPACE_MEMORY_READ_WRITE = 0x01,	/* not cacheable */

	/* 6.4.3.6, "Extended Interrupt Descriptor": consumer, edge, shared; active high is 0. */
	INTERRUPT_EDGE_SHARED = 1 << 0 | 1 << 1 | 1 << 3,
};

void aml_init(struct aml *aml, uint8_t *buf, size_t size)
{
	*aml = (struct aml){ .buf = buf, .size = size };
}

bool aml_failed(const struct aml *aml)
{
	return aml->failed || aml->depth > 0;
}

/* Make room for 'len' bytes at 'at'; returns where they go, or NULL. */
static uint8_t *insert(struct aml *aml, size_t at, size_t len)
{
	if (aml->failed || !range_inside(aml->len, len, aml->size)) {
		aml->failed = true;
		return NULL;
	}
	memmove(aml->buf + at + len, aml->buf + at, aml->len - at);
	aml->len += len;
	return aml->buf + at;
}

static void put(struct aml *aml, const void *data, size_t len)
{
	uint8_t *p = insert(aml, aml->len, len);

	if (p)
		memcpy(p, data, len);
}

static void put_int(struct aml *aml, unsigned size, uint64_t value)
{
	uint8_t *p = insert(aml, aml->len, size);

	if (p)
		store_le(p, size, value);
}

static void put8(struct aml *aml, unsigned value)
{
	put_int(aml, 1, value);
}

/* The shortest form of an integer, as it stands in the byte stream.  Returns its length. */
static unsigned encode_integer(uint8_t out[9], uint64_t value)
{
	unsigned size = value <= UINT8_MAX ? 1 :
			value <= UINT16_MAX ? 2 :
			value <= UINT32_MAX ? 4 : 8;

	if (value <= 1) {
		out[0] = value ? OP_ONE : OP_ZERO;
		return 1;
	}
	out[0] = size == 1 ? OP_BYTE : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD;
	store_le(out + 1, size, value);
	return 1 + size;
}

/*
 * 20.2.4 "Package Length Encoding": the length counts its own bytes.  One byte holds up to 63;
 * else the top bits of the first byte say how many follow, each with 8 more bits above its low 4.
 */
static unsigned encode_length(uint8_t out[4], size_t body)
{
	unsigned n = body + 1 < 1 << 6 ? 1 : body + 2 < 1 << 12 ? 2 : body + 3 < 1 << 20 ? 3 : 4;
	size_t length = body + n;

	if (n == 1) {
		out[0] = (uint8_t)length;
		return 1;
	}
	out[0] = (uint8_t)((n - 1) << 6 | (length & 0xf));
	for (unsigned i = 1; i < n; i++)
		out[i] = (uint8_t)(length >> (8 * i - 4));
	return n;
}

static void open_object(struct aml *aml, bool is_buffer)
{
	if (aml->depth == AML_MAX_DEPTH) {
		aml->failed = true;
		return;
	}
	aml->open[aml->depth].start = aml->len;
	aml->open[aml->depth++].is_buffer = is_buffer;
}

void aml_begin_scope(struct aml *aml, const char *name)
{
	put8(aml, OP_SCOPE);
	open_object(aml, false);
	put(aml, name, 4);
}

void aml_begin_device(struct aml *aml, const char *name)
{
	put8(aml, OP_EXT);
	put8(aml, OP_EXT_DEVICE);
	open_object(aml, false);
	put(aml, name, 4);
}

void aml_begin_package(struct aml *aml, unsigned n_elements)
{
	if (n_elements > UINT8_MAX)
		aml->failed = true;
	put8(aml, OP_PACKAGE);
	open_object(aml, false);
	put8(aml, n_elements);
}

void aml_begin_resources(struct aml *aml)
{
	put8(aml, OP_BUFFER);
	open_object(aml, true);
}

void aml_end(struct aml *aml)
{
	uint8_t prefix[4 + 9];
	unsigned n_prefix, n_size = 0;
	uint8_t size[9] = { 0 };
	size_t start, body;
	uint8_t *p;

	if (aml->failed || aml->depth == 0) {
		aml->failed = true;
		return;
	}
	aml->depth--;
	start = aml->open[aml->depth].start;
	body = aml->len - start;
	if (aml->open[aml->depth].is_buffer)
		n_size = encode_integer(size, body);
	n_prefix = encode_length(prefix, body + n_size);
	memcpy(prefix + n_prefix, size, n_size);
	n_prefix += n_size;
	p = insert(aml, start, n_prefix);
	if (p)
		memcpy(p, prefix, n_prefix);
}

void aml_end_resources(struct aml *aml)
{
	put8(aml, RES_END);
	put8(aml, 0);		/* a checksum of 0 is not checked */
	aml_end(aml);
}

void aml_name(struct aml *aml, const char *name)
{
	put8(aml, OP_NAME);
	put(aml, name, 4);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t code[9];

	put(aml, code, encode_integer(code, value));
}

void aml_string(struct aml *aml, const char *text)
{
	put8(aml, OP_STRING);
	put(aml, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* Three letters of 5 bits and four hexadecimal digits, most significant byte first. */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 3; i++)
		value = value << 5 | (uint32_t)(id[i] - '@');
	for (unsigned i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	put8(aml, OP_DWORD);
	put_int(aml, 4, __builtin_bswap32(value));
}

void aml_io(struct aml *aml, uint16_t base, uint8_t length)
{
	put8(aml, RES_IO);
	put8(aml, 1);			/* decodes 16 bits */
	put_int(aml, 2, base);		/* lowest */
	put_int(aml, 2, base);		/* highest */
	put8(aml, 1);			/* alignment */
	put8(aml, length);
}

void aml_irq(struct aml *aml, unsigned irq)
{
	put8(aml, RES_IRQ_2);
	put_int(aml, 2, 1u << irq);
}

void aml_memory32(struct aml *aml, uint32_t base, uint32_t length)
{
	put8(aml, RES_MEMORY32_FIXED);
	put_int(aml, 2, 9);
	put8(aml, 1);			/* read-write */
	put_int(aml, 4, base);
	put_int(aml, 4, length);
}

void aml_interrupt_edge_shared(struct aml *aml, uint32_t gsi)
{
	put8(aml, RES_EXTENDED_INTERRUPT);
	put_int(aml, 2, 6);
	put8(aml, INTERRUPT_EDGE_SHARED);
	put8(aml, 1);			/* one interrupt */
	put_int(aml, 4, gsi);
}

/* 6.4.3.5 "Address Space Resource Descriptors" with 'width' bytes per address. */
static void put_space(struct aml *aml, unsigned width, unsigned kind, unsigned flags,
		      uint32_t first, uint32_t last)
{
	put8(aml, width == 2 ? RES_WORD_SPACE : RES_DWORD_SPACE);
	put_int(aml, 2, 3 + 5 * width);
	put8(aml, kind);
	put8(aml, SPACE_FIXED);
	put8(aml, flags);
	put_int(aml, width, 0);		/* granularity */
	put_int(aml, width, first);
	put_int(aml, width, last);
	put_int(aml, width, 0);		/* translation */
	put_int(aml, width, last - first + 1);
}

void aml_bus_window(struct aml *aml, uint8_t first, uint8_t last)
{
	put_space(aml, 2, SPACE_BUS, 0, first, last);
}

void aml_io_window(struct aml *aml, uint16_t first, uint16_t last)
{
	put_space(aml, 2, SPACE_IO, SPACE_IO_ENTIRE_RANGE, first, last);
}

void aml_memory_window(struct aml *aml, uint32_t first, uint32_t last)
{
	put_space(aml, 4, SPACE_MEMORY, SPACE_MEMORY_READ_WRITE, first, last);
}
