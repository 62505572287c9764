/*
 * Which queue of a balloon does what.  The specification gives the queues fixed numbers, says that
 * three of them exist only with their feature, and leaves open whether the others then move up.
 * Drivers and devices have disagreed ever since:
 *
 *   literal            2 statistics, 3 hinting, 4 reporting; a missing queue leaves a gap
 *   dense, accepted    the features that the driver accepted get 2, 3, ... in this order (Linux)
 *   dense, offered     the features that the device offered do (drivers made for QEMU)
 *
 * Vireo has all five queues and decides when the driver is ready, from the features that were
 * offered and accepted and the queues that are enabled.  The rule:
 *
 *   1. The enabled queues (beyond 0 and 1) are exactly those of one numbering: that one counts.
 *      All numberings keep the order of the features, so that two with the same set agree.
 *   2. Else, if they contain all queues of the literal numbering, the literal one; else, if they
 *      contain all of the one over the offered features, that one.  (A driver that enables more
 *      than it needs goes by what exists.  One that counts what it accepted does not.)
 *   3. Else the driver has left queues out.  A queue has the role in which all those numberings
 *      agree that have every one of the enabled queues.
 *   4. A queue without a role after that is inert: its buffers come back unread.
 *
 * A legacy driver may use a queue before it has set up the next: what comes late gets what the rule
 * gives it then, if no other queue has that role.
 *
 * In no case does a queue get a role whose feature was not accepted.
 *
 * virtio-v1.4 5.5.2 "Virtqueues", 5.5.5 "Device Initialization"
 */
#ifndef DEVICES_BALLOON_ROLES_H
#define DEVICES_BALLOON_ROLES_H

#include "virtio/features.h"

enum { BALLOON_QUEUES = 5 };

enum balloon_role {
	BALLOON_INERT,
	BALLOON_INFLATE,
	BALLOON_DEFLATE,
	BALLOON_STATS,
	BALLOON_HINTING,
	BALLOON_REPORTING,
};

/*
 * Give each queue its role.  Bit i of 'enabled': the driver enabled queue i.  Queues that are not
 * enabled are inert.  Pure.
 */
void balloon_roles_assign(enum balloon_role role[BALLOON_QUEUES], const struct features *offered,
			  const struct features *accepted, unsigned enabled);

/* "statistics", for messages. */
const char *balloon_role_name(enum balloon_role role);

#endif
