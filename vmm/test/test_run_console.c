/*
 * What the guest prints: to the file, as text, scanned for trouble, and held against the patterns
 * that are waited for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vmm/base/error.h"
#include "vmm/test/test_run_impl.h"

/* After trouble the guest has so long to say the rest of it. */
enum { GRACE_MS = 1000 };

static struct console_span span_of(const struct test_run *run, struct expect_place place)
{
	struct console_span span = { .is_there = true };

	span.from = console_text_raw(&run->text, place.start);
	/* Behind its last byte: what is left out of the text after it does not belong to it. */
	span.to = place.end > place.start ? console_text_raw(&run->text, place.end - 1) + 1 :
					    span.from;
	return span;
}

static void mark(struct test_run *run, struct expect_place place)
{
	if (run->state == RUN_STEPS && run->step < run->spec->n_steps)
		run->span[run->step] = span_of(run, place);
}

static void too_hard(struct test_run *run, const struct pattern *pattern)
{
	test_run_fail(run, VERDICT_FAILED, 0,
		      "the regular expression '%.200s' takes too much work on this console; a "
		      "repetition within a repetition is the usual reason",
		      pattern_text(pattern));
}

/* --- What must not be there ------------------------------------------------------------------ */

/* Does it count, that begins there?  Not if the guest was being ended by then. */
static bool counts(const struct test_run *run, struct expect_place place)
{
	return !run->stopped || console_text_raw(&run->text, place.start) < run->until;
}

static void look_for_trouble(struct test_run *run, bool end)
{
	const struct trouble *trouble;

	console_scan_look(&run->scan, &run->text, end);
	trouble = console_scan_first(&run->scan, run->spec->fail_on);
	if (!trouble || test_run_has_verdict(run) || !counts(run, trouble->place))
		return;
	mark(run, trouble->place);
	test_run_fail(run, VERDICT_FAILED, GRACE_MS, "the kernel reports trouble (%s): %s",
		      console_trouble_name(trouble->kind), trouble->text);
}

/* 'len' bytes of the text, on one line. */
static const char *quote(const struct test_run *run, struct expect_place place, char buf[128])
{
	const char *p = run->text.data + (place.start - run->text.dropped);
	size_t len = (size_t)(place.end - place.start), n = 0;

	for (size_t i = 0; i < len && n < 120; i++)
		buf[n++] = p[i] == '\n' || p[i] == '\t' ? ' ' : p[i];
	while (n > 0 && n == 120 && ((unsigned char)buf[n - 1] & 0x80))
		n--;
	buf[n] = '\0';
	return buf;
}

static void look_for_failures(struct test_run *run, bool settled)
{
	struct expect_place place;
	char buf[128];

	for (unsigned i = 0; i < run->spec->n_fail_patterns && !test_run_has_verdict(run); i++) {
		switch (expect_look(&run->fail[i], &run->text, settled, &place)) {
		case EXPECT_FOUND:
			if (!counts(run, place))
				break;
			mark(run, place);
			test_run_fail(run, VERDICT_FAILED, GRACE_MS,
				      "the console shows what it must not, /%.200s/: %s",
				      pattern_text(run->spec->fail_pattern[i]),
				      quote(run, place, buf));
			break;
		case EXPECT_TOO_HARD:
			too_hard(run, run->spec->fail_pattern[i]);
			break;
		case EXPECT_OPEN:
		case EXPECT_WAIT:
			break;
		}
	}
}

/* --- What is waited for ---------------------------------------------------------------------- */

/* Has what must not come before it been found, up to place 'before'?  Then it has failed. */
static bool came_before(struct test_run *run, uint64_t before, bool settled)
{
	struct expect_place place;
	char buf[128];

	if (!run->without.pattern)
		return false;
	switch (expect_look(&run->without, &run->text, settled, &place)) {
	case EXPECT_FOUND:
		if (place.start >= before)
			return false;
		mark(run, place);
		test_run_fail(run, VERDICT_FAILED, 0,
			      "before that came what must not, '%.200s': %s",
			      pattern_text(run->without.pattern), quote(run, place, buf));
		return true;
	case EXPECT_TOO_HARD:
		too_hard(run, run->without.pattern);
		return true;
	case EXPECT_OPEN:
	case EXPECT_WAIT:
		break;
	}
	return false;
}

