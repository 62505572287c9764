#include "vmm/kernel/kernel_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/exec_kernel.h"
#include "vmm/kernel/config_stream.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/file_kind.h"
#include "vmm/machine/kernel_unpack.h"
#include "vmm/machine/x86/bzimage.h"

enum { CHUNK = 1024 * 1024 };

/* A file that is being looked at. */
struct look {
	struct boot_file file;
	uint8_t *head;			/* FILE_KIND_HEAD bytes at most */
	size_t head_len;
	struct config_stream stream;
	char payload[24];		/* "lzo": packed so that it cannot be looked into; or "" */
};

/* --- Bytes ----------------------------------------------------------------------------------- */

/* The file as it is. */
static int feed_raw(struct look *look)
{
	uint64_t size = min_u64(look->file.size, KERNEL_SOURCE_MAX);
	uint8_t *buf = malloc(CHUNK);
	int r = buf ? 0 : error_set(ENOMEM, "read '%s'", look->file.path);

	for (uint64_t at = 0; r == 0 && at < size; at += CHUNK) {
		size_t len = min_u64(CHUNK, size - at);

		r = boot_file_read(&look->file, at, buf, len);
		if (r == 0)
			r = config_stream_write(&look->stream, buf, len);
	}
	free(buf);
	return r;
}

static int feed_unpacked(struct look *look, struct unpack_request *request)
{
	int r;

	request->file = &look->file;
	request->write = config_stream_write;
	request->arg = &look->stream;
	r = kernel_unpack(request);
	return r < 0 && r != -ECANCELED ? error_add(r, "unpack '%s'", look->file.path) : r;
}

/* A bzImage: what it unpacks to. */
static int feed_bzimage(struct look *look)
{
	struct bzimage bz;
	int r = bzimage_parse(&bz, &look->file, look->head, look->head_len);
	struct unpack_request request = {
		.format = bz.payload, .offset = bz.payload_offset, .size = bz.payload_size,
		.output_size = min_u64(bz.payload_output_size, KERNEL_SOURCE_MAX),
	};

	if (r < 0)
		return r;
	if (bz.payload == UNPACK_UNKNOWN || !unpack_is_supported(bz.payload)) {
		snprintf(look->payload, sizeof(look->payload), "%s",
			 unpack_format_name(bz.payload));
		return 0;
	}
	return feed_unpacked(look, &request);
}

static int feed(struct look *look)
{
	struct unpack_request request = {
		.format = look->head_len < UNPACK_MAGIC_SIZE ? UNPACK_UNKNOWN
							     : unpack_detect(look->head),
		.size = look->file.size, .output_size = KERNEL_SOURCE_MAX, .at_most = true,
	};
	int r;

	if (bzimage_is_bzimage(look->head, look->head_len))
		r = feed_bzimage(look);
	else if (request.format != UNPACK_UNKNOWN)
		r = feed_unpacked(look, &request);
	else
		r = feed_raw(look);
	if (r != -ECANCELED)
		return r;
	/* It was found before the end. */
	error_clear();
	return 0;
}

/* --- What came of it ------------------------------------------------------------------------- */

/* The gzip stream that a kernel has inside, as text: from a file that only exists in memory. */
static int unpack_inside(const struct config_stream *in, struct config_stream *out)
{
	struct boot_file file = { .fd = memfd_create("ikconfig", MFD_CLOEXEC), .what = "kernel" };
	const struct unpack_request request = {
		.format = UNPACK_GZIP, .file = &file, .size = in->packed_len,
		.output_size = KERNEL_CONFIG_MAX, .at_most = true,
		.write = config_stream_write, .arg = out,
	};
	int r = file.fd < 0 ? error_set(errno, "make a file in memory") : 0;

	file.path = strdup("its configuration");
	file.size = in->packed_len;
	if (r == 0 && !file.path)
		r = error_set(ENOMEM, "unpack a configuration");
	if (r == 0 && pwrite(file.fd, in->packed, in->packed_len, 0) != (ssize_t)in->packed_len)
		r = error_set(EIO, "write a file in memory");
	if (r == 0)
		r = kernel_unpack(&request);
	boot_file_close(&file);
	return r;
}

static int parse_text(struct kernel_source *source, struct config_stream *stream)
{
	char *text = stream->text;

	stream->text = NULL;
	if (text)
		return kernel_config_parse(&source->config, text, stream->text_len);
	return error_set(ENOEXEC, "it is no text, or more than %d MiB", KERNEL_CONFIG_MAX >> 20);
}

static int take_inside(struct kernel_source *source, const struct look *look)
{
	struct config_stream text = { 0 };
	int r = unpack_inside(&look->stream, &text);

	if (r == 0)
		r = parse_text(source, &text);
	config_stream_fini(&text);
	/* A configuration in a configuration is none. */
	if (r == -ECANCELED)
		r = error_set(EBADMSG, "it is no text");
	source->is_inside = true;
	return r < 0 ? error_add(r, "read the configuration in '%s'", look->file.path) : 0;
}

