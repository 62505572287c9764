/* What 'vireo top' reads of an answer, whatever that is, and what it shows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/control/top_sample.h"
#include "vmm/control/top_view.h"

static struct top_sample was, now;

static void parse(struct top_sample *s, const char *text)
{
	char *copy = strdup(text);

	snprintf(s->name, sizeof(s->name), "web");
	top_sample_parse(s, copy);
	s->answers = true;
	free(copy);
}

static char *view(void (*fn)(FILE *, const struct top_sample *, const struct top_sample *),
		  const struct top_sample *before)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fn(out, before, &now);
	fclose(out);
	return text;
}

Test(top, reads_metrics_back)
{
	parse(&now, "# HELP vireo_vm_state x\nvireo_vm_state{state=\"running\"} 0\n"
		    "vireo_vm_state{state=\"paused\"} 1\nvireo_own_memory_bytes 4096\n"
		    "vireo_thread_cpu_seconds_total{thread=\"main\",tid=\"1\"} 1.5\n"
		    "vireo_thread_cpu_seconds_total{thread=\"io0\",tid=\"2\"} 0.25\n"
		    "vireo_vcpu_exits_total{vcpu=\"1\",kind=\"mmio-read\"} 7\n"
		    "vireo_queue_info{device=\"a\\\"b\",queue=\"3\",datapath=\"in process\"} 1\n"
		    "vireo_queue_requests_total{device=\"a\\\"b\",queue=\"3\"} 12\n"
		    "vireo_queue_request_seconds_bucket{device=\"a\",queue=\"3\",le=\"1\"} 9\n"
		    "vireo_queue_request_seconds_sum{device=\"a\\\"b\",queue=\"3\"} 0.5\n");
	cr_expect_str_eq(now.state, "paused");
	cr_expect_eq(now.own, 4096);
	cr_expect_eq(now.cpu_s, 1.75);
	cr_expect_eq(now.n_vcpus, 2);
	cr_expect_eq(now.vcpu[1].exits[VCPU_EXIT_MMIO_READ], 7);
	cr_assert_eq(now.n_queues, 1);
	cr_expect_str_eq(now.queue[0].device, "a\"b");
	cr_expect_eq(now.queue[0].index, 3);
	cr_expect(now.queue[0].enabled && now.queue[0].counts);
	cr_expect_eq(now.queue[0].requests, 12);
	cr_expect_eq(now.queue[0].seconds, 0.5);
}

Test(top, what_it_reads_does_not_steer_the_terminal)
{
	parse(&now, "vireo_vm_state{state=\"a\x1b[2J\xc2\x9b\x7f\xc3\xa4\"} 1\n");
	cr_expect_str_eq(now.state, "a?[2J??\xc3\xa4");
}

/* Who answers may be anybody who can make a socket there. */
Test(top, is_not_led_astray_by_what_it_reads)
{
	static const char *const bad[] = {
		"", "\n\n", "x", "x{", "x{}", "x{} ", "x{a} 1", "x{a=} 1", "x{a=\"} 1", "x{a=\"b} 1",
		"x{a=\"b\"", "x{a=\"b\\", "x{=\"\"} 1", "x{a=\"1\",b=\"2\",c=\"3\",d=\"4\",e=\"5\"} 1",
		"vireo_vcpu_exits_total{vcpu=\"64\",kind=\"other\"} 1",
		"vireo_vcpu_exits_total{vcpu=\"-1\",kind=\"other\"} 1",
		"vireo_own_memory_bytes nan", "vireo_own_memory_bytes -5", "vireo_vm_state 1",
		"vireo_queue_requests_total 1",
	};
	char line[200], *many = calloc(4000, 100);

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		parse(&now, bad[i]);
		cr_expect_eq(now.n_vcpus, 0, "%s", bad[i]);
		cr_expect_leq(now.n_queues, 1u);
		cr_expect_eq(now.own, 0, "%s", bad[i]);
	}
	for (unsigned i = 0; i < 4000; i++) {
		snprintf(line, sizeof(line), "vireo_queue_in_flight{device=\"d%u\",queue=\"0\"} 1\n", i);
		strcat(many + (i ? strlen(many) : 0), line);
	}
	parse(&now, many);
	cr_expect_eq(now.n_queues, TOP_MAX_QUEUES);
	free(many);
	parse(&now, "vireo_vm_state{state=\"\x1b[2J\"} 1\n"
		    "vireo_queue_info{device=\"\x1b[31mx\",queue=\"0\",datapath=\"\x07\"} 1\n");
	char *text = view(top_view_vm, NULL);

	cr_expect_null(strchr(text, '\x1b'));
	free(text);
}

