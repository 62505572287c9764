/* results.json and the journal: what was written is read again, and what others wrote is judged. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/base/error.h"
#include "vmm/test/result_json.h"
#include "vmm/test/result_read.h"

#if HAVE_JANSSON

static char *json_of(const struct test_results *set, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	cr_assert_eq(results_write_json(out, set), 0);
	fclose(out);
	return text;
}

Test(test_json, results_are_read_as_they_were_written)
{
	struct test_results set, again;
	size_t len, len_again;

	results_rig_make(&set);
	char *text = json_of(&set, &len);
	cr_assert_eq(results_read_json(&again, text, len), 0, "%s", error_text());
	char *text_again = json_of(&again, &len_again);
	cr_expect_str_eq(text_again, text);
	cr_expect_eq(again.n_tests, set.n_tests);
	cr_expect_eq(again.test[0]->step[0].console_from, set.test[0]->step[0].console_from);
	cr_expect_eq(again.test[0]->exit_status, set.test[0]->exit_status);
	cr_expect_eq(again.shard, 1u);
	cr_expect_eq(again.started_ns, set.started_ns);
	cr_expect_eq(again.n_notes, 1u);
	free(text);
	free(text_again);
	test_results_fini(&set);
	test_results_fini(&again);
}

Test(test_json, bytes_that_are_no_text_are_written)
{
	struct test_results set = { 0 }, again;
	struct test_result *r = results_rig_test("a\xff\033[31m\xc3", VERDICT_FAILED);
	size_t len;

	cr_assert_eq(result_set_text(&r->why, "%s", "\xed\xa0\x80\"\\\n\001"), 0);
	cr_assert_eq(test_results_add(&set, r), 0);
	char *text = json_of(&set, &len);
	cr_assert_eq(results_read_json(&again, text, len), 0, "%s", error_text());
	cr_expect_str_eq(again.test[0]->name, "a\xef\xbf\xbd\033[31m\xef\xbf\xbd");
	cr_expect_str_eq(again.test[0]->why, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\\\n\001");
	free(text);
	test_results_fini(&set);
	test_results_fini(&again);
}

#define TEST(fields) "{\"version\":1,\"tests\":[{\"name\":\"a\",\"verdict\":\"passed\"" fields "}]}"

Test(test_json, wrong_files_are_refused_with_reasons)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{ "", "no JSON" },
		{ "[]", "no object" },
		{ "{}", "version 0" },
		{ "{\"version\":2,\"tests\":[]}", "version 2" },
		{ "{\"version\":1}", "\"tests\" is no list" },
		{ "{\"version\":1,\"tests\":[1]}", "no object" },
		{ "{\"version\":1,\"tests\":[],\"tests\":[]}", "duplicate" },
		{ "{\"version\":1,\"tests\":[],\"notes\":[1]}", "\"notes\"" },
		{ "{\"version\":1,\"tests\":[],\"shard\":3,\"shards\":2}", "\"shard\"" },
		{ "{\"version\":1,\"tests\":[],\"shard\":1}", "\"shard\"" },
		{ "{\"version\":1,\"tests\":[{\"verdict\":\"passed\"}]}", "\"name\"" },
		{ "{\"version\":1,\"tests\":[{\"name\":\"a\"}]}", "\"verdict\"" },
		{ "{\"version\":1,\"tests\":[{\"name\":\"a\",\"verdict\":\"good\"}]}", "verdict" },
		{ TEST(",\"dir\":\"/etc\""), "\"dir\"" },
		{ TEST(",\"dir\":\"runs/../..\""), "\"dir\"" },
		{ TEST(",\"dir\":\"\""), "\"dir\"" },
		{ TEST(",\"dir\":\"runs//a\""), "\"dir\"" },
		{ TEST(",\"dir\":\"runs/a/\""), "\"dir\"" },
		{ TEST(",\"dir\":7"), "\"dir\"" },
		{ TEST(",\"attempt\":0"), "\"attempt\"" },
		{ TEST(",\"attempt\":4294967297"), "\"attempt\"" },
		{ TEST(",\"line\":-1"), "\"line\"" },
		{ TEST(",\"exit_status\":256"), "\"exit_status\"" },
		{ TEST(",\"started_us\":9007199254740992"), "\"started_us\"" },
		{ TEST(",\"duration_us\":1.5"), "\"duration_us\"" },
		{ TEST(",\"axes\":[]"), "\"axes\"" },
		{ TEST(",\"axes\":{\"vm.cpus\":1}"), "\"vm.cpus\"" },
		{ TEST(",\"steps\":{}"), "\"steps\"" },
		{ TEST(",\"steps\":[[]]"), "\"steps\"" },
		{ TEST(",\"steps\":[{\"verdict\":\"passed\",\"console\":[2,1]}]"), "\"console\"" },
		{ TEST(",\"steps\":[{\"verdict\":\"passed\",\"console\":[-1,1]}]"), "\"console\"" },
		{ TEST(",\"steps\":[{\"verdict\":\"passed\",\"console\":\"x\"}]"), "\"console\"" },
		{ TEST(",\"host\":\"\\u0000\""), "no JSON" },
		{ "[[[[[[[[[[[[[[[[", "levels" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct test_results set;
		char *said = NULL;
		size_t len;
		cr_assert_lt(results_read_json(&set, bad[i].text, strlen(bad[i].text)), 0,
			     "%s", bad[i].text);
		cr_expect_eq(set.n_tests, 0u);
		FILE *out = open_memstream(&said, &len);
		error_print(out);
		fclose(out);
		cr_expect(strstr(said, bad[i].reason), "%s: %s", bad[i].text, said);
		free(said);
	}
}

Test(test_json, what_is_not_said_has_a_meaning)
{
	static const char text[] = TEST(",\"new\":{\"of\":\"a later version\"}");
	struct test_results set;

	cr_assert_eq(results_read_json(&set, text, strlen(text)), 0, "%s", error_text());
	cr_assert_eq(set.n_tests, 1u);
	cr_expect(!set.complete);
	cr_expect_eq(set.test[0]->attempt, 1u);
	cr_expect_eq(set.test[0]->exit_status, -1);
	test_results_fini(&set);
}

static char *journal;
static size_t journal_len;

/* The journal of a run that was killed: three planned, the second ended. */
static void write_journal(void)
{
	struct test_results plan;
	FILE *out = open_memstream(&journal, &journal_len);
	struct test_result *ended = results_rig_test("b", VERDICT_FAILED);
	char *line;

	results_rig_make(&plan);
	fputs(line = journal_head(&plan), out);
	free(line);
	test_results_fini(&plan);
	for (const char *name = "abc"; *name; name++) {
		struct test_result *r = results_rig_test((char[]){ *name, 0 }, VERDICT_NOT_RUN);
		fputs(line = journal_planned(r), out);
		free(line);
		test_result_destroy(r);
	}
	fputs(line = journal_result(ended), out);
	free(line);
	fputs(line = journal_note("a note"), out);
	free(line);
	test_result_destroy(ended);
	fclose(out);
}

