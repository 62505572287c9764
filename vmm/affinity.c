#include "vmm/affinity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/config_mistake.h"

/* A number below 'limit' at '*at', which is moved behind it; or -1. */
static int parse_number(const char **at, const char *end, unsigned limit)
{
	const char *p = *at;
	unsigned v = 0;

	if (p == end || *p < '0' || *p > '9')
		return -1;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned)(*p - '0');
		if (v >= limit)
			return -1;
	}
	*at = p;
	return (int)v;
}

int affinity_parse_cpus(const char *text, size_t len, unsigned limit, cpu_set_t *cpus)
{
	const char *end = text + len;

	CPU_ZERO(cpus);
	for (;;) {
		int first = parse_number(&text, end, limit), last = first;

		if (first >= 0 && text < end && *text == '-') {
			text++;
			last = parse_number(&text, end, limit);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		for (int cpu = first; cpu <= last; cpu++)
			CPU_SET((unsigned)cpu, cpus);
		if (text == end)
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

/* One item: "0-3", or "1:2". */
static int parse_item(struct affinity *a, const char *item, size_t len, unsigned n_threads,
		      char *why)
{
	const char *colon = memchr(item, ':', len), *at = item, *end = item + len;
	cpu_set_t cpus;

	if (!colon) {
		if (affinity_parse_cpus(item, len, CPU_SETSIZE, &cpus) == 0) {
			CPU_OR(&a->all, &a->all, &cpus);
			return 0;
		}
	} else {
		int thread = parse_number(&at, end, UINT16_MAX);

		if (thread >= 0 && at == colon && (unsigned)thread >= n_threads) {
			snprintf(why, AFFINITY_WHY_SIZE,
				 "'%.*s': there is no number %d, they count from 0 to %u",
				 (int)min_u64(len, 40), item, thread, n_threads - 1);
			return -EINVAL;
		}
		if (thread >= 0 && at == colon &&
		    affinity_parse_cpus(colon + 1, (size_t)(end - colon) - 1, CPU_SETSIZE,
					&cpus) == 0) {
			CPU_OR(&a->own[thread], &a->own[thread], &cpus);
			return 0;
		}
	}
	snprintf(why, AFFINITY_WHY_SIZE, "'%.*s' is neither CPUs of the host, as '0-3', nor a "
		 "thread and its CPUs, as '0:2'", (int)min_u64(len, 40), item);
	return -EINVAL;
}

int affinity_parse(struct affinity *a, const struct text_list *list, unsigned n_threads,
		   char why[AFFINITY_WHY_SIZE])
{
	memset(a, 0, sizeof(*a));
	for (unsigned i = 0; i < list->n; i++) {
		for (const char *item = list->item[i];;) {
			size_t len = strcspn(item, ",");
			int r = parse_item(a, item, len, n_threads, why);

			if (r < 0)
				return r;
			if (item[len] == '\0')
				break;
			item += len + 1;
		}
	}
	for (unsigned i = 0; i < n_threads; i++) {
		if (CPU_COUNT(&a->own[i]))
			a->of[i] = &a->own[i];
		else if (CPU_COUNT(&a->all))
			a->of[i] = &a->all;
	}
	return 0;
}

/* "0-3,6", cut if it is long. */
static void format_cpus(const cpu_set_t *cpus, char buf[96])
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < 80; cpu++) {
		unsigned last = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		len += (size_t)snprintf(buf + len, 96 - len, last > cpu ? "%s%u-%u" : "%s%u",
					len ? "," : "", cpu, last);
		cpu = last;
	}
}

int affinity_check_host(const struct affinity *affinity, unsigned n_threads)
{
	cpu_set_t allowed;
	char text[96];

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return error_set(errno, "ask which CPUs Vireo may run on");
	format_cpus(&allowed, text);
	for (unsigned i = 0; i < n_threads; i++)
		for (unsigned cpu = 0; affinity->of[i] && cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, affinity->of[i]) && !CPU_ISSET(cpu, &allowed))
				return error_set(EINVAL, "CPU %u is none that Vireo may run on "
						 "here: those are %s", cpu, text);
	return 0;
}

void affinity_validate(const struct vm_config *config, struct mistakes *mistakes)
{
	struct affinity affinity;
	char why[AFFINITY_WHY_SIZE];

	if (affinity_parse(&affinity, &config->vcpu_affinity, config->cpus, why) < 0)
		config_mistake(config, mistakes, "vm", 0, "vcpu_affinity", "%s", why);
	if (affinity_parse(&affinity, &config->io_affinity, config->io_threads, why) < 0)
		config_mistake(config, mistakes, "vm", 0, "io_affinity", "%s", why);
}
