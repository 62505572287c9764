#include "devices/vsock_hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "devices/vsock_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { TICK_MS = 50, MAX_ACCEPTS_PER_TURN = 8 };

#define MS_NS UINT64_C(1000000)
/* All that waits in all connections. */
#define BUDGET MIB(128)
/* Ports for clients: above those that programs choose for themselves. */
#define FIRST_PORT UINT32_C(0x40000000)

/* --- The table ------------------------------------------------------------------------------- */

static unsigned bucket_of(uint32_t guest_port, uint32_t host_port)
{
	uint64_t key = (uint64_t)guest_port << 32 | host_port;

	return (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 56) % VSOCK_BUCKETS;
}

struct vsock_conn *vsock_hub_find(const struct vsock_hub *hub, uint32_t guest_port,
				  uint32_t host_port)
{
	struct vsock_conn *conn = hub->bucket[bucket_of(guest_port, host_port)];

	while (conn && (conn->guest_port != guest_port || conn->host_port != host_port))
		conn = conn->next_in_bucket;
	return conn;
}

void vsock_conn_enter(struct vsock_conn *conn, enum vsock_state state)
{
	struct vsock_conn **bucket =
		&conn->hub->bucket[bucket_of(conn->guest_port, conn->host_port)];

	conn->hub->n_hellos--;
	conn->state = state;
	conn->next_in_bucket = *bucket;
	*bucket = conn;
}

static void leave(struct vsock_conn *conn)
{
	struct vsock_conn **p = &conn->hub->bucket[bucket_of(conn->guest_port, conn->host_port)];

	while (*p && *p != conn)
		p = &(*p)->next_in_bucket;
	if (*p)
		*p = conn->next_in_bucket;
}

uint32_t vsock_hub_free_port(struct vsock_hub *hub, uint32_t guest_port)
{
	uint32_t port;

	/* There are more ports than connections. */
	do {
		if (hub->next_port == UINT32_MAX)
			hub->next_port = FIRST_PORT;
		port = hub->next_port++;
	} while (vsock_hub_find(hub, guest_port, port));
	return port;
}

/* --- Clients --------------------------------------------------------------------------------- */

static bool wants_clients(const struct vsock_hub *hub)
{
	return hub->running && !hub->entry_fails && hub->n_hellos < VSOCK_MAX_HELLOS &&
	       hub->n_conns < VSOCK_MAX_CONNS;
}

static void start_ticking(struct vsock_hub *hub)
{
	const struct itimerspec spec = { .it_value.tv_nsec = TICK_MS * (long)MS_NS };

	if (!hub->ticking)
		hub->ticking = timerfd_settime(hub->timer.fd, 0, &spec, NULL) == 0;
}

/* Those that are not let in wait where they are, which costs nobody anything. */
static void watch_clients(struct vsock_hub *hub)
{
	bool wants = wants_clients(hub);

	for (unsigned i = 0; i < VSOCK_LISTENERS; i++) {
		struct event_source *source = &hub->entry[i].source;

		if (!wants) {
			event_loop_remove(source);
		} else if (!source->loop &&
			   event_loop_add(hub->config.loop, source, EPOLLIN) < 0) {
			error_clear();
			hub->entry_fails = true;
			start_ticking(hub);
		}
	}
}

static void on_client(struct event_source *source, uint32_t events)
{
	struct vsock_entry *entry = container_of(source, struct vsock_entry, source);
	struct vsock_hub *hub = entry->hub;

	(void)events;
	for (unsigned i = 0; i < MAX_ACCEPTS_PER_TURN && wants_clients(hub); i++) {
		int fd = unix_listener_accept(&entry->listener);

		if (fd == -EAGAIN)
			break;
		if (fd < 0) {
			/* Out of descriptors, most likely: look again later, not all the time. */
			log_guest(&hub->log, LOG_WARNING, "%s: accept a client: %s",
				  hub->config.name, error_name(-fd));
			hub->entry_fails = true;
			start_ticking(hub);
			break;
		}
		struct vsock_conn *conn = vsock_conn_create(hub, entry->type, fd);
		if (!conn)
			continue;
		vsock_conn_set_deadline(conn, VSOCK_HELLO_MS);
		if (entry->type == VSOCK_SEQPACKET && vsock_unix_mark_messages(fd) < 0)
			vsock_conn_free(conn);
		else
			vsock_conn_watch(conn);
	}
	watch_clients(hub);
}

