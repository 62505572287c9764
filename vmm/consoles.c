#include "vmm/consoles.h"

#include <string.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/target_file.h"

static bool same_target(const struct target *a, const struct target *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind != TARGET_FILE || !strcmp(a->path, b->path);
}

bool consoles_use_stdio(const struct vm_config *config)
{
	return config->serial.kind == TARGET_STDIO || config->console.kind == TARGET_STDIO;
}

static int open_target(struct chardev **out, int *file, const char *name,
		       const struct target *target, struct event_loop *main_loop,
		       const struct consoles_filter *filter, const struct consoles_copy *copy)
{
	struct chardev_config config = {
		.in_fd = FD_NONE, .out_fd = FD_NONE, .main_loop = main_loop, .name = name,
		.copy = copy->copy, .copy_arg = copy->arg,
	};
	int r;

	switch (target->kind) {
	case TARGET_OFF:
		return 0;
	case TARGET_NULL:
	case TARGET_STATUS:		/* of ports only */
		break;
	case TARGET_STDIO:
		config.in_fd = STDIN_FILENO;
		config.out_fd = STDOUT_FILENO;
		config.filter = filter->filter;
		config.filter_arg = filter->arg;
		break;
	case TARGET_FILE:
		r = target_file_open(file, target->path);
		if (r < 0)
			return r;
		config.out_fd = *file;
		break;
	}
	return chardev_create(out, &config);
}

int consoles_open(struct consoles *c, const struct vm_config *config, struct event_loop *main_loop,
		  const struct consoles_filter *filter, const struct consoles_copy *copy)
{
	bool shared = same_target(&config->serial, &config->console);
	int r = open_target(&c->serial, &c->serial_fd, shared ? "console" : "serial",
			    &config->serial, main_loop, filter, copy);

	if (r < 0)
		return r;
	if (shared) {
		c->console = c->serial;
		return 0;
	}
	return open_target(&c->console, &c->console_fd, "console", &config->console, main_loop,
			   filter, copy);
}

int consoles_pretend(struct consoles *c, const struct vm_config *config,
		     struct event_loop *main_loop)
{
	const struct chardev_config nowhere = {
		.in_fd = FD_NONE, .out_fd = FD_NONE, .main_loop = main_loop,
	};

	return config->console.kind == TARGET_OFF ? 0 : chardev_create(&c->console, &nowhere);
}

static void drain(struct chardev *chardev, uint64_t deadline_ms)
{
	uint64_t now = clock_now_ms();

	if (chardev)
		chardev_drain(chardev, now < deadline_ms ? (unsigned)(deadline_ms - now) : 0);
}

void consoles_drain(struct consoles *c, uint64_t deadline_ms)
{
	drain(c->serial, deadline_ms);
	if (c->console != c->serial)
		drain(c->console, deadline_ms);
}

void consoles_close(struct consoles *c)
{
	if (c->console != c->serial)
		chardev_destroy(c->console);
	chardev_destroy(c->serial);
	c->console = NULL;
	c->serial = NULL;
	fd_close(&c->console_fd);
	fd_close(&c->serial_fd);
}
