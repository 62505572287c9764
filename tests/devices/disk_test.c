/* Opening disk images: what is refused, in which words, and who keeps whom out. */
#include "devices/disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_disk.h"
#include "vmm/base/error.h"

enum { SIZE = (1 << 20) + 512 };

static int open_disk(struct disk **out, const char *path, const char *how)
{
	struct disk_config config = {
		.path = path,
		.readonly = strstr(how, "readonly"),
		.ephemeral = strstr(how, "ephemeral"),
		.direct = strstr(how, "direct"),
	};

	return disk_open(out, &config);
}

static bool reason_has(const char *text)
{
	struct error_chain chain;

	error_save(&chain);
	for (unsigned i = 0; i < chain.n; i++)
		if (strstr(chain.line[i], text))
			return true;
	return strstr(chain.hint, text);
}

static struct temp_disk file;
static struct disk *disk;

static void fini(void)
{
	disk_destroy(disk);
	disk = NULL;
	temp_disk_remove(&file);
}

TestSuite(disk, .fini = fini);

Test(disk, missing_file_is_named)
{
	temp_disk_create(&file, NULL, 512);
	unlink(file.path);
	cr_assert_eq(open_disk(&disk, file.path, ""), -ENOENT);
	cr_assert(reason_has(file.path));
	cr_assert_null(disk);
}

Test(disk, directory_is_no_disk)
{
	temp_disk_create(&file, NULL, 512);
	cr_assert_eq(open_disk(&disk, file.dir, ""), -EISDIR);
	cr_assert_eq(open_disk(&disk, file.dir, "readonly"), -EISDIR);
}

Test(disk, fifo_is_refused_and_does_not_hang)
{
	temp_disk_create(&file, NULL, 512);
	unlink(file.path);
	cr_assert_eq(mkfifo(file.path, 0600), 0);
	cr_assert_eq(open_disk(&disk, file.path, "readonly"), -EINVAL);
	cr_assert(reason_has("neither a regular file nor a block device"));
	cr_assert_eq(open_disk(&disk, "/dev/null", ""), -EINVAL);
}

Test(disk, empty_file_is_refused)
{
	temp_disk_create(&file, NULL, 0);
	cr_assert_eq(open_disk(&disk, file.path, ""), -EINVAL);
	cr_assert(reason_has("is empty"));
}

/* No capacity is made up, not even a smaller one.  covers: BLK-CFG-05 */
Test(disk, truncated_file_is_refused_with_its_size_and_the_fix)
{
	temp_disk_create(&file, NULL, 1000);
	cr_assert_eq(open_disk(&disk, file.path, ""), -EINVAL);
	cr_assert(reason_has("1000 bytes"));
	cr_assert(reason_has("truncate -s 1024"));
}

Test(disk, size_must_fit_the_block_size_that_was_asked_for)
{
	struct disk_config config = { .path = file.path, .block_size = 4096 };

	temp_disk_create(&file, NULL, SIZE);
	cr_assert_eq(disk_open(&disk, &config), -EINVAL);
	config.block_size = 1000;
	cr_assert_eq(disk_open(&disk, &config), -EINVAL);
	config.block_size = 0;
	cr_assert_eq(disk_open(&disk, &config), 0);
	cr_assert_eq(disk->block_size, 512);
	cr_assert_eq(disk->size, SIZE);
	cr_assert_geq(disk->physical_block_size, disk->block_size);
}

Test(disk, writers_exclude_each_other_and_readers)
{
	struct disk *other;

	temp_disk_create(&file, NULL, 512);
	cr_assert_eq(open_disk(&disk, file.path, ""), 0);
	cr_assert_eq(open_disk(&other, file.path, ""), -EAGAIN);
	cr_assert(reason_has("in use by another VM"));
	cr_assert(reason_has("'ephemeral'"));
	cr_assert_eq(open_disk(&other, file.path, "readonly"), -EAGAIN);
	cr_assert_eq(open_disk(&other, file.path, "ephemeral"), -EAGAIN);
}

Test(disk, readers_share_and_keep_writers_out_until_they_close)
{
	struct disk *other, *third;

	temp_disk_create(&file, NULL, 512);
	cr_assert_eq(open_disk(&disk, file.path, "readonly"), 0);
	cr_assert_eq(open_disk(&other, file.path, "ephemeral"), 0);
	cr_assert_eq(open_disk(&third, file.path, ""), -EAGAIN);
	disk_destroy(other);
	disk_destroy(disk);
	cr_assert_eq(open_disk(&disk, file.path, ""), 0);
}

Test(disk, direct_is_refused_where_the_file_system_has_none)
{
	int r;

	temp_disk_create(&file, "/dev/shm", 4096);
	r = open_disk(&disk, file.path, "direct");
	if (r == 0) {
		fini();
		cr_skip_test("tmpfs: it takes O_DIRECT here");
	}
	cr_assert_eq(r, -EINVAL);
	cr_assert(reason_has("'direct'"));
}

Test(disk, read_now_answers_from_the_page_cache)
{
	uint8_t buf[4096];
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_io io = { .op = DISK_READ, .offset = 8192, .len = sizeof(buf), .iov = &iov,
			      .n_iov = 1 };

	temp_disk_create(&file, NULL, SIZE);
	cr_assert_eq(open_disk(&disk, file.path, ""), 0);
	if (disk->ops->read_now(disk, &io) < 0) {
		fini();
		cr_skip_test("page cache: the file system does not know RWF_NOWAIT");
	}
	for (unsigned i = 0; i < sizeof(buf); i++)
		cr_assert_eq(buf[i], temp_disk_byte(8192 + i));
	io.offset = SIZE - 512;
	cr_assert_eq(disk->ops->read_now(disk, &io), -EAGAIN);
}
