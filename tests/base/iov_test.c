#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/iov.h"

static char bytes[16];
/* "abc", nothing, "defgh": framing is arbitrary, empty pieces included. */
static struct iovec pieces[3];

static void setup(void)
{
	memcpy(bytes, "abc?defgh", 10);
	pieces[0] = (struct iovec){ bytes, 3 };
	pieces[1] = (struct iovec){ bytes + 3, 0 };
	pieces[2] = (struct iovec){ bytes + 4, 5 };
}

Test(iov, reads_across_pieces_at_any_offset, .init = setup)
{
	const char *all = "abcdefgh";

	cr_assert_eq(iov_len(pieces, 3), 8);
	for (size_t off = 0; off <= 9; off++) {
		for (size_t len = 0; len <= 10; len++) {
			char out[16] = "";
			size_t want = off >= 8 ? 0 : min_u64(len, 8 - off);
			cr_assert_eq(iov_read(pieces, 3, off, out, len), want);
			cr_assert_eq(memcmp(out, all + (off > 8 ? 8 : off), want), 0);
		}
	}
}

Test(iov, writes_stop_at_the_end_of_the_stream, .init = setup)
{
	cr_assert_eq(iov_write(pieces, 3, 2, "XYZ123456", 9), 6);
	cr_assert_eq(memcmp(bytes, "abX?YZ123", 9), 0);
	cr_assert_eq(iov_fill(pieces, 3, 7, 'o', 100), 1);
	cr_assert_eq(bytes[8], 'o');
	cr_assert_eq(bytes[9], '\0');
}

Test(iov, slice_has_only_the_part_that_was_asked, .init = setup)
{
	struct iovec out[3];

	cr_assert_eq(iov_slice(out, pieces, 3, 1, 4), 2);
	cr_assert_eq(out[0].iov_base, bytes + 1);
	cr_assert_eq(out[0].iov_len, 2);
	cr_assert_eq(out[1].iov_base, bytes + 4);
	cr_assert_eq(out[1].iov_len, 2);
	cr_assert_eq(iov_slice(out, pieces, 3, 8, 4), 0);
}

Test(iov, neighbours_in_memory_become_one)
{
	const struct iovec iov[] = {
		{ bytes, 3 }, { bytes + 3, 2 }, { bytes + 5, 1 }, { bytes, 2 }, { bytes + 3, 4 },
		{ bytes + 7, 1 },
	};
	struct iovec out[6];
	unsigned n = 0;

	cr_assert_eq(iov_slice(out, iov, 6, 1, 100), 3);
	cr_assert_eq(out[0].iov_base, bytes + 1);
	cr_assert_eq(out[0].iov_len, 5);
	cr_assert_eq(out[1].iov_base, bytes);
	cr_assert_eq(out[1].iov_len, 2);
	cr_assert_eq(out[2].iov_base, bytes + 3);
	cr_assert_eq(out[2].iov_len, 5);
	for (unsigned i = 0; i < 6; i++)
		n = iov_add(out, n, iov[i].iov_base, iov[i].iov_len);
	cr_assert_eq(n, 3);
	cr_assert_eq(iov_len(out, n), 13);
}
