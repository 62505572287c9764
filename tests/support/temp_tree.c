#include "tests/support/temp_tree.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void temp_tree_make(char path[TEMP_TREE_SIZE])
{
	snprintf(path, TEMP_TREE_SIZE, "/tmp/vireo-test-XXXXXX");
	cr_assert_not_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int temp_tree_remove(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
