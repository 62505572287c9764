/* The memory table: all of a guest's RAM, as vhost wants to hear of it. */
#ifndef VHOST_VHOST_MEMORY_H
#define VHOST_VHOST_MEMORY_H

#include "vhost/vhost_ops.h"
#include "vmm/machine/guest_memory.h"

/* Every region of 'memory'; its mappings must stay as they are while a node has the table. */
struct vhost_memory_table vhost_memory_describe(const struct guest_memory *memory);

/* How many bytes a dirty bitmap needs, a bit for each 4096 bytes from address 0 on. */
uint64_t vhost_memory_log_bytes(const struct guest_memory *memory);

#endif
