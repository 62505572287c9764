#include "vmm/test/host_room.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/fd.h"

enum { PATH_SIZE = 4096, TEXT_SIZE = 16384, GROUPS_MAX = 64 };

/* A file of the kernel's as text.  False if it cannot be read. */
static bool read_text(char text[TEXT_SIZE], const char *root, const char *dir, const char *name)
{
	char path[3 * PATH_SIZE];
	ssize_t len = 0, r = 0;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s/%s", root, dir, name) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	while (len < TEXT_SIZE - 1 && (r = read(fd, text + len, (size_t)(TEXT_SIZE - 1 - len))) > 0)
		len += r;
	text[len] = '\0';
	fd_close(&fd);
	return r >= 0;
}

/* The number behind 'key' at the beginning of a line.  False if there is none. */
static bool find_number(const char *text, const char *key, uint64_t *out)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len))
			return sscanf(line + len, " %lu", out) == 1;
	}
	return false;
}

static bool read_number(const char *root, const char *dir, const char *name, uint64_t *out)
{
	char text[TEXT_SIZE];

	return read_text(text, root, dir, name) && find_number(text, "", out);
}

static void limit_memory(struct host_room *room, uint64_t max, uint64_t used, uint64_t cache)
{
	/* Pages of files make room when they are asked to. */
	used -= min_u64(used, cache);
	room->memory = min_u64(room->memory, max - min_u64(max, used));
}

static void limit_cpus(struct host_room *room, uint64_t quota, uint64_t period)
{
	if (period > 0)
		room->cpus = (unsigned)min_u64(room->cpus, max_u64(quota / period, 1));
}

/* Control groups, version 2: memory.max, cpu.max. */
static void look_v2(struct host_room *room, const char *root, const char *dir)
{
	char text[TEXT_SIZE];
	uint64_t max, used = 0, cache = 0, quota, period;

	if (read_number(root, dir, "memory.max", &max)) {
		(void)read_number(root, dir, "memory.current", &used);
		if (read_text(text, root, dir, "memory.stat"))
			(void)find_number(text, "inactive_file ", &cache);
		limit_memory(room, max, used, cache);
	}
	if (read_text(text, root, dir, "cpu.max") && sscanf(text, "%lu %lu", &quota, &period) == 2)
		limit_cpus(room, quota, period);
}

/* Version 1, of which each controller has a tree of its own.  A limit that is none is huge. */
static void look_v1_memory(struct host_room *room, const char *root, const char *dir)
{
	char text[TEXT_SIZE];
	uint64_t max, used = 0, cache = 0;

	if (!read_number(root, dir, "memory.limit_in_bytes", &max))
		return;
	(void)read_number(root, dir, "memory.usage_in_bytes", &used);
	if (read_text(text, root, dir, "memory.stat"))
		(void)find_number(text, "total_inactive_file ", &cache);
	limit_memory(room, max, used, cache);
}

static void look_v1_cpu(struct host_room *room, const char *root, const char *dir)
{
	uint64_t quota, period;

	if (read_number(root, dir, "cpu.cfs_quota_us", &quota) &&
	    read_number(root, dir, "cpu.cfs_period_us", &period))
		limit_cpus(room, quota, period);
}

/* 'group' and all those above it: each may have a limit. */
static void look_up(struct host_room *room, const char *root, const char *mount, const char *group,
		    void (*look)(struct host_room *, const char *, const char *))
{
	char dir[2 * PATH_SIZE];

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int)sizeof(dir))
		return;
	for (unsigned i = 0; i < GROUPS_MAX && strlen(dir) >= strlen(mount); i++) {
		look(room, root, dir);
		char *slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			break;
		*slash = '\0';
	}
}

/* cgroups(7), "/proc files": a line "ID:CONTROLLERS:PATH" each. */
static void look_at_groups(struct host_room *room, const char *root)
{
	char text[TEXT_SIZE], *rest = text, *line;

	if (!read_text(text, root, "/proc/self", "cgroup"))
		return;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group || group[1] != '/' || strstr(group, "/.."))
			continue;
		*group++ = '\0';
		controllers++;
		if (!strcmp(group, "/"))
			group[0] = '\0';
		if (!*controllers)
			look_up(room, root, "/sys/fs/cgroup", group, look_v2);
		else if (!strcmp(controllers, "memory"))
			look_up(room, root, "/sys/fs/cgroup/memory", group, look_v1_memory);
		else if (!strcmp(controllers, "cpu") || !strcmp(controllers, "cpu,cpuacct"))
			look_up(room, root, "/sys/fs/cgroup/cpu", group, look_v1_cpu);
	}
}

void host_room_read(struct host_room *out, const char *root)
{
	char text[TEXT_SIZE];
	uint64_t kib;
	cpu_set_t cpus;

	*out = (struct host_room){ .memory = UINT64_MAX, .cpus = 1 };
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		out->cpus = (unsigned)max_u64((uint64_t)CPU_COUNT(&cpus), 1);
	else
		out->cpus = (unsigned)max_u64((uint64_t)sysconf(_SC_NPROCESSORS_ONLN), 1);
	if (read_text(text, root, "/proc", "meminfo") && find_number(text, "MemAvailable:", &kib))
		out->memory = kib << 10;
	look_at_groups(out, root);
}
