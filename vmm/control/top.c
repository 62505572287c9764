/* "vireo top": what the VMs do now, again and again. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/command.h"
#include "vmm/control/ctl.h"
#include "vmm/control/http_client.h"
#include "vmm/control/run_dir.h"
#include "vmm/control/top_sample.h"
#include "vmm/control/top_screen.h"
#include "vmm/control/top_view.h"
#include "vmm/outcome.h"

enum { MAX_VMS = 64, MIN_DELAY_MS = 100, MAX_DELAY_MS = 3600000 };

struct top {
	const char *name;		/* of the one VM; NULL: all */
	bool batch;
	uint64_t delay_ms, rounds;	/* rounds: 0: without end */
	/* Two rounds of samples: the last one, and the one before. */
	struct top_sample *sample[2];
	unsigned n[2], now;
};

void help_top(FILE *out)
{
	fputs("Usage: vireo top [-d SECONDS] [-n N] [--batch] [VM]\n\n"
	      "Show what your VMs do: CPU time, exits from the guest by kind, requests and\n"
	      "bytes of each queue, latencies, memory.  With VM (a name, a run directory or a\n"
	      "control socket) that one in full.  Keys: q ends it, up and down scroll.\n\n"
	      "  -d, --delay SECONDS  between two looks [1]\n"
	      "  -n, --rounds N       end after so many\n"
	      "  -b, --batch          write plain text, for scripts\n"
	      "  -h, --help           this text\n\n"
	      "What the numbers mean is in docs/observing.md.\n",
	      out);
}

/* --- Taking samples -------------------------------------------------------------------------- */

static void take_one(void *arg, const char *name, int fd)
{
	struct top *top = arg;
	int socket;

	if (top->n[top->now] == MAX_VMS || run_dir_owner(fd) <= 0)
		return;
	socket = http_client_connect(fd, "control");
	if (socket < 0)
		error_clear();
	top_sample_take(&top->sample[top->now][top->n[top->now]++], name, socket);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct top_sample *)a)->name, ((const struct top_sample *)b)->name);
}

/* Returns 0, or -errno with an error chain if the VM that was named is not there. */
static int take_all(struct top *top)
{
	int fd;

	top->now = !top->now;
	top->n[top->now] = 0;
	if (!top->name) {
		run_dir_each(take_one, top);
		qsort(top->sample[top->now], top->n[top->now], sizeof(struct top_sample), by_name);
		return 0;
	}
	fd = ctl_connect(top->name);
	if (fd < 0)
		return fd;
	top->n[top->now] = 1;
	top_sample_take(&top->sample[top->now][0], top->name, fd);
	return 0;
}

static const struct top_sample *sample_before(const struct top *top, const char *name)
{
	for (unsigned i = 0; i < top->n[!top->now]; i++)
		if (!strcmp(top->sample[!top->now][i].name, name))
			return &top->sample[!top->now][i];
	return NULL;
}

static void view(const struct top *top, FILE *out)
{
	const struct top_sample *now = top->sample[top->now];

	if (top->name) {
		top_view_vm(out, sample_before(top, now->name), now);
		return;
	}
	top_view_head(out);
	for (unsigned i = 0; i < top->n[top->now]; i++)
		top_view_line(out, sample_before(top, now[i].name), &now[i]);
}

/* --- Showing them ---------------------------------------------------------------------------- */

static void rest(uint64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

static int run_batch(struct top *top)
{
	for (uint64_t i = 0; top->rounds == 0 || i < top->rounds; i++) {
		rest(top->delay_ms);
		int r = take_all(top);
		if (r < 0)
			return r;
		if (i > 0)
			putchar('\n');
		view(top, stdout);
		if (fflush(stdout) != 0)
			return error_set(errno, "write what the VMs do");
	}
	return 0;
}

static int draw(const struct top *top, unsigned first, unsigned *hidden)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return error_set(errno, "show what the VMs do");
	view(top, out);
	if (fclose(out) != 0) {
		free(text);
		return error_set(ENOMEM, "show what the VMs do");
	}
	*hidden = top_screen_draw(text, first);
	free(text);
	return 0;
}

