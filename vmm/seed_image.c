#include "vmm/seed_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static void free_files(struct seed_file *file, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(file[i].content);
		file[i].content = NULL;
	}
}

#if HAVE_ISOFS

#include <dlfcn.h>

/* Then its header has struct burn_source, too. */
#define LIBISOFS_WITHOUT_LIBBURN
#include <libisofs/libisofs.h>

#define LIBRARY "libisofs.so.6"

enum { BLOCK = 2048 };

/* What is used of the library; it stays loaded: its thread may be about to end. */
struct isofs {
	void *handle;
	int (*init)(void);
	void (*finish)(void);
	int (*image_new)(const char *name, IsoImage **image);
	void (*image_unref)(IsoImage *image);
	IsoDir *(*get_root)(const IsoImage *image);
	int (*memory_stream_new)(unsigned char *buf, size_t size, IsoStream **stream);
	void (*stream_unref)(IsoStream *stream);
	int (*add_file)(IsoDir *parent, const char *name, IsoStream *stream, IsoFile **file);
	int (*opts_new)(IsoWriteOpts **opts, int profile);
	void (*opts_free)(IsoWriteOpts *opts);
	int (*set_rockridge)(IsoWriteOpts *opts, int enable);
	int (*set_joliet)(IsoWriteOpts *opts, int enable);
	int (*create_source)(IsoImage *image, IsoWriteOpts *opts, struct burn_source **source);
	const char *(*message)(int code);
};

static int load(struct isofs *iso)
{
	const struct symbol {
		const char *name;
		void *slot;
	} symbols[] = {
		{ "iso_init", &iso->init },
		{ "iso_finish", &iso->finish },
		{ "iso_image_new", &iso->image_new },
		{ "iso_image_unref", &iso->image_unref },
		{ "iso_image_get_root", &iso->get_root },
		{ "iso_memory_stream_new", &iso->memory_stream_new },
		{ "iso_stream_unref", &iso->stream_unref },
		{ "iso_tree_add_new_file", &iso->add_file },
		{ "iso_write_opts_new", &iso->opts_new },
		{ "iso_write_opts_free", &iso->opts_free },
		{ "iso_write_opts_set_rockridge", &iso->set_rockridge },
		{ "iso_write_opts_set_joliet", &iso->set_joliet },
		{ "iso_image_create_burn_source", &iso->create_source },
		{ "iso_error_to_msg", &iso->message },
	};

	iso->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!iso->handle) {
		error_set(ENOENT, "load what writes disk images: %s", dlerror());
		error_hint("sudo apt-get install libisofs6; or give the guest a disk with its "
			   "seed: '--disk seed.iso,readonly'");
		return -ENOENT;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(iso->handle, symbols[i].name);
		if (!symbol) {
			dlclose(iso->handle);
			return error_set(ENOENT, "use %s: it has no '%s'", LIBRARY,
					 symbols[i].name);
		}
		*(void **)symbols[i].slot = symbol;
	}
	return 0;
}

static int complain(const struct isofs *iso, int code)
{
	const char *message = iso->message(code);

	return error_set(EIO, "libisofs: %s", message ? message : "it failed");
}

static int add_file(const struct isofs *iso, IsoImage *image, struct seed_file *file)
{
	IsoStream *stream;
	int r = iso->memory_stream_new((unsigned char *)file->content, file->size, &stream);

	if (r < 0)
		return complain(iso, r);
	file->content = NULL;	/* the stream's, which frees it */
	r = iso->add_file(iso->get_root(image), file->name, stream, NULL);
	if (r < 0) {
		iso->stream_unref(stream);
		return complain(iso, r);
	}
	return 0;
}

/* The library writes on a thread of its own, which has ended when all is read. */
static int copy_out(struct burn_source *source, int fd)
{
	unsigned char block[BLOCK];
	int n, r = 0;

	/* A source of version 0 has 'read'; later ones have 'read_xt' instead. */
	int (*get)(struct burn_source *, unsigned char *, int) =
		source->read ? source->read : source->read_xt;

	while ((n = get(source, block, BLOCK)) > 0 && r == 0)
		if (write(fd, block, (size_t)n) != n)
			r = error_set(errno ? errno : EIO, "write a disk image into memory");
	if (n < 0 && r == 0)
		r = error_set(EIO, "libisofs: the image broke off");
	source->free_data(source);
	free(source);
	return r;
}

static int write_image(const struct isofs *iso, IsoImage *image, int fd)
{
	struct burn_source *source;
	IsoWriteOpts *opts;
	int r = iso->opts_new(&opts, 0);

	if (r < 0)
		return complain(iso, r);
	iso->set_rockridge(opts, 1);
	iso->set_joliet(opts, 1);
	r = iso->create_source(image, opts, &source);
	iso->opts_free(opts);
	return r < 0 ? complain(iso, r) : copy_out(source, fd);
}

static int fill(const struct isofs *iso, int fd, const char *label, struct seed_file *file,
		unsigned n)
{
	IsoImage *image;
	int r = iso->image_new(label, &image);

	if (r < 0)
		return complain(iso, r);
	r = 0;
	for (unsigned i = 0; i < n && r == 0; i++)
		if (file[i].content)
			r = add_file(iso, image, &file[i]);
	if (r == 0)
		r = write_image(iso, image, fd);
	iso->image_unref(image);
	return r;
}

static int create(int *fd, const char *label, struct seed_file *file, unsigned n)
{
	struct isofs iso;
	int r = load(&iso);

	if (r < 0)
		return r;
	*fd = memfd_create("seed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		r = error_set(errno, "create a memfd");
	if (r == 0 && iso.init() < 0)
		r = error_set(EIO, "libisofs does not start");
	if (r == 0) {
		r = fill(&iso, *fd, label, file, n);
		iso.finish();
	}
	if (r == 0 && fcntl(*fd, F_ADD_SEALS,
			    F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = error_set(errno, "seal a disk image in memory");
	return r;
}

#else

static int create(int *fd, const char *label, struct seed_file *file, unsigned n)
{
	(void)fd, (void)label, (void)file, (void)n;
	error_set(ENOTSUP, "this Vireo was built without libisofs, which writes disk images");
	error_hint("install libisofs-dev, then ./configure (without --enable-static) and make; or "
		   "give the guest a disk with its seed: '--disk seed.iso,readonly'");
	return -ENOTSUP;
}

#endif

int seed_image_create(int *fd, const char *label, struct seed_file *file, unsigned n)
{
	int r;

	*fd = FD_NONE;
	r = create(fd, label, file, n);
	free_files(file, n);
	if (r < 0)
		fd_close(fd);
	return r;
}
