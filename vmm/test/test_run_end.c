/* What the guest's end means. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/outcome.h"
#include "vmm/test/test_run_impl.h"

enum { REPORT_MAX = 4 << 20 };

/* --- What Vireo said ------------------------------------------------------------------------- */

static int open_stderr(const struct test_run *run)
{
	char *path = test_run_path(run, "stderr.log");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : FD_NONE;

	free(path);
	return fd;
}

void test_run_stderr_tail(const struct test_run *run, char buf[STDERR_TAIL])
{
	int fd = open_stderr(run);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	off_t from = size > STDERR_TAIL - 1 ? size - (STDERR_TAIL - 1) : 0;
	ssize_t n = fd >= 0 ? pread(fd, buf, STDERR_TAIL - 1, from) : 0;

	fd_close(&fd);
	if (n < 0)
		n = 0;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	/* Not from the middle of a line, if there is another. */
	if (from > 0 && strchr(buf, '\n'))
		memmove(buf, strchr(buf, '\n') + 1, strlen(strchr(buf, '\n') + 1) + 1);
}

void test_run_keep_report(const struct test_run *run)
{
	char *path = test_run_path(run, "state.txt"), *buf = malloc(REPORT_MAX);
	int from = open_stderr(run), to = FD_NONE;
	ssize_t n = from >= 0 && buf ? pread(from, buf, REPORT_MAX, run->report_from) : 0;

	/* Who reads it finds the same in stderr.log if this fails. */
	if (path && n > 0)
		to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (to >= 0 && fd_write_all(to, buf, (size_t)n) < 0)
		unlink(path);
	fd_close(&from);
	fd_close(&to);
	free(buf);
	free(path);
}

/* --- The end in words ------------------------------------------------------------------------ */

/* The last line of stderr.log, which is what 'vireo run' says of the end; or "". */
static void last_word(const struct test_run *run, char *buf, size_t size)
{
	char tail[STDERR_TAIL];
	const char *line;

	test_run_stderr_tail(run, tail);
	line = strrchr(tail, '\n');
	line = line ? line + 1 : tail;
	if (!strncmp(line, "vireo: ", 7))
		line += 7;
	snprintf(buf, size, "%.280s", line);
}

const char *test_run_end_text(const struct test_run *run, char buf[END_TEXT_SIZE])
{
	char word[300];
	int status = run->end.status;

	last_word(run, word, sizeof(word));
	if (run->end.signal)
		snprintf(buf, END_TEXT_SIZE, "the VM's process was ended by SIG%s",
			 sigabbrev_np(run->end.signal) ? sigabbrev_np(run->end.signal) : "?");
	else if (status == STATUS_OK)
		snprintf(buf, END_TEXT_SIZE, "the guest ended in order (status 0)");
	else if (status <= STATUS_GUEST_MAX)
		snprintf(buf, END_TEXT_SIZE, "the guest ended with status %d", status);
	else if (status == STATUS_PANIC)
		snprintf(buf, END_TEXT_SIZE, "the guest's kernel panicked");
	else if (status == STATUS_CRASH)
		snprintf(buf, END_TEXT_SIZE, "the guest crashed");
	else if (status == STATUS_RESET)
		snprintf(buf, END_TEXT_SIZE, "the guest reset itself");
	else if (status == STATUS_TIMEOUT)
		snprintf(buf, END_TEXT_SIZE, "the VM's own time limit (vm.timeout) passed");
	else
		snprintf(buf, END_TEXT_SIZE, "the VM ended with status %d", status);
	if (*word && (status >= STATUS_CRASH || run->end.signal))
		snprintf(buf + strlen(buf), END_TEXT_SIZE - strlen(buf), " (%s)", word);
	return buf;
}

/* --- The verdict ----------------------------------------------------------------------------- */

static bool has_panicked(const struct test_run *run)
{
	int status = run->end.status;

	/* One that cannot tell Vireo resets itself, or crashes, after it has told the console. */
	return status == STATUS_PANIC || ((run->scan.found & TROUBLE_PANIC) &&
					  (status == STATUS_CRASH || status == STATUS_RESET));
}

static const char *wanted(const struct test_spec *spec, char buf[64])
{
	switch (spec->end) {
	case END_PANIC: return "panic";
	case END_RESET: return "reset itself";
	case END_CRASH: return "crash";
	case END_POWEROFF: return "power off";
	case END_STATUS:
		snprintf(buf, 64, "end with status %u", spec->status);
		return buf;
	case END_ANY: break;
	}
	return "end in order";
}

static bool is_as_wanted(const struct test_run *run)
{
	int status = run->end.status;

	switch (run->spec->end) {
	case END_PANIC: return has_panicked(run);
	case END_RESET: return status == STATUS_RESET;
	case END_CRASH: return status == STATUS_CRASH;
	case END_STATUS: return status == (int)run->spec->status;
	case END_POWEROFF:
	case END_ANY: break;
	}
	return status == STATUS_OK;
}

/* Vireo could not do its part; nothing is known about the guest. */
static bool is_broken(const struct test_run *run)
{
	return run->end.status == STATUS_FAILED || run->end.status == STATUS_HOST ||
	       run->end.status == STATUS_NO_FILE || run->end.status == -1;
}

void test_run_judge(struct test_run *run)
{
	char text[END_TEXT_SIZE], tail[STDERR_TAIL], buf[64], last[LAST_LINE_SIZE];

	/* Its steps were done: whatever it did while it was being ended. */
	if (run->stopped)
		return;
	if (is_broken(run)) {
		test_run_stderr_tail(run, tail);
		test_run_fail(run, VERDICT_BROKEN, 0, "%s:\n%s",
			      run->end.signal ? test_run_end_text(run, text) :
			      "the VM could not be run", tail);
		return;
	}
	if (is_as_wanted(run))
		return;
	test_run_last_line(run, last);
	test_run_fail(run, run->end.status == STATUS_TIMEOUT ? VERDICT_TIMED_OUT : VERDICT_FAILED,
		      0, "%s, but it was to %s%s%s", test_run_end_text(run, text),
		      wanted(run->spec, buf), *last ? "; the last line of the console: " : "",
		      last);
}
