#include "tests/vmm/vm_file_rig.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct vm_config rig_config;
struct mistakes rig_mistakes;
static char directory[64];

void vm_file_rig_setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/vireo-file-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	cr_assert_eq(config_init(&rig_config), 0);
	memset(&rig_mistakes, 0, sizeof(rig_mistakes));
#if !HAVE_YAML
	cr_skip_test("built without libyaml");
#endif
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void vm_file_rig_teardown(void)
{
	config_fini(&rig_config);
	cr_expect_eq(chdir("/"), 0);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void rig_write_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *f = fopen(name, "w");

	cr_assert_not_null(f, "%s", name);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

void rig_write(const char *name, const char *text)
{
	rig_write_bytes(name, text, strlen(text));
}
