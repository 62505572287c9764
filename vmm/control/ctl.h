/* "vireo ctl" and "vireo ps". */
#ifndef CONTROL_CTL_H
#define CONTROL_CTL_H

#include <stdio.h>

#include "vmm/base/util.h"

void help_ctl(FILE *out);
void help_ps(FILE *out);

/*
 * Connect to the VM called 'name': a name, or with a '/' in it a run directory or a control socket.
 * Returns the descriptor, or -errno with an error chain that says which VMs run.
 */
MUST_USE int ctl_connect(const char *name);

#endif
