/*
 * What programs about the IOMMU have in common: a disk and an entropy source, each behind it in a
 * domain of its own, and claims about them.  The field is memory that nobody may reach unless it is
 * mapped; it shows what was written.
 */
#ifndef PAYLOAD_IOMMU_BED_H
#define PAYLOAD_IOMMU_BED_H

#include "images/payload/lib/blk.h"
#include "images/payload/lib/fenced.h"

enum {
	BED_RING = 64,
	BED_FIELD = 32,			/* pages of the field that are looked at */
	BED_DISK_DOMAIN = 1, BED_RNG_DOMAIN = 2, BED_FREE_DOMAIN = 3,
	BED_SECTOR = 8,			/* a page is there; attacks try to write there */
	BED_INDIRECT = 1,
};

#define BED_DISK_IOVA 0x5000000000ull
#define BED_RNG_IOVA 0x6000000000ull

struct iommu_bed {
	struct iommu iommu;
	struct fenced disk, rng;
	uint64_t ring_feature;		/* RING_PACKED, or none */
	struct blk_header *header;
	volatile uint8_t *status;
	uint8_t *buffer;		/* a page */
	uint8_t *expected;		/* what is at BED_SECTOR */
	uint8_t *noise;
	uintptr_t mark;			/* the heap behind what stays */
	unsigned field;			/* pages that are looked at */
	unsigned n_cases;
};

extern struct iommu_bed bed;

/* Find everything; ends the program as skipped when something is not there. */
void bed_find(void);
/* Start the IOMMU without bypass, attach and open both devices, write the disk. */
bool bed_open(void);

/* Into its domain, which then has the heap alone; where it was before is gone. */
bool bed_attach_disk(void);
/* Open the disk anew, with a fresh ring; 'bits': BED_INDIRECT or none. */
bool bed_start_disk(unsigned bits);
/* Make a request available: header, 'data', status.  'indirect': all of it in a table. */
void bed_submit(uint32_t type, uint64_t sector, struct piece data, bool indirect);
/* Move a page and wait.  False when it does not work. */
bool bed_moves(uint32_t type, uint64_t sector, void *at);

/* Fill the field / claim that nobody wrote to it. */
void bed_fill_field(void);
void bed_field_is_untouched(const char *what);

/* The disk is given up; the request was not answered. */
void bed_needs_reset(const char *what);
/* The entropy source goes on. */
void bed_rng_works(const char *what);
/* So does the disk after a new start, with nothing mapped but the heap.  The field is filled. */
void bed_works_after(const char *what);

/* One fault of the disk, and no other / none. */
void bed_expect_fault(uint8_t reason, uint32_t access, uint64_t addr, const char *what);
void bed_expect_no_fault(const char *what);
/* Any number, of the disk. */
void bed_take_faults(const char *what);

#endif
