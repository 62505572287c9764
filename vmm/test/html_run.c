/* A run in the report: what it did, how to do it again, and where its files are. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/base/fd.h"
#include "vmm/test/escape.h"
#include "vmm/test/html.h"
#include "vmm/test/plain_text.h"
#include "vmm/test/run_files.h"

enum {
	STEPS_SHOWN = 60,
	STEP_SHOWN = 400,		/* bytes of a step's text */
	COMMAND_SHOWN = 2048,
	REPORT_SHOWN = 24 << 10,	/* of a state report, and of what Vireo said */
	FILES_SHOWN = 100,
};

static void write_first_line(FILE *out, const char *text)
{
	struct plain_text t = { .bytes = text, .len = strcspn(text, "\n") };
	struct plain_char c;

	for (unsigned n = 0; plain_text_next(&t, &c) && c.c != '\n'; n++) {
		if (n == 160) {
			fputs("&#8230;", out);
			break;
		}
		escape_html_char(out, c.c);
	}
}

static int write_summary(const struct html *h, const struct test_result *r)
{
	char *title = result_order_title(r);

	if (!title)
		return -ENOMEM;
	fprintf(h->out, "<summary><span class=\"v %s\">%s %s</span> <span class=\"n\">",
		html_class(r->verdict), html_sign(r->verdict), verdict_words(r->verdict));
	escape_html(h->out, title);
	fputs("</span>", h->out);
	if (r->flaky)
		fputs(" <span class=\"fl\">flaky</span>", h->out);
	if (r->retried)
		fputs(" <span class=\"fl\">tried again</span>", h->out);
	fputs("<span class=\"d\">", h->out);
	html_duration(h->out, r->duration_ns);
	fputs("</span>", h->out);
	if (r->why) {
		fputs("<span class=\"y\">", h->out);
		write_first_line(h->out, r->why);
		fputs("</span>", h->out);
	}
	fputs("</summary>\n", h->out);
	free(title);
	return 0;
}

static void write_fact(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, "<div><dt>%s</dt><dd>", name);
	escape_html(out, value);
	fputs("</dd></div>", out);
}

