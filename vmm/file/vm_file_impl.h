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
	struct origins *origins;	/* whose the files are: the configuration's, or a plan's */
	unsigned n_files;		/* counted each time they are read */
	const char *kind;		/* "VM file" */
};

/* One of these files. */
struct vm_file {
	struct vm_load *load;
	const char *path;
	bool has_folder;		/* its paths are relative to: not if it is a pipe */
	const struct origin_file *origin;
	const struct vm_file *includer;	/* or NULL */
	unsigned depth;
	dev_t dev;
	ino_t ino;
};

/*
 * Read 'path' as a tree: bytes, text, YAML, each judged.  'at': the place that names it, NULL: the
 * user; 'includer': the file that includes it, or NULL.  Fills 'f', which keeps 'load', 'path' and
 * 'includer'.  False, noted, if there was a mistake; '*tree' is to be freed in both cases.
 */
bool vm_file_open(struct vm_file *f, struct vm_load *load, const char *path,
		  const struct origin *at, const struct vm_file *includer, struct yaml_tree *tree);

/* What is in a VM file, given as the tree's map: what it includes, then its sections. */
void vm_file_map(struct vm_file *f, const struct yaml_node *map);

/*
 * Set "section.key" (or "section.NAME.key"), in a file of another kind, to the value (or values) of
 * 'node', which has that as its key unless 'setting' says another.
 */
void vm_file_set(struct vm_file *f, const char *setting, const struct yaml_node *node);

/* Read VM file 'path' that another file names 'at' a place of it. */
void vm_file_read_at(struct vm_load *load, const char *path, const struct origin *at);

/*
 * Note that nobody knows the key of 'node' ("unknown WHAT; did you mean ...; allowed: ...").
 * 'elsewhere': where it is known, or NULL.
 */
void vm_file_unknown(const struct vm_file *f, const struct yaml_node *node, const char *what,
		     const char *const *names, unsigned n, const char *elsewhere);

/* Note a mistake about the value of 'node'; 'label' are the keys that lead to it. */
void vm_file_mistake(const struct vm_file *f, const struct yaml_node *node, const char *label,
		     const char *fmt, ...) PRINTF_LIKE(4, 5);

/*
 * The one value that 'node' is, with variables expanded; owned.  NULL, noted, if it is a map, a
 * list, nothing, or cannot be expanded.
 */
char *vm_file_value(struct vm_file *f, const struct yaml_node *node, const char *label);

/*
 * 'path', relative to the file that names it (to the current directory if that came through a
 * pipe); owned, NULL when memory is short.
 */
char *vm_file_resolve(const struct vm_file *f, const char *path);

/* Put one section of a file into the configuration. */
void vm_file_section(struct vm_file *f, const struct yaml_node *node);

#endif
