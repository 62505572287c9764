/*
 * A port through which the guest says how it went: a decimal number and a newline end the run as a
 * write to the exit port does (exit_port.c).  What is no number is ignored, and said so.
 */
#ifndef DEVICES_STATUS_PORT_H
#define DEVICES_STATUS_PORT_H

#include "vmm/base/log.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

struct status_port {
	struct machine *machine;	/* keeps; set before the guest runs */
	uint64_t number;		/* of the line so far; at most UINT32_MAX */
	bool has_digits;
	bool ended;			/* blanks came behind the number */
	bool wrong;			/* it is none */
	struct log_limit log;
};

/*
 * What the guest wrote, wherever it was cut; has the form of chardev_config's 'copy'.  Any thread,
 * one at a time.
 */
void status_port_write(void *arg, const uint8_t *buf, size_t len);

#endif
