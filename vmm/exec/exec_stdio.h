/*
 * Standard input, output and error of "vireo exec": descriptors that may be anything (a terminal
 * that is shared with a shell, a pipe whose reader is slow, a file), on an event loop that never
 * waits for them.  What cannot go on is kept, and whoever gave it is told later that it went.
 */
#ifndef EXEC_EXEC_STDIO_H
#define EXEC_EXEC_STDIO_H

#include "devices/host_fd.h"
#include "vmm/agent/agent.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

/* Output. */
struct exec_sink {
	struct host_fd host;
	struct event_source watch;	/* while something waits */
	struct event_loop *loop;
	/* 'n' bytes that had waited have gone. */
	void (*gone)(void *arg, struct exec_sink *sink, size_t n);
	void (*broken)(void *arg, struct exec_sink *sink);	/* nobody reads any more */
	void *arg;
	bool is_broken;
	uint8_t ring[AGENT_WINDOW];
	size_t head, len;
};

/*
 * Write to 'fd' (borrowed) from 'loop' (kept).  Returns 0 or -errno with an error chain; fini is
 * fine then, too, and for a zeroed one whose 'host' and 'watch' are as EXEC_SINK_INIT.
 */
#define EXEC_SINK_INIT { .host = HOST_FD_INIT, .watch.fd = FD_NONE }
MUST_USE int exec_sink_init(struct exec_sink *sink, struct event_loop *loop, int fd,
			    void (*gone)(void *arg, struct exec_sink *sink, size_t n),
			    void (*broken)(void *arg, struct exec_sink *sink), void *arg);
void exec_sink_fini(struct exec_sink *sink);

/*
 * Write.  Returns how many bytes are dealt with; the others (there is room for AGENT_WINDOW) are
 * kept, and 'gone' follows.  What nobody reads any more is dealt with at once.
 */
size_t exec_sink_write(struct exec_sink *sink, const void *buf, size_t len);

/* Input. */
struct exec_source {
	struct host_fd host;
	struct event_source watch;
	struct event_post again;	/* for what is always readable */
	struct event_loop *loop;
	/* Returns how many of these bytes were taken (the first ones), or -errno: it is over. */
	ssize_t (*take)(void *arg, uint8_t *buf, size_t len);
	void (*ended)(void *arg);	/* end of file, once, after all was taken */
	void *arg;
	bool is_over, is_held;
	uint8_t buf[16384];
	size_t head, len;		/* what was not taken yet */
};

#define EXEC_SOURCE_INIT { .host = HOST_FD_INIT, .watch.fd = FD_NONE }
/* Read from 'fd' (borrowed), from now on.  Returns as exec_sink_init. */
MUST_USE int exec_source_init(struct exec_source *source, struct event_loop *loop, int fd,
			      ssize_t (*take)(void *arg, uint8_t *buf, size_t len),
			      void (*ended)(void *arg), void *arg);
void exec_source_fini(struct exec_source *source);

/* There is room again where 'take' took less. */
void exec_source_resume(struct exec_source *source);

#endif
