#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"

static char *printed(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	error_print(f);
	fclose(f);
	return text;
}

Test(error, chain_prints_from_intention_to_cause)
{
	cr_assert_eq(error_set(EACCES, "open '%s'", "x.img"), -EACCES);
	cr_assert_eq(error_add(-EACCES, "cannot start device 'disk0'"), -EACCES);
	error_hint("chmod it");
	cr_assert_str_eq(error_text(), "cannot start device 'disk0'");
	char *text = printed();
	cr_assert_str_eq(text, "vireo: cannot start device 'disk0'\n"
			       "  because: open 'x.img'\n"
			       "  because: Permission denied (EACCES)\n"
			       "  hint: chmod it\n");
	free(text);
	text = printed();
	cr_assert_str_eq(text, "");
	free(text);
}

Test(error, a_different_errno_starts_a_new_chain)
{
	error_set(EACCES, "old");
	error_hint("old hint");
	error_add(ENOMEM, "new");
	char *text = printed();
	cr_assert_null(strstr(text, "old"));
	free(text);
}

Test(error, a_long_chain_keeps_cause_and_intention)
{
	error_set(EIO, "cause");
	for (int i = 0; i < 20; i++)
		error_add(EIO, "step %d", i);
	char *text = printed();
	cr_assert_not_null(strstr(text, "cause"));
	cr_assert_not_null(strstr(text, "vireo: step 19"));
	free(text);
}

Test(error, saved_chain_comes_back)
{
	struct error_chain saved;

	error_set(EIO, "first");
	error_save(&saved);
	error_clear();
	cr_assert_eq(error_errno(), 0);
	error_restore(&saved);
	cr_assert_eq(error_errno(), EIO);
	cr_assert_str_eq(error_text(), "first");
}
