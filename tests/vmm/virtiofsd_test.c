/* Which virtiofsd it is, and how it would be started; the programs are stand-ins that print a help. */
#include "vmm/virtiofsd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"

#define C_HELP "echo '    -o source=PATH  shared directory tree'; echo ' -o announce_submounts'"
#define RUST_HELP "echo '      --shared-dir <SHARED_DIR>'; echo '      --announce-submounts'"

static char dir[] = "/tmp/vireo-virtiofsd-XXXXXX", path[64], odd[64];
static struct virtiofsd program;
static struct virtiofsd_plan plan;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/virtiofsd", dir);
	snprintf(odd, sizeof(odd), "%s/a,b\\c", dir);
	cr_assert_eq(mkdir(odd, 0700), 0);
}

static void teardown(void)
{
	virtiofsd_plan_fini(&plan);
	virtiofsd_fini(&program);
	unlink(path);
	rmdir(odd);
	rmdir(dir);
}

TestSuite(virtiofsd, .init = setup, .fini = teardown);

static int find(const char *script)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	cr_assert_eq(chmod(path, 0700), 0);
	return virtiofsd_find(&program, path);
}

static bool has_word(const char *word)
{
	for (unsigned i = 0; plan.argv[i]; i++)
		if (!strcmp(plan.argv[i], word))
			return true;
	return false;
}

static const struct confinement root = { .namespaces = true, .chroot = true };
static const struct confinement user = { .namespaces = true, .user_namespace = true };
static const struct confinement container = { .chroot = true };
static const struct confinement nothing;

/* A help that tells of an option which would not be given: the mount keeps the guest from writing. */
Test(virtiofsd, readonly_is_never_taken_for_granted)
{
	cr_assert_eq(find(C_HELP "; echo ' --readonly'"), 0);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &root, odd, true), 0);
	cr_expect(plan.launch.tree && plan.launch.tree_readonly);
	virtiofsd_plan_fini(&plan);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &container, odd, true), -EPERM);
	error_clear();
}

Test(virtiofsd, qemus_is_known_by_its_help)
{
	cr_assert_eq(find(C_HELP), 0);
	cr_expect_not(program.is_rust);
	cr_expect_not(program.has_readonly);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &root, odd, false), 0);
	cr_expect_str_eq(plan.argv[0], path);
	char word[128];
	snprintf(word, sizeof(word), "source=%s/a\\,b\\\\c", dir);
	cr_expect(has_word(word), "%s", word);
	cr_expect(has_word("sandbox=namespace,cache=auto,log_level=warn,announce_submounts"));
	cr_expect(has_word("--fd=3"));
	cr_expect_null(plan.launch.tree);
	cr_expect_null(plan.launch.uid_map);
}

Test(virtiofsd, the_one_in_rust_is_known_by_its_help)
{
	cr_assert_eq(find(RUST_HELP "; echo '      --readonly'"), 0);
	cr_expect(program.is_rust);
	cr_expect(program.has_readonly);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &root, "/usr/.", true), 0);
	cr_expect(has_word("--shared-dir=/usr"));
	cr_expect(has_word("--sandbox=namespace"));
	cr_expect(has_word("--seccomp=kill"));
	cr_expect(has_word("--readonly"));
	cr_expect_null(plan.launch.tree);
	virtiofsd_plan_fini(&plan);
	/* It makes its user namespace itself. */
	cr_assert_eq(virtiofsd_plan(&plan, &program, &user, "/usr", false), 0);
	cr_expect_null(plan.launch.uid_map);
	virtiofsd_plan_fini(&plan);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &nothing, "/usr", true), 0);
	cr_expect(has_word("--sandbox=none"));
	cr_expect_str_eq(plan.sandbox, "nothing");
}

/* Who cannot refuse writes serves a mount that does. */
Test(virtiofsd, without_an_option_for_it_readonly_is_a_mount)
{
	cr_assert_eq(find(C_HELP), 0);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &root, "/usr", true), 0);
	cr_expect_str_eq(plan.launch.tree, "/usr");
	cr_expect(plan.launch.tree_readonly);
	char source[64];
	snprintf(source, sizeof(source), "source=%s", plan.launch.tree_at);
	cr_expect(has_word(source));
	virtiofsd_plan_fini(&plan);
	cr_expect_eq(virtiofsd_plan(&plan, &program, &container, "/usr", true), -EPERM);
	cr_expect_not_null(strstr(error_text(), "keep the guest from writing"));
}

Test(virtiofsd, the_root_is_shared_from_a_copy_of_its_mounts)
{
	cr_assert_eq(find(C_HELP), 0);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &user, "//", false), 0);
	cr_expect_str_eq(plan.launch.tree, "/");
	cr_expect_not(plan.launch.tree_readonly);
	cr_expect_neq(strcmp(plan.launch.tree_at, "/tmp"), 0);
	cr_assert_not_null(plan.launch.uid_map);
	char map[40];
	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	cr_expect_str_eq(plan.launch.uid_map, map);
}

Test(virtiofsd, as_confined_as_the_host_permits)
{
	cr_assert_eq(find(C_HELP), 0);
	cr_assert_eq(virtiofsd_plan(&plan, &program, &container, "/usr", false), 0);
	cr_expect(has_word("sandbox=chroot,cache=auto,log_level=warn,announce_submounts"));
	cr_expect_str_eq(plan.sandbox, "chroot");
	virtiofsd_plan_fini(&plan);
	cr_expect_eq(virtiofsd_plan(&plan, &program, &nothing, "/usr", false), -EPERM);
	cr_expect_not_null(strstr(error_text(), "neither namespaces nor chroot"));
}

Test(virtiofsd, other_programs_are_told_from_it)
{
	cr_expect_eq(find("echo I list files"), -ENOEXEC);
	cr_expect_not_null(strstr(error_text(), "is no virtiofsd"));
	cr_expect_eq(virtiofsd_find(&program, "/nowhere/virtiofsd"), -ENOENT);
	cr_expect_not_null(strstr(error_text(), "/nowhere/virtiofsd"));
}

/* It prints for ever, or nothing; it reads its input; it leaves a child behind that has the pipe. */
Test(virtiofsd, a_program_is_asked_for_a_bounded_time)
{
	uint64_t begin = clock_now_ms();

	cr_expect_eq(find("exec yes"), -ENOEXEC);
	virtiofsd_fini(&program);
	cr_expect_eq(find("cat"), -ENOEXEC);
	virtiofsd_fini(&program);
	cr_expect_lt(clock_now_ms() - begin, 4000);
	cr_expect_eq(find("exec sleep 100"), -ETIMEDOUT);
	cr_expect_lt(clock_now_ms() - begin, 12000);
}

Test(virtiofsd, a_folder_is_a_folder)
{
	cr_expect_eq(virtiofsd_check_folder(dir), 0);
	cr_expect_eq(virtiofsd_check_folder("/nowhere"), -ENOENT);
	cr_expect_eq(virtiofsd_plan(&plan, &program, &root, "/nowhere", false), -ENOENT);
	cr_expect_eq(virtiofsd_check_folder("/etc/passwd"), -ENOTDIR);
	error_clear();
}
