/*
 * The escape key of the console: Ctrl-A, then a letter for Vireo; Ctrl-A twice types one for the
 * guest.  Pure: it looks at bytes and calls back.
 */
#ifndef VMM_ESCAPE_KEY_H
#define VMM_ESCAPE_KEY_H

#include "vmm/base/util.h"

enum { ESCAPE_KEY = 'A' - '@' };

struct escape_key {
	bool pending;		/* the last byte was the escape key */
	void (*command)(void *arg, char letter);
	void *arg;
};

/*
 * Take what is for Vireo out of 'buf'.  Returns how many bytes for the guest are left in it.  The
 * form of chardev_config.filter; 'arg' is the struct escape_key.
 */
size_t escape_key_filter(void *arg, uint8_t *buf, size_t len);

#endif
