/*
 * A block device over a file with a known pattern (temp_disk.h), and a driver's requests to it.
 * One at a time per test program: the device is 'blk_rig'.
 */
#ifndef TESTS_BLK_RIG_H
#define TESTS_BLK_RIG_H

#include "devices/blk_request.h"
#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/temp_disk.h"

enum { BLK_RIG_SIZE = 1 << 20, BLK_RIG_SECTORS = BLK_RIG_SIZE / 512 };

struct blk_rig {
	struct device_rig device;
	struct temp_disk file;
	struct virtio_blk_config config;	/* for the test to change before it plugs */
};
extern struct blk_rig blk_rig;

void blk_rig_setup(void);
void blk_rig_teardown(void);

/* Make the device.  Skips the test if it wants io_uring and there is none. */
void blk_rig_plug_over(enum fake_transport transport);
void blk_rig_plug(void);

bool blk_rig_offers(unsigned bit);

/* One request in plain framing: header, readable data, writable data, status. */
struct blk_rig_request {
	uint32_t type;
	uint64_t sector;
	uint64_t data;			/* guest address */
	uint32_t out_len, in_len;	/* of the data */
	uint64_t header, status;	/* set by offer */
};

void blk_rig_offer(unsigned queue, struct blk_rig_request *r);
uint8_t blk_rig_status(const struct blk_rig_request *r);

/* Have it done on queue 0; checks that the used length fits the answer and returns the answer. */
uint8_t blk_rig_do(struct blk_rig_request r);
uint8_t blk_rig_read(uint64_t sector, uint64_t gpa, uint32_t len);
uint8_t blk_rig_write(uint64_t sector, uint64_t gpa, uint32_t len);
uint8_t blk_rig_flush(void);
/* Each segment is { sector, number of sectors, flags }. */
uint8_t blk_rig_segments(uint32_t type, const uint64_t (*segment)[3], unsigned n);

/* What is in guest memory: the file's pattern from 'offset' on / one byte all over. */
bool blk_rig_is_pattern(uint64_t gpa, uint64_t offset, uint32_t len);
bool blk_rig_is_all(uint64_t gpa, uint8_t byte, uint32_t len);

/* The device does its work and the end of the disk is as it was. */
void blk_rig_assert_alive(void);

#endif
