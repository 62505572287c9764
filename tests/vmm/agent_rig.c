#include "tests/vmm/agent_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "tests/support/loop_pump.h"
#include "vmm/agent/agent_image.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

static void on_ready(void *arg, const struct agent_hello *hello)
{
	struct agent_rig *rig = arg;

	rig->hello = *hello;
	rig->n_ready++;
	event_loop_stop(rig->loop);
}

static size_t on_output(void *arg, uint32_t run, enum agent_stream stream, const void *buf,
			size_t len)
{
	struct agent_rig *rig = arg;
	struct rig_run *r = &rig->run[run];
	size_t keep = r->len[stream] < RIG_OUTPUT ?
			      min_u64(len, RIG_OUTPUT - r->len[stream]) : 0;

	cr_assert_gt(len, 0u);
	cr_assert_not(r->ended);
	if (!r->out[stream])
		r->out[stream] = calloc(1, RIG_OUTPUT + 1);
	memcpy(r->out[stream] + min_u64(r->len[stream], RIG_OUTPUT), buf, keep);
	r->len[stream] += len;
	event_loop_stop(rig->loop);
	if (rig->on_output)
		rig->on_output(rig, run);
	return rig->keeps_output ? 0 : len;
}

static void on_ended(void *arg, uint32_t run, const struct agent_end *end)
{
	struct agent_rig *rig = arg;
	struct rig_run *r = &rig->run[run];

	cr_assert_not(r->ended);
	r->ended = true;
	r->end = *end;
	snprintf(r->why, sizeof(r->why), "%s", end->why);
	r->end.why = r->why;
	event_loop_stop(rig->loop);
}

static void on_writable(void *arg, uint32_t run)
{
	struct agent_rig *rig = arg;

	rig->run[run].is_writable = true;
	event_loop_stop(rig->loop);
}

static void on_copied(void *arg, uint32_t copy, int err, const char *why)
{
	struct agent_rig *rig = arg;

	cr_assert_not(rig->copied[copy]);
	rig->copied[copy] = true;
	rig->copy_err[copy] = err;
	snprintf(rig->copy_why[copy], sizeof(rig->copy_why[copy]), "%s", why);
	event_loop_stop(rig->loop);
}

static void on_failed(void *arg, int err, const char *why)
{
	struct agent_rig *rig = arg;

	cr_assert_eq(rig->failed, 0);
	cr_assert_gt(err, 0);
	rig->failed = err;
	snprintf(rig->failure, sizeof(rig->failure), "%s", why);
	event_loop_stop(rig->loop);
}

static const struct agent_ops ops = {
	.ready = on_ready, .output = on_output, .ended = on_ended, .writable = on_writable,
	.copied = on_copied, .failed = on_failed,
};

static void on_timer(struct event_source *source, uint32_t events)
{
	struct agent_rig *rig = container_of(source, struct agent_rig, timer);

	(void)events;
	rig->is_late = true;
	event_loop_stop(rig->loop);
}

bool rig_turn(struct agent_rig *rig)
{
	event_loop_run(rig->loop);
	return !rig->is_late;
}

static void begin(struct agent_rig *rig)
{
	struct itimerspec when = { .it_value.tv_sec = 30 };

	*rig = (struct agent_rig){ .peer = FD_NONE };
	cr_assert_eq(event_loop_create(&rig->loop, "agent"), 0);
	rig->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	rig->timer.fn = on_timer;
	timerfd_settime(rig->timer.fd, 0, &when, NULL);
	cr_assert_eq(event_loop_add(rig->loop, &rig->timer, EPOLLIN), 0);
	strcpy(rig->folder, "/tmp/vireo-agent-XXXXXX");
	cr_assert_not_null(mkdtemp(rig->folder));
}

