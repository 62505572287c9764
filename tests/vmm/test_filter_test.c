#include "vmm/test/test_filter.h"

#include <criterion/criterion.h>
#include <string.h>

static char name[] = "boots-and-serves", title[] = "boots-and-serves [vm.cpus=4]";
static char slow[] = "slow", net[] = "net";
static char *tags[] = { slow, net };
static struct test_spec spec = { .name = name, .tags = { tags, 2 } };
static struct test_case test = { .spec = &spec, .title = title };

static struct mistakes mistakes;

#define TAKES(...) takes((const char *[]){ __VA_ARGS__, NULL })
static bool takes(const char **words)
{
	struct word_list list = { words, 0 };
	struct test_filter *filter;
	bool taken;

	while (words[list.n])
		list.n++;
	mistakes = (struct mistakes){ 0 };
	cr_assert_eq(test_filter_create(&filter, &list, &mistakes), 0);
	taken = test_filter_takes(filter, &test, "web.yaml: boots-and-serves [vm.cpus=4]");
	test_filter_destroy(filter);
	return taken;
}

Test(test_filter, without_any_all_are_meant)
{
	cr_assert(takes((const char *[]){ NULL }));
}

Test(test_filter, globs_are_for_names)
{
	cr_assert(TAKES("boots-and-serves"));
	cr_assert(TAKES("boots*"));
	cr_assert(TAKES("*cpus=4?"));
	cr_assert(!TAKES("boots"));
	cr_assert(!TAKES("web.yaml*"), "the file is not the name");
	cr_assert(TAKES("other", "boots*"), "one is enough");
}

Test(test_filter, tags_are_globs)
{
	cr_assert(TAKES("tag:slow"));
	cr_assert(TAKES("tag:n*"));
	cr_assert(!TAKES("tag:fast"));
	cr_assert(!TAKES("tag:"));
}

Test(test_filter, an_exclamation_mark_takes_away)
{
	cr_assert(!TAKES("!boots*"));
	cr_assert(TAKES("!other"));
	cr_assert(!TAKES("boots*", "!tag:slow"));
	cr_assert(!TAKES("!tag:slow", "boots*"), "in any order");
}

Test(test_filter, what_is_no_pattern_is_a_mistake)
{
	static const char *const bad[] = { "", "!", "/", "//", "/open" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		TAKES(bad[i]);
		cr_assert_eq(mistakes.n, 1, "'%s'", bad[i]);
	}
}

#if HAVE_PCRE2

Test(test_filter, slashes_make_a_regular_expression)
{
	cr_assert(TAKES("/serves \\[vm.cpus=[24]\\]$/"));
	cr_assert(TAKES("/^web\\.yaml: /"), "with the file");
	cr_assert(!TAKES("/nothing/"));
	cr_assert(!TAKES("!/cpus=4/"));
	TAKES("/(/");
	cr_assert_eq(mistakes.n, 1);
	/* Too much work is no match, and comes to an end. */
	cr_assert(!TAKES("/^(.*.*.*.*.*.*.*.*)*x$/"));
}

#endif
