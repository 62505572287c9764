#include "vmm/control/top_view.h"

#include <string.h>
#include <time.h>

#include "vmm/control/show.h"

enum { CELL = 16 };

/* 1234 as "1234", 123456 as "123k": at most 5 characters.  'base' is 1000 or 1024. */
static const char *scaled(char buf[CELL], double value, double base)
{
	static const char units[] = " kMGTPE";
	unsigned unit = 0;

	while (value >= (base > 1000 ? 1000 : 9999.5) && unit + 2 < sizeof(units)) {
		value /= base;
		unit++;
	}
	snprintf(buf, CELL, value < 9.95 && unit ? "%.1f%.1s" : "%.0f%.1s", value,
		 unit ? units + unit : "");
	return buf;
}

static const char *duration(char buf[CELL], double seconds)
{
	static const struct {
		double below, factor;
		const char *unit;
	} steps[] = {
		{ 10e-6, 1e9, "ns" }, { 10e-3, 1e6, "us" }, { 10, 1e3, "ms" }, { 1e18, 1, "s" },
	};
	unsigned i = 0;

	while (i + 1 < ARRAY_SIZE(steps) && seconds >= steps[i].below)
		i++;
	snprintf(buf, CELL, "%.0f%s", seconds * steps[i].factor, steps[i].unit);
	return buf;
}

/* Two samples that can be compared; the same name may be another VM now. */
static bool is_pair(const struct top_sample *was, const struct top_sample *now)
{
	return was && was->answers && now->answers && was->start == now->start &&
	       now->when > was->when;
}

static double rate(double was, double now, double seconds)
{
	return now > was ? (now - was) / seconds : 0;
}

static double exits_of(const struct top_vcpu *vcpu)
{
	double sum = 0;

	for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
		sum += vcpu->exits[k];
	return sum;
}

/* What the whole VM has done so far. */
static struct top_queue all_of(const struct top_sample *s, double *exits)
{
	struct top_queue all = { 0 };

	*exits = 0;
	for (unsigned i = 0; i < s->n_vcpus; i++)
		*exits += exits_of(&s->vcpu[i]);
	for (unsigned i = 0; i < s->n_queues; i++) {
		all.requests += s->queue[i].requests;
		all.bytes_out += s->queue[i].bytes_out;
		all.bytes_in += s->queue[i].bytes_in;
	}
	return all;
}

void top_view_head(FILE *out)
{
	fprintf(out, "%-16s %-9s %6s %7s %7s %7s %7s %6s %6s\n", "NAME", "STATE", "CPU%",
		"EXITS/S", "REQ/S", "OUT/S", "IN/S", "OWN", "GUEST");
}

void top_view_line(FILE *out, const struct top_sample *was, const struct top_sample *now)
{
	char cell[6][CELL];

	fprintf(out, "%-16s %-9s", now->name, now->answers ? now->state : "no answer");
	if (is_pair(was, now)) {
		double seconds = now->when - was->when, exits_was, exits;
		struct top_queue before = all_of(was, &exits_was), all = all_of(now, &exits);

		fprintf(out, " %6.1f %7s %7s %7s %7s",
			100 * rate(was->cpu_s, now->cpu_s, seconds),
			scaled(cell[0], rate(exits_was, exits, seconds), 1000),
			scaled(cell[1], rate(before.requests, all.requests, seconds), 1000),
			scaled(cell[2], rate(before.bytes_out, all.bytes_out, seconds), 1024),
			scaled(cell[3], rate(before.bytes_in, all.bytes_in, seconds), 1024));
	} else {
		fprintf(out, " %6s %7s %7s %7s %7s", "-", "-", "-", "-", "-");
	}
	fprintf(out, " %6s %6s\n", scaled(cell[4], now->own, 1024),
		scaled(cell[5], now->guest_resident, 1024));
}

static void view_vcpus(FILE *out, const struct top_sample *was, const struct top_sample *now)
{
	double seconds = now->when - was->when;
	char cell[CELL];

	fprintf(out, "\n%-6s %5s", "CPU", "CPU%");
	for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
		fprintf(out, " %*s", (int)strlen(vcpu_exit_name((enum vcpu_exit_kind)k)),
			vcpu_exit_name((enum vcpu_exit_kind)k));
	fputs("  exits/s\n", out);
	for (unsigned i = 0; i < now->n_vcpus; i++) {
		const struct top_vcpu *a = &was->vcpu[i], *b = &now->vcpu[i];

		fprintf(out, "vcpu%-2u %5.1f", i, 100 * rate(a->cpu_s, b->cpu_s, seconds));
		for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
			fprintf(out, " %*s", (int)strlen(vcpu_exit_name((enum vcpu_exit_kind)k)),
				scaled(cell, rate(a->exits[k], b->exits[k], seconds), 1000));
		fprintf(out, " %8s\n", scaled(cell, rate(exits_of(a), exits_of(b), seconds), 1000));
	}
}

static const struct top_queue *same_queue(const struct top_sample *s, const struct top_queue *q)
{
	static const struct top_queue none;

	for (unsigned i = 0; i < s->n_queues; i++)
		if (s->queue[i].index == q->index && !strcmp(s->queue[i].device, q->device))
			return &s->queue[i];
	return &none;
}

static void view_queue(FILE *out, const struct top_queue *a, const struct top_queue *b,
		       double seconds)
{
	double samples = b->samples - a->samples;
	char cell[4][CELL];

	fprintf(out, "%-16s %3u ", b->device, b->index);
	/* The kernel's queues are not counted by Vireo. */
	if (!b->counts) {
		fprintf(out, "%8s %8s %8s %6s %8s  %s\n", "-", "-", "-", "-", "-", b->datapath);
		return;
	}
	fprintf(out, "%8s %8s %8s %6.0f %8s  %s\n",
		scaled(cell[0], rate(a->requests, b->requests, seconds), 1000),
		scaled(cell[1], rate(a->bytes_out, b->bytes_out, seconds), 1024),
		scaled(cell[2], rate(a->bytes_in, b->bytes_in, seconds), 1024), b->in_flight,
		samples > 0 ? duration(cell[3], (b->seconds - a->seconds) / samples) : "-",
		b->datapath);
}

void top_view_vm(FILE *out, const struct top_sample *was, const struct top_sample *now)
{
	char up[32], own[CELL], guest[CELL], resident[CELL];
	double age = (double)time(NULL) - now->start;

	if (!now->answers) {
		fprintf(out, "%s: no answer\n", now->name);
		return;
	}
	fprintf(out, "%s: %s, up %s; memory %s of its own, %s of %s the guest's\n", now->name,
		now->state, show_duration(up, age > 0 ? (uint64_t)(age * 1000) : 0),
		scaled(own, now->own, 1024), scaled(resident, now->guest_resident, 1024),
		scaled(guest, now->guest, 1024));
	if (!is_pair(was, now))
		return;
	view_vcpus(out, was, now);
	fprintf(out, "\n%-16s %3s  %7s %8s %8s %6s %8s  %s\n", "DEVICE", "Q", "REQ/S", "OUT/S",
		"IN/S", "FLIGHT", "MEAN", "DATAPATH");
	for (unsigned i = 0; i < now->n_queues; i++)
		if (now->queue[i].enabled)
			view_queue(out, same_queue(was, &now->queue[i]), &now->queue[i],
				   now->when - was->when);
}
