#include "vmm/shares.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/virtio_fs.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/helper_output.h"
#include "vmm/launcher.h"
#include "vmm/virtiofsd.h"

enum { LAST_WORDS_MS = 500 };

/* One virtiofsd of ours. */
struct share {
	struct shares *all;
	const struct share_settings *settings;
	unsigned program;		/* of the launcher */
	struct virtiofsd_plan plan;
	struct virtio_device *dev;	/* NULL: there is none yet */
	int socket;			/* connected to it, until the device has it */
	bool runs;
	bool is_lost;			/* the device has noticed its end */
	bool is_given_up;
	int status;			/* of waitpid(2), when it does not run */
	uint64_t restart_ms[SHARES_RESTARTS];	/* when, the oldest first */
	unsigned n_restarts;
	struct helper_output output;
	struct event_source source;	/* of 'output' */
};

struct shares {
	const struct vm_config *config;
	struct event_loop *main;
	struct machine *machine;	/* NULL before shares_watch() */
	struct launcher *launcher;
	struct event_source news;
	struct share *share;		/* of those that have a 'path' */
	unsigned n;
};

/* --- What is said about one ------------------------------------------------------------------ */

enum { END_SIZE = 80 + HELPER_LINE_SIZE };

/* "ended with status 1: its last line" */
static const char *describe_end(const struct share *share, char buf[END_SIZE])
{
	const char *last = share->output.last;

	if (share->runs)
		snprintf(buf, END_SIZE, "does not answer%s%s", *last ? ": " : "", last);
	else if (WIFSIGNALED(share->status))
		snprintf(buf, END_SIZE, "was ended by SIG%s%s%s",
			 sigabbrev_np(WTERMSIG(share->status)) ?: "?", *last ? ": " : "", last);
	else
		snprintf(buf, END_SIZE, "ended with status %d%s%s", WEXITSTATUS(share->status),
			 *last ? ": " : "", last);
	return buf;
}

/* --- Starting again -------------------------------------------------------------------------- */

static void give_up(struct share *share, const char *why)
{
	char end[END_SIZE];

	if (share->is_given_up)
		return;
	share->is_given_up = true;
	log_error("%s %s; %s", share->output.name, describe_end(share, end), why);
	if (share->dev)
		virtio_device_fail(share->dev, 0, "its virtiofsd has ended");
}

/* May it be, now?  Those restarts count that are not long ago. */
static bool count_restart(struct share *share)
{
	uint64_t now = clock_now_ms();

	if (share->n_restarts == SHARES_RESTARTS) {
		if (now - share->restart_ms[0] < SHARES_WINDOW_MS)
			return false;
		share->n_restarts--;
		memmove(share->restart_ms, share->restart_ms + 1,
			share->n_restarts * sizeof(share->restart_ms[0]));
	}
	share->restart_ms[share->n_restarts++] = now;
	return true;
}

/* The process has ended, and the device knows: only then another one can follow. */
static void follow(struct share *share)
{
	char end[END_SIZE];

	if (share->runs || !share->is_lost || share->is_given_up)
		return;
	if (!count_restart(share)) {
		give_up(share, "it has been started too often");
		return;
	}
	log_warning("%s %s; another one is started, which knows nothing of the guest's files: it "
		    "has to mount again", share->output.name, describe_end(share, end));
	if (launcher_start(share->all->launcher, share->program) < 0) {
		error_clear();
		give_up(share, "there is no launcher to start it again");
	}
}

/* The device: main loop, machine lock held. */
static void connection_lost(void *arg)
{
	struct share *share = arg;

	share->is_lost = true;
	/* It serves one connection in its life; if it has not noticed, it shall end. */
	if (share->runs && launcher_kill(share->all->launcher, share->program) < 0)
		error_clear();
	follow(share);
}

/* Another one is there. */
static void renew(struct share *share, int socket)
{
	int r;

	share->is_lost = false;
	machine_lock(share->all->machine);
	r = virtio_fs_renew(share->dev, socket);
	machine_unlock(share->all->machine);
	if (r == 0)
		return;
	share->is_lost = true;
	log_error("%s: %s: %s", share->output.name, error_text(), error_name(-r));
	error_clear();
	give_up(share, "its successor could not be taken");
}

/* --- What the launcher tells ----------------------------------------------------------------- */

static void end_output(struct share *share)
{
	if (share->source.loop)
		event_loop_remove(&share->source);
	helper_output_end(&share->output);
}

static void output_came(struct event_source *source, uint32_t events)
{
	struct share *share = container_of(source, struct share, source);

	(void)events;
	if (!helper_output_read(&share->output))
		end_output(share);
}

static void watch_output(struct share *share)
{
	share->source = (struct event_source){ .fd = share->output.fd, .fn = output_came };
	if (share->output.fd >= 0 &&
	    event_loop_add(share->all->main, &share->source, EPOLLIN) < 0) {
		log_warning("%s: its messages are not shown: %s", share->output.name,
			    error_text());
		error_clear();
	}
}

