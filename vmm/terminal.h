/*
 * The terminal on standard input: raw while a guest uses it, restored whatever happens: normal
 * end, error, signals that end or stop the process, crashes.
 *
 * There is one terminal and signal handlers must find it, so its state is the process's.  Main
 * thread, except terminal_restore.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include "vmm/base/util.h"

/* Is standard input a terminal? */
bool terminal_is_there(void);

/*
 * Make it raw, from now on with protection against crashes.  Does nothing when there is no
 * terminal, or when Vireo runs in the background: the terminal is another's then; call it again
 * on SIGCONT.  Returns 0 or -errno with an error chain.
 */
MUST_USE int terminal_make_raw(void);

/* Back to how it was found.  Idempotent, async-signal-safe, any thread. */
void terminal_restore(void);

/* Its size in characters; false when there is no terminal or it does not know. */
bool terminal_size(uint16_t *cols, uint16_t *rows);

#endif