/* The bytes that are a part of the program, as a process; or VIREO_AGENT, one with sanitizers. */
static pid_t start_agent(int fd)
{
	const char *other = getenv("VIREO_AGENT");
	size_t len;
	const void *bytes = agent_image(&len);
	int memfd = memfd_create("vireo-agent", MFD_CLOEXEC);
	pid_t pid;

	if (len == 0)
		cr_skip_test("there is no agent: musl-tools is not installed");
	cr_assert_eq(fd_write_all(memfd, bytes, len), 0);
	pid = fork();
	if (pid == 0) {
		static char *const argv[] = { (char *)"vireo-agent", (char *)"--fd", (char *)"3",
					      (char *)"--once", NULL };
		static char *const env[] = { NULL };
		int high = fcntl(memfd, F_DUPFD_CLOEXEC, 10);
		dup2(fd, 3);
		fcntl(3, F_SETFD, 0);
		if (other)
			execve(other, argv, env);
		else
			fexecve(high, argv, env);
		_exit(127);
	}
	close(memfd);
	return pid;
}

static void make_pair(int fd[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

void rig_start(struct agent_rig *rig)
{
	int fd[2];

	begin(rig);
	make_pair(fd);
	rig->pid = start_agent(fd[1]);
	close(fd[1]);
	cr_assert_eq(agent_create(&rig->agent, rig->loop, fd[0], &ops, rig), 0);
	RIG_WAIT(rig, rig->n_ready > 0);
}

void rig_start_alone(struct agent_rig *rig)
{
	int fd[2];

	begin(rig);
	make_pair(fd);
	rig->peer = fd[1];
	cr_assert_eq(agent_create(&rig->agent, rig->loop, fd[0], &ops, rig), 0);
}

void rig_start_guest(struct agent_rig *rig)
{
	int fd[2];

	begin(rig);
	make_pair(fd);
	rig->pid = start_agent(fd[1]);
	close(fd[1]);
	rig->peer = fd[0];
}

void rig_end(struct agent_rig *rig)
{
	char command[128];
	int status;

	agent_destroy(rig->agent);
	fd_close(&rig->peer);
	if (rig->pid > 0) {
		/* It ends by itself, as the host is gone. */
		cr_assert_eq(waitpid(rig->pid, &status, 0), rig->pid);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
	}
	event_loop_remove(&rig->timer);
	fd_close(&rig->timer.fd);
	event_loop_destroy(rig->loop);
	for (unsigned i = 0; i < RIG_RUNS; i++)
		for (unsigned j = 0; j < 3; j++)
			free(rig->run[i].out[j]);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig->folder);
	cr_assert_eq(system(command), 0);
}

char *rig_path(const struct agent_rig *rig, const char *name)
{
	static char path[4][6000];
	static unsigned n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", rig->folder, name);
	return p;
}

void rig_put_file(const char *path, size_t len, unsigned mode)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s", path);
	for (size_t i = 0; i < len; i++)
		putc((int)(i * 31 >> 5), file);
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
}

void rig_expect_file(const char *path, size_t len, unsigned mode)
{
	FILE *file = fopen(path, "r");
	struct stat st;

	cr_assert_not_null(file, "%s", path);
	cr_assert_eq(fstat(fileno(file), &st), 0);
	cr_expect_eq(st.st_size, (off_t)len, "%s: %zu bytes", path, (size_t)st.st_size);
	cr_expect_eq(st.st_mode & 07777, mode, "%s: %o", path, st.st_mode);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(getc(file), (int)(uint8_t)(i * 31 >> 5), "%s at %zu", path, i);
	fclose(file);
}

void rig_expect_nothing_left(const struct agent_rig *rig)
{
	char command[128];

	snprintf(command, sizeof(command), "! find %s -name '.vireo*' | grep -q .", rig->folder);
	cr_expect_eq(system(command), 0);
}

uint32_t rig_begin(struct agent_rig *rig, const struct agent_command *command)
{
	uint32_t run;

	cr_assert_eq(agent_run(rig->agent, command, &run), 0);
	cr_assert_lt(run, RIG_RUNS);
	cr_assert_neq(run, 0u);
	for (unsigned i = 1; i < 3; i++)
		if (!rig->run[run].out[i])
			rig->run[run].out[i] = calloc(1, RIG_OUTPUT + 1);
	return run;
}

