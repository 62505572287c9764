#include "vmm/test/test_arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/completion.h"
#include "vmm/test/shard.h"

/* What a value is, for who reads and who completes it. */
enum value_kind {
	VALUE_NONE,		/* a switch: bool */
	VALUE_OFF,		/* a switch that takes another one back */
	VALUE_COUNT,		/* bool-like, given several times: unsigned */
	VALUE_NUMBER,		/* 1 to 'max': unsigned */
	VALUE_TIME,		/* uint64_t, ms */
	VALUE_WORDS,		/* given several times: struct word_list */
	VALUE_SETTING,		/* likewise */
	VALUE_FILE,		/* const char * */
	VALUE_CHOICE,		/* int: which of 'choice' */
	VALUE_SHARD,		/* const char * */
};

struct argument {
	const char *name;
	char letter;		/* 0: it has none */
	const char *shown;	/* its value */
	const char *help;
	enum value_kind kind;
	size_t offset;		/* of the field */
	unsigned max;
	const char *const *choice;
};

#define FIELD(name) offsetof(struct test_arguments, name)

static const char *const progress_names[] = { "auto", "plain", "live", "quiet", NULL };

static const struct argument table[] = {
	{ "list", 'l', NULL, "name the tests; nothing is run", VALUE_NONE, FIELD(list), 0, NULL },
	{ "print", 0, NULL, "write the VM of each test as JSON; nothing is run", VALUE_NONE,
	  FIELD(print), 0, NULL },
	{ "merge", 0, NULL, "join results: the words are results directories, --results is new",
	  VALUE_NONE, FIELD(merge), 0, NULL },
	{ "filter", 'f', "PATTERN", "only matching tests: a glob, /REGEX/, tag:NAME, or !PATTERN",
	  VALUE_WORDS, FIELD(filter), 0, NULL },
	{ "set", 0, "SECTION.KEY=VALUE", "a setting of every VM, whatever the files say",
	  VALUE_SETTING, FIELD(set), 0, NULL },
	{ "timeout", 0, "TIME", "the time limit of every test, whatever the files say", VALUE_TIME,
	  FIELD(timeout_ms), 0, NULL },
	{ "jobs", 'j', "N", "VMs at a time [as memory and CPUs allow]", VALUE_NUMBER, FIELD(jobs),
	  TEST_MAX_JOBS, NULL },
	{ "repeat", 'n', "N", "run each N times; those that do not always pass are named",
	  VALUE_NUMBER, FIELD(repeat), TEST_MAX_REPEAT, NULL },
	{ "retries", 0, "N", "try one that goes wrong up to N times more; it passes if one does",
	  VALUE_NUMBER, FIELD(retries), TEST_MAX_RETRIES, NULL },
	{ "rerun-failed", 0, NULL, "only those that did not pass the last time", VALUE_NONE,
	  FIELD(rerun_failed), 0, NULL },
	{ "fail-fast", 'x', NULL, "stop when one has failed", VALUE_NONE, FIELD(fail_fast), 0,
	  NULL },
	{ "shard", 0, "I/N|auto|auto/N|off", "run this share of the tests only [auto]",
	  VALUE_SHARD, FIELD(shard), 0, NULL },
	{ "cache", 0, NULL, "do not run what passed with the same kernel, files and Vireo",
	  VALUE_NONE, FIELD(cache), 0, NULL },
	{ "no-cache", 0, NULL, "run them all the same [this is the default]", VALUE_OFF,
	  FIELD(cache), 0, NULL },
	{ "durations", 0, "FILE", "what is known of how long tests take; shards need a common one",
	  VALUE_FILE, FIELD(durations), 0, NULL },
	{ "results", 'o', "DIR", "where results and reports go [vireo-results]", VALUE_FILE,
	  FIELD(results), 0, NULL },
	{ "tap", 0, "FILE|-", "also write TAP 14 there; '-' is standard output", VALUE_FILE,
	  FIELD(tap), 0, NULL },
	{ "junit", 0, "FILE|-", "also write JUnit XML there", VALUE_FILE, FIELD(junit), 0, NULL },
	{ "json", 0, "FILE|-", "also write the results as JSON there", VALUE_FILE, FIELD(json), 0,
	  NULL },
	{ "html", 0, "FILE|-", "also write the page for people there", VALUE_FILE, FIELD(html), 0,
	  NULL },
	{ "keep", 0, NULL, "keep the results of the last run, as DIR.1 and so on", VALUE_NONE,
	  FIELD(keep), 0, NULL },
	{ "progress", 0, "auto|plain|live|quiet", "how to tell what happens [auto]", VALUE_CHOICE,
	  FIELD(progress), 0, progress_names },
	{ "verbose", 'v', NULL, "say more", VALUE_COUNT, FIELD(verbose), 0, NULL },
	{ "help", 'h', NULL, "this text", VALUE_NONE, FIELD(help), 0, NULL },
};

