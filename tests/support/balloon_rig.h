/*
 * A balloon on a device rig, whose guest memory can really be given back, and what its driver does:
 * frames in, frames out, statistics, hints, reports.  Everything that fails here ends the test.
 */
#ifndef TESTS_BALLOON_RIG_H
#define TESTS_BALLOON_RIG_H

#include "devices/virtio_balloon.h"
#include "tests/support/device_rig.h"

enum { PAGE = 4096 };

/* Fields of the configuration space, and features as a mask. */
enum { BALLOON_NUM_PAGES = 0, BALLOON_ACTUAL = 4, BALLOON_HINT_ID = 8, BALLOON_POISON_VAL = 12 };
enum { F_TELL = 1, F_STATS = 2, F_OOM = 4, F_HINT = 8, F_POISON = 16, F_REPORT = 32 };

struct balloon_rig {
	struct device_rig rig;
	struct virtio_device *dev;
};

/* The name and the loop are filled in. */
void balloon_rig_create(struct balloon_rig *r, struct virtio_balloon_config config,
			enum fake_transport how);
void balloon_rig_destroy(struct balloon_rig *r);

/* DRIVER_OK with the features of 'bits' (0-5, and what is no balloon's) and these queues. */
void balloon_rig_start(struct balloon_rig *r, unsigned bits, unsigned queues);

/* 'n' fresh pages of 0xcc; their guest address. */
uint64_t balloon_rig_pages(struct balloon_rig *r, unsigned n);
/* Is every byte of the pages this one? */
bool balloon_rig_is(struct balloon_rig *r, uint64_t gpa, unsigned n_pages, uint8_t byte);

/* What the guest's memory takes of the host's, in bytes. */
uint64_t balloon_rig_resident(struct balloon_rig *r);

/* Send 'n' frame numbers on a queue and wait; the used length must be 0. */
void balloon_rig_frames(struct balloon_rig *r, unsigned queue, const uint32_t *frame, unsigned n);
/* The same for the pages from 'gpa' on. */
void balloon_rig_range(struct balloon_rig *r, unsigned queue, uint64_t gpa, unsigned n_pages);

/* Send bytes (readable) / a range (writable) on a queue; send and wait for length 0. */
void balloon_rig_put(struct balloon_rig *r, unsigned queue, const void *bytes, uint32_t len);
void balloon_rig_send(struct balloon_rig *r, unsigned queue, const void *bytes, uint32_t len);
void balloon_rig_report(struct balloon_rig *r, unsigned queue, uint64_t gpa, uint32_t len);

/* Wait until a field of the configuration space (le32) has this value. */
void balloon_rig_await(struct balloon_rig *r, unsigned offset, uint32_t value);

#endif
