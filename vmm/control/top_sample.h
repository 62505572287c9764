/*
 * What 'vireo top' knows of a VM at one moment: its /metrics, read back.  Who answers is another
 * process: everything is bounded, and what does not fit is left out.
 */
#ifndef CONTROL_TOP_SAMPLE_H
#define CONTROL_TOP_SAMPLE_H

#include "vmm/base/util.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/vcpu_stats.h"

enum { TOP_MAX_QUEUES = 256, TOP_NAME_SIZE = 65, TOP_WORD_SIZE = 32 };

struct top_queue {
	char device[TOP_WORD_SIZE], datapath[TOP_WORD_SIZE];
	unsigned index;
	bool enabled, counts;
	double requests, bytes_out, bytes_in, in_flight;
	double samples, seconds;	/* of the latency */
};

struct top_vcpu {
	double cpu_s;
	double exits[VCPU_EXIT_KINDS];
};

struct top_sample {
	char name[TOP_NAME_SIZE];
	bool answers;
	double when;			/* in seconds, CLOCK_MONOTONIC */
	char state[TOP_WORD_SIZE];
	double start, own, guest, guest_resident;
	double cpu_s;			/* of all threads */
	struct top_vcpu vcpu[LAYOUT_MAX_VCPUS];
	unsigned n_vcpus;
	struct top_queue queue[TOP_MAX_QUEUES];
	unsigned n_queues;
};

/* Read the text of /metrics, which is changed, into 's', of which only the name stays. */
void top_sample_parse(struct top_sample *s, char *text);

/*
 * Ask the VM at the other end of 'fd' (consumed; negative: there is none).  One that does not
 * answer in time is a sample, too.
 */
void top_sample_take(struct top_sample *s, const char *name, int fd);

#endif