/* --- Reading --------------------------------------------------------------------------------- */

static const struct argument *find(const char *name, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return &table[i];
	return NULL;
}

static const struct argument *find_letter(char letter)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].letter == letter)
			return &table[i];
	return NULL;
}

static bool takes_value(const struct argument *a)
{
	return a->shown != NULL;
}

static void unknown(struct mistakes *mistakes, const char *name, size_t len)
{
	const char *names[ARRAY_SIZE(table)], *near;
	char word[64];

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		names[i] = table[i].name;
	snprintf(word, sizeof(word), "%.*s", (int)min_u64(len, sizeof(word)), name);
	near = text_nearest(word, names, ARRAY_SIZE(table));
	if (near)
		mistakes_add(mistakes, "unknown option '--%s'; did you mean '--%s'?", word, near);
	else
		mistakes_add(mistakes, "unknown option '--%s'; 'vireo test --help' lists them",
			     word);
}

static void set_number(const struct argument *a, unsigned *field, const char *value,
		       struct mistakes *mistakes)
{
	uint64_t n;

	if (text_parse_u64(value, &n) < 0 || n == 0 || n > a->max)
		mistakes_add(mistakes, "--%s: '%.64s' is not a number from 1 to %u", a->name, value,
			     a->max);
	else
		*field = (unsigned)n;
}

static void set_time(const struct argument *a, uint64_t *field, const char *value,
		     struct mistakes *mistakes)
{
	uint64_t ms;

	if (text_parse_duration_ms(value, &ms) < 0 || ms == 0)
		mistakes_add(mistakes, "--%s: '%.64s' is not a time above 0, such as 90s or 5m",
			     a->name, value);
	else
		*field = ms;
}

static void set_choice(const struct argument *a, int *field, const char *value,
		       struct mistakes *mistakes)
{
	for (int i = 0; a->choice[i]; i++) {
		if (!strcmp(a->choice[i], value)) {
			*field = i;
			return;
		}
	}
	mistakes_add(mistakes, "--%s: '%.64s' is not one of %s", a->name, value, a->shown);
}

/* Nobody asks the environment here: only whether the words make sense. */
static const char *no_environment(const char *name)
{
	(void)name;
	return NULL;
}

static void set_shard(const char **field, const char *value, struct mistakes *mistakes)
{
	struct shard shard;

	*field = value;
	if (!strncmp(value, "auto/", 5) && strspn(value + 5, "0123456789") == strlen(value + 5))
		return;
	if (shard_read(&shard, value, no_environment) < 0) {
		mistakes_add(mistakes, "--shard: %s", error_text());
		error_clear();
	}
}

static void set(struct test_arguments *args, const struct argument *a, const char *value,
		struct mistakes *mistakes)
{
	void *field = (char *)args + a->offset;
	struct word_list *list = field;

