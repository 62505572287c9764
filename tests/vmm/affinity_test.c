#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/affinity.h"
#include "vmm/base/error.h"

static struct affinity affinity;
static char why[AFFINITY_WHY_SIZE];

static int parse(const char *first, const char *second)
{
	char *item[2] = { (char *)(uintptr_t)first, (char *)(uintptr_t)second };
	struct text_list list = { item, second ? 2 : 1 };

	return affinity_parse(&affinity, &list, 3, why);
}

static void expect_cpus(const cpu_set_t *cpus, uint64_t mask)
{
	cr_assert_not_null(cpus);
	for (unsigned cpu = 0; cpu < 64; cpu++)
		cr_expect_eq(CPU_ISSET(cpu, cpus) != 0, (mask >> cpu & 1) != 0, "CPU %u", cpu);
}

Test(affinity, a_list_of_cpus_is_for_all_threads)
{
	cr_assert_eq(parse("0-2,5", NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		expect_cpus(affinity.of[i], 0x27);
}

Test(affinity, a_thread_can_have_its_own)
{
	cr_assert_eq(parse("0:2,1:3-4", "0:7"), 0);
	expect_cpus(affinity.of[0], 0x84);
	expect_cpus(affinity.of[1], 0x18);
	cr_expect_null(affinity.of[2]);
	cr_assert_eq(parse("9", "1:3"), 0);
	expect_cpus(affinity.of[0], 0x200);
	expect_cpus(affinity.of[1], 0x8);
	expect_cpus(affinity.of[2], 0x200);
}

Test(affinity, what_is_no_list_is_refused)
{
	static const char *const bad[] = { "", ",", "0,", "a", "0-", "-1", "3-2", "0:", ":0",
					   "0:1:2", "1024", "0:99999999999999999999", "0 1",
					   "0x1", "99999999999:0", "0-1024" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		cr_expect_eq(parse(bad[i], NULL), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(why, "is neither CPUs of the host"), "%s: %s", bad[i], why);
	}
	cr_expect_eq(parse("3:0", NULL), -EINVAL);
	cr_expect_str_eq(why, "'3:0': there is no number 3, they count from 0 to 2");
}

Test(affinity, cpus_that_the_host_has_not_are_told_with_those_that_it_has)
{
	cr_assert_eq(parse("1:1023", NULL), 0);
	cr_expect_eq(affinity_check_host(&affinity, 3), -EINVAL);
	cr_expect(strstr(error_text(), "CPU 1023 is none that Vireo may run on here: those are "),
		  "%s", error_text());
	cr_expect_eq(affinity_check_host(&affinity, 1), 0);
}
