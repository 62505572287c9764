/* For result_json.c and result_read.c: what is only text in each object, once for both ways. */
#ifndef TEST_RESULT_JSON_IMPL_H
#define TEST_RESULT_JSON_IMPL_H

#include "vmm/test/result.h"

struct result_text {
	const char *key;
	size_t offset;		/* of a char * */
};

enum { RESULT_TEXTS = 6, RESULT_STEP_TEXTS = 2, RESULT_HEAD_TEXTS = 2 };

/* Of a struct test_result, test_step and test_results. */
extern const struct result_text result_texts[RESULT_TEXTS];
extern const struct result_text result_step_texts[RESULT_STEP_TEXTS];
extern const struct result_text result_head_texts[RESULT_HEAD_TEXTS];

#endif