static void started(struct share *share, struct launcher_news *news)
{
	end_output(share);
	share->runs = true;
	helper_output_begin(&share->output, news->output);
	log_info("%s: process %d, confined by %s", share->output.name, news->pid,
		 share->plan.sandbox);
	if (!share->all->machine) {
		share->socket = news->socket;
		return;
	}
	watch_output(share);
	renew(share, news->socket);
}

static void ended(struct share *share, int status)
{
	share->runs = false;
	share->status = status;
	end_output(share);
	if (share->all->machine)
		follow(share);
}

/* It could not even be started: at the beginning that is an error, later the end. */
static int failed(struct share *share, const struct launcher_news *news)
{
	if (share->all->machine) {
		log_error("%s: %s: %s", share->output.name, news->step, error_name(news->status));
		give_up(share, "it could not be started again");
		return 0;
	}
	error_set(news->status, "%s", news->step);
	return error_add(news->status, "start %s as '%s'", share->output.name,
			 share->plan.argv[0]);
}

static int take_news(struct shares *s, struct launcher_news *news)
{
	struct share *share = &s->share[news->program];

	switch (news->kind) {
	case LAUNCHER_STARTED:
		started(share, news);
		return 0;
	case LAUNCHER_ENDED:
		ended(share, news->status);
		return 0;
	case LAUNCHER_FAILED:
		break;
	}
	return failed(share, news);
}

static void news_came(struct event_source *source, uint32_t events)
{
	struct shares *s = container_of(source, struct shares, news);
	struct launcher_news news;
	int r = launcher_next(s->launcher, &news, 0);

	(void)events;
	if (r == 0)
		r = take_news(s, &news);
	if (r != -EPIPE)
		return;
	event_loop_remove(source);
	for (unsigned i = 0; i < s->n; i++) {
		s->share[i].runs = false;
		s->share[i].status = SIGKILL;
		give_up(&s->share[i], "its launcher has ended, too");
	}
}

void shares_watch(struct shares *s, struct machine *machine)
{
	if (!s || !s->launcher)
		return;
	s->machine = machine;
	s->news = (struct event_source){ .fd = launcher_fd(s->launcher), .fn = news_came };
	if (event_loop_add(s->main, &s->news, EPOLLIN) < 0) {
		log_warning("shares: a virtiofsd that ends is not started again: %s",
			    error_text());
		error_clear();
	}
	for (unsigned i = 0; i < s->n; i++)
		watch_output(&s->share[i]);
}

/* --- The beginning --------------------------------------------------------------------------- */

static int plan_share(struct share *share, const struct confinement *host,
		      enum outcome_blame *blame)
{
	const struct share_settings *settings = share->settings;
	struct virtiofsd program;
	int r = virtiofsd_check_folder(settings->path);

	*blame = BLAME_FILE;
	if (r < 0)
		return r;
	*blame = settings->program ? BLAME_FILE : BLAME_HOST;
	r = virtiofsd_find(&program, settings->program);
	if (r == 0) {
		*blame = BLAME_HOST;
		program.has_announce_submounts &= settings->submounts;
		r = virtiofsd_plan(&share->plan, &program, host, settings->path,
				   settings->readonly);
	}
	virtiofsd_fini(&program);
	return r;
}

static int plan_all(struct shares *s, enum outcome_blame *blame)
{
	struct confinement host;
	int r = 0;

	confinement_probe(&host);
	for (unsigned i = 0; r == 0 && i < s->n; i++) {
		r = plan_share(&s->share[i], &host, blame);
		if (r < 0)
			return error_add(r, "share '%s'", s->share[i].settings->name);
		if (!host.namespaces)
			log_info("share '%s': no namespaces are permitted here; its virtiofsd is "
				 "confined by %s", s->share[i].settings->name,
				 s->share[i].plan.sandbox);
	}
	return 0;
}

static int start_all(struct shares *s)
{
	struct launcher_program program[LAUNCHER_MAX_PROGRAMS];
	uint64_t now, end = clock_now_ms() + SHARES_START_MS;
	unsigned n_started = 0;
	int r = 0;

	for (unsigned i = 0; i < s->n; i++)
		program[i] = s->share[i].plan.launch;
	r = launcher_create(&s->launcher, program, s->n);
	for (unsigned i = 0; r == 0 && i < s->n; i++)
		r = launcher_start(s->launcher, i);
	while (r == 0 && n_started < s->n) {
		struct launcher_news news;

		now = clock_now_ms();
		r = launcher_next(s->launcher, &news, now < end ? (int)(end - now) : 0);
		if (r == 0) {
			n_started += news.kind == LAUNCHER_STARTED;
			r = take_news(s, &news);
		} else if (r == -EAGAIN && now < end) {
			r = 0;
		} else {
			r = error_set(r == -EAGAIN ? ETIMEDOUT : -r, "start virtiofsd");
		}
	}
	return r;
}

