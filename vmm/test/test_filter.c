#include "vmm/test/test_filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/test/pattern.h"

struct rule {
	bool not;
	const char *name, *tag;		/* globs */
	struct pattern *regex;
};

struct test_filter {
	unsigned n, n_positive;
	struct rule rule[];
};

static const char tag_prefix[] = "tag:";

static int read_rule(struct rule *rule, const char *word, struct mistakes *mistakes)
{
	const char *text = word;
	char why[PATTERN_WHY_SIZE], *regex;
	size_t len;
	int r = 0;

	rule->not = *text == '!';
	text += rule->not;
	len = strlen(text);
	if (len == 0) {
		mistakes_add(mistakes, "--filter: '%s' is no pattern", word);
	} else if (!strncmp(text, tag_prefix, sizeof(tag_prefix) - 1)) {
		rule->tag = text + sizeof(tag_prefix) - 1;
	} else if (text[0] != '/') {
		rule->name = text;
	} else if (len < 3 || text[len - 1] != '/') {
		mistakes_add(mistakes, "--filter: '%.128s' begins with '/', but is not /REGEX/",
			     word);
	} else {
		regex = strndup(text + 1, len - 2);
		r = regex ? pattern_create(&rule->regex, regex, false, why) : -ENOMEM;
		free(regex);
		if (r < 0 && r != -ENOMEM) {
			mistakes_add(mistakes, "--filter: '%.128s': %s", word, why);
			r = 0;
		}
	}
	return r;
}

int test_filter_create(struct test_filter **out, const struct word_list *words,
		       struct mistakes *mistakes)
{
	struct test_filter *filter = calloc(1, sizeof(*filter) + words->n * sizeof(struct rule));

	*out = NULL;
	if (!filter)
		return error_set(ENOMEM, "read --filter");
	for (unsigned i = 0; i < words->n; i++) {
		struct rule *rule = &filter->rule[filter->n++];

		if (read_rule(rule, words->word[i], mistakes) < 0) {
			test_filter_destroy(filter);
			return error_set(ENOMEM, "read --filter");
		}
		filter->n_positive += !rule->not;
	}
	*out = filter;
	return 0;
}

void test_filter_destroy(struct test_filter *filter)
{
	for (unsigned i = 0; filter && i < filter->n; i++)
		pattern_destroy(filter->rule[i].regex);
	free(filter);
}

static bool matches(const struct rule *rule, const struct test_case *test, const char *key)
{
	const struct text_list *tags = &test->spec->tags;
	struct pattern_place place;

	if (rule->regex)
		return pattern_find(rule->regex, key, strlen(key), 0, false, &place) ==
		       PATTERN_FOUND;
	if (rule->name)
		return fnmatch(rule->name, test->spec->name, 0) == 0 ||
		       fnmatch(rule->name, test->title, 0) == 0;
	for (unsigned i = 0; rule->tag && i < tags->n; i++)
		if (fnmatch(rule->tag, tags->item[i], 0) == 0)
			return true;
	return false;
}

bool test_filter_takes(const struct test_filter *filter, const struct test_case *test,
		       const char *key)
{
	bool taken = filter->n_positive == 0;

	for (unsigned i = 0; i < filter->n; i++) {
		const struct rule *rule = &filter->rule[i];

		if ((rule->not || !taken) && matches(rule, test, key)) {
			if (rule->not)
				return false;
			taken = true;
		}
	}
	return taken;
}
