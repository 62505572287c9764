/*
 * What a driver did that the specification forbids it and the device survives: counted by kind,
 * for people who write drivers (vireo explain, --strict-driver).  Counting never changes what the
 * device does.
 */
#ifndef VIRTIO_DRIVER_MISTAKES_H
#define VIRTIO_DRIVER_MISTAKES_H

#include "vmm/base/util.h"

/* X(symbol, "name in reports", "what the driver did", "where virtio-v1.4 forbids it") */
#define DRIVER_MISTAKE_TABLE(X)                                                                    \
	X(STATUS_BITS_CLEARED, "status-bits-cleared", "cleared status bits other than by a reset", \
	  "2.1.1")                                                                                 \
	X(NEEDS_RESET_WRITTEN, "needs-reset-written", "wrote DEVICE_NEEDS_RESET", "2.1")           \
	X(STATUS_UNKNOWN_BITS, "status-unknown-bits", "wrote status bits that do not exist",       \
	  "2.1")                                                                                   \
	X(STATUS_ORDER, "status-order", "set FEATURES_OK or DRIVER_OK without DRIVER", "3.1.1")    \
	X(FEATURES_AFTER_OK, "features-after-features-ok", "wrote features after FEATURES_OK",     \
	  "3.1.1")                                                                                 \
	X(FEATURES_NOT_OFFERED, "features-not-offered", "accepted a bit that was not offered",     \
	  "2.2.1")                                                                                 \
	X(FEATURES_NEEDS, "features-needs", "accepted a bit without one that it needs", "2.2.1")   \
	X(FEATURES_REQUIRED, "features-required", "left out a bit that the device requires",       \
	  "6.1")                                                                                   \
	X(DRIVER_OK_UNNEGOTIATED, "driver-ok-without-features-ok",                                 \
	  "set DRIVER_OK although FEATURES_OK does not stand", "3.1.1")                            \
	X(KICK_BEFORE_DRIVER_OK, "kick-before-driver-ok", "kicked before DRIVER_OK", "3.1.1")      \
	X(KICK_NO_QUEUE, "kick-no-queue", "kicked a queue that does not exist or is not enabled",  \
	  "4.1.5.2")                                                                               \
	X(KICK_VALUE, "kick-value", "kicked with a wrong value or width", "4.1.5.2")               \
	X(REGISTER_READ_ONLY, "register-read-only", "wrote to a read-only register", "4.1.4.3.2")  \
	X(REGISTER_WIDTH, "register-width", "accessed a register with a wrong width or alignment", \
	  "4.1.3.1")                                                                               \
	X(REGISTER_UNKNOWN, "register-unknown", "wrote where no register is", "4.2.2.2")           \
	X(QUEUE_NO_QUEUE, "queue-no-queue", "configured a queue that does not exist", "4.1.5.1.3") \
	X(QUEUE_ENABLED, "queue-enabled", "reconfigured a queue that is enabled", "4.1.4.3.2")     \
	X(QUEUE_SIZE, "queue-size", "set a queue size that cannot be", "4.1.5.1.3")                \
	X(QUEUE_ENABLE_TIME, "queue-enable-time",                                                  \
	  "enabled a queue before FEATURES_OK or after DRIVER_OK", "3.1.1")                        \
	X(QUEUE_DISABLE, "queue-disable", "wrote 0 to queue_enable", "4.1.4.3.2")                  \
	X(QUEUE_RESET, "queue-reset", "reset a queue without RING_RESET, or one that is not live", \
	  "2.6.1")                                                                                 \
	X(CONFIG_EARLY, "config-early", "wrote to config space before FEATURES_OK", "3.1.1")       \
	X(CONFIG_READ_ONLY, "config-read-only", "wrote to a read-only configuration field", "2.5") \
	X(CONFIG_BEYOND, "config-beyond", "accessed config space beyond its end", "2.5")           \
	X(CONFIG_SUSPENDED, "config-suspended", "wrote to config space while suspended", "3.4")   \
	X(VECTOR, "vector", "chose an interrupt vector that does not exist", "4.1.5.1.2")          \
	X(INTERRUPT_ACK, "interrupt-ack", "acknowledged an interrupt that was not pending",        \
	  "4.2.2.2")                                                                               \
	X(RING_CONFIG, "ring-config", "gave a ring an address where it cannot be", "2.7")          \
	X(RING_AVAIL_INDEX, "ring-avail-index", "moved the available index out of range",          \
	  "2.7.13")                                                                                \
	X(RING_HEAD, "ring-head", "made a descriptor available that does not exist", "2.7.6")      \
	X(RING_HEAD_IN_FLIGHT, "ring-head-in-flight", "made a buffer available twice", "2.7.13")   \
	X(RING_NEXT, "ring-next", "chained to a descriptor that does not exist", "2.7.5")          \
	X(RING_LOOP, "ring-loop", "made a chain longer than the queue, or a loop", "2.7.5.3.1")    \
	X(RING_ADDRESS, "ring-address", "gave a buffer outside of memory", "2.7.13")               \
	X(RING_ORDER, "ring-order", "put a readable buffer behind a writable one", "2.7.4.2")      \
	X(RING_INDIRECT, "ring-indirect", "broke the rules of indirect descriptors", "2.7.5.3.1")  \
	X(RING_LENGTH, "ring-length", "made a chain of more than 4 GiB", "2.7.5")                  \
	X(RING_NOT_AVAILABLE, "ring-not-available",                                                \
	  "chained to a descriptor that is not available", "2.8.6")

#define DRIVER_MISTAKE_ENUM(symbol, name, text, section) MISTAKE_##symbol,
enum driver_mistake { DRIVER_MISTAKE_TABLE(DRIVER_MISTAKE_ENUM) DRIVER_MISTAKE_KINDS };
#undef DRIVER_MISTAKE_ENUM

struct driver_mistakes {
	uint32_t n[DRIVER_MISTAKE_KINDS];	/* since power-on; stays at its maximum */
};

static inline void driver_mistakes_count(struct driver_mistakes *m, enum driver_mistake kind)
{
	if (m->n[kind] != UINT32_MAX)
		m->n[kind]++;
}

/* All kinds together. */
uint64_t driver_mistakes_total(const struct driver_mistakes *m);

const char *driver_mistake_name(enum driver_mistake kind);
/* "kicked before DRIVER_OK" */
const char *driver_mistake_text(enum driver_mistake kind);
/* The section of virtio-v1.4 that forbids it: "3.1.1". */
const char *driver_mistake_section(enum driver_mistake kind);

#endif
