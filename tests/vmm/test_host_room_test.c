#include "vmm/test/host_room.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/temp_tree.h"

static char root[TEMP_TREE_SIZE];

static void make_root(void)
{
	temp_tree_make(root);
}

static void remove_root(void)
{
	temp_tree_remove(root);
}

TestSuite(test_host_room, .init = make_root, .fini = remove_root);

/* A file below the root, with its directories. */
static void put(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	FILE *file = fopen(path, "w");
	cr_assert(file != NULL, "%s", path);
	fputs(text, file);
	fclose(file);
}

static struct host_room look(void)
{
	struct host_room room;

	host_room_read(&room, root);
	return room;
}

Test(test_host_room, is_what_is_available_of_the_host)
{
	put("/proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:   8000 kB\n");
	cr_assert_eq(look().memory, KIB(8000));
	cr_assert_geq(look().cpus, 1);
}

Test(test_host_room, unknown_sets_no_limit)
{
	cr_assert_eq(look().memory, UINT64_MAX);
	put("/proc/self/cgroup", "garbage\n0::relative\n0::/../..\n::::\n\n");
	put("/proc/meminfo", "MemAvailable: many\n");
	cr_assert_eq(look().memory, UINT64_MAX);
}

Test(test_host_room, each_group_above_may_limit)
{
	put("/proc/meminfo", "MemAvailable: 8000000 kB\n");
	put("/proc/self/cgroup", "0::/pods/one\n");
	put("/sys/fs/cgroup/pods/memory.max", "100000000\n");
	put("/sys/fs/cgroup/pods/memory.current", "60000000\n");
	put("/sys/fs/cgroup/pods/memory.stat", "anon 5\ninactive_file 20000000\nfile 7\n");
	put("/sys/fs/cgroup/pods/one/memory.max", "max\n");
	put("/sys/fs/cgroup/pods/one/cpu.max", "150000 100000\n");
	put("/sys/fs/cgroup/pods/cpu.max", "max 100000\n");
	cr_assert_eq(look().memory, 60000000);
	cr_assert_eq(look().cpus, 1);
}

Test(test_host_room, less_than_a_cpu_is_one)
{
	put("/proc/self/cgroup", "0::/\n");
	put("/sys/fs/cgroup/cpu.max", "10000 100000\n");
	cr_assert_eq(look().cpus, 1);
	put("/sys/fs/cgroup/cpu.max", "10000 0\n");
	cr_assert_geq(look().cpus, 1);
}

Test(test_host_room, a_group_that_has_too_much_has_no_room)
{
	put("/proc/self/cgroup", "0::/a\n");
	put("/sys/fs/cgroup/a/memory.max", "1000\n");
	put("/sys/fs/cgroup/a/memory.current", "2000\n");
	cr_assert_eq(look().memory, 0);
}

Test(test_host_room, old_groups_have_a_tree_for_each_controller)
{
	put("/proc/meminfo", "MemAvailable: 8000000 kB\n");
	put("/proc/self/cgroup", "4:memory:/job\n3:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n");
	put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "50000000\n");
	put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "10000000\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
	cr_assert_eq(look().memory, 40000000);
	cr_assert_geq(look().cpus, 1);
	put("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "100000\n");
	cr_assert_eq(look().cpus, 1);
}
