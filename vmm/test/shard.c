#include "vmm/test/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"

/* --- Which one ------------------------------------------------------------------------------- */

/* The number that a variable has.  Returns 1, 0: not set, or -EINVAL with an error chain. */
static int read_number(shard_getenv_fn get, const char *name, uint64_t *out)
{
	const char *text = get(name);

	if (!text || !*text)
		return 0;
	if (text_parse_u64(text, out) < 0 || *out > UINT32_MAX)
		return error_set(EINVAL, "%s is '%.32s', which is not a number", name, text);
	return 1;
}

static int set(struct shard *out, uint64_t index, uint64_t of)
{
	if (of == 0 || of > SHARDS_MAX || index == 0 || index > of)
		return error_set(EINVAL, "shard %llu of %llu: it must be 1 to N of at most %u",
				 (unsigned long long)index, (unsigned long long)of, SHARDS_MAX);
	out->index = (unsigned)index;
	out->of = (unsigned)of;
	return 0;
}

static int add_hint(int r, const char *what)
{
	error_hint("%s; or divide by hand, '--shard I/N', or not at all, '--shard off'", what);
	return r;
}

/* sbatch(1), "OUTPUT ENVIRONMENT VARIABLES": the indexes go from MIN in steps of STEP. */
static int from_slurm(struct shard *out, shard_getenv_fn get, uint64_t of)
{
	uint64_t id, min = 0, count = 0, step = 1;
	int r = read_number(get, "SLURM_ARRAY_TASK_ID", &id);
	int has_min = read_number(get, "SLURM_ARRAY_TASK_MIN", &min);
	int has_count = read_number(get, "SLURM_ARRAY_TASK_COUNT", &count);
	int has_step = read_number(get, "SLURM_ARRAY_TASK_STEP", &step);

	if (r <= 0)
		return r;
	if (has_min < 0 || has_count < 0 || has_step < 0)
		return -EINVAL;
	if (of == 0)
		of = count;
	if (!has_min || of == 0)
		return add_hint(error_set(EINVAL, "SLURM_ARRAY_TASK_ID is set, but not "
					  "SLURM_ARRAY_TASK_MIN and SLURM_ARRAY_TASK_COUNT"),
				"Let Slurm's variables through");
	if (step == 0 || id < min || (id - min) % step != 0 || (id - min) / step >= of)
		return add_hint(error_set(EINVAL, "this array job of Slurm has gaps: task %llu of "
					  "%llu from %llu on in steps of %llu",
					  (unsigned long long)id, (unsigned long long)of,
					  (unsigned long long)min, (unsigned long long)step),
				"Number its tasks 1-N");
	r = set(out, (id - min) / step + 1, of);
	return r < 0 ? r : 1;
}

/* Kubernetes tells an indexed job's pod its index, from 0, but not how many there are. */
static int from_kubernetes(struct shard *out, shard_getenv_fn get, uint64_t of)
{
	uint64_t index, completions = 0;
	int r = read_number(get, "JOB_COMPLETION_INDEX", &index);

	if (r <= 0)
		return r;
	if (read_number(get, "JOB_COMPLETIONS", &completions) < 0)
		return -EINVAL;
	if (of == 0)
		of = completions;
	if (of == 0)
		return add_hint(error_set(EINVAL, "JOB_COMPLETION_INDEX is set, but nobody says of "
					  "how many"),
				"Give the pods JOB_COMPLETIONS, or '--shard auto/N'");
	r = set(out, index + 1, of);
	return r < 0 ? r : 1;
}

/* GitLab, "Predefined CI/CD variables": TOTAL is 1 in a job that is not parallel. */
static int from_gitlab(struct shard *out, shard_getenv_fn get, uint64_t of)
{
	uint64_t index, total = 0;
	int r = read_number(get, "CI_NODE_INDEX", &index);

	if (r <= 0)
		return r;
	if (read_number(get, "CI_NODE_TOTAL", &total) < 0)
		return -EINVAL;
	if (of == 0)
		of = total;
	if (of == 0)
		return add_hint(error_set(EINVAL, "CI_NODE_INDEX is set, but not CI_NODE_TOTAL"),
				"Set both");
	r = set(out, index, of);
	return r < 0 ? r : 1;
}

