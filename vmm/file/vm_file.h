/*
 * Reading a VM file: its tree is typed by the option table and put into a configuration, with the
 * place of each setting.  Top level keys are the table's sections, and 'include'.
 */
#ifndef VMM_FILE_VM_FILE_H
#define VMM_FILE_VM_FILE_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Read VM file 'path' ("-": standard input), and those that it includes, into 'config'.  Its
 * settings override those that are there, key by key; a list (and a wish for feature bits) is one
 * value.  Objects of repeated sections are known by their names and keep their order.
 *
 * Every mistake of all these files is noted with its place; a file that does not exist as
 * STATUS_NO_FILE.  'config' then has whatever was right.  Main thread, before the sandbox.
 */
void vm_file_read(struct vm_config *config, const char *path, struct mistakes *mistakes);

#endif
