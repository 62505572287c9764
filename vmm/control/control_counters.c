/* What is counted at queues and vCPUs: as JSON, and for Prometheus (docs/observing.md). */
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/vm_counters.h"

/* Powers of two of nanoseconds that both forms tell; what is below is in the first one. */
enum { FIRST_BUCKET = 8, LAST_BUCKET = 34 };

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *integer(const _Atomic uint64_t *count)
{
	return json_integer((json_int_t)queue_stats_get(count));
}

static json_t *latency_object(const struct queue_stats *s)
{
	uint64_t n = queue_stats_get(&s->n_timed), sum = queue_stats_get(&s->sum_ns), below = 0;
	json_t *buckets = json_array();

	for (unsigned i = 0; i <= LAST_BUCKET; i++) {
		below += queue_stats_get(&s->bucket[i]);
		if (i >= FIRST_BUCKET)
			json_array_append_new(buckets, json_integer((json_int_t)below));
	}
	return json_pack("{s:I, s:o, s:I, s:o, s:I, s:o}", "samples", (json_int_t)n, "min_ns",
			 integer(&s->min_ns), "mean_ns", (json_int_t)(n ? sum / n : 0), "max_ns",
			 integer(&s->max_ns), "first_below_ns",
			 (json_int_t)1 << FIRST_BUCKET, "below", buckets);
}

json_t *control_queue_counters(const struct vm_queue *q)
{
	const struct queue_stats *s = &q->stats;

	/* The kernel does not say; what was before it took the queue over would mislead. */
	if (!q->counts)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "kicks",
			 integer(&s->kicks), "calls", integer(&s->calls), "calls_saved",
			 integer(&s->calls_saved), "requests", integer(&s->requests), "bytes_out",
			 integer(&s->bytes_out), "bytes_in", integer(&s->bytes_in), "in_flight",
			 (int)queue_stats_in_flight(s), "broken", integer(&s->broken), "latency",
			 latency_object(s));
}

static json_t *vcpu_object(unsigned index, const struct vcpu_counters *c)
{
	json_t *exits = json_object();

	for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
		json_object_set_new(exits, vcpu_exit_name((enum vcpu_exit_kind)k),
				    json_integer((json_int_t)c->exits[k]));
	return json_pack("{s:i, s:I, s:o}", "index", (int)index, "cpu_ns", (json_int_t)c->cpu_ns,
			 "exits", exits);
}

void control_get_vcpus(struct control_call *call)
{
	static struct vcpu_counters c[LAYOUT_MAX_VCPUS];
	unsigned n = vm_vcpu_counters(call->control->vm, c);
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(array, vcpu_object(i, &c[i]));
	control_reply_json(call, 200, json_pack("{s:o}", "vcpus", array));
}

/* --- Prometheus ------------------------------------------------------------------------------ */

/* A number for each queue. */
struct queue_metric {
	const char *name, *type, *help;
	size_t offset;		/* in struct queue_stats */
};

static const struct queue_metric queue_metrics[] = {
	{ "vireo_queue_kicks_total", "counter", "Looks at the ring that the driver asked for.",
	  offsetof(struct queue_stats, kicks) },
	{ "vireo_queue_calls_total", "counter", "Interrupts that were asked for of the guest.",
	  offsetof(struct queue_stats, calls) },
	{ "vireo_queue_calls_saved_total", "counter",
	  "Times that something was answered and no interrupt was due.",
	  offsetof(struct queue_stats, calls_saved) },
	{ "vireo_queue_requests_total", "counter", "Buffer chains that were given back.",
	  offsetof(struct queue_stats, requests) },
	{ "vireo_queue_out_bytes_total", "counter", "Of these, bytes from the driver.",
	  offsetof(struct queue_stats, bytes_out) },
	{ "vireo_queue_in_bytes_total", "counter", "Of these, bytes for the driver.",
	  offsetof(struct queue_stats, bytes_in) },
	{ "vireo_queue_broken_total", "counter", "Times that the driver broke a rule of the ring.",
	  offsetof(struct queue_stats, broken) },
};

static void put_labels(FILE *out, const char *name, const char *suffix, const struct vm_queue *q)
{
	fprintf(out, "%s%s{device=\"", name, suffix);
	control_put_label(out, q->device);
	fprintf(out, "\",queue=\"%u\"", q->index);
}

static void put_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
		(unsigned long long)(ns % 1000000000));
}