static int run_screen(struct top *top)
{
	uint64_t due = clock_now_ms() + min_u64(top->delay_ms, MIN_DELAY_MS), rounds = 0;
	unsigned first = 0, hidden = 0;
	int r = 0;

	while (r == 0) {
		uint64_t now = clock_now_ms();
		if (now >= due) {
			r = take_all(top);
			due = clock_now_ms() + top->delay_ms;
			if (r == 0 && ++rounds == top->rounds)
				return draw(top, first, &hidden);
		}
		if (r == 0)
			r = draw(top, first, &hidden);
		if (r < 0)
			break;
		now = clock_now_ms();
		switch (top_screen_wait((unsigned)(due > now ? due - now : 0))) {
		case TOP_KEY_QUIT:
			return 0;
		case TOP_KEY_UP:
			first -= first > 0;
			break;
		case TOP_KEY_DOWN:
			first += hidden > 0;
			break;
		case TOP_KEY_RESIZE:
		case TOP_KEY_NONE:
			break;
		}
	}
	return r;
}

/* --- The command line ------------------------------------------------------------------------ */

static bool parse_delay(const char *text, uint64_t *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds < MIN_DELAY_MS / 1000.0 ||
	    seconds > MAX_DELAY_MS / 1000.0)
		return false;
	*ms = (uint64_t)(seconds * 1000);
	return true;
}

/* Returns STATUS_OK or, said why, the status. */
static int read_arguments(struct top *top, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		bool delay = !strcmp(argv[i], "-d") || !strcmp(argv[i], "--delay");
		bool rounds = !strcmp(argv[i], "-n") || !strcmp(argv[i], "--rounds");

		if (!strcmp(argv[i], "-b") || !strcmp(argv[i], "--batch")) {
			top->batch = true;
		} else if (delay || rounds) {
			const char *value = i + 1 < argc ? argv[++i] : "";
			if (delay && !parse_delay(value, &top->delay_ms)) {
				fprintf(stderr, "vireo: top: '%s' is no delay: 0.1 to 3600 "
						"seconds\n", value);
				return STATUS_FAILED;
			}
			if (rounds && text_parse_u64(value, &top->rounds) < 0) {
				fprintf(stderr, "vireo: top: '%s' is no number of rounds\n", value);
				return STATUS_FAILED;
			}
		} else if (argv[i][0] == '-' || top->name) {
			return command_unexpected(&top_command, argv[i]);
		} else {
			top->name = argv[i];
		}
	}
	return STATUS_OK;
}

static int top_run(struct top *top)
{
	int r = 0;

	for (unsigned i = 0; i < 2; i++) {
		top->sample[i] = calloc(top->name ? 1 : MAX_VMS, sizeof(struct top_sample));
		if (!top->sample[i])
			r = error_set(ENOMEM, "look at the VMs");
	}
	if (r == 0)
		r = take_all(top);
	if (r == 0 && top->batch) {
		r = run_batch(top);
	} else if (r == 0) {
		r = top_screen_open();
		if (r == 0)
			r = run_screen(top);
		top_screen_close();
	}
	free(top->sample[0]);
	free(top->sample[1]);
	return r;
}

static int top_main(int argc, char **argv)
{
	struct top top = { .delay_ms = 1000 };
	int status;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help_top(stdout);
			return STATUS_OK;
		}
	}
	status = read_arguments(&top, argc, argv);
	if (status != STATUS_OK)
		return status;
	if (top_run(&top) == 0)
		return STATUS_OK;
	error_print(stderr);
	return STATUS_FAILED;
}

const struct command top_command = {
	.name = "top",
	.summary = "show what VMs do, live",
	.run = top_main,
	.help = help_top,
};