	switch (a->kind) {
	case VALUE_NONE:
		*(bool *)field = true;
		break;
	case VALUE_OFF:
		*(bool *)field = false;
		break;
	case VALUE_COUNT:
		(*(unsigned *)field)++;
		break;
	case VALUE_NUMBER:
		set_number(a, field, value, mistakes);
		break;
	case VALUE_TIME:
		set_time(a, field, value, mistakes);
		break;
	case VALUE_WORDS:
	case VALUE_SETTING:
		list->word[list->n++] = value;
		break;
	case VALUE_FILE:
		if (!*value)
			mistakes_add(mistakes, "--%s: an empty name", a->name);
		*(const char **)field = value;
		break;
	case VALUE_CHOICE:
		set_choice(a, field, value, mistakes);
		break;
	case VALUE_SHARD:
		set_shard(field, value, mistakes);
		break;
	}
}

/* Where the reader is. */
struct words {
	char *const *next, *const *end;
	struct test_arguments *args;
	struct mistakes *mistakes;
};

/* 'value' is what stands in the same word; NULL: nothing. */
static void read_one(struct words *words, const struct argument *a, const char *value)
{
	if (!takes_value(a)) {
		if (value)
			mistakes_add(words->mistakes, "--%s: takes no value", a->name);
		else
			set(words->args, a, NULL, words->mistakes);
		return;
	}
	if (!value && words->next < words->end &&
	    (strncmp(*words->next, "--", 2) || !(*words->next)[2]))
		value = *words->next++;
	if (!value)
		mistakes_add(words->mistakes, "--%s: needs a value (%s)", a->name, a->shown);
	else
		set(words->args, a, value, words->mistakes);
}

static void read_long(struct words *words, const char *name)
{
	size_t len = strcspn(name, "=");
	const struct argument *a = find(name, len);

	if (a) {
		read_one(words, a, name[len] ? name + len + 1 : NULL);
		return;
	}
	unknown(words->mistakes, name, len);
}

/* "-vx", "-j4", "-j 4". */
static void read_short(struct words *words, const char *letters)
{
	for (const char *p = letters; *p; p++) {
		const struct argument *a = find_letter(*p);

		if (!a) {
			mistakes_add(words->mistakes,
				     "unknown option '-%c'; 'vireo test --help' lists them", *p);
			return;
		}
		if (takes_value(a)) {
			read_one(words, a, p[1] ? p + 1 : NULL);
			return;
		}
		read_one(words, a, NULL);
	}
}

static void judge(const struct test_arguments *args, struct mistakes *mistakes)
{
	static const struct {
		const char *name;
		size_t offset;
	} not_with_merge[] = {
		{ "list", FIELD(list) }, { "print", FIELD(print) }, { "cache", FIELD(cache) },
		{ "rerun-failed", FIELD(rerun_failed) }, { "fail-fast", FIELD(fail_fast) },
	};
	const char *const reports[] = { args->tap, args->junit, args->json, args->html };
	unsigned on_stdout = args->list + args->print;

	if (args->path.n == 0)
		mistakes_add(mistakes, args->merge ?
			     "no results named: 'vireo test --merge DIR...'" :
			     "no test file named: 'vireo test FILE|DIR...'");
	if (args->list && args->print)
		mistakes_add(mistakes, "--list and --print: one of them");
	for (unsigned i = 0; i < ARRAY_SIZE(reports); i++)
		on_stdout += reports[i] && !strcmp(reports[i], "-");
	if (on_stdout > 1 && !(args->list && args->print))
		mistakes_add(mistakes, "standard output can have one report only");
	for (unsigned i = 0; i < ARRAY_SIZE(not_with_merge) && args->merge; i++)
		if (*(const bool *)((const char *)args + not_with_merge[i].offset))
			mistakes_add(mistakes, "--%s: not with --merge, which runs nothing",
				     not_with_merge[i].name);
}

static int make_list(struct word_list *list, int argc)
{
	list->word = calloc((size_t)argc + 1, sizeof(*list->word));
	return list->word ? 0 : error_set(ENOMEM, "read the command line");
}

int test_arguments_read(struct test_arguments *out, int argc, char **argv,
			struct mistakes *mistakes)
{
	struct words words = {
		.next = argv, .end = argv + argc, .args = out, .mistakes = mistakes,
	};
	bool only_paths = false;

