#include "vmm/control/console_log.h"

#include <stdio.h>
#include <string.h>

size_t console_log_read(struct console_log *log, uint64_t *next, char *buf, size_t size,
			uint64_t *lost)
{
	uint64_t oldest;
	size_t n, at, first;

	pthread_mutex_lock(&log->lock);
	oldest = log->end > CONSOLE_LOG_KEPT ? log->end - CONSOLE_LOG_KEPT : 0;
	if (*next < oldest) {
		*lost += oldest - *next;
		*next = oldest;
	}
	n = *next < log->end ? min_u64(size, log->end - *next) : 0;
	at = *next % CONSOLE_LOG_KEPT;
	first = min_u64(n, CONSOLE_LOG_KEPT - at);
	memcpy(buf, log->ring + at, first);
	memcpy(buf + first, log->ring, n - first);
	*next += n;
	pthread_mutex_unlock(&log->lock);
	return n;
}

static void write_file(struct console_log *log)
{
	char buf[4096], text[64];
	uint64_t lost = 0;
	size_t n;

	/* As much as there was at one moment: a guest that goes on does not keep us here. */
	for (unsigned i = 0; i <= CONSOLE_LOG_KEPT / sizeof(buf); i++) {
		n = console_log_read(log, &log->written, buf, sizeof(buf), &lost);
		if (lost > 0) {
			int len = snprintf(text, sizeof(text), "\n[%llu bytes are missing here]\n",
					   (unsigned long long)lost);
			log_file_write(&log->file, text, (size_t)len);
			lost = 0;
		}
		if (n == 0)
			return;
		log_file_write(&log->file, buf, n);
	}
	event_loop_post(log->loop, &log->post);
}

static void grown(struct event_post *post)
{
	struct console_log *log = container_of(post, struct console_log, post);

	write_file(log);
	if (log->grown)
		log->grown(log->arg);
}

int console_log_init(struct console_log *log, struct event_loop *loop, int dir)
{
	log->loop = loop;
	log->post.fn = grown;
	pthread_mutex_init(&log->lock, NULL);
	return log_file_open(&log->file, dir, "console.log");
}

void console_log_fini(struct console_log *log)
{
	if (!log->loop)
		return;
	event_loop_unpost(log->loop, &log->post);
	write_file(log);
	event_loop_unpost(log->loop, &log->post);
	log_file_close(&log->file);
	pthread_mutex_destroy(&log->lock);
	log->loop = NULL;
}

void console_log_add(void *arg, const uint8_t *buf, size_t len)
{
	struct console_log *log = arg;

	pthread_mutex_lock(&log->lock);
	if (len > CONSOLE_LOG_KEPT) {
		log->end += len - CONSOLE_LOG_KEPT;
		buf += len - CONSOLE_LOG_KEPT;
		len = CONSOLE_LOG_KEPT;
	}
	size_t at = log->end % CONSOLE_LOG_KEPT;
	size_t first = min_u64(len, CONSOLE_LOG_KEPT - at);
	memcpy(log->ring + at, buf, first);
	memcpy(log->ring, buf + first, len - first);
	log->end += len;
	pthread_mutex_unlock(&log->lock);
	event_loop_post(log->loop, &log->post);
}

uint64_t console_log_tail(struct console_log *log, uint64_t n)
{
	uint64_t oldest, at;

	pthread_mutex_lock(&log->lock);
	oldest = log->end > CONSOLE_LOG_KEPT ? log->end - CONSOLE_LOG_KEPT : 0;
	at = log->end;
	/* The end of the last line does not begin another. */
	if (at > oldest && n > 0 && log->ring[(at - 1) % CONSOLE_LOG_KEPT] == '\n')
		at--;
	while (n > 0 && at > oldest) {
		if (log->ring[(at - 1) % CONSOLE_LOG_KEPT] == '\n' && --n == 0)
			break;
		at--;
	}
	pthread_mutex_unlock(&log->lock);
	return at;
}
