/* What a test needs of its host, key 'requires': where it is not there the test is skipped. */
#ifndef TEST_TEST_REQUIRES_H
#define TEST_TEST_REQUIRES_H

#include "vmm/base/util.h"
#include "vmm/test/test_plan.h"

/* Is it a word of 'requires'?  If not, 'why' says what is. */
bool test_need_judge(const char *need, char why[TEST_MISSING_SIZE]);

/* Is it missing here?  Then 'why' is a sentence about that. */
bool test_need_is_missing(const char *need, char why[TEST_MISSING_SIZE]);

#endif
