/* How the start and the stop of any datapath are told from each other. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "virtio/datapath.h"
#include "vmm/base/error.h"

static unsigned n_undone;

static void undo(struct datapath *dp)
{
	(void)dp;
	n_undone++;
	/* What ends may fail, and say so. */
	error_set(EIO, "undo");
}

Test(datapath, start_that_fails_is_undone_and_says_why)
{
	struct datapath dp = { 0 };
	int r = datapath_end_start(&dp, error_set(EBUSY, "take the rings over"), undo);

	cr_assert_eq(r, -EBUSY);
	cr_assert_eq(n_undone, 1);
	cr_assert_eq(error_errno(), EBUSY);
	cr_assert(strstr(error_text(), "take the rings over"));
	cr_assert_not(datapath_begin_stop(&dp));
}

Test(datapath, is_stopped_once_for_each_start)
{
	struct datapath dp = { 0 };

	cr_assert_not(datapath_begin_stop(&dp));
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(datapath_end_start(&dp, 0, undo), 0);
		cr_assert(datapath_begin_stop(&dp));
		cr_assert_not(datapath_begin_stop(&dp));
	}
	cr_assert_eq(n_undone, 0);
}
