#include "devices/net_checksum.h"

#include <string.h>

/* The one's complement sum does not care for the order of bytes, if it is always the same. */
void net_checksum(uint8_t out[2], const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	for (; len >= sizeof(word); len -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	if (len > 0) {
		word = 0;
		memcpy(&word, bytes, len);
		sum += word;
	}
	while (sum > UINT16_MAX)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	half = (uint16_t)~sum;
	memcpy(out, &half, sizeof(half));
}

bool net_checksum_finish(uint8_t *frame, size_t len, size_t start, size_t offset)
{
	if (start > len || !range_inside(offset, 2, len - start))
		return false;

	uint8_t *field = frame + start + offset;
	net_checksum(field, frame + start, len - start);
	/* In UDP zero means that there is none, and elsewhere both are the same. */
	if (field[0] == 0 && field[1] == 0)
		field[0] = field[1] = 0xff;
	return true;
}