/* --- Connections come, go, and wait ---------------------------------------------------------- */

struct vsock_conn *vsock_conn_create(struct vsock_hub *hub, enum vsock_type type, int fd)
{
	struct vsock_conn *conn = NULL;

	if (hub->n_conns < VSOCK_MAX_CONNS)
		conn = calloc(1, sizeof(*conn));
	if (!conn) {
		fd_close(&fd);
		return NULL;
	}
	conn->hub = hub;
	conn->type = type;
	conn->state = VSOCK_HELLO;
	conn->source = (struct event_source){ .fd = fd, .fn = vsock_conn_on_event };
	vsock_link_append(&hub->all, &conn->all);
	hub->n_conns++;
	hub->n_hellos++;
	return conn;
}

void vsock_conn_free(struct vsock_conn *conn)
{
	struct vsock_hub *hub = conn->hub;

	if (conn->state == VSOCK_HELLO)
		hub->n_hellos--;
	else
		leave(conn);
	event_loop_remove(&conn->source);
	fd_close(&conn->source.fd);
	vsock_fifo_clear(&conn->out, &hub->budget);
	vsock_fifo_clear(&conn->in, &hub->budget);
	vsock_link_remove(&conn->all);
	vsock_link_remove(&conn->ready);
	hub->n_conns--;
	free(conn);
	watch_clients(hub);
}

void vsock_conn_set_deadline(struct vsock_conn *conn, unsigned ms)
{
	conn->deadline_ns = clock_now_ns() + ms * MS_NS;
	start_ticking(conn->hub);
}

static void free_all(struct vsock_hub *hub)
{
	struct vsock_link *link;

	while ((link = hub->all.next) != &hub->all)
		vsock_conn_free(container_of(link, struct vsock_conn, all));
	hub->n_replies = 0;
}

/* The host's listener had no room: is there some now? */
static void knock_again(struct vsock_conn *conn)
{
	int fd = vsock_unix_connect(conn->hub->path, conn->host_port, conn->type);

	if (fd == -EAGAIN)
		return;
	if (fd >= 0 && conn->type == VSOCK_SEQPACKET && vsock_unix_mark_messages(fd) < 0)
		fd_close(&fd);
	if (fd < 0) {
		vsock_conn_kill(conn);
		return;
	}
	conn->source.fd = fd;
	conn->state = VSOCK_OPEN;
	conn->deadline_ns = 0;
	vsock_conn_set_ready(conn, VSOCK_TELL_RESPONSE);
	vsock_conn_watch(conn);
}

static void tick_conn(struct vsock_conn *conn, uint64_t now)
{
	if (now >= conn->deadline_ns)
		vsock_conn_kill(conn);
	else if (conn->state == VSOCK_KNOCKING)
		knock_again(conn);
}

static void on_tick(struct event_source *source, uint32_t events)
{
	struct vsock_hub *hub = container_of(source, struct vsock_hub, timer);
	uint64_t now = clock_now_ns();
	bool again = false;

	(void)events;
	fd_drain(source->fd);
	hub->ticking = false;
	hub->entry_fails = false;
	for (struct vsock_link *link = hub->all.next, *next; link != &hub->all; link = next) {
		struct vsock_conn *conn = container_of(link, struct vsock_conn, all);

		next = link->next;
		if (conn->deadline_ns == 0)
			continue;
		again = true;
		tick_conn(conn, now);
	}
	watch_clients(hub);
	if (again)
		start_ticking(hub);
	if (vsock_hub_has(hub))
		hub->config.ready(hub->config.arg);
}

