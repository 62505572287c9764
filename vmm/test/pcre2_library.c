#include "vmm/test/pcre2_library.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_PCRE2

#include <dlfcn.h>

#define LIBRARY "libpcre2-8.so.0"

static struct pcre2_library library;
static bool is_loaded;

static const struct symbol {
	const char *name;
	void *slot;
} symbols[] = {
	{ "pcre2_compile_8", &library.compile },
	{ "pcre2_code_free_8", &library.code_free },
	{ "pcre2_jit_compile_8", &library.jit_compile },
	{ "pcre2_match_data_create_from_pattern_8", &library.match_data_create },
	{ "pcre2_match_data_free_8", &library.match_data_free },
	{ "pcre2_match_8", &library.match },
	{ "pcre2_get_ovector_pointer_8", &library.ovector },
	{ "pcre2_match_context_create_8", &library.match_context_create },
	{ "pcre2_set_match_limit_8", &library.set_match_limit },
	{ "pcre2_set_heap_limit_8", &library.set_heap_limit },
	{ "pcre2_set_offset_limit_8", &library.set_offset_limit },
	{ "pcre2_get_error_message_8", &library.error_message },
};

int pcre2_library_load(const struct pcre2_library **out)
{
	void *handle;

	*out = &library;
	if (is_loaded)
		return 0;
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		error_set(ENOENT, "load regular expressions: %s", dlerror());
		error_hint("sudo apt-get install libpcre2-8-0");
		return -ENOENT;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);
		if (!symbol) {
			error_set(ENOENT, "use %s: it has no '%s'", LIBRARY, symbols[i].name);
			dlclose(handle);
			return -ENOENT;
		}
		*(void **)symbols[i].slot = symbol;
	}
	is_loaded = true;
	return 0;
}

#else

int pcre2_library_load(const struct pcre2_library **out)
{
	*out = NULL;
	error_set(ENOTSUP, "this Vireo was built without regular expressions");
	error_hint("install libpcre2-dev, then ./configure (without --enable-static) and make");
	return -ENOTSUP;
}

#endif
