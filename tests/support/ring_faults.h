/*
 * What a driver can do wrong in a ring, as a table: one row lays one thing out and offers it.  A
 * test runs it through the bare queue (ring_fault_test.c) or through a device and a transport.
 */
#ifndef TESTS_RING_FAULTS_H
#define TESTS_RING_FAULTS_H

#include "tests/support/fake_ring.h"

/* What a row may use from 'scratch' on, besides the ring. */
#define RING_FAULT_SCRATCH KIB(64)

struct ring_fault {
	const char *name;
	unsigned layouts;		/* bit 1 << enum fake_layout: where it can be done */
	void (*apply)(struct fake_ring *ring, uint64_t scratch);	/* 'ring' is fresh */
	enum vq_fault fault;		/* VQ_FAULT_NONE: no fault, it has to be tolerated */
	bool indirect;			/* a matter of indirect tables */
	bool held;			/* a fault only while the chain before it is out */
	uint16_t min_size;		/* of the ring; 0: 4 will do */
	unsigned n_good;		/* chains that come out, before the fault if there is one */
};

extern const struct ring_fault ring_faults[];
extern const unsigned n_ring_faults;

/* What to expect, given whether VIRTIO_F_INDIRECT_DESC was negotiated. */
enum vq_fault ring_fault_expected(const struct ring_fault *fault, bool indirect);

#endif
