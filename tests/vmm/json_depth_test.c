#include <criterion/criterion.h>
#include <string.h>

#include "vmm/json_depth.h"

static bool is_deeper(const char *text, unsigned most)
{
	return json_is_deeper(text, strlen(text), most);
}

Test(json_depth, counts_what_is_open_at_once)
{
	cr_expect_not(is_deeper("[1, [2], {\"a\": [3]}]", 3));
	cr_expect(is_deeper("[1, [2], {\"a\": [3]}]", 2));
	cr_expect_not(is_deeper("[] [] [] {}", 1));
}

Test(json_depth, strings_do_not_count)
{
	cr_expect_not(is_deeper("[\"[[[[\", \"\\\"[[\"]", 1));
	cr_expect(is_deeper("[\"\\\\\", [[]]]", 2));
}

Test(json_depth, what_is_no_json_ends)
{
	cr_expect_not(is_deeper("]]]]}[", 1));
	cr_expect(is_deeper("]]]][[", 1));
	cr_expect_not(is_deeper("\"\\", 0));
	cr_expect_not(json_is_deeper("[[[", 1, 1), "no byte behind the end counts");
}
