/*
 * MSI-X of one PCI function, and the only place that decides who listens to an interrupt
 * source: KVM (an irqfd on the vector's route), the main loop (vector masked: set the pending
 * bit; MSI-X off: INTx), or nobody (no vector).  Sources keep one eventfd for life.
 *
 * A signal is never lost: while nobody listens yet (the main loop follows a change a moment
 * later) it waits in the eventfd.  With Bus Master Enable off a function may not send, and
 * every vector is treated as masked.
 *
 * All calls: control path, machine lock held, except where said; the watch callbacks run on the
 * main loop and take it.
 * PCI Local Bus Specification 3.0, 6.8.2 "MSI-X Capability and Table Structure".
 */
#ifndef MACHINE_MSIX_H
#define MACHINE_MSIX_H

#include <pthread.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/machine/irq_chip.h"
#include "vmm/machine/pci.h"

enum { MSIX_NO_VECTOR = 0xffff, MSIX_MAX_VECTORS = 2048 };

struct msix;

/* Something that interrupts: one queue, or the configuration.  Embedded in its owner. */
struct msix_source {
	int fd;				/* eventfd: a signal is one interrupt; borrowed for life */
	uint16_t vector;		/* or MSIX_NO_VECTOR */
	struct msix *msix;		/* NULL while not added */
	struct event_source watch;	/* on the main loop while nobody else listens */
	uint32_t attached_gsi;		/* irqfd attached there, or 0 */
	struct msix_source *next;
};

struct msix_config {
	struct pci_device *dev;		/* keeps; the capability is added to it */
	struct irq_chip *irq;		/* keeps */
	struct event_loop *main_loop;	/* keeps */
	pthread_mutex_t *machine_lock;	/* keeps */
	unsigned n_vectors;		/* 0: no MSI-X capability, INTx only */
	unsigned bar;			/* where table and PBA lie */
	uint32_t table_offset, pba_offset;	/* multiples of 8 */
	/* Called with the machine lock held when a source fires while MSI-X is off. */
	void (*intx)(void *arg, struct msix_source *source);
	void *arg;
};

/*
 * Add the capability to config->dev (n_vectors > 0), before pci_root_add.
 *
 * Returns 0 and an owned msix, or -errno with an error chain.  Main thread, or before the loop
 * runs.
 */
MUST_USE int msix_create(struct msix **out, const struct msix_config *config);
/* Removes the sources that are left.  NULL is fine.  Main thread. */
void msix_destroy(struct msix *msix);

/*
 * Register 'source' (fd set; keeps it until removed) without a vector.  Always returns 0.
 */
MUST_USE int msix_add_source(struct msix *msix, struct msix_source *source);
/* Nobody listens to it any more; fine when not added.  Main thread. */
void msix_remove_source(struct msix_source *source);

/*
 * Point 'source' at 'vector', as the driver asked; MSIX_NO_VECTOR for none.  Returns 0, or
 * -EINVAL if there is no such vector or it cannot be had: the source then has MSIX_NO_VECTOR,
 * which the driver must be able to read.  No error chain.
 */
MUST_USE int msix_set_vector(struct msix_source *source, uint16_t vector);

/*
 * The device was reset: no vector, and signals that nobody has taken yet are forgotten.  Its
 * owner is quiet.
 */
void msix_reset_source(struct msix_source *source);

/* Has 'source' fired while its vector was masked, so that a message is due?  Nothing is taken. */
bool msix_is_pending(const struct msix_source *source);

/*
 * Guest access to the table and PBA part of the BAR; 'offset' is from the BAR's start, 'size' 1
 * to 8.  Bytes that belong to neither read 0; what is written to them or to the PBA vanishes.
 */
uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned size);
void msix_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value);

/*
 * To be called from the function's config_written: MSI-X Enable, Function Mask and Bus Master
 * Enable live in config space.
 */
void msix_config_written(struct msix *msix, unsigned offset, unsigned size);

bool msix_enabled(const struct msix *msix);

/* Is [offset, offset + len) of 'bar' part of the table or the PBA? */
bool msix_overlaps(const struct msix *msix, unsigned bar, uint64_t offset, uint64_t len);

/*
 * System reset, from the function's ops->reset: table masked and zero, nothing pending,
 * msix_reset_source for each source.
 */
void msix_reset(struct msix *msix);

#endif
