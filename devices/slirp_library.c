#include "devices/slirp_library.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_SLIRP

#include <dlfcn.h>

#include "vmm/base/log.h"

#define LIBRARY "libslirp.so.0"

static struct slirp_library library;
static bool is_loaded;

/* The names are those of libslirp 4.7, the oldest that has all of them. */
static const struct symbol {
	const char *name;
	void *slot;
} symbols[] = {
	{ "slirp_new", &library.create },
	{ "slirp_cleanup", &library.cleanup },
	{ "slirp_pollfds_fill", &library.pollfds_fill },
	{ "slirp_pollfds_poll", &library.pollfds_poll },
	{ "slirp_input", &library.input },
	{ "slirp_add_hostxfwd", &library.add_forward },
	{ "slirp_version_string", &library.version },
};

/* GLib's log, in which libslirp complains of what a guest does: as often as the guest likes. */
static void on_message(const char *domain, int level, const char *message, void *arg)
{
	static struct log_limit limit;

	(void)domain;
	(void)level;
	(void)arg;
	log_guest(&limit, LOG_INFO, "user network: %s", message);
}

static void catch_messages(void *handle)
{
	typedef void (*log_fn)(const char *domain, int level, const char *message, void *arg);
	unsigned (*set_handler)(const char *domain, int levels, log_fn fn, void *arg);
	void *symbol = dlsym(handle, "g_log_set_handler");
	enum { ALL_LEVELS = 0xfc };	/* G_LOG_LEVEL_MASK without flags */

	if (!symbol)
		return;
	*(void **)&set_handler = symbol;
	set_handler("Slirp", ALL_LEVELS, on_message, NULL);
}

static int find_symbols(void *handle)
{
	for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);
		if (!symbol) {
			error_set(ENOENT, "use %s: it has no '%s'", LIBRARY, symbols[i].name);
			error_hint("install libslirp 4.7 or newer");
			return -ENOENT;
		}
		*(void **)symbols[i].slot = symbol;
	}
	return 0;
}

int slirp_library_load(const struct slirp_library **out)
{
	*out = &library;
	if (is_loaded)
		return 0;

	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		error_set(ENOENT, "load the user-mode network: %s", dlerror());
		error_hint("sudo apt-get install libslirp0; or give the interface a tap: "
			   "'--net tap'");
		return -ENOENT;
	}
	int r = find_symbols(handle);
	if (r < 0) {
		dlclose(handle);
		return r;
	}
	catch_messages(handle);
	is_loaded = true;
	log_info("user network: libslirp %s", library.version());
	return 0;
}

#else

int slirp_library_load(const struct slirp_library **out)
{
	*out = NULL;
	error_set(ENOTSUP, "this Vireo was built without the user-mode network");
	error_hint("install libslirp-dev, then ./configure (without --enable-static) and make; "
		   "or give the interface a tap: '--net tap'");
	return -ENOTSUP;
}

#endif
