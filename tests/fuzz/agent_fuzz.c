/*
 * Anything as what an agent says, between what an owner does.  The oracle is the owner's own book:
 * output only of what runs, within its credit; one end for each; nothing after the failure; texts
 * that can be printed; and no file of a copy outside of its folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/loop_pump.h"
#include "vmm/agent/agent.h"
#include "vmm/agent/agent_wire.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { NUMBERS = 512 };

enum what { NOTHING, RUNS, COPIES };

static struct book {
	struct agent *agent;
	enum what what[NUMBERS];
	uint32_t open[NUMBERS][3];	/* output that was given, and not consumed yet */
	unsigned n_open;
	bool ready, failed, lazy;
} book;

static struct event_loop *loop;
static char folder[] = "/tmp/vireo-fuzz-XXXXXX";

static void check_text(const char *text, size_t size)
{
	CHECK(strlen(text) < size);
	for (; *text; text++)
		CHECK(*text >= ' ' && *text <= '~');
}

static void on_ready(void *arg, const struct agent_hello *hello)
{
	(void)arg;
	CHECK(!book.failed && book.n_open == 0);
	check_text(hello->program, sizeof(hello->program));
	check_text(hello->release, sizeof(hello->release));
	check_text(hello->machine, sizeof(hello->machine));
	check_text(hello->hostname, sizeof(hello->hostname));
	check_text(hello->trouble, sizeof(hello->trouble));
	book.ready = true;
}

static size_t on_output(void *arg, uint32_t run, enum agent_stream stream, const void *buf,
			size_t len)
{
	static char copy[WIRE_DATA_MAX];
	size_t now = book.lazy ? len / 2 : len;

	(void)arg;
	CHECK(!book.failed && run < NUMBERS && book.what[run] == RUNS);
	CHECK(stream == AGENT_STDOUT || stream == AGENT_STDERR);
	CHECK(len > 0 && len <= sizeof(copy));
	memcpy(copy, buf, len);		/* all of it can be read */
	book.open[run][stream] += (uint32_t)(len - now);
	CHECK(book.open[run][stream] <= AGENT_WINDOW);
	return now;
}

static void ended(uint32_t number, enum what what)
{
	CHECK(!book.failed && number < NUMBERS && book.what[number] == what);
	book.what[number] = NOTHING;
	book.n_open--;
}

static void on_ended(void *arg, uint32_t run, const struct agent_end *end)
{
	(void)arg;
	ended(run, RUNS);
	check_text(end->why, AGENT_WHY_MAX + 1);
	CHECK(end->how <= AGENT_LOST && end->value >= 0);
	CHECK(end->how != AGENT_EXITED || end->value <= 255);
}

static void on_writable(void *arg, uint32_t run)
{
	(void)arg;
	CHECK(!book.failed && book.what[run] == RUNS);
	(void)!agent_input(book.agent, run, "more", 4);
}

static void on_copied(void *arg, uint32_t copy, int err, const char *why)
{
	(void)arg;
	ended(copy, COPIES);
	check_text(why, AGENT_WHY_MAX + 1);
	CHECK(err >= 0);
}

static void on_failed(void *arg, int err, const char *why)
{
	(void)arg;
	CHECK(!book.failed && err > 0 && book.n_open == 0);
	check_text(why, AGENT_WHY_MAX + 1);
	CHECK(*why);
	book.failed = true;
}

static const struct agent_ops ops = {
	.ready = on_ready, .output = on_output, .ended = on_ended, .writable = on_writable,
	.copied = on_copied, .failed = on_failed,
};

static void note(uint32_t number, enum what what, int r)
{
	CHECK(r == 0 || number == 0);
	error_clear();
	if (r != 0)
		return;
	CHECK(number < NUMBERS && book.what[number] == NOTHING);
	book.what[number] = what;
	memset(book.open[number], 0, sizeof(book.open[number]));
	book.n_open++;
	CHECK(book.n_open <= AGENT_OPS);
}

