#include "vmm/report/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/report/timeline.h"

int reporter_open(struct reporter *r, const struct vm_config *config)
{
	int ret = 0;

	r->config = config;
	if (config->symbols)
		ret = symbols_open(&r->symbols, config->symbols);
	if (ret < 0)
		return ret;
	if (config->trace) {
		r->trace_fd = open(config->trace,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
				   0666);
		if (r->trace_fd < 0)
			return error_set(errno, "open '%s' for the trace", config->trace);
	}
	return 0;
}

struct state_report *reporter_take(struct reporter *r, struct vm *vm, const char *why)
{
	struct state_report *report;

	if (state_take(&report, vm, r->symbols, why) < 0) {
		log_warning("%s", error_text());
		error_clear();
	}
	return report;
}

/* What a stream in memory was given, to 'fd'.  The stream is closed. */
static void deliver(FILE *stream, char *const *text, const size_t *len, int fd, const char *what)
{
	int r = fclose(stream) != 0 ? -ENOMEM : 0;

	if (r == 0)
		r = fd_write_all(fd, *text, *len);
	if (r < 0)
		log_warning("%s could not be written: %s", what, error_name(-r));
}

void reporter_write(struct reporter *r, struct state_report *report)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = report ? open_memstream(&text, &len) : NULL;

	if (out) {
		state_write_text(out, report);
		deliver(out, &text, &len, STDERR_FILENO, "the state report");
		if (r->copy_fd != FD_NONE && text && fd_write_all(r->copy_fd, text, len) < 0)
			log_warning("the state report could not be kept in the run directory");
	}
	free(text);
	state_free(report);
}

static void write_trace(struct reporter *r, const struct timeline *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		timeline_write_trace(out, t);
		deliver(out, &text, &len, r->trace_fd, "the trace");
	}
	free(text);
}

void reporter_end(struct reporter *r)
{
	struct timeline *t;

	if (!r->config || (!r->config->timing && r->trace_fd == FD_NONE))
		return;
	t = malloc(sizeof(*t));
	if (!t) {
		log_warning("no memory for the boot timeline");
		return;
	}
	timeline_take(t);
	timeline_add(t, "end");
	if (r->config->timing)
		timeline_write_text(stderr, t);
	if (r->trace_fd != FD_NONE)
		write_trace(r, t);
	free(t);
}

void reporter_close(struct reporter *r)
{
	symbols_close(r->symbols);
	r->symbols = NULL;
	fd_close(&r->trace_fd);
}