static int create(struct shares *s, enum outcome_blame *blame)
{
	const struct vm_config *config = s->config;
	int r;

	s->share = calloc(config->n_shares, sizeof(*s->share));
	if (!s->share)
		return error_set(ENOMEM, "create %u shares", config->n_shares);
	for (unsigned i = 0; i < config->n_shares; i++) {
		struct share *share = &s->share[s->n];

		if (!config->share[i].path)
			continue;
		*share = (struct share){
			.all = s, .settings = &config->share[i], .program = s->n,
			.socket = FD_NONE, .output.fd = FD_NONE,
		};
		snprintf(share->output.name, sizeof(share->output.name),
			 "virtiofsd of share '%s'", config->share[i].name);
		s->n++;
	}
	if (s->n == 0)
		return 0;
	if (s->n > LAUNCHER_MAX_PROGRAMS)
		return error_set(E2BIG, "start %u virtiofsd: %d are the most", s->n,
				 LAUNCHER_MAX_PROGRAMS);
	r = plan_all(s, blame);
	if (r < 0)
		return r;
	*blame = BLAME_HOST;
	return start_all(s);
}

int shares_create(struct shares **out, const struct vm_config *config, struct event_loop *main,
		  enum outcome_blame *blame)
{
	struct shares *s;
	int r;

	*out = NULL;
	*blame = BLAME_VIREO;
	if (config->n_shares == 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(ENOMEM, "create %u shares", config->n_shares);
	s->config = config;
	s->main = main;
	r = create(s, blame);
	if (r < 0) {
		shares_destroy(s);
		return r;
	}
	*out = s;
	return 0;
}

void shares_destroy(struct shares *s)
{
	if (!s)
		return;
	if (s->news.loop)
		event_loop_remove(&s->news);
	for (unsigned i = 0; i < s->n; i++)
		fd_close(&s->share[i].socket);
	launcher_destroy(s->launcher);
	for (unsigned i = 0; i < s->n; i++) {
		end_output(&s->share[i]);
		virtiofsd_plan_fini(&s->share[i].plan);
	}
	free(s->share);
	free(s);
}

/* --- Devices --------------------------------------------------------------------------------- */

/* Why did it not work?  If it is ending, its end is worth a wait. */
static int add_last_words(struct shares *s, struct share *share, int r)
{
	uint64_t now, end = clock_now_ms() + LAST_WORDS_MS;
	struct error_chain chain;
	struct launcher_news news;
	char text[END_SIZE];

	error_save(&chain);
	while (share->runs && (now = clock_now_ms()) < end) {
		int got = launcher_next(s->launcher, &news, (int)(end - now));

		if (got == -EPIPE)
			break;
		if (got == 0 && take_news(s, &news) < 0)
			error_clear();
	}
	(void)helper_output_read(&share->output);
	error_restore(&chain);
	return error_add(r, "%s %s", share->output.name, describe_end(share, text));
}

static struct share *share_of(struct shares *s, const struct share_settings *settings)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->share[i].settings == settings)
			return &s->share[i];
	return NULL;
}

int shares_create_device(struct shares *s, unsigned i, struct event_loop *loop,
			 struct virtio_device **out)
{
	const struct share_settings *settings = &s->config->share[i];
	struct share *share = share_of(s, settings);
	const struct virtio_fs_config config = {
		.name = settings->name,
		.tag = settings->name,
		.n_queues = settings->queues,
		.fd = share ? share->socket : FD_NONE,
		.socket = settings->socket,
		.loop = loop,
		.main = s->main,
		.lost = share ? connection_lost : NULL,
		.arg = share,
	};
	int r;

	if (share)
		share->socket = FD_NONE;
	r = virtio_fs_create(out, &config);
	if (r < 0 && share)
		r = add_last_words(s, share, r);
	if (r < 0)
		return error_add(r, "share '%s'", settings->name);
	if (share)
		share->dev = *out;
	return 0;
}

static int check_socket(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(errno, "reach '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(ENOTSOCK, "reach '%s'", path);
	return 0;
}

int shares_look(const struct vm_config *config, unsigned i, struct event_loop *loop,
		struct virtio_device **out, enum outcome_blame *blame)
{
	const struct share_settings *settings = &config->share[i];
	const struct virtio_fs_config device = {
		.name = settings->name, .tag = settings->name, .n_queues = settings->queues,
		.fd = FD_NONE, .only_look = true, .loop = loop,
	};
	struct virtiofsd program = { 0 };
	int r;

	*blame = BLAME_FILE;
	if (settings->socket) {
		r = check_socket(settings->socket);
	} else {
		r = virtiofsd_check_folder(settings->path);
		if (r == 0) {
			*blame = settings->program ? BLAME_FILE : BLAME_HOST;
			r = virtiofsd_find(&program, settings->program);
		}
		virtiofsd_fini(&program);
	}
	return r == 0 ? virtio_fs_create(out, &device) :
			error_add(r, "share '%s'", settings->name);
}