static void look_for_pattern(struct test_run *run, bool settled)
{
	const struct step_spec *step = test_run_step(run);
	struct expect_place place;

	while (step && step->kind == STEP_EXPECT && run->busy) {
		enum expect_verdict found = expect_look(&run->expect, &run->text, settled, &place);
		if (found == EXPECT_TOO_HARD) {
			too_hard(run, run->expect.pattern);
			return;
		}
		if (came_before(run, found == EXPECT_FOUND ? place.start : UINT64_MAX,
				found == EXPECT_FOUND || settled) || found != EXPECT_FOUND)
			return;
		mark(run, place);
		run->seen = place.end;
		if (++run->n_found < step->n_patterns) {
			expect_begin(&run->expect, step->pattern[run->n_found], run->seen);
			continue;
		}
		test_run_step_done(run);
		return;
	}
}

void test_run_expect(struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);

	run->busy = true;
	run->n_found = 0;
	expect_begin(&run->expect, step->pattern[0], run->seen);
	expect_begin(&run->without, step->without, run->seen);
	look_for_pattern(run, run->is_over);
	/* What is there already may be all that comes. */
	if (run->busy && !run->is_over) {
		struct itimerspec when = { .it_value.tv_nsec = EXPECT_SETTLE_MS * 1000000L };
		timerfd_settime(run->settle.fd, 0, &when, NULL);
	}
}

/* --- As it comes ----------------------------------------------------------------------------- */

static void look(struct test_run *run, bool settled)
{
	look_for_trouble(run, run->is_over);
	look_for_failures(run, settled);
	look_for_pattern(run, settled);
}

static void settled(struct event_source *source, uint32_t events)
{
	struct test_run *run = container_of(source, struct test_run, settle);

	(void)events;
	if (fd_drain(source->fd) && !run->is_over)
		look(run, true);
}

void test_run_console_add(struct test_run *run, const void *buf, size_t len)
{
	struct itimerspec when = { .it_value.tv_nsec = EXPECT_SETTLE_MS * 1000000L };

	console_file_write(&run->file, buf, len);
	if (console_text_add(&run->text, buf, len) < 0)
		test_run_fail(run, VERDICT_BROKEN, 0, "no memory for what the guest prints");
	if (run->file.err && !test_run_has_verdict(run))
		test_run_fail(run, VERDICT_BROKEN, 0, "write the console's file: %s",
			      strerror(run->file.err));
	look(run, false);
	timerfd_settime(run->settle.fd, 0, &when, NULL);
}

void test_run_console_end(struct test_run *run)
{
	console_text_end(&run->text);
	look(run, true);
}

int test_run_console_open(struct test_run *run)
{
	char *path = test_run_path(run, "console.log");
	int r = path ? console_file_open(&run->file, path, TEST_CONSOLE_PART) :
		       error_set(ENOMEM, "open the console's file");

	free(path);
	if (r < 0)
		return r;
	run->fail = calloc(run->spec->n_fail_patterns + 1, sizeof(*run->fail));
	if (!run->fail)
		return error_set(ENOMEM, "watch the console");
	for (unsigned i = 0; i < run->spec->n_fail_patterns; i++)
		expect_begin(&run->fail[i], run->spec->fail_pattern[i], 0);
	run->settle.fn = settled;
	run->settle.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->settle.fd < 0)
		return error_set(errno, "watch the console");
	return event_loop_add(run->loop, &run->settle, EPOLLIN);
}

static void place_spans(struct test_run *run)
{
	for (unsigned i = 0; i < run->result->n_steps && i < run->spec->n_steps; i++) {
		struct test_step *step = &run->result->step[i];
		int64_t from, to;
		if (!run->span[i].is_there)
			continue;
		from = console_file_place(&run->file, run->span[i].from);
		to = console_file_place(&run->file, run->span[i].to);
		if (from < 0 || to < from)
			continue;
		step->console_from = from;
		step->console_to = to;
	}
}

void test_run_console_close(struct test_run *run)
{
	console_file_close(&run->file);
	if (run->result)
		place_spans(run);
	event_loop_remove(&run->settle);
	fd_close(&run->settle.fd);
	console_text_fini(&run->text);
	free(run->fail);
	run->fail = NULL;
}

const char *test_run_last_line(const struct test_run *run, char buf[LAST_LINE_SIZE])
{
	const char *begin = run->text.data, *end = begin + run->text.len, *p;
	size_t len;

	buf[0] = '\0';
	while (end > begin && (end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end == begin)
		return buf;
	p = memrchr(begin, '\n', (size_t)(end - begin));
	p = p ? p + 1 : begin;
	len = min_u64((uint64_t)(end - p), LAST_LINE_SIZE - 1);
	while (len > 0 && len < (size_t)(end - p) && ((unsigned char)p[len] & 0xc0) == 0x80)
		len--;
	memcpy(buf, p, len);
	buf[len] = '\0';
	return buf;
}
