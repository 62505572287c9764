/*
 * Which requests the machine makes of KVM once it is built: what the sandbox (vmm/sandbox.c) lets
 * through.  A request that only machine_create makes does not belong here.
 */
#ifndef MACHINE_KVM_REQUESTS_H
#define MACHINE_KVM_REQUESTS_H

#include "vmm/base/util.h"

/* The ioctl request numbers, the most frequent one first. */
extern const unsigned long kvm_requests_running[];
extern const unsigned kvm_requests_running_len;

#endif
