#include "vmm/control/control_impl.h"

#include <errno.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"

bool control_is_wanted(const struct vm_config *config)
{
	return config->name || config->run_dir;
}

#if HAVE_JANSSON

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "vmm/base/log.h"
#include "vmm/base/thread_list.h"
#include "vmm/file/config_json.h"

/* --- Making ---------------------------------------------------------------------------------- */

/* By the directory's descriptor: a path may be longer than such an address. */
static int bind_socket(struct control *c)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->listen_fd < 0)
		return error_set(errno, "make the control socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", c->dir.fd);
	mask = umask(0177);
	r = bind(c->listen_fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (r == 0)
		r = listen(c->listen_fd, HTTP_MAX_CLIENTS);
	return r < 0 ? error_set(errno, "make the control socket '%s/control'", c->dir.path) : 0;
}

static int write_config(struct control *c)
{
	size_t len;
	FILE *out = open_memstream(&c->config_text, &len);
	int r = out ? config_write_json(out, c->config, true) : -ENOMEM;
	int fd;

	if (out && fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == -EILSEQ || r == -EOPNOTSUPP) {
		/* The name of a file that is no UTF-8: that VM shall run all the same. */
		log_warning("the run directory has no configuration: %s", error_text());
		error_clear();
		free(c->config_text);
		c->config_text = NULL;
		return 0;
	}
	if (r < 0)
		return error_add(r, "write the configuration");
	fd = openat(c->dir.fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fd_write_all(fd, c->config_text, len);
	if (fd >= 0)
		fd_close(&fd);
	return r < 0 ? error_set(r, "write '%s/config.json'", c->dir.path) : 0;
}

static void events_grown(struct event_source *source, uint32_t events)
{
	struct control *c = container_of(source, struct control, event_source);
	char lines[HTTP_CHUNK_SIZE];
	size_t n;

	(void)events;
	fd_drain(source->fd);
	n = event_lines(lines, sizeof(lines), &c->event_next, &c->event_lost, c->since_ns);
	if (n == 0)
		return;
	log_file_write(&c->event_file, lines, n);
	/* There may be more, and others that wait for this thread. */
	fd_signal(source->fd);
	if (c->server)
		http_server_poke(c->server);
}

static int watch_events(struct control *c)
{
	int r = log_file_open(&c->event_file, c->dir.fd, "events.jsonl");

	if (r == 0) {
		r = fd_create_event(&c->event_source.fd);
		if (r < 0)
			error_set(r, "make an eventfd for the events");
	}
	if (r == 0)
		r = event_loop_add(c->loop, &c->event_source, EPOLLIN);
	if (r == 0) {
		event_log_tell(c->event_source.fd);
		fd_signal(c->event_source.fd);
	}
	return r;
}

static void console_grown(void *arg)
{
	struct control *c = arg;

	if (c->server)
		http_server_poke(c->server);
}

static void carry_out(struct event_post *post)
{
	struct control *c = container_of(post, struct control, order);
	bool reset = c->wants_reset, quit = c->wants_quit;

	c->wants_reset = c->wants_quit = false;
	if (quit && c->host.quit)
		c->host.quit(c->host.arg);
	else if (reset && c->host.reset)
		c->host.reset(c->host.arg);
}

static void note_time(struct control *c)
{
	c->since_ns = clock_now_ns();
	c->since = (int64_t)time(NULL);
}

int control_create(struct control **out, const struct vm_config *config, struct event_loop *loop)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return error_set(ENOMEM, "make the run directory");
	c->config = config;
	c->loop = loop;
	c->dir = (struct run_dir)RUN_DIR_INIT;
	c->listen_fd = c->status_fd = FD_NONE;
	c->event_file = c->report_file = c->console.file = (struct log_file)LOG_FILE_INIT;
	c->event_source = (struct event_source){ .fd = FD_NONE, .fn = events_grown };
	c->order.fn = carry_out;
	c->console.grown = console_grown;
	c->console.arg = c;
	note_time(c);
	thread_list_add("main");
	r = run_dir_create(&c->dir, config->name, config->run_dir);
	if (r == 0)
		r = write_config(c);
	if (r == 0)
		r = console_log_init(&c->console, loop, c->dir.fd);
	if (r == 0)
		r = log_file_open(&c->report_file, c->dir.fd, "report.txt");
	if (r == 0)
		r = watch_events(c);
	if (r == 0) {
		c->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		r = bind_socket(c);
	}
	if (r < 0) {
		control_destroy(c, false);
		return r;
	}
	*out = c;
	return 0;
}

struct consoles_copy control_console_copy(struct control *c)
{
	return (struct consoles_copy){ console_log_add, &c->console };
}

void control_keep_report(void *arg, const char *text, size_t len)
{
	struct control *c = arg;

	log_file_write(&c->report_file, text, len);
}

int control_serve(struct control *c, struct vm *vm, const struct control_host *host)
{
	struct http_server_config config = {
		.loop = c->loop,
		.listen_fd = c->listen_fd,
		.handle = control_handle,
		.refuse = control_refuse,
		.arg = c,
	};

	c->vm = vm;
	c->host = *host;
	c->listen_fd = FD_NONE;
	return http_server_create(&c->server, &config);
}

/* --- The end --------------------------------------------------------------------------------- */

void control_stop(struct control *c)
{
	if (!c->server)
		return;
	http_server_flush(c->server);
	http_server_destroy(c->server);
	c->server = NULL;
	event_loop_unpost(c->loop, &c->order);
}

static void write_last_events(struct control *c)
{
	char lines[HTTP_CHUNK_SIZE];
	size_t n;

	do {
		n = event_lines(lines, sizeof(lines), &c->event_next, &c->event_lost, c->since_ns);
		log_file_write(&c->event_file, lines, n);
	} while (n > 0);
}

void control_destroy(struct control *c, bool keep)
{
	if (!c)
		return;
	control_stop(c);
	event_log_tell(FD_NONE);
	event_loop_remove(&c->event_source);
	write_last_events(c);
	console_log_fini(&c->console);
	log_file_close(&c->event_file);
	log_file_close(&c->report_file);
	fd_close(&c->event_source.fd);
	fd_close(&c->listen_fd);
	fd_close(&c->status_fd);
	if (keep && c->dir.lock_fd != FD_NONE)
		log_notice("the logs of this run are in '%s'", c->dir.path);
	run_dir_close(&c->dir, keep);
	thread_list_remove();
	free(c->config_text);
	free(c);
}

#else

int control_create(struct control **out, const struct vm_config *config, struct event_loop *loop)
{
	(void)config;
	(void)loop;
	*out = NULL;
	error_set(EOPNOTSUPP, "make a control socket: this Vireo was built without libjansson");
	error_hint("without '--name' and '--run-dir' there is none; or install libjansson-dev and "
		   "build again");
	return -EOPNOTSUPP;
}

struct consoles_copy control_console_copy(struct control *c)
{
	(void)c;
	return (struct consoles_copy){ 0 };
}

void control_keep_report(void *c, const char *text, size_t len)
{
	(void)c;
	(void)text;
	(void)len;
}

int control_serve(struct control *c, struct vm *vm, const struct control_host *host)
{
	(void)c;
	(void)vm;
	(void)host;
	return 0;
}

void control_stop(struct control *c)
{
	(void)c;
}

void control_destroy(struct control *c, bool keep)
{
	(void)c;
	(void)keep;
}

#endif