enum { READ_NOTHING = 1 };

/* Take what 'path' is or has inside.  Returns 0, READ_NOTHING, or -errno with an error chain. */
static int read_file(struct kernel_source *source, struct look *look, const char *path)
{
	int r = boot_file_open(&look->file, "kernel or configuration", path);

	if (r < 0)
		return r;
	look->head_len = min_u64(look->file.size, FILE_KIND_HEAD);
	look->head = malloc(FILE_KIND_HEAD);
	r = look->head ? boot_file_read(&look->file, 0, look->head, look->head_len)
		       : error_set(ENOMEM, "read '%s'", path);
	if (r == 0)
		r = feed(look);
	if (r < 0)
		return r;
	if (snprintf(source->path, sizeof(source->path), "%s", path) >= PATH_MAX)
		return error_set(ENAMETOOLONG, "read '%.60s...'", path);
	if (look->stream.state == CONFIG_STREAM_FOUND)
		return take_inside(source, look);
	if (parse_text(source, &look->stream) == 0)
		return 0;
	error_clear();
	return READ_NOTHING;
}

static void look_fini(struct look *look)
{
	boot_file_close(&look->file);
	config_stream_fini(&look->stream);
	free(look->head);
}

/* --- Beside a kernel ------------------------------------------------------------------------- */

/* Do two versions begin with the same two numbers?  Distributions number the rest by themselves. */
static bool is_version_of(const char *version, const char *release)
{
	size_t len = strcspn(version, ".");

	len += version[len] == '.' ? 1 + strspn(version + len + 1, "0123456789") : 0;
	return !strncmp(version, release, len) && strchr(".-+~_", release[len]);
}

/* Is there a configuration for this release at 'path'? */
static bool take_beside(struct kernel_source *source, const char *path, const char *release)
{
	struct look look = { .file = BOOT_FILE_INIT };
	int r = read_file(source, &look, path);

	look_fini(&look);
	error_clear();
	if (r == 0 && is_version_of(source->config.version, release))
		return true;
	kernel_source_fini(source);
	return false;
}

static bool look_beside(struct kernel_source *source, const struct exec_kernel *kernel,
			const char *boot, const char *modules)
{
	const char *release = kernel->release, *slash = strrchr(kernel->path, '/');
	int dir_len = slash ? (int)(slash - kernel->path) + 1 : 0;
	char path[2 * PATH_MAX], dir[PATH_MAX];

	snprintf(path, sizeof(path), "%.*sconfig-%s", dir_len, kernel->path, release);
	if (take_beside(source, path, release))
		return true;
	snprintf(path, sizeof(path), "%s/config-%s", boot, release);
	if (take_beside(source, path, release))
		return true;
	snprintf(path, sizeof(path), "%s/%s/config", modules, release);
	if (take_beside(source, path, release))
		return true;
	if (!exec_kernel_tree(kernel, dir))
		return false;
	snprintf(path, sizeof(path), "%s/.config", dir);
	return take_beside(source, path, release);
}

/* A kernel (or something else) that has no configuration inside. */
static int find_beside(struct kernel_source *source, const struct look *look,
		       const struct kernel_places *places)
{
	const char *boot = places && places->boot ? places->boot : "/boot";
	const char *modules = places && places->modules ? places->modules : "/lib/modules";
	const char *path = look->file.path, *kind;
	struct exec_kernel kernel;
	int r;

	if (exec_kernel_find(&kernel, path, NULL, NULL) < 0) {
		error_clear();
		kind = file_kind(look->head, look->head_len);
		return error_set(ENOEXEC, "'%s' is neither a kernel configuration nor a Linux "
				 "kernel%s%s", path, kind ? ": it is " : "", kind ? kind : "");
	}
	if (*kernel.release && look_beside(source, &kernel, boot, modules))
		return 0;
	if (*look->payload)
		r = error_set(ENODATA, "'%s' cannot be looked into: its payload is %s", path,
			      look->payload);
	else
		r = error_set(ENODATA, "'%s' has no configuration inside (CONFIG_IKCONFIG)", path);
	if (*kernel.release)
		error_hint("give the file that it was built by: distributions have it as "
			   "config-%s, which is neither beside it nor in %s", kernel.release, boot);
	else
		error_hint("give the file that it was built by: .config, /boot/config-RELEASE");
	return r;
}

int kernel_source_read(struct kernel_source *source, const char *path,
		       const struct kernel_places *places)
{
	struct look look = { .file = BOOT_FILE_INIT };
	int r;

	*source = (struct kernel_source){ 0 };
	r = read_file(source, &look, path);
	if (r == READ_NOTHING)
		r = find_beside(source, &look, places);
	look_fini(&look);
	if (r < 0)
		kernel_source_fini(source);
	return r;
}

void kernel_source_fini(struct kernel_source *source)
{
	kernel_config_fini(&source->config);
	*source = (struct kernel_source){ 0 };
}
