/*
 * Who the VM is for its guest: the texts of sections 'smbios' and 'credentials', judged and
 * turned into what the SMBIOS tables carry.  A credential becomes the OEM string in which systemd
 * looks for it (systemd.io/CREDENTIALS, "io.systemd.credential").
 */
#ifndef VMM_IDENTITY_H
#define VMM_IDENTITY_H

#include "vmm/base/util.h"
#include "vmm/config.h"

struct smbios_config;

/* Zeroed is empty. */
struct identity {
	char **oem_string;		/* owned, and so is each */
	unsigned n_oem_strings;
};

/* Note what is wrong about the two sections. */
void identity_validate(const struct vm_config *config, struct mistakes *mistakes);

/*
 * Fill the texts and the UUID of 'smbios' in from a valid configuration: they are borrowed from it
 * and from 'identity'.  Returns 0, or -ENOMEM with an error chain.
 */
MUST_USE int identity_create(struct identity *identity, const struct vm_config *config,
			     struct smbios_config *smbios);
void identity_destroy(struct identity *identity);

enum { IDENTITY_NAME_SIZE = 65 };

/* What the VM is called, written to 'name' and returned; "" when nobody said. */
const char *identity_name(const struct vm_config *config, char name[IDENTITY_NAME_SIZE]);

/* The UUID that was given or follows from the name; all zero if there is neither. */
void identity_uuid(const struct vm_config *config, uint8_t uuid[16]);

#endif