/* --- The hub --------------------------------------------------------------------------------- */

bool vsock_hub_has_room(const struct vsock_hub *hub)
{
	return hub->n_replies < VSOCK_MAX_REPLIES;
}

bool vsock_hub_has(const struct vsock_hub *hub)
{
	return hub->n_replies > 0 || hub->ready.next != &hub->ready;
}

struct vsock_hub_stats vsock_hub_stats(const struct vsock_hub *hub)
{
	return (struct vsock_hub_stats){
		.conns = hub->n_conns,
		.hellos = hub->n_hellos,
		.replies = hub->n_replies,
		.buffered = BUDGET - hub->budget,
	};
}

int vsock_hub_start(struct vsock_hub *hub, unsigned types)
{
	int r = event_loop_add(hub->config.loop, &hub->timer, EPOLLIN);

	if (r < 0)
		return r;
	hub->types = types;
	hub->running = true;
	hub->entry_fails = false;
	watch_clients(hub);
	return 0;
}

void vsock_hub_stop(struct vsock_hub *hub)
{
	if (!hub->running)
		return;
	hub->running = false;
	for (struct vsock_link *link = hub->all.next, *next; link != &hub->all; link = next) {
		struct vsock_conn *conn = container_of(link, struct vsock_conn, all);

		next = link->next;
		if (conn->state == VSOCK_OPEN)
			vsock_conn_flush(conn);
	}
	free_all(hub);
	watch_clients(hub);
	event_loop_remove(&hub->timer);
}

void vsock_hub_forget(struct vsock_hub *hub)
{
	free_all(hub);
}

static int open_entries(struct vsock_hub *hub)
{
	static const enum vsock_type type[VSOCK_LISTENERS] = { VSOCK_STREAM, VSOCK_SEQPACKET };
	int r = 0;

	for (unsigned i = 0; i < VSOCK_LISTENERS && r == 0; i++) {
		struct vsock_entry *entry = &hub->entry[i];

		entry->type = type[i];
		r = vsock_unix_listen(&entry->listener, hub->path, type[i]);
		entry->source.fd = entry->listener.fd;
	}
	return r;
}

int vsock_hub_create(struct vsock_hub **out, const struct vsock_hub_config *config)
{
	struct vsock_hub *hub = calloc(1, sizeof(*hub));
	int r = 0;

	*out = NULL;
	if (!hub)
		return error_set(ENOMEM, "create '%s'", config->name);
	hub->config = *config;
	hub->budget = BUDGET;
	hub->next_port = FIRST_PORT;
	hub->all = (struct vsock_link){ &hub->all, &hub->all };
	hub->ready = (struct vsock_link){ &hub->ready, &hub->ready };
	for (unsigned i = 0; i < VSOCK_LISTENERS; i++)
		hub->entry[i] = (struct vsock_entry){
			.hub = hub,
			.listener = UNIX_LISTENER_INIT,
			.source = { .fd = FD_NONE, .fn = on_client },
		};
	hub->timer = (struct event_source){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.fn = on_tick,
	};
	if (hub->timer.fd < 0)
		r = error_set(errno, "create a timer");
	if (r == 0 && strlen(config->path) > VSOCK_PATH_MAX)
		r = error_set(ENAMETOOLONG, "the path of a vsock's socket has at most %d "
			      "characters: '%s'", VSOCK_PATH_MAX, config->path);
	snprintf(hub->path, sizeof(hub->path), "%.*s", VSOCK_PATH_MAX, config->path);
	if (r == 0)
		r = open_entries(hub);
	if (r < 0) {
		vsock_hub_destroy(hub);
		return r;
	}
	*out = hub;
	return 0;
}

void vsock_hub_destroy(struct vsock_hub *hub)
{
	if (!hub)
		return;
	for (unsigned i = 0; i < VSOCK_LISTENERS; i++)
		unix_listener_close(&hub->entry[i].listener);
	fd_close(&hub->timer.fd);
	free(hub);
}
