/* The agent's program, which is a part of this one, so that nothing has to be installed for it. */
#ifndef VMM_AGENT_IMAGE_H
#define VMM_AGENT_IMAGE_H

#include <stddef.h>

/*
 * An ELF file that needs nothing but a Linux kernel: its bytes, and how many they are (0 where no
 * compiler for it was found).
 */
const void *agent_image(size_t *len);

/* The unit by which systemd starts it in a guest; not ended by NUL. */
const char *agent_unit(size_t *len);

#endif
