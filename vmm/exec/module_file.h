/*
 * A file of a kernel module (.ko, .ko.gz, .ko.xz, .ko.zst), unpacked, and what it says about
 * itself: its section .modinfo.  A file is data to be judged: nothing in it is believed.
 */
#ifndef EXEC_MODULE_FILE_H
#define EXEC_MODULE_FILE_H

#include "vmm/base/util.h"

/* The largest module that is believed to be one. */
#define MODULE_FILE_MAX MIB(512)

/* The words that the name of such a file can end with, NULL behind the last. */
extern const char *const module_file_endings[];

/*
 * The name of the module in a file called 'path', with '-' as '_' (that is what the kernel does),
 * to 'name'.  False: it is not called like a module, or 'size' is too small.
 */
bool module_file_name(const char *path, char *name, size_t size);

struct module_file {
	uint8_t *data;		/* unpacked, owned */
	size_t len;
};

/*
 * Read and unpack the file.  Returns 0; -EBADMSG (damaged), -ENOEXEC (no module), -EFBIG, -ENOSYS
 * (this build lacks the library), -ENOMEM, -errno of open(2) and read(2); with an error chain that
 * names the file.
 */
MUST_USE int module_file_read(struct module_file *file, const char *path);
void module_file_free(struct module_file *file);

/*
 * The value of "KEY=..." in its .modinfo (borrowed from the file), or NULL: it does not say.
 */
const char *module_file_info(const struct module_file *file, const char *key);

#endif