static void two_samples(void)
{
	parse(&was, "vireo_start_time_seconds 100\nvireo_vm_state{state=\"running\"} 1\n"
		    "vireo_thread_cpu_seconds_total{thread=\"main\",tid=\"1\"} 1\n"
		    "vireo_vcpu_cpu_seconds_total{vcpu=\"0\"} 3\n"
		    "vireo_vcpu_exits_total{vcpu=\"0\",kind=\"pio-write\"} 1000\n"
		    "vireo_queue_info{device=\"disk0\",queue=\"0\",datapath=\"in process\"} 1\n"
		    "vireo_queue_requests_total{device=\"disk0\",queue=\"0\"} 0\n"
		    "vireo_queue_in_bytes_total{device=\"disk0\",queue=\"0\"} 0\n"
		    "vireo_queue_info{device=\"net0\",queue=\"0\",datapath=\"/dev/vhost-net\"} 1\n");
	parse(&now, "vireo_start_time_seconds 100\nvireo_vm_state{state=\"running\"} 1\n"
		    "vireo_own_memory_bytes 4194304\n"
		    "vireo_thread_cpu_seconds_total{thread=\"main\",tid=\"1\"} 2\n"
		    "vireo_vcpu_cpu_seconds_total{vcpu=\"0\"} 4\n"
		    "vireo_vcpu_exits_total{vcpu=\"0\",kind=\"pio-write\"} 1500\n"
		    "vireo_queue_info{device=\"disk0\",queue=\"0\",datapath=\"in process\"} 1\n"
		    "vireo_queue_requests_total{device=\"disk0\",queue=\"0\"} 250000\n"
		    "vireo_queue_in_bytes_total{device=\"disk0\",queue=\"0\"} 8192\n"
		    "vireo_queue_request_seconds_count{device=\"disk0\",queue=\"0\"} 100\n"
		    "vireo_queue_request_seconds_sum{device=\"disk0\",queue=\"0\"} 0.0021\n"
		    "vireo_queue_info{device=\"net0\",queue=\"0\",datapath=\"/dev/vhost-net\"} 1\n");
	was.when = 10;
	now.when = 12;
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

Test(top, shows_rates)
{
	two_samples();
	char *text = view(top_view_vm, &was);

	cr_expect(has(text, "\nvcpu0   50.0 "), "%s", text);
	cr_expect(has(text, "     250\ndisk0") || has(text, "     250\n"), "%s", text);
	cr_expect(has(text, "\ndisk0              0     125k        0     4.0k      0     21us  "
			    "in process\n"), "%s", text);
	/* What the kernel moves is not counted as nothing. */
	cr_expect(has(text, "\nnet0               0        -        -        -      -        -  "
			    "/dev/vhost-net\n"), "%s", text);
	for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n"))
		cr_expect_leq(strlen(l), 80u, "%s", l);
	free(text);
	text = view(top_view_line, &was);
	cr_expect(has(text, "web              running     50.0     250    125k       0    4.0k"),
		  "%s", text);
	cr_expect_leq(strlen(text), 81u);
	free(text);
}

Test(top, compares_a_vm_only_with_itself)
{
	two_samples();
	was.start = 99;
	char *text = view(top_view_line, &was);

	cr_expect(has(text, "running        -       -"), "%s", text);
	free(text);
	text = view(top_view_vm, &was);
	cr_expect_not(has(text, "vcpu0"));
	free(text);
	two_samples();
	now.answers = false;
	text = view(top_view_line, &was);
	cr_expect(has(text, "no answer"));
	free(text);
}
