#include "tests/vmm/vm_file_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/temp_tree.h"

struct vm_config rig_config;
struct mistakes rig_mistakes;
static char directory[TEMP_TREE_SIZE];

void vm_file_rig_setup(void)
{
	temp_tree_make(directory);
	cr_assert_eq(chdir(directory), 0);
	cr_assert_eq(config_init(&rig_config), 0);
	memset(&rig_mistakes, 0, sizeof(rig_mistakes));
#if !HAVE_YAML
	cr_skip_test("built without libyaml");
#endif
}

void vm_file_rig_teardown(void)
{
	config_fini(&rig_config);
	cr_expect_eq(chdir("/"), 0);
	temp_tree_remove(directory);
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
