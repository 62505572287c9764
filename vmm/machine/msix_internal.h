/* What msix.c (table, capability) and msix_source.c (who listens) share. */
#ifndef MACHINE_MSIX_INTERNAL_H
#define MACHINE_MSIX_INTERNAL_H

#include "vmm/base/log.h"
#include "vmm/machine/msix.h"

/* PCI Local Bus Specification 3.0, 6.8.2.6-9: one entry of the table. */
enum {
	MSIX_ENTRY_SIZE = 16,
	MSIX_ENTRY_ADDR = 0,
	MSIX_ENTRY_DATA = 8,
	MSIX_ENTRY_CONTROL = 12,
	MSIX_ENTRY_MASKED = 0x01,
};

struct msix_vector {
	uint8_t entry[MSIX_ENTRY_SIZE];	/* as the guest reads it */
	bool pending;
	unsigned n_sources;
	uint32_t gsi;			/* 0 while no source points here */
	bool routed;			/* 'gsi' leads to (addr, data) */
	uint64_t addr;
	uint32_t data;
};

struct msix {
	struct msix_config config;
	unsigned capability;		/* offset in configuration space, 0 for none */
	struct msix_vector *vector;	/* config.n_vectors */
	struct msix_source *sources;
	struct event_source follow;	/* its eventfd: msix_follow shall run */
	struct log_limit refused;
};

bool msix_is_masked(const struct msix *msix);

/* Let every source have the listener that is right now. */
void msix_update_sources(struct msix *msix);

/* Take the signals that the main loop should have, without waiting for it. */
void msix_collect_sources(struct msix *msix);

/* msix->follow's callback. */
void msix_follow(struct event_source *follow, uint32_t events);

#endif
