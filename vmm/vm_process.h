/*
 * A VM as a child process: 'vireo run DIR/vm.json' of this same program, for whoever runs VMs and
 * has an event loop (tests, exec).  Its console is a pair of pipes, what it has to say goes to
 * DIR/stderr.log, and it ends when the caller does.  Nothing here waits; everything is on the
 * loop's thread.
 */
#ifndef VMM_VM_PROCESS_H
#define VMM_VM_PROCESS_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/config.h"

struct vm_process;

/* How it ended. */
struct vm_process_end {
	int status;		/* its exit status: vmm/outcome.h; -1: a signal ended it */
	int signal;		/* that signal; 0: none */
	uint64_t duration_ns;	/* since it was started */
};

struct vm_process_ops {
	/*
	 * What the guest wrote to its console, as it comes (borrowed): at most VM_PROCESS_CHUNK
	 * bytes in a turn of the loop, so that one guest cannot keep the others waiting.
	 */
	void (*output)(void *arg, const void *buf, size_t len);
	/*
	 * It is over, and its console was read to the end; called once.  The callee may destroy the
	 * process here.
	 */
	void (*ended)(void *arg, const struct vm_process_end *end);
	/* Optional: there is room for input again, after vm_process_input() took less. */
	void (*writable)(void *arg);
};

enum {
	VM_PROCESS_CHUNK = 65536,
	VM_PROCESS_INPUT = 65536,	/* so much input waits for the guest, at most */
	VM_PROCESS_FD = 3,		/* the first of the descriptors that are handed over */
	VM_PROCESS_MAX_FDS = 8,
	VM_PROCESS_PATIENCE_MS = 2000,	/* from SIGTERM to SIGKILL */
};

struct vm_process_config {
	const char *program;		/* NULL: this one */
	const char *dir;		/* there; vm.json and stderr.log are written to it */
	const struct vm_config *vm;	/* validated */
	/*
	 * More words for its command line, for what vm.json shall not have because only this
	 * process can mean it ("--port", "name=vireo.agent,fd=3"); ends with NULL; or NULL.
	 */
	const char *const *args;
	/* It has fds[i] as VM_PROCESS_FD + i. */
	const int *fds;
	unsigned n_fds;
};

/*
 * Write vm.json and start it.  Everything in 'config' is borrowed (the caller closes its end of
 * what it handed over, so that the end of the VM can be seen there); 'ops' and 'arg' are kept.  The
 * console, or else the serial port, should lead to 'stdio'.
 *
 * Returns 0 and an owned process, or -errno with an error chain.  What the VM itself finds wrong is
 * told by its status and in stderr.log.
 */
MUST_USE int vm_process_start(struct vm_process **out, const struct vm_process_config *config,
			      struct event_loop *loop, const struct vm_process_ops *ops, void *arg);

/*
 * Let go of it; if it is not over it is killed, its ops are not called any more.  NULL is fine.
 * May be called from its ops.
 */
void vm_process_destroy(struct vm_process *process);

/*
 * Type on the console.  Returns how many bytes were taken: less than 'len' if more than
 * VM_PROCESS_INPUT would wait; 'writable' tells when that gets better.  0 when it is over or does
 * not read any more.
 */
size_t vm_process_input(struct vm_process *process, const void *buf, size_t len);

/* How much of that has not been taken by the VM yet. */
size_t vm_process_input_left(const struct vm_process *process);

/* No more input: its end of the pipe sees an end of file, after what waits. */
void vm_process_input_end(struct vm_process *process);

/* How much of its output is on its way, so that 'output' will be called for it. */
size_t vm_process_output_left(const struct vm_process *process);

/* Ask it for a state report, which goes to stderr.log.  Fine when it is over, or not ready yet. */
void vm_process_report(struct vm_process *process);

/* Press the guest's power button.  Fine when it is over, or not ready yet. */
void vm_process_press_power_button(struct vm_process *process);

/*
 * End it: SIGTERM, and SIGKILL VM_PROCESS_PATIENCE_MS later.  'ended' tells when it is over.  A
 * report that was asked for before is written first.  Again is fine.
 */
void vm_process_stop(struct vm_process *process);

/* Its process ID, for messages. */
int vm_process_id(const struct vm_process *process);

#endif