static const struct {
	const char *name, *variable;
	/* Returns 1: found, 0: not there, or -EINVAL with an error chain. */
	int (*read)(struct shard *out, shard_getenv_fn get, uint64_t of);
} systems[] = {
	{ "Slurm", "SLURM_ARRAY_TASK_ID", from_slurm },
	{ "Kubernetes", "JOB_COMPLETION_INDEX", from_kubernetes },
	{ "CI", "CI_NODE_INDEX", from_gitlab },
};

static int read_environment(struct shard *out, shard_getenv_fn get, uint64_t of)
{
	const char *found = NULL;
	struct shard last = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(systems); i++) {
		struct shard here = { 0 };
		int r = systems[i].read(&here, get, of);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (found)
			return add_hint(error_set(EINVAL, "both %s and %s are set", found,
						  systems[i].variable),
					"Unset one of them");
		found = systems[i].variable;
		last = here;
		snprintf(last.source, sizeof(last.source), "%s, %s=%.20s", systems[i].name,
			 systems[i].variable, get(systems[i].variable));
	}
	if (!found && of > 0)
		return add_hint(error_set(EINVAL, "no array job, indexed job or parallel job: "
					  "nobody says which of the %llu shards this is",
					  (unsigned long long)of),
				"Run it in one");
	*out = last;
	return 0;
}

int shard_read(struct shard *out, const char *text, shard_getenv_fn get)
{
	const char *slash = strchr(text, '/');
	char first[24];
	uint64_t index = 0, of = 0;

	*out = (struct shard){ 0 };
	if (!strcmp(text, "off"))
		return 0;
	snprintf(first, sizeof(first), "%.*s", slash ? (int)min_u64((uint64_t)(slash - text), 23) :
		 23, text);
	if (slash && (text_parse_u64(slash + 1, &of) < 0 || of == 0 || of > SHARDS_MAX))
		return error_set(EINVAL, "'%.32s' does not divide in 1 to %u shards", text,
				 SHARDS_MAX);
	if (!strcmp(first, "auto"))
		return read_environment(out, get, of);
	if (!slash || text_parse_u64(first, &index) < 0)
		return error_set(EINVAL, "'%.32s' is no shard: I/N, auto, auto/N or off", text);
	return set(out, index, of);
}

/* --- Which tests ----------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return hash;
}

static int by_chance(const void *a, const void *b)
{
	const struct shard_item *x = *(struct shard_item *const *)a;
	const struct shard_item *y = *(struct shard_item *const *)b;
	uint64_t hx = hash_text(x->key), hy = hash_text(y->key);

	return hx != hy ? (hx < hy ? -1 : 1) : strcmp(x->key, y->key);
}

static int by_length(const void *a, const void *b)
{
	const struct shard_item *x = *(struct shard_item *const *)a;
	const struct shard_item *y = *(struct shard_item *const *)b;

	if (x->expected_ns != y->expected_ns)
		return x->expected_ns > y->expected_ns ? -1 : 1;
	return by_chance(a, b);
}

/* Returns the mean of those that are known, 0: none is. */
static uint64_t mean(const struct shard_item *items, unsigned n)
{
	uint64_t sum_ms = 0;
	unsigned known = 0;

	for (unsigned i = 0; i < n; i++) {
		sum_ms += items[i].expected_ns / 1000000;
		known += items[i].expected_ns > 0;
	}
	return known ? max_u64(sum_ms / known, 1) * 1000000 : 0;
}

int shard_divide(struct shard_item *items, unsigned n, unsigned of)
{
	struct shard_item **order = calloc(n ? n : 1, sizeof(*order));
	uint64_t *load = calloc(of, sizeof(*load)), usual = mean(items, n);

	if (!order || !load) {
		free(order);
		free(load);
		return error_set(ENOMEM, "divide the tests");
	}
	for (unsigned i = 0; i < n; i++) {
		order[i] = &items[i];
		if (items[i].expected_ns == 0)
			items[i].expected_ns = usual;
	}
	qsort(order, n, sizeof(*order), usual ? by_length : by_chance);
	for (unsigned i = 0; i < n; i++) {
		unsigned least = 0;

		for (unsigned s = 1; s < of; s++)
			if (load[s] < load[least])
				least = s;
		order[i]->shard = least + 1;
		/* Without durations each counts as one: dealt out in turn. */
		load[least] += usual ? order[i]->expected_ns / 1000 + 1 : 1;
	}
	free(order);
	free(load);
	return 0;
}
