/* /metrics as Prometheus reads it ("Exposition formats"), and that the manual knows each metric. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/control/control_impl.h"
#include "vmm/mistakes.h"
#include "vmm/vm_counters.h"

#if HAVE_JANSSON

enum { MAX_METRICS = 64 };

struct metric {
	char name[80], type[16];
};

static struct metric metric[MAX_METRICS];
static unsigned n_metrics, n_samples;

/* The caller frees it. */
static char *scrape(void)
{
	struct http_request rq = { .method = HTTP_GET, .path = "/metrics" };
	struct control control = { .status_fd = FD_NONE };
	struct http_reply reply = { 0 };
	struct mistakes mistakes = { 0 };
	enum outcome_blame blame;
	struct vm_config config;
	struct event_loop *loop;
	char *text;

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(config_init(&config), 0);
	config.balloon.given = true;
	config.name = strdup("we\"b\\");
	config_validate(&config, &mistakes);
	control.config = &config;
	control.loop = loop;
	cr_assert_eq(vm_look(&control.vm, &config, loop, &blame), 0);
	control_handle(&control, &rq, NULL, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_str_eq(reply.type, "text/plain; version=0.0.4; charset=utf-8");
	text = strndup(reply.body, reply.len);
	free(reply.body);
	vm_destroy(control.vm);
	config_fini(&config);
	event_loop_destroy(loop);
	return text;
}

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == ':')
		n++;
	return isdigit((unsigned char)s[0]) ? 0 : n;
}

/* {a="b",c="d"}: what comes behind it, or NULL. */
static const char *skip_labels(const char *s)
{
	if (*s != '{')
		return s;
	do {
		s++;
		size_t n = name_len(s);
		if (n == 0 || s[n] != '=' || s[n + 1] != '"')
			return NULL;
		for (s += n + 2; *s != '"'; s++) {
			if (*s == '\\' && !strchr("\\\"n", *++s))
				return NULL;
			if (!*s)
				return NULL;
		}
		s++;
	} while (*s == ',');
	return *s == '}' ? s + 1 : NULL;
}

static bool is_of(const struct metric *m, const char *name, size_t len)
{
	static const char *const ends[] = { "_bucket", "_sum", "_count" };
	size_t base = strlen(m->name);

	if (strcmp(m->type, "histogram") != 0)
		return len == base && !strncmp(name, m->name, len);
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		if (len == base + strlen(ends[i]) && !strncmp(name, m->name, base) &&
		    !strncmp(name + base, ends[i], strlen(ends[i])))
			return true;
	return false;
}

static void judge_comment(const char *line)
{
	struct metric *m = &metric[n_metrics];
	char help[80];

	if (sscanf(line, "# HELP %79s %*[^\n]", help) == 1) {
		cr_assert_lt(n_metrics, MAX_METRICS - 1);
		for (unsigned i = 0; i < n_metrics; i++)
			cr_expect_str_neq(metric[i].name, help, "twice");
		snprintf(m->name, sizeof(m->name), "%s", help);
		m->type[0] = '\0';
		return;
	}
	cr_assert_eq(sscanf(line, "# TYPE %79s %15s", help, m->type), 2, "%s", line);
	cr_expect_str_eq(help, m->name, "TYPE follows its HELP");
	cr_expect(!strcmp(m->type, "counter") || !strcmp(m->type, "gauge") ||
		  !strcmp(m->type, "histogram"), "%s", line);
	/* A counter's name ends so, and no other's does. */
	size_t len = strlen(m->name);
	bool total = len > 6 && !strcmp(m->name + len - 6, "_total");

	cr_expect_eq(total, !strcmp(m->type, "counter"), "%s", line);
	n_metrics++;
}

static void judge_line(const char *line)
{
	size_t len = name_len(line);
	const char *value;
	char *end;

	if (*line == '#') {
		judge_comment(line);
		return;
	}
	cr_assert_gt(n_metrics, 0u);
	cr_expect(is_of(&metric[n_metrics - 1], line, len), "'%s' is below its TYPE", line);
	value = skip_labels(line + len);
	cr_assert(value && *value == ' ', "%s", line);
	strtod(value + 1, &end);
	cr_expect(end != value + 1 && !*end, "%s", line);
	n_samples++;
}

static void judge(char *text)
{
	char *save = NULL;

	n_metrics = n_samples = 0;
	cr_assert_eq(text[strlen(text) - 1], '\n');
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		judge_line(l);
}

Test(metrics, are_in_the_exposition_format)
{
	char *text = scrape();

	cr_expect_not_null(strstr(text, "name=\"we\\\"b\\\\\"} 1\n"));
	cr_expect_not_null(strstr(text, "\nvireo_queue_requests_total{device=\"rng\",queue=\"0\"} 0\n"));
	cr_expect_not_null(strstr(text, "\nvireo_queue_info{device=\"balloon\",queue=\"0\","
					"datapath=\"in process\"} 0\n"));
	judge(text);
	cr_expect_gt(n_samples, 30u);
	free(text);
}

Test(metrics, histograms_are_cumulative_and_end_with_all)
{
	struct vm_queue q = { .device = "d", .index = 3 };
	char *text = NULL, *line, *save = NULL;
	unsigned long long last = 0, n;
	unsigned n_buckets = 0;
	double le, last_le = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	queue_stats_time(&q.stats, 1);
	queue_stats_time(&q.stats, 255);
	queue_stats_time(&q.stats, 256);
	queue_stats_time(&q.stats, 5000000000);
	queue_stats_time(&q.stats, UINT64_C(1) << 50);
	control_put_head(out, "h", "histogram", "h");
	control_put_histogram(out, "h", &q);
	fclose(out);
	cr_expect_not_null(strstr(text, "h_bucket{device=\"d\",queue=\"3\",le=\"0.000000256\"} 2\n"));
	cr_expect_not_null(strstr(text, "h_bucket{device=\"d\",queue=\"3\",le=\"0.000000512\"} 3\n"));
	cr_expect_not_null(strstr(text, "h_bucket{device=\"d\",queue=\"3\",le=\"+Inf\"} 5\n"));
	cr_expect_not_null(strstr(text, "\nh_count{device=\"d\",queue=\"3\"} 5\n"));
	char *copy = strdup(text);

	judge(copy);
	free(copy);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "h_bucket{device=\"d\",queue=\"3\",le=\"%lf\"} %llu", &le, &n) != 2)
			continue;
		cr_expect_gt(le, last_le);
		cr_expect_geq(n, last);
		last = n;
		last_le = le;
		n_buckets++;
	}
	cr_expect_eq(n_buckets, 28, "and one without an end");
	cr_expect_eq(last, 5u);
	free(text);
}

/* docs/observing.md, from where this file is. */
static char *manual(void)
{
	char path[4096];
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%.*sdocs/observing.md",
		 (int)(strlen(__FILE__) - strlen("tests/vmm/metrics_test.c")), __FILE__);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(getdelim(&text, &size, '\0', f), 0);
	fclose(f);
	return text;
}

Test(metrics, are_those_of_the_manual)
{
	char *text = scrape(), *doc = manual(), row[100];
	unsigned n_rows = 0;

	judge(text);
	for (unsigned i = 0; i < n_metrics; i++) {
		snprintf(row, sizeof(row), "\n| `%s` |", metric[i].name);
		cr_expect_not_null(strstr(doc, row), "docs/observing.md has no %s", metric[i].name);
	}
	for (char *p = doc; (p = strstr(p, "\n| `vireo_")); p++)
		n_rows++;
	cr_expect_eq(n_rows, n_metrics);
	free(doc);
	free(text);
}

#endif
