#include "vmm/report/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/report/core.h"
#include "vmm/report/timeline.h"
#include "vmm/sandbox.h"
#include "vmm/vm_impl.h"

/* What is written at the end, in the sandbox. */
static int open_output(int *fd, const char *path, const char *what)
{
	if (!path)
		return 0;
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	return *fd < 0 ? error_set(errno, "open '%s' for the %s", path, what) : 0;
}

int reporter_open(struct reporter *r, const struct vm_config *config)
{
	struct stat st;
	int ret = 0;

	r->config = config;
	if (config->symbols)
		ret = symbols_open(&r->symbols, config->symbols);
	if (ret == 0)
		ret = open_output(&r->trace_fd, config->trace, "trace");
	if (ret == 0)
		ret = open_output(&r->report_fd, config->report, "state report");
	if (ret < 0)
		return ret;
	if (config->on_panic != POLICY_DUMP && config->on_crash != POLICY_DUMP)
		return 0;
	/* What is in it stays until there is something better. */
	r->dump_fd = open(config->dump, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (r->dump_fd < 0)
		return error_set(errno, "open '%s' for the guest's memory", config->dump);
	if (fstat(r->dump_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(EINVAL, "'%s' is no regular file: the guest's memory needs one",
				 config->dump);
	return 0;
}

bool reporter_keeps(const struct reporter *r)
{
	return r->keep || r->report_fd != FD_NONE;
}

unsigned reporter_sandbox_needs(const struct reporter *r)
{
	return r->dump_fd != FD_NONE ? SANDBOX_DUMP : 0;
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

void reporter_complete(struct reporter *r, struct state_report **report, struct vm *vm)
{
	struct state_report *again;

	if (!*report || (*report)->n_inside == 0)
		return;
	again = reporter_take(r, vm, (*report)->why);
	if (!again)
		return;
	state_free(*report);
	*report = again;
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

/* Consumes 'report'.  From malloc, or NULL when memory is short. */
static char *make_text(struct state_report *report, size_t *len)
{
	char *text = NULL;
	FILE *out = report ? open_memstream(&text, len) : NULL;

	if (out) {
		state_write_text(out, report);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	state_free(report);
	return text;
}

static void write_and_keep(struct reporter *r, struct state_report *report, bool write)
{
	size_t len = 0;
	char *text = make_text(report, &len);
	int ret = write && text ? fd_write_all(STDERR_FILENO, text, len) : 0;

	if (ret < 0)
		log_warning("the state report could not be written: %s", error_name(-ret));
	if (text && r->keep)
		r->keep(r->keep_arg, text, len);
	if (text && r->report_fd != FD_NONE) {
		ret = fd_write_all(r->report_fd, text, len);
		if (ret < 0)
			log_warning("the state report could not be kept: %s", error_name(-ret));
	}
	free(text);
}

void reporter_write(struct reporter *r, struct state_report *report)
{
	write_and_keep(r, report, true);
}

void reporter_keep(struct reporter *r, struct state_report *report)
{
	write_and_keep(r, report, false);
}

char *reporter_text(struct reporter *r, struct vm *vm, const char *why, size_t *len)
{
	struct state_report *report;
	char *text;

	if (state_take(&report, vm, r->symbols, why) < 0) {
		state_free(report);
		return NULL;
	}
	text = make_text(report, len);
	if (!text)
		error_set(ENOMEM, "write a state report");
	return text;
}

struct json_t *reporter_json(struct reporter *r, struct vm *vm, const char *why)
{
	struct state_report *report;
	struct json_t *value = NULL;

	if (state_take(&report, vm, r->symbols, why) == 0) {
		value = state_json(report);
		if (!value)
			error_set(HAVE_JANSSON ? ENOMEM : EOPNOTSUPP,
				  "write a state report as JSON");
	}
	state_free(report);
	return value;
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

void reporter_dump(struct reporter *r, struct vm *vm)
{
	struct machine *m = vm->machine;
	struct cpu_look *cpu = calloc(m->n_vcpus, sizeof(*cpu));
	struct core_result result;
	char size[24], written[24];
	int ret = cpu ? 0 : error_set(ENOMEM, "look at the CPUs");

	for (unsigned i = 0; ret == 0 && i < m->n_vcpus; i++)
		machine_look_at_cpu(m, i, &cpu[i]);
	if (ret == 0)
		ret = core_write(r->dump_fd, &m->memory, cpu, m->n_vcpus, &result);
	free(cpu);
	if (ret < 0) {
		log_line(LOG_ERROR, "the guest's memory is not kept in '%s': %s", r->config->dump,
			 error_text());
		error_clear();
		return;
	}
	log_notice("the guest's memory and CPUs are in '%s': %s, of which %s take room",
		   r->config->dump,
		   text_format_size(size, (result.size + 4095) & ~UINT64_C(4095)),
		   text_format_size(written, (result.written + 4095) & ~UINT64_C(4095)));
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
	fd_close(&r->dump_fd);
	fd_close(&r->report_fd);
}
