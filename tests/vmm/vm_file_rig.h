/* A directory of its own for each test of VM files, and a configuration to read them into. */
#ifndef TESTS_VMM_VM_FILE_RIG_H
#define TESTS_VMM_VM_FILE_RIG_H

#include "vmm/config.h"
#include "vmm/file/vm_file.h"

extern struct vm_config rig_config;
extern struct mistakes rig_mistakes;

/* The current directory is an empty one meanwhile. */
void vm_file_rig_setup(void);
void vm_file_rig_teardown(void);

/* Make file 'name' of 'text', or of 'len' bytes. */
void rig_write(const char *name, const char *text);
void rig_write_bytes(const char *name, const char *bytes, size_t len);

#endif
