/* The inside of reading VM files: vm_file.c (files) and vm_file_settings.c (what is in them). */
#ifndef VMM_FILE_VM_FILE_IMPL_H
#define VMM_FILE_VM_FILE_IMPL_H

#include <sys/types.h>

#include "vmm/config.h"
#include "vmm/file/expand.h"
#include "vmm/file/yaml_tree.h"

/* The reading of one file and all that it includes. */
struct vm_load {
	struct vm_config *config;
	struct mistakes *mistakes;
	size_t budget;			/* of expanded values */
};

/* One of these files. */
struct vm_file {
	struct vm_load *load;
	const char *path;
	const struct origin_file *origin;
	const struct vm_file *includer;	/* or NULL */
	unsigned depth;
	dev_t dev;
	ino_t ino;
};

/* Note a mistake about the value of 'node'; 'label' are the keys that lead to it. */
void vm_file_mistake(const struct vm_file *f, const struct yaml_node *node, const char *label,
		     const char *fmt, ...) PRINTF_LIKE(4, 5);

/*
 * The one value that 'node' is, with variables expanded; owned.  NULL, noted, if it is a map, a
 * list, nothing, or cannot be expanded.
 */
char *vm_file_value(struct vm_file *f, const struct yaml_node *node, const char *label);

/* 'path', relative to the file that names it; owned, NULL when memory is short. */
char *vm_file_resolve(const struct vm_file *f, const char *path);

/* Put one section of a file into the configuration. */
void vm_file_section(struct vm_file *f, const struct yaml_node *node);

#endif
