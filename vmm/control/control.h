/*
 * The control socket of a running VM with all that is behind it: run directory, logs, HTTP server,
 * resources (control_routes.c).  There is none unless the VM has a name or a run directory.
 *
 * All calls: main thread.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/consoles.h"

struct json_t;
struct control;
struct vm;

/* What the program does for it; called on the main loop. */
struct control_host {
	void (*quit)(void *arg);	/* end the VM, soon */
	void (*reset)(void *arg);	/* reset the machine, now */
	void (*held)(void *arg, bool held);	/* the VM was paused / goes on */
	/*
	 * A state report: an owned object of Jansson, or text from malloc with its length; or NULL
	 * with an error chain.
	 */
	struct json_t *(*report)(void *arg);
	char *(*report_text)(void *arg, size_t *len);
	void *arg;
};

/* Does this configuration have one? */
bool control_is_wanted(const struct vm_config *config);

/*
 * Make the run directory, the socket (which clients can connect to from now on), and the logs.
 * 'config' and 'loop' are kept.
 *
 * Returns 0 and an owned control; -EOPNOTSUPP in a build without libjansson; what run_dir_create()
 * and the system say.  With an error chain.
 */
MUST_USE int control_create(struct control **out, const struct vm_config *config,
			    struct event_loop *loop);

/* Where what the guest says on its consoles shall be copied to. */
struct consoles_copy control_console_copy(struct control *control);

/* Keep the text of a state report in the run directory.  'control' is a struct control. */
void control_keep_report(void *control, const char *text, size_t len);

/* Answer clients, who ask about 'vm' (keeps).  Returns 0 or -errno with an error chain. */
MUST_USE int control_serve(struct control *control, struct vm *vm, const struct control_host *host);

/* No client is answered any more; what was answered leaves.  The VM may go then. */
void control_stop(struct control *control);

/*
 * Free it and give up the run directory; 'keep' keeps its logs, and their place is written to the
 * log.  NULL is fine.
 */
void control_destroy(struct control *control, bool keep);

#endif
