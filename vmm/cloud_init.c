#include "vmm/cloud_init.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/identity.h"
#include "vmm/seed_image.h"

#define CONTENT_MAX MIB(16)

static int keep(struct seed_file *file, char *content, size_t size)
{
	file->content = content;
	file->size = size;
	return content ? 0 : error_set(ENOMEM, "copy '%s'", file->name);
}

static int read_all(struct seed_file *file, int fd, const char *path)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_set(errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_set(EINVAL, "'%s' is no regular file", path);
	if ((uint64_t)st.st_size > CONTENT_MAX)
		return error_set(EFBIG, "'%s' is larger than 16 MiB", path);
	char *content = malloc((size_t)st.st_size + 1);
	if (!content)
		return error_set(ENOMEM, "read '%s'", path);
	/* One that shrinks meanwhile is taken as it is, one that grows is cut. */
	n = pread(fd, content, (size_t)st.st_size, 0);
	if (n < 0) {
		free(content);
		return error_set(errno, "read '%s'", path);
	}
	return keep(file, content, (size_t)n);
}

/* A text with a newline is the content, another one names the file that has it. */
static int take(struct seed_file *file, const char *text)
{
	int fd, r;

	if (strchr(text, '\n'))
		return keep(file, strdup(text), strlen(text));
	fd = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(errno, "open '%s' (cloud_init, %s)", text, file->name);
	r = read_all(file, fd, text);
	fd_close(&fd);
	return r;
}

/* A label of a host's name has letters, digits and '-', this inside of it only (RFC 1123, 2.1). */
static void make_hostname(const struct vm_config *config, char host[IDENTITY_NAME_SIZE])
{
	enum { LABEL_MAX = 63 };
	size_t len;

	identity_name(config, host);
	for (char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p) || (unsigned char)*p > '~')
			*p = '-';
	for (len = strnlen(host, LABEL_MAX); len > 0 && host[len - 1] == '-';)
		len--;
	host[len] = '\0';
	if (!*host || *host == '-')
		snprintf(host, IDENTITY_NAME_SIZE, "vireo");
}

static int make_meta_data(struct seed_file *file, const struct vm_config *config)
{
	char host[IDENTITY_NAME_SIZE], id[33], *text;
	uint8_t uuid[16];

	identity_uuid(config, uuid);
	for (unsigned i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", uuid[i]);
	make_hostname(config, host);
	if (asprintf(&text, "instance-id: iid-%s\nlocal-hostname: %s\n", id, host) < 0)
		text = NULL;
	return keep(file, text, text ? strlen(text) : 0);
}

int cloud_init_image(int *fd, const struct vm_config *config)
{
	struct seed_file file[] = {
		{ "user-data", NULL, 0 }, { "meta-data", NULL, 0 }, { "network-config", NULL, 0 },
	};
	const struct cloud_init_settings *s = &config->cloud_init;
	int r;

	*fd = FD_NONE;
	r = take(&file[0], s->user_data ? s->user_data : "#cloud-config\n");
	if (r == 0)
		r = s->meta_data ? take(&file[1], s->meta_data) : make_meta_data(&file[1], config);
	if (r == 0 && s->network_config)
		r = take(&file[2], s->network_config);
	if (r == 0)
		return seed_image_create(fd, "CIDATA", file, ARRAY_SIZE(file));
	for (unsigned i = 0; i < ARRAY_SIZE(file); i++)
		free(file[i].content);
	return r;
}