Test(test_journal, tells_what_ended_and_what_was_not_run)
{
	struct test_results set;

	write_journal();
	cr_assert_eq(results_read_journal(&set, journal, journal_len), 0, "%s", error_text());
	cr_assert_eq(set.n_tests, 3u);
	cr_expect_str_eq(set.test[0]->name, "a");
	cr_expect_str_eq(set.test[1]->name, "b");
	cr_expect_eq(set.test[0]->verdict, VERDICT_NOT_RUN);
	cr_expect_eq(set.test[1]->verdict, VERDICT_FAILED);
	cr_expect_eq(set.test[2]->verdict, VERDICT_NOT_RUN);
	cr_expect_eq(set.n_notes, 1u);
	cr_expect_eq(set.n_shards, 2u);
	cr_expect(!set.complete);
	test_results_fini(&set);
	free(journal);
}

/* Killed at any byte: what was written before is there. */
Test(test_journal, may_end_anywhere)
{
	struct test_results set;
	size_t head;

	write_journal();
	head = strcspn(journal, "\n") + 1;
	for (size_t len = 0; len < journal_len; len++) {
		int r = results_read_journal(&set, journal, len);
		cr_assert_eq(r == 0, len >= head, "at %zu: %s", len, error_text());
		cr_assert_leq(set.n_tests, 3u);
		test_results_fini(&set);
		error_clear();
	}
	free(journal);
}

/* One byte is another: it is refused or read, and never more. */
Test(test_journal, survives_any_changed_byte)
{
	struct test_results set;

	write_journal();
	srandom(2);
	for (unsigned round = 0; round < 20000; round++) {
		size_t at = (size_t)random() % journal_len;
		char was = journal[at];
		journal[at] = (char)random();
		if (results_read_journal(&set, journal, journal_len) == 0)
			cr_assert_leq(set.n_tests, 4u);
		test_results_fini(&set);
		error_clear();
		journal[at] = was;
	}
	free(journal);
}

#endif

Test(test_json, directories_lead_downwards_only)
{
	static const char *const inside[] = { "a", "runs/a", "runs/a b", "..a", "a/...", "-" };
	static const char *const outside[] = { "", ".", "..", "/", "/a", "a/", "a//b", "a/../b",
					       "a/..", "./a" };

	for (unsigned i = 0; i < ARRAY_SIZE(inside); i++)
		cr_expect(result_dir_is_inside(inside[i]), "%s", inside[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		cr_expect(!result_dir_is_inside(outside[i]), "%s", outside[i]);
}