struct rig_run *rig_run(struct agent_rig *rig, const char *const *argv)
{
	struct agent_command command = { .argv = (char *const *)argv };
	uint32_t run = rig_begin(rig, &command);

	RIG_WAIT(rig, rig->run[run].ended);
	return &rig->run[run];
}

void peer_send(struct agent_rig *rig, uint8_t type, uint8_t stream, uint32_t op,
	       const void *payload, size_t len)
{
	struct wire_head head = {
		.len = (uint32_t)len, .type = type, .stream = stream, .op = op,
	};
	uint8_t bytes[WIRE_HEAD];

	/* The other end may have had enough. */
	wire_put_head(bytes, &head);
	send(rig->peer, bytes, sizeof(bytes), MSG_NOSIGNAL);
	send(rig->peer, payload, len, MSG_NOSIGNAL);
}

/* The other end may be this process: it goes on meanwhile. */
static bool read_all(struct agent_rig *rig, uint8_t *buf, size_t len)
{
	struct pollfd p = { .fd = rig->peer, .events = POLLIN };

	while (len > 0) {
		for (unsigned i = 0; poll(&p, 1, 10) == 0; i++) {
			cr_assert_lt(i, 1000u, "there is a frame");
			loop_pump(rig->loop);
		}
		ssize_t n = read(rig->peer, buf, len);
		if (n <= 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

bool peer_receive(struct agent_rig *rig, struct wire_head *head, uint8_t *buf)
{
	uint8_t bytes[WIRE_HEAD];

	if (!read_all(rig, bytes, sizeof(bytes)))
		return false;
	*head = (struct wire_head){
		.len = load_le32(bytes), .type = bytes[4], .stream = bytes[5],
		.op = load_le32(bytes + 8),
	};
	cr_assert_leq(head->len, (uint32_t)(WIRE_RUN_HEAD + WIRE_COMMAND_MAX));
	return read_all(rig, buf, head->len);
}

ssize_t peer_await(struct agent_rig *rig, uint8_t type, struct wire_head *head, uint8_t *buf)
{
	do {
		if (!peer_receive(rig, head, buf))
			return -1;
	} while (head->type != type);
	return (ssize_t)head->len;
}

void peer_say_hello(struct agent_rig *rig, uint64_t id, unsigned min, unsigned max)
{
	static const char text[] = "program=9\ninit=1\nrelease=6.1.0\nunknown=yes\n"
				   "hostname=a\x01z\ntrouble=\nnothing\n=\n";
	uint8_t p[WIRE_MAGIC + 12 + sizeof(text)];

	memcpy(p, WIRE_MAGIC_HELLO, WIRE_MAGIC);
	store_le16(p + 8, (uint16_t)min);
	store_le16(p + 10, (uint16_t)max);
	store_le64(p + 12, id);
	memcpy(p + 20, text, sizeof(text));
	peer_send(rig, WIRE_HELLO, 0, 0, p, WIRE_MAGIC + 12 + sizeof(text) - 1);
}

void peer_be_welcomed(struct agent_rig *rig)
{
	unsigned n = rig->n_ready;

	peer_say_hello(rig, 77 + n, 1, 1);
	RIG_WAIT(rig, rig->n_ready > n);
}

void peer_welcome(struct agent_rig *rig, uint8_t id[8])
{
	static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];
	struct wire_head head;
	uint8_t p[WIRE_MAGIC + 20] = WIRE_MAGIC_WELCOME;

	cr_assert_geq(peer_await(rig, WIRE_HELLO, &head, buf), WIRE_MAGIC + 12);
	store_le16(p + 8, 1);
	memcpy(p + 12, buf + 12, 8);
	if (id)
		memcpy(id, buf + 12, 8);
	store_le64(p + 20, 5);
	peer_send(rig, WIRE_WELCOME, 0, 0, p, sizeof(p));
}
