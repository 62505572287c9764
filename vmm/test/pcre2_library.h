/*
 * PCRE2, loaded when the first pattern is read: a VM that is only run pays nothing for it.
 */
#ifndef TEST_PCRE2_LIBRARY_H
#define TEST_PCRE2_LIBRARY_H

#include "vmm/base/util.h"

#if HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pcre2_library {
	pcre2_code *(*compile)(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *err,
			       PCRE2_SIZE *offset, pcre2_compile_context *context);
	void (*code_free)(pcre2_code *code);
	int (*jit_compile)(pcre2_code *code, uint32_t options);
	pcre2_match_data *(*match_data_create)(const pcre2_code *code,
					       pcre2_general_context *context);
	void (*match_data_free)(pcre2_match_data *data);
	int (*match)(const pcre2_code *code, PCRE2_SPTR subject, PCRE2_SIZE len, PCRE2_SIZE start,
		     uint32_t options, pcre2_match_data *data, pcre2_match_context *context);
	PCRE2_SIZE *(*ovector)(pcre2_match_data *data);
	pcre2_match_context *(*match_context_create)(pcre2_general_context *context);
	int (*set_match_limit)(pcre2_match_context *context, uint32_t limit);
	int (*set_heap_limit)(pcre2_match_context *context, uint32_t kib);
	int (*set_offset_limit)(pcre2_match_context *context, PCRE2_SIZE limit);
	int (*error_message)(int err, PCRE2_UCHAR *buf, PCRE2_SIZE size);
};

#endif

/*
 * Load it, once per process; it stays.  Returns 0; -ENOTSUP if this Vireo was built without it;
 * -ENOENT if the library is not installed.  With an error chain.
 */
struct pcre2_library;
MUST_USE int pcre2_library_load(const struct pcre2_library **out);

#endif
