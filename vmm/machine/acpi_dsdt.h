/* The DSDT's body: what the machine has, in AML.  Private to the ACPI tables (acpi.h). */
#ifndef MACHINE_ACPI_DSDT_H
#define MACHINE_ACPI_DSDT_H

#include "vmm/machine/acpi.h"
#include "vmm/machine/aml.h"

/* Write everything below \_SB and \_S5.  Whether it fitted: aml_failed(). */
void acpi_dsdt_write(struct aml *aml, const struct acpi_config *config);

#endif
