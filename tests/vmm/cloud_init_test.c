#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/cloud_init.h"

static struct vm_config config;
static char dir[] = "/tmp/vireo-cloud-XXXXXX";
static int fd = FD_NONE;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
	cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
	char command[64];

	fd_close(&fd);
	config_fini(&config);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(cloud_init, .init = setup, .fini = teardown);

static char *in_dir(const char *name)
{
	char *path;

	cr_assert_gt(asprintf(&path, "%s/%s", dir, name), 0);
	return path;
}

static void write_file(const char *name, const char *text)
{
	char *path = in_dir(name);
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static void create(void)
{
	int r = cloud_init_image(&fd, &config);

	if (r == -ENOTSUP || (r == -ENOENT && strstr(error_text(), "libisofs")))
		cr_skip("no libisofs here");
	cr_assert_eq(r, 0, "%s", error_text());
}

/* A file of the image, as another program reads it. */
static void expect_file(const char *name, const char *content)
{
	char command[256], text[1024];
	size_t n;
	FILE *f;

	if (system("command -v xorriso >/dev/null 2>&1") != 0)
		return;
	snprintf(command, sizeof(command), "cat /proc/%d/fd/%d >%s/image && rm -f %s/found && "
		 "xorriso -osirrox on -indev %s/image -extract /%s %s/found >/dev/null 2>&1",
		 getpid(), fd, dir, dir, dir, name, dir);
	cr_assert_eq(system(command), 0, "%s", command);
	snprintf(command, sizeof(command), "%s/found", dir);
	f = fopen(command, "r");
	cr_assert_not_null(f, "%s", name);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	cr_expect_str_eq(text, content);
}

/* ECMA-119, 8.4: the primary volume descriptor. */
Test(cloud_init, the_image_has_the_label_that_is_looked_for)
{
	char descriptor[72];

	create();
	cr_assert_eq(pread(fd, descriptor, sizeof(descriptor), 0x8000), 72);
	cr_expect_arr_eq(descriptor + 1, "CD001", 5);
	cr_expect_arr_eq(descriptor + 40, "CIDATA  ", 8);
}

Test(cloud_init, nobody_can_change_it)
{
	create();
	cr_expect_eq(pwrite(fd, "x", 1, 0), -1);
	cr_expect_eq(errno, EPERM);
	cr_expect_eq(ftruncate(fd, 0), -1);
}

Test(cloud_init, contents_are_texts_or_files)
{
	write_file("net", "version: 2\n");
	config.cloud_init.user_data = strdup("#cloud-config\nhostname: x\n");
	config.cloud_init.meta_data = strdup("instance-id: me\n");
	config.cloud_init.network_config = in_dir("net");
	create();
	expect_file("user-data", "#cloud-config\nhostname: x\n");
	expect_file("meta-data", "instance-id: me\n");
	expect_file("network-config", "version: 2\n");
}

Test(cloud_init, the_vm_says_who_it_is_if_nobody_else_does)
{
	config.smbios.uuid = strdup("01234567-89ab-cdef-0123-456789abcdef");
	cr_assert_not_null(origins_add_file(&config.origins, "/x/my_web.yaml", NULL));
	create();
	expect_file("user-data", "#cloud-config\n");
	expect_file("meta-data", "instance-id: iid-0123456789abcdef0123456789abcdef\n"
				 "local-hostname: my-web\n");
}

/* systemd takes no name with such an end. */
Test(cloud_init, a_name_of_a_host_does_not_end_with_a_hyphen)
{
	config.smbios.uuid = strdup("01234567-89ab-cdef-0123-456789abcdef");
	config.name = strdup("web (new)");
	create();
	expect_file("meta-data", "instance-id: iid-0123456789abcdef0123456789abcdef\n"
				 "local-hostname: web--new\n");
}

Test(cloud_init, files_that_cannot_be_read_are_errors)
{
	static const struct { const char *name; int error; } table[] = {
		{ "absent", -ENOENT }, { ".", -EINVAL }, { "pipe", -EINVAL }, { "huge", -EFBIG },
	};
	char *path = in_dir("pipe");

	cr_assert_eq(mkfifo(path, 0600), 0);
	free(path);
	write_file("huge", "");
	path = in_dir("huge");
	cr_assert_eq(truncate(path, (off_t)MIB(16) + 1), 0);
	free(path);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		free(config.cloud_init.user_data);
		config.cloud_init.user_data = in_dir(table[i].name);
		cr_expect_eq(cloud_init_image(&fd, &config), table[i].error, "%s: %s",
			     table[i].name, error_text());
		cr_expect_eq(fd, FD_NONE);
	}
}
