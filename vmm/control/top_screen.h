/*
 * The terminal as a screen that is drawn anew (ncurses, loaded when it is needed so that no other
 * command starts slower).  One at a time; main thread.
 */
#ifndef CONTROL_TOP_SCREEN_H
#define CONTROL_TOP_SCREEN_H

#include "vmm/base/util.h"

enum top_key { TOP_KEY_NONE, TOP_KEY_QUIT, TOP_KEY_UP, TOP_KEY_DOWN, TOP_KEY_RESIZE };

/* Take the terminal.  Returns 0; -EOPNOTSUPP, -ENOENT, -ENOTTY with an error chain. */
MUST_USE int top_screen_open(void);
void top_screen_close(void);

/*
 * Show 'text' from line 'first' on, below its first line, which stays; what does not fit is cut
 * off.  Returns how many lines of it are hidden below.
 */
unsigned top_screen_draw(const char *text, unsigned first);

/* Wait for a key, or 'ms' milliseconds.  The end of input is TOP_KEY_QUIT. */
enum top_key top_screen_wait(unsigned ms);

#endif
