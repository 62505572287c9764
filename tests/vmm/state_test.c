/* The state report of made-up facts: what a hostile guest can put into it, as text and as JSON. */
#include "vmm/report/state.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct state_report report;
static struct state_cpu cpu[2];
static struct state_device device[1];
static struct queue_look queue[1];

static void make_report(void)
{
	report = (struct state_report){
		.why = "test", .n_cpus = 2, .n_inside = 1, .cpu = cpu, .device = device,
		.n_devices = 1, .queue = queue, .n_queues = 1, .n_consoles = 1, .n_events = 1,
	};
	cpu[0].look = (struct cpu_look){ .doing = CPU_RUNNING, .bits = 64, .rip = UINT64_MAX,
					 .exit_reason = "x", .injected = -1,
					 .irr = { [1] = 4 } };
	cpu[1].look = (struct cpu_look){ .index = 1, .doing = CPU_INSIDE };
	device[0] = (struct state_device){ .name = "disk0", .status = 0xff,
					   .state = VIRTIO_BROKEN };
	queue[0] = (struct queue_look){ .device = "disk0", .enabled = true, .runs = true,
					.ring = { .fault = VQ_FAULT_HEAD, .avail_seen = 65535 } };
	report.console[0] = (struct state_console){ .name = "serial port" };
	report.event[0] = (struct event){ .kind = EVENT_PANIC, .text = "\033[2J\xff" };
}

TestSuite(state, .init = make_report);

static void say(const char *text, size_t len)
{
	memcpy(report.console[0].text, text, len);
	report.console[0].len = len;
}

static char *text_of_report(void)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	state_write_text(out, &report);
	fclose(out);
	cr_assert_eq(strlen(text), len, "no zero in it");
	for (size_t i = 0; i < len; i++)
		cr_assert((text[i] >= 0x20 && text[i] < 0x7f) || text[i] == '\n' || text[i] == '\t',
			  "byte 0x%02x", (unsigned char)text[i]);
	return text;
}

Test(state, no_byte_of_a_guest_reaches_the_terminal_as_an_order)
{
	char all[256], *text;

	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	say(all, sizeof(all));
	text = text_of_report();
	cr_expect_not_null(strstr(text, "\\x1b"));
	cr_expect_not_null(strstr(text, "panic: ?[2J?"));
	free(text);
}

Test(state, says_who_did_not_come_out_and_what_broke)
{
	char *text = text_of_report();

	cr_expect_not_null(strstr(text, "vcpu1: did not leave the guest within 200 ms"));
	cr_expect_not_null(strstr(text, "code: not in memory"));
	cr_expect_not_null(strstr(text, "interrupts that wait: 0x22\n"));
	cr_expect_not_null(strstr(text, "disk0: broken, ACKNOWLEDGE|DRIVER|"));
	cr_expect_not_null(strstr(text, vq_fault_text(VQ_FAULT_HEAD)));
	free(text);
}

Test(state, of_a_long_console_whole_lines_are_shown)
{
	char *text;

	for (size_t i = 0; i < CONSOLE_TAIL_KEPT; i++)
		report.console[0].text[i] = i % 50 == 49 ? '\n' : 'a';
	report.console[0].len = CONSOLE_TAIL_KEPT;
	text = text_of_report();
	cr_expect_not_null(strstr(text, "serial port:\n  | aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"));
	cr_expect_lt(strlen(text), 8192u);
	free(text);
}

#if HAVE_JANSSON

#include <jansson.h>

Test(state, json_has_every_byte_of_a_console)
{
	char all[256];
	json_t *root, *cpus;

	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	say(all, sizeof(all));
	root = state_json(&report);
	cr_assert_not_null(root);
	const json_t *said = json_object_get(json_object_get(root, "consoles"), "serial port");
	cr_assert(json_is_string(said));
	cr_expect_eq(json_string_length(said), 128u + 2 * 128);
	cpus = json_object_get(root, "cpus");
	cr_expect_eq(json_array_size(cpus), 2);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(cpus, 1), "state")),
			 "inside");
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(
				 json_array_get(cpus, 0), "registers"), "rip")),
			 "0xffffffffffffffff");
	char *text = json_dumps(root, 0);
	cr_expect_not_null(text);
	free(text);
	json_decref(root);
}

#endif
