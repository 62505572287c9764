/* The agent's program, which is a part of this one, so that nothing has to be installed for it. */
#ifndef VMM_AGENT_IMAGE_H
#define VMM_AGENT_IMAGE_H

#include <stddef.h>

/* An ELF file that needs nothing but a Linux kernel: its bytes, and how many they are. */
const void *agent_image(size_t *len);

#endif