	*out = (struct test_arguments){ .shard = "auto" };
	if (make_list(&out->path, argc) < 0 || make_list(&out->filter, argc) < 0 ||
	    make_list(&out->set, argc) < 0)
		return -ENOMEM;
	while (words.next < words.end) {
		const char *word = *words.next++;

		if (only_paths || word[0] != '-' || !word[1])
			out->path.word[out->path.n++] = word;
		else if (!strcmp(word, "--"))
			only_paths = true;
		else if (word[1] == '-')
			read_long(&words, word + 2);
		else
			read_short(&words, word + 1);
	}
	if (!out->help)
		judge(out, mistakes);
	return 0;
}

void test_arguments_fini(struct test_arguments *args)
{
	free(args->path.word);
	free(args->filter.word);
	free(args->set.word);
}

/* --- Telling about them ---------------------------------------------------------------------- */

enum { HELP_COLUMN = 26 };

void test_arguments_help(FILE *out)
{
	fputs("Usage: vireo test [OPTION]... FILE|DIR...\n"
	      "       vireo test --merge [OPTION]... RESULTS...\n\n"
	      "Boot the VMs of test files, do the steps of each test, and tell what was as\n"
	      "expected.  A directory stands for the test files in it.  Results and reports\n"
	      "go to a directory, vireo-results.\n\n", out);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		const struct argument *a = &table[i];
		char left[64], letter[8] = "    ";

		if (a->letter)
			snprintf(letter, sizeof(letter), "-%c, ", a->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, a->name, a->shown ? " " : "",
			 a->shown ? a->shown : "");
		if (strlen(left) >= HELP_COLUMN - 1)
			fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", a->help);
		else
			fprintf(out, "%-*s%s\n", HELP_COLUMN, left, a->help);
	}
	fputs("\nAn array job of Slurm, an indexed job of Kubernetes or a parallel job of GitLab\n"
	      "runs its share of the tests by itself (--shard).  SIGINT and SIGTERM end the VMs,\n"
	      "and write the results; a second one ends Vireo at once.\n\n"
	      "Exit status: 0 all passed, 123 an expectation was not met, 124 time limits only,\n"
	      "125 a mistake in a file, or Vireo failed.  docs/boot-tests.md begins at the\n"
	      "beginning.\n", out);
}

static void complete_value(struct completion *c, const struct argument *a, size_t at)
{
	char word[256];

	for (const char *const *choice = a->choice; choice && *choice; choice++) {
		snprintf(word, sizeof(word), "%.*s%s", (int)min_u64(at, 64), c->word, *choice);
		completion_add(c, word, a->help);
	}
	if (a->kind == VALUE_FILE)
		completion_add_files(c, at);
	if (a->kind == VALUE_SHARD) {
		snprintf(word, sizeof(word), "%.*sauto", (int)min_u64(at, 64), c->word);
		completion_add(c, word, "as the environment says");
		snprintf(word, sizeof(word), "%.*soff", (int)min_u64(at, 64), c->word);
		completion_add(c, word, "all tests");
	}
}

void test_arguments_complete(struct completion *c, unsigned n, char *const *words)
{
	const char *before = n > 1 ? words[n - 2] : "";
	size_t len = strcspn(c->word, "=");
	const struct argument *a = NULL;

	if (!strncmp(before, "--", 2))
		a = find(before + 2, strlen(before + 2));
	else if (before[0] == '-' && before[1] && !before[2])
		a = find_letter(before[1]);
	if (a && takes_value(a)) {
		complete_value(c, a, 0);
	} else if (!strncmp(c->word, "--", 2) && c->word[len]) {
		a = find(c->word + 2, len - 2);
		if (a && takes_value(a))
			complete_value(c, a, len + 1);
	} else if (*c->word == '-') {
		for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
			char word[64];

			snprintf(word, sizeof(word), "--%s", table[i].name);
			if (strcmp(table[i].name, "help"))	/* every command has that */
				completion_add(c, word, table[i].help);
		}
	} else {
		completion_add_files(c, 0);
	}
}
