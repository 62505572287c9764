/*
 * From what happened to the guest to what Vireo does and which status it exits with.  The
 * statuses are an ABI: vireo(1), "EXIT STATUS".
 */
#ifndef VMM_OUTCOME_H
#define VMM_OUTCOME_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/machine/machine.h"

enum {
	STATUS_OK = 0,
	STATUS_GUEST_MAX = 119,		/* larger ones of the guest are reported as this */
	STATUS_PANIC = 120,
	STATUS_CRASH = 121,
	STATUS_RESET = 122,
	STATUS_EXPECTATION = 123,
	STATUS_TIMEOUT = 124,
	STATUS_FAILED = 125,		/* Vireo itself, or a wrong configuration */
	STATUS_HOST = 126,
	STATUS_NO_FILE = 127,
};

struct outcome {
	bool restart;		/* reset the machine and go on; the rest is meaningless then */
	int status;
	bool dump;		/* memory and CPUs are to be kept first */
	bool failure;		/* to be said even if the user wants quiet */
	char text[200];		/* "guest powered off" */
};

/*
 * Judge the end of a run: 'end' as the machine reported it, with the guest's 'status'
 * (MACHINE_EXIT) and 'detail' (MACHINE_CRASH; may be empty), under the policies of 'config'.
 * MACHINE_STOPPED is the host's own doing and judged by whoever stopped.
 */
struct outcome outcome_judge(const struct vm_config *config, enum machine_outcome end,
			     uint32_t status, const char *detail);

/* The exit status when drivers were judged strictly and made 'n_mistakes'. */
int outcome_of_mistakes(const struct vm_config *config, int status, uint64_t n_mistakes);

/* What was being worked on when an error came up. */
enum outcome_blame {
	BLAME_VIREO,
	BLAME_FILE,		/* a file that the user named */
	BLAME_HOST,		/* a facility of the host, such as KVM */
};

/* The exit status of error 'err' (positive or negative errno) there. */
int outcome_of_error(enum outcome_blame blame, int err);

#endif