static void write_facts(FILE *out, const struct test_result *r)
{
	time_t seconds = (time_t)(r->started_ns / 1000000000);
	char text[64];
	struct tm tm;

	fputs("<dl>", out);
	if (r->file) {
		fputs("<div><dt>file</dt><dd>", out);
		escape_html(out, r->file);
		if (r->line)
			fprintf(out, ":%u", r->line);
		fputs("</dd></div>", out);
	}
	if (r->started_ns && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		write_fact(out, "started", text);
	write_fact(out, "host", r->host);
	if (r->n_shards) {
		snprintf(text, sizeof(text), "%u of %u", r->shard, r->n_shards);
		write_fact(out, "shard", text);
	}
	if (r->exit_status >= 0) {
		snprintf(text, sizeof(text), "%d", r->exit_status);
		write_fact(out, "exit status", text);
	}
	fputs("</dl>\n", out);
}

static void write_step(const struct html *h, const struct test_step *step, unsigned number)
{
	FILE *out = h->out;

	fprintf(out, "<li value=\"%u\" class=\"%s\"><b>%s</b> <code>", number,
		html_class(step->verdict), html_sign(step->verdict));
	html_text(out, step->text, STEP_SHOWN);
	fputs("</code>", out);
	if (step->line)
		fprintf(out, " <small>line %u</small>", step->line);
	if (step->verdict != VERDICT_PASSED)
		fprintf(out, " <small>%s</small>", verdict_words(step->verdict));
	if (step->why) {
		fputs("<pre>", out);
		html_text(out, step->why, h->why / 2);
		fputs("</pre>", out);
	}
	fputs("</li>\n", out);
}

static void write_steps(const struct html *h, const struct test_result *r)
{
	FILE *out = h->out;
	unsigned first = r->n_steps > STEPS_SHOWN ? r->n_steps - STEPS_SHOWN : 0;

	if (!r->n_steps)
		return;
	fputs("<h4>Steps</h4>\n", out);
	if (first)
		fprintf(out, "<p class=\"gap\">the first %u are left out</p>\n", first);
	fputs("<ol>\n", out);
	for (unsigned i = first; i < r->n_steps; i++)
		write_step(h, &r->step[i], i + 1);
	fputs("</ol>\n", out);
}

/* A file of the run, to be unfolded. */
static void write_folded(const struct html *h, const struct test_result *r, const char *name,
			 const char *title)
{
	size_t len;
	char *text = run_files_read(h->dir, r->dir, name, REPORT_SHOWN, true, &len);
	struct plain_text t = { .bytes = text, .len = text ? len : 0 };
	struct plain_char c;

	if (!text)
		return;
	fprintf(h->out, "<details class=\"fold\"><summary>%s</summary><pre class=\"con\" "
		"tabindex=\"0\">", title);
	if (len == REPORT_SHOWN)
		fputs("<span class=\"gap\">&#8943; the beginning is left out &#8943;</span>\n",
		      h->out);
	while (plain_text_next(&t, &c))
		escape_html_char(h->out, c.c);
	fputs("</pre></details>\n", h->out);
	free(text);
}

/* What the guest wrote ('guests') is saved, not shown: a page of its own could run scripts here. */
static void write_file_link(FILE *out, const char *dir, const char *name, bool guests, bool *any)
{
	if (!*any)
		fputs("<h4>Files</h4>\n<p class=\"files\">", out);
	*any = true;
	fputs("<a href=\"", out);
	run_files_write_url(out, dir, name);
	fputs(guests ? "\" download=\"\">" : "\">", out);
	escape_html(out, name);
	fputs("</a> ", out);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What was copied out of the guest, which chose the names; in the order of these. */
static void write_copied(const struct html *h, const char *dir, bool *any)
{
	char path[1100], *name[FILES_SHOWN] = { NULL };
	struct dirent *entry;
	unsigned n = 0;
	bool more = false;
	DIR *list;
	int fd;

	snprintf(path, sizeof(path), "%s/files", dir);
	fd = run_files_open_dir(h->dir, path);
	list = fd < 0 ? NULL : fdopendir(fd);
	while (list && (entry = readdir(list)) && !more) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		more = n == FILES_SHOWN || !(name[n] = strdup(entry->d_name));
		n += !more;
	}
	if (list)
		closedir(list);
	else
		fd_close(&fd);
	qsort(name, n, sizeof(name[0]), by_name);
	for (unsigned i = 0; i < n; i++) {
		char inside[300];
		snprintf(inside, sizeof(inside), "files/%s", name[i]);
		write_file_link(h->out, dir, inside, true, any);
		free(name[i]);
	}
	if (more)
		fputs("and more in files/", h->out);
}

static void write_files(const struct html *h, const struct test_result *r)
{
	static const char *const known[] = {
		"console.log", "stderr.log", "state.txt", "vm.json", "timeline.json",
		"events.jsonl",
	};
	bool any = false;

	if (!r->dir)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		uint64_t size;
		int fd = run_files_open(h->dir, r->dir, known[i], &size);
		if (fd < 0)
			continue;
		fd_close(&fd);
		write_file_link(h->out, r->dir, known[i], false, &any);
	}
	write_copied(h, r->dir, &any);
	if (any)
		fputs("</p>\n", h->out);
}

int html_write_run(const struct html *h, const struct test_result *r, unsigned index)
{
	bool is_bad = verdict_is_bad(r->verdict);
	int result;

	fprintf(h->out, "<details class=\"run %s\"%s>\n", html_class(r->verdict),
		is_bad ? " open" : "");
	result = write_summary(h, r);
	/* The anchor is inside: a browser unfolds what it goes to. */
	fprintf(h->out, "<div class=\"b\" id=\"r%u\">\n", index);
	if (r->why) {
		fputs("<pre class=\"why\">", h->out);
		html_text(h->out, r->why, h->why);
		fputs("</pre>\n", h->out);
	}
	write_facts(h->out, r);
	if (r->command) {
		fputs("<h4>To reproduce</h4>\n<pre class=\"cmd\">", h->out);
		html_text(h->out, r->command, COMMAND_SHOWN);
		fputs("</pre>\n", h->out);
	}
	html_write_timeline(h, r);
	write_steps(h, r);
	html_write_console(h, r, index);
	if (is_bad && r->dir) {
		write_folded(h, r, "state.txt", "State of the guest");
		write_folded(h, r, "stderr.log", "What Vireo said");
	}
	write_files(h, r);
	fputs("</div></details>\n", h->out);
	return result;
}
