/* The Internet checksum (RFC 1071), and what a guest that offloads it leaves to be done. */
#ifndef DEVICES_NET_CHECKSUM_H
#define DEVICES_NET_CHECKSUM_H

#include "vmm/base/util.h"

/* The checksum of 'len' bytes, as two bytes in the order of the wire. */
void net_checksum(uint8_t out[2], const uint8_t *bytes, size_t len);

/*
 * Finish a frame with NEEDS_CSUM: the field at 'start' + 'offset' holds the sum of the pseudo
 * header.  Returns false if that is not inside of the frame.
 *
 * virtio-v1.4 5.1.6.2 "Packet Transmission"
 */
MUST_USE bool net_checksum_finish(uint8_t *frame, size_t len, size_t start, size_t offset);

#endif