static void put_queue_metric(FILE *out, const struct queue_metric *m, const struct vm_queue *queue,
			     unsigned n)
{
	control_put_head(out, m->name, m->type, m->help);
	for (unsigned i = 0; i < n; i++) {
		const void *at = (const char *)&queue[i].stats + m->offset;
		if (!queue[i].counts)
			continue;
		put_labels(out, m->name, "", &queue[i]);
		fprintf(out, "} %llu\n",
			(unsigned long long)queue_stats_get((const _Atomic uint64_t *)at));
	}
}

void control_put_histogram(FILE *out, const char *name, const struct vm_queue *q)
{
	const struct queue_stats *s = &q->stats;
	uint64_t below = 0, all = 0;

	/* The number of samples is that of the buckets, which were read at other moments. */
	for (unsigned i = 0; i < QUEUE_STATS_BUCKETS; i++)
		all += queue_stats_get(&s->bucket[i]);
	for (unsigned i = 0; i <= LAST_BUCKET; i++) {
		below += queue_stats_get(&s->bucket[i]);
		if (i < FIRST_BUCKET)
			continue;
		put_labels(out, name, "_bucket", q);
		fprintf(out, ",le=\"");
		put_seconds(out, UINT64_C(1) << i);
		fprintf(out, "\"} %llu\n", (unsigned long long)below);
	}
	put_labels(out, name, "_bucket", q);
	fprintf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)all);
	put_labels(out, name, "_sum", q);
	fputs("} ", out);
	put_seconds(out, queue_stats_get(&s->sum_ns));
	fputc('\n', out);
	put_labels(out, name, "_count", q);
	fprintf(out, "} %llu\n", (unsigned long long)all);
}

static void put_queues(FILE *out, const struct vm_queue *queue, unsigned n)
{
	static const char info[] = "vireo_queue_info", flying[] = "vireo_queue_in_flight",
			  times[] = "vireo_queue_request_seconds";

	control_put_head(out, info, "gauge", "1 if the driver enabled the queue, else 0; with who "
			 "moves its buffers.");
	for (unsigned i = 0; i < n; i++) {
		put_labels(out, info, "", &queue[i]);
		fputs(",datapath=\"", out);
		control_put_label(out, queue[i].datapath);
		fprintf(out, "\"} %d\n", queue[i].enabled);
	}
	for (unsigned m = 0; m < ARRAY_SIZE(queue_metrics); m++)
		put_queue_metric(out, &queue_metrics[m], queue, n);
	control_put_head(out, flying, "gauge", "Buffer chains that were taken and not given back.");
	for (unsigned i = 0; i < n; i++) {
		if (!queue[i].counts)
			continue;
		put_labels(out, flying, "", &queue[i]);
		fprintf(out, "} %u\n", queue_stats_in_flight(&queue[i].stats));
	}
	control_put_head(out, times, "histogram",
			 "From taking a buffer chain to giving it back, of one in seven.");
	for (unsigned i = 0; i < n; i++)
		if (queue[i].counts && queue_stats_get(&queue[i].stats.n_timed))
			control_put_histogram(out, times, &queue[i]);
}

static void put_vcpus(FILE *out, struct vm *vm)
{
	static struct vcpu_counters c[LAYOUT_MAX_VCPUS];
	unsigned n = vm_vcpu_counters(vm, c);

	control_put_head(out, "vireo_vcpu_cpu_seconds_total", "counter",
			 "CPU time of each virtual CPU, in the guest and for it.");
	for (unsigned i = 0; i < n; i++) {
		fprintf(out, "vireo_vcpu_cpu_seconds_total{vcpu=\"%u\"} ", i);
		put_seconds(out, c[i].cpu_ns);
		fputc('\n', out);
	}
	control_put_head(out, "vireo_vcpu_exits_total", "counter",
			 "Exits from the guest that Vireo served, by kind.");
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
			fprintf(out, "vireo_vcpu_exits_total{vcpu=\"%u\",kind=\"%s\"} %llu\n", i,
				vcpu_exit_name((enum vcpu_exit_kind)k),
				(unsigned long long)c[i].exits[k]);
}

void control_put_counters(FILE *out, struct control *c)
{
	struct vm_queue *queue;
	unsigned n;

	put_vcpus(out, c->vm);
	if (vm_all_queues(c->vm, &queue, &n) < 0) {
		/* A guest that keeps the machine busy: this time there is nothing of queues. */
		error_clear();
		return;
	}
	put_queues(out, queue, n);
	free(queue);
}

#endif