/* What was sent to the agent is not looked at, but makes room. */
static void read_all(int fd)
{
	static char sink[1 << 16];

	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void send_frame(int fd, struct fuzz_input *in)
{
	/* Types that exist, most of the time; the rest of the head likewise. */
	static const uint8_t types[] = {
		WIRE_DATA, WIRE_CREDIT, WIRE_END, WIRE_ENDED, WIRE_DONE, WIRE_ENTRY, WIRE_HELLO,
		WIRE_COMPLAINT,
	};
	uint8_t which = fuzz_u8(in), bytes[WIRE_HEAD], payload[256];
	struct wire_head head = {
		.type = which < 248 ? types[which % sizeof(types)] : which,
		.stream = fuzz_u8(in) & 3, .op = fuzz_u8(in), .len = fuzz_u8(in),
	};

	for (unsigned i = 0; i < head.len; i++)
		payload[i] = fuzz_u8(in);
	if (head.type == WIRE_HELLO && head.len >= WIRE_MAGIC)
		memcpy(payload, WIRE_MAGIC_HELLO, WIRE_MAGIC);
	wire_put_head(bytes, &head);
	(void)!send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)!send(fd, payload, head.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_op(int fd, uint8_t type, uint8_t stream, uint32_t op, const uint8_t *payload,
		    size_t len)
{
	struct wire_head head = {
		.type = type, .stream = stream, .op = op, .len = (uint32_t)len,
	};
	uint8_t bytes[WIRE_HEAD];

	wire_put_head(bytes, &head);
	(void)!send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)!send(fd, payload, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A file or folder, with a name made of a few pieces that mean something. */
static void send_entry(int fd, struct fuzz_input *in)
{
	static const char *const pieces[] = { "a", "b", "l", "/", "..", "/", "a/b", "." };
	uint8_t what = fuzz_u8(in), payload[64];
	uint32_t op = 1 + (fuzz_u8(in) & 7);
	size_t len = 8;

	store_le32(payload, what & 3);
	store_le32(payload + 4, 0644);
	for (unsigned i = 0; i < (what >> 2 & 3); i++) {
		const char *piece = pieces[fuzz_u8(in) & 7];
		memcpy(payload + len, piece, strlen(piece));
		len += strlen(piece);
	}
	send_op(fd, WIRE_ENTRY, 0, op, payload, len);
}

/* Frames that are as they should be; whether they come at the right time is another matter. */
static void send_right(int fd, struct fuzz_input *in)
{
	static const uint8_t some[WIRE_DATA_MAX];
	uint8_t what = fuzz_u8(in), payload[16] = { 0 };
	uint32_t op = 1 + (fuzz_u8(in) & 7);

	switch (what & 7) {
	case 0:
		send_op(fd, WIRE_DATA, 1 + (what >> 7), op, some, 1 + (what & 0x70) * 100);
		break;
	case 1:
		payload[1] = what >> 3;
		send_op(fd, WIRE_CREDIT, 0, op, payload, 4);
		break;
	case 2:
		payload[0] = (what >> 3) % 3;
		payload[4] = what >> 3;
		payload[8] = '\n';
		send_op(fd, WIRE_ENDED, 0, op, payload, 9);
		break;
	case 3:
		payload[0] = what >> 7;
		send_op(fd, WIRE_DONE, 0, op, payload, 5);
		break;
	case 4:
		send_op(fd, WIRE_END, 0, op, payload, 0);
		break;
	default:
		send_op(fd, WIRE_DATA, 1, op, some, 5);
	}
}

static void say_hello(int fd, uint8_t number)
{
	uint8_t bytes[WIRE_HEAD + WIRE_MAGIC + 12] = { 0 };
	struct wire_head head = { .len = WIRE_MAGIC + 12, .type = WIRE_HELLO };

	wire_put_head(bytes, &head);
	memcpy(bytes + WIRE_HEAD, WIRE_MAGIC_HELLO, WIRE_MAGIC);
	store_le16(bytes + WIRE_HEAD + WIRE_MAGIC + 2, 1);
	bytes[WIRE_HEAD + WIRE_MAGIC + 4] = number;
	(void)!send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void operate(int fd, struct fuzz_input *in)
{
	static char *const argv[] = { (char *)"x", NULL };
	struct agent_command command = { .argv = argv, .has_stdin = true };
	uint8_t op = fuzz_u8(in), number;
	char path[128];
	uint32_t got;
	int r;

	switch (op % 16) {
	case 0:
		r = agent_run(book.agent, &command, &got);
		note(got, RUNS, r);
		break;
	case 1:
		snprintf(path, sizeof(path), "%s/in/to%u", folder, fuzz_u8(in) & 1);
		r = agent_copy_out(book.agent, "/x", path, &got);
		note(got, COPIES, r);
		break;
	case 2:
		snprintf(path, sizeof(path), "%s/outside", folder);
		r = agent_copy_in(book.agent, path, "/x", 0, &got);
		note(got, COPIES, r);
		break;
	case 3:
		number = fuzz_u8(in) & 15;
		(void)!agent_input(book.agent, number, folder, sizeof(folder));
		break;
	case 4:
		number = fuzz_u8(in) & 15;
		agent_input_end(book.agent, number);
		(void)!agent_signal(book.agent, number, fuzz_u8(in));
		break;
	case 5:
		number = fuzz_u8(in) & 15;
		for (unsigned stream = 1; stream < 3; stream++) {
			agent_consumed(book.agent, number, (enum agent_stream)stream,
				       book.open[number][stream]);
			book.open[number][stream] = 0;
		}
		break;
	case 6:
		book.lazy = fuzz_u8(in) & 1;
		break;
	case 7:
		say_hello(fd, fuzz_u8(in) & 3);
		break;
	case 8:
		send_frame(fd, in);
		break;
	case 9:
	case 10:
	case 11:
		send_entry(fd, in);
		break;
	case 12:
		(void)!agent_resize(book.agent, fuzz_u8(in), 1, 2);
		(void)!agent_poweroff(book.agent, AGENT_OFF);
		break;
	default:
		send_right(fd, in);
	}
	error_clear();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level > 0 ? remove(path) : 0;
}

/* Outside of the copy's folder there is what was there: one file, with its text. */
static void check_outside(void)
{
	DIR *dir = opendir(folder);
	char path[64], text[8] = "";
	unsigned n = 0;

	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		n += d->d_name[0] != '.' || strlen(d->d_name) > 2;
	closedir(dir);
	CHECK(n == 2);
	snprintf(path, sizeof(path), "%s/outside", folder);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 4 && !memcmp(text, "safe", 4));
	close(fd);
}

static void prepare(void)
{
	char path[64];

	if (!loop) {
		CHECK(mkdtemp(folder));
		CHECK(event_loop_create(&loop, "fuzz") == 0);
		snprintf(path, sizeof(path), "%s/outside", folder);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		CHECK(write(fd, "safe", 4) == 4);
		close(fd);
	}
	snprintf(path, sizeof(path), "%s/in", folder);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	/* A link that a name could go through. */
	snprintf(path, sizeof(path), "%s/in/to0", folder);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/in/to0/l", folder);
	CHECK(symlink("../..", path) == 0 || errno == EEXIST);
}

static void clean_up(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/in", folder);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { .data = data, .len = len };
	int fd[2];

	prepare();
	book = (struct book){ 0 };
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	CHECK(agent_create(&book.agent, loop, fd[0], &ops, NULL) == 0);
	if (fuzz_u8(&in) != 'x')
		say_hello(fd[1], 0);
	for (unsigned i = 0; in.len > 0 && i < 400; i++) {
		operate(fd[1], &in);
		if ((i & 3) == 3) {
			loop_pump(loop);
			read_all(fd[1]);
		}
	}
	loop_pump(loop);
	agent_destroy(book.agent);
	close(fd[1]);
	check_outside();
	clean_up();
	return 0;
}
