/*
 * A small writer of AML, the byte code of ACPI's DSDT.  Objects that have a length are opened and
 * closed; lengths are put in when they close.  Its output is what iasl writes for the same
 * source, byte for byte.  ACPI Specification 6.5, chapter 20 "AML Specification" and 6.4
 * "Resource Data Types".
 *
 * Running out of room, or of nesting, makes the writer fail for good; ask aml_failed() once, at
 * the end.
 */
#ifndef MACHINE_AML_H
#define MACHINE_AML_H

#include "vmm/base/util.h"

enum { AML_MAX_DEPTH = 8 };

struct aml {
	uint8_t *buf;		/* keeps */
	size_t size;
	size_t len;		/* written */
	bool failed;
	unsigned depth;
	struct {
		size_t start;	/* of the object's body, where its length will be inserted */
		bool is_buffer;	/* a buffer has its size in bytes there, too */
	} open[AML_MAX_DEPTH];
};

void aml_init(struct aml *aml, uint8_t *buf, size_t size);

/* Something did not fit, or an object is still open. */
bool aml_failed(const struct aml *aml);

/* Open an object; 'name' is a segment of exactly four characters ("_SB_", "PCI0"). */
void aml_begin_scope(struct aml *aml, const char *name);
void aml_begin_device(struct aml *aml, const char *name);
void aml_begin_package(struct aml *aml, unsigned n_elements);	/* n_elements data objects follow */
void aml_begin_resources(struct aml *aml);	/* ResourceTemplate; descriptors follow */

/* Close the object that was opened last.  Resources are closed by their own function. */
void aml_end(struct aml *aml);
void aml_end_resources(struct aml *aml);

/* Name (name, ...): the data object that is written next is its value. */
void aml_name(struct aml *aml, const char *name);

/* Data objects. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id);		/* "PNP0A08", as an integer */

/* Resource descriptors, between aml_begin_resources and aml_end_resources. */
void aml_io(struct aml *aml, uint16_t base, uint8_t length);	/* IO (Decode16, fixed) */
void aml_irq(struct aml *aml, unsigned irq);			/* IRQNoFlags, irq < 16 */
void aml_memory32(struct aml *aml, uint32_t base, uint32_t length);	/* fixed, read-write */
void aml_interrupt_edge_shared(struct aml *aml, uint32_t gsi);	/* Interrupt (..., active high) */

/* Windows of a bridge (ResourceProducer): [first, last]. */
void aml_bus_window(struct aml *aml, uint8_t first, uint8_t last);
void aml_io_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *aml, uint32_t first, uint32_t last);	/* not cacheable */

#endif
