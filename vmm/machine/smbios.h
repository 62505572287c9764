/*
 * SMBIOS 3.0: who the machine is, for programs that read /sys/class/dmi and dmidecode, and strings
 * for whoever in the guest looks for them (systemd finds its credentials there).  Operating systems
 * that boot without UEFI look for the entry point from 0xf0000 on.  DMTF DSP0134.
 */
#ifndef MACHINE_SMBIOS_H
#define MACHINE_SMBIOS_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

enum {
	/*
	 * How much OEM strings, with a NUL behind each, may take so that all fits, unless the
	 * machine has many sockets and a long 'manufacturer', which is told of each.
	 */
	SMBIOS_OEM_SIZE = 56 * 1024,
	/* The longest of the other texts. */
	SMBIOS_TEXT_MAX = 255,
};

/* Texts are borrowed, have no control characters, and may be NULL or empty: not told. */
struct smbios_config {
	const char *manufacturer, *product, *version, *serial, *sku, *family;
	const char *firmware_version;
	uint8_t uuid[16];		/* in the order of its text; all zero: not told */
	const char *const *oem_string;	/* none of them empty */
	unsigned n_oem_strings;
	unsigned n_vcpus, threads_per_core, cores_per_socket;	/* of the machine */
};

/*
 * Write entry point and structures to LAYOUT_SMBIOS.
 *
 * Returns 0; -ENOSPC with an error chain if they do not fit.
 */
MUST_USE int smbios_build(const struct guest_memory *mem, const struct smbios_config *config);

#endif
