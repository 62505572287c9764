#include "vmm/exec/cpio.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"

enum {
	HEADER_SIZE = 110,
	ALIGN = 4,
	DATE = 1,		/* not 0: some tools take that for "none" */
};

struct entry {
	const char *name;
	mode_t mode;
	unsigned n_links, major, minor;
	const void *data;
	size_t len;
};

void cpio_init(struct cpio *cpio, FILE *out)
{
	*cpio = (struct cpio){ .out = out };
}

void cpio_fini(struct cpio *cpio)
{
	for (unsigned i = 0; i < cpio->dirs.n; i++)
		free(cpio->dirs.item[i]);
	free(cpio->dirs.item);
	*cpio = (struct cpio){ 0 };
}

static int write_padded(struct cpio *cpio, const void *data, size_t len)
{
	static const char zeros[ALIGN];
	size_t padding;

	if (len > 0 && fwrite(data, 1, len, cpio->out) != len)
		return error_set(errno ? errno : EIO, "write an initramfs");
	cpio->written += len;
	padding = (size_t)(-cpio->written & (ALIGN - 1));
	if (padding > 0 && fwrite(zeros, 1, padding, cpio->out) != padding)
		return error_set(errno ? errno : EIO, "write an initramfs");
	cpio->written += padding;
	return 0;
}

static int write_entry(struct cpio *cpio, const struct entry *entry)
{
	size_t name_size = strlen(entry->name) + 1;
	char header[HEADER_SIZE + 1];
	char *head;
	int r;

	if (name_size > PATH_MAX)
		return error_set(ENAMETOOLONG, "put '%.40s...' into an initramfs", entry->name);
	if (entry->len > UINT32_MAX)
		return error_set(EFBIG, "put '%s' into an initramfs", entry->name);
	/* magic, ino, mode, uid, gid, nlink, mtime, filesize, dev, rdev, namesize, check */
	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++cpio->n_entries,
		 (unsigned)entry->mode, 0u, 0u, entry->n_links, (unsigned)DATE,
		 (unsigned)entry->len, 0u, 0u, entry->major, entry->minor, (unsigned)name_size, 0u);
	head = malloc(HEADER_SIZE + name_size);
	if (!head)
		return error_set(ENOMEM, "write an initramfs");
	memcpy(head, header, HEADER_SIZE);
	memcpy(head + HEADER_SIZE, entry->name, name_size);
	r = write_padded(cpio, head, HEADER_SIZE + name_size);
	free(head);
	return r == 0 ? write_padded(cpio, entry->data, entry->len) : r;
}

static bool has_dir(const struct cpio *cpio, const char *name, size_t len)
{
	for (unsigned i = 0; i < cpio->dirs.n; i++)
		if (!strncmp(cpio->dirs.item[i], name, len) && !cpio->dirs.item[i][len])
			return true;
	return false;
}

/* The directory with the first 'len' characters of 'name', unless it is there. */
static int make_dir(struct cpio *cpio, const char *name, size_t len, mode_t mode)
{
	struct entry entry = { .mode = S_IFDIR | (mode & 07777), .n_links = 2 };
	char **item;

	if (has_dir(cpio, name, len))
		return 0;
	item = reallocarray(cpio->dirs.item, cpio->dirs.n + 1, sizeof(*item));
	if (!item)
		return error_set(ENOMEM, "write an initramfs");
	cpio->dirs.item = item;
	item[cpio->dirs.n] = strndup(name, len);
	if (!item[cpio->dirs.n])
		return error_set(ENOMEM, "write an initramfs");
	entry.name = item[cpio->dirs.n++];
	return write_entry(cpio, &entry);
}

static int judge_name(const char *name)
{
	const char *part = name;
	size_t len;

	for (;;) {
		len = strcspn(part, "/");
		if (len == 0 || (len == 1 && part[0] == '.') ||
		    (len == 2 && part[0] == '.' && part[1] == '.'))
			return error_set(EINVAL, "put '%s' into an initramfs", name);
		if (!part[len])
			return 0;
		part += len + 1;
	}
}

/* Judge the name, and make the directories that lead there. */
static int make_parents(struct cpio *cpio, const char *name)
{
	int r = judge_name(name);

	for (const char *slash = name; r == 0 && (slash = strchr(slash, '/')); slash++)
		r = make_dir(cpio, name, (size_t)(slash - name), 0755);
	return r;
}

static int add(struct cpio *cpio, const struct entry *entry)
{
	int r = make_parents(cpio, entry->name);

	return r == 0 ? write_entry(cpio, entry) : r;
}

int cpio_add_dir(struct cpio *cpio, const char *name, mode_t mode)
{
	int r = make_parents(cpio, name);

	return r == 0 ? make_dir(cpio, name, strlen(name), mode) : r;
}

int cpio_add_file(struct cpio *cpio, const char *name, mode_t mode, const void *data, size_t len)
{
	const struct entry entry = {
		.name = name,
		.mode = S_IFREG | (mode & 07777),
		.n_links = 1,
		.data = data,
		.len = len,
	};

	return add(cpio, &entry);
}

int cpio_add_link(struct cpio *cpio, const char *name, const char *target)
{
	const struct entry entry = {
		.name = name,
		.mode = S_IFLNK | 0777,
		.n_links = 1,
		.data = target,
		.len = strlen(target),
	};

	return add(cpio, &entry);
}

int cpio_add_node(struct cpio *cpio, const char *name, mode_t mode, unsigned major, unsigned minor)
{
	const struct entry entry = {
		.name = name,
		.mode = mode,
		.n_links = 1,
		.major = major,
		.minor = minor,
	};

	return add(cpio, &entry);
}

int cpio_end(struct cpio *cpio)
{
	static const struct entry trailer = { .name = "TRAILER!!!", .n_links = 1 };
	int r = write_entry(cpio, &trailer);

	if (r == 0 && fflush(cpio->out) != 0)
		r = error_set(errno, "write an initramfs");
	return r;
}
