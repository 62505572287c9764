/*
 * For each source there is one right listener, given by its vector, the masks, and two bits of
 * the configuration space.  source_update() brings about at once what KVM listens to, and asks
 * the main loop for the rest: epoll belongs to that loop's thread, which may be waiting for the
 * machine lock that our caller holds.
 */
#include "vmm/machine/msix_internal.h"

#include <errno.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

static struct msix_vector *source_vector(const struct msix_source *source)
{
	if (source->vector == MSIX_NO_VECTOR)
		return NULL;
	return &source->msix->vector[source->vector];
}

/* May messages of this vector leave now? */
static bool vector_is_open(const struct msix *msix, const struct msix_vector *vector)
{
	return msix_enabled(msix) && !msix_is_masked(msix) &&
	       !(vector->entry[MSIX_ENTRY_CONTROL] & MSIX_ENTRY_MASKED) &&
	       pci_device_is_master(msix->config.dev);
}

/* Make the vector's GSI lead to the message in its entry.  False if the host refuses it. */
static bool vector_route(struct msix *msix, struct msix_vector *vector)
{
	uint64_t addr = load_le64(vector->entry + MSIX_ENTRY_ADDR);
	uint32_t data = load_le32(vector->entry + MSIX_ENTRY_DATA);

	if (vector->routed && vector->addr == addr && vector->data == data)
		return true;
	int r = irq_chip_set_route(msix->config.irq, vector->gsi, addr, data);
	if (r < 0) {
		log_guest(&msix->refused, LOG_WARNING,
			  "guest gave '%s' the message 0x%llx/0x%x, which cannot be sent (%s)",
			  msix->config.dev->name, (unsigned long long)addr, data, error_name(-r));
		return false;
	}
	vector->routed = true;
	vector->addr = addr;
	vector->data = data;
	return true;
}

static bool vector_hold(struct msix *msix, struct msix_vector *vector)
{
	if (vector->n_sources == 0) {
		if (irq_chip_alloc_msi(msix->config.irq, &vector->gsi) < 0) {
			error_clear();
			return false;
		}
		vector->routed = false;
	}
	vector->n_sources++;
	return true;
}

static void vector_release(struct msix *msix, struct msix_vector *vector)
{
	if (--vector->n_sources > 0)
		return;
	irq_chip_free_msi(msix->config.irq, vector->gsi);
	vector->gsi = 0;
	vector->routed = false;
}

static void source_detach(struct msix_source *source)
{
	if (source->attached_gsi == 0)
		return;
	irq_chip_detach_fd(source->msix->config.irq, source->attached_gsi, source->fd);
	source->attached_gsi = 0;
}

/*
 * Shall the main loop listen?  Without MSI-X always (INTx); with it, where KVM should not or
 * cannot, for the pending bit.  A source without a vector interrupts nobody.
 */
static bool source_wants_watch(const struct msix_source *source)
{
	if (!msix_enabled(source->msix))
		return true;
	return source->vector != MSIX_NO_VECTOR && source->attached_gsi == 0;
}

static void source_attach(struct msix_source *source, struct msix_vector *vector)
{
	struct msix *msix = source->msix;

	if (source->attached_gsi == vector->gsi)
		return;
	source_detach(source);
	/* What is pending is sent as a signal of the source: one in the eventfd is delivered. */
	if (vector->pending) {
		vector->pending = false;
		fd_signal(source->fd);
	}
	int r = irq_chip_attach_fd(msix->config.irq, vector->gsi, source->fd);
	if (r < 0) {
		log_guest(&msix->refused, LOG_WARNING,
			  "cannot attach an interrupt of '%s': %s", msix->config.dev->name,
			  error_name(-r));
		return;
	}
	source->attached_gsi = vector->gsi;
}

static void source_update(struct msix_source *source)
{
	struct msix *msix = source->msix;
	struct msix_vector *vector = source_vector(source);

	if (vector && vector_is_open(msix, vector) && vector_route(msix, vector))
		source_attach(source, vector);
	else
		source_detach(source);
	if (source_wants_watch(source) != (source->watch.loop != NULL))
		fd_signal(msix->follow.fd);
}

void msix_update_sources(struct msix *msix)
{
	for (struct msix_source *s = msix->sources; s; s = s->next)
		source_update(s);
}

/* A signal that nobody else took: set the pending bit, or INTx.  Lock held. */
static void source_collect(struct msix_source *source)
{
	struct msix *msix = source->msix;

	if (source->attached_gsi != 0 || !source_wants_watch(source) || !fd_drain(source->fd))
		return;
	if (msix_enabled(msix))
		source_vector(source)->pending = true;
	else if (msix->config.intx)
		msix->config.intx(msix->config.arg, source);
}

void msix_collect_sources(struct msix *msix)
{
	for (struct msix_source *s = msix->sources; s; s = s->next)
		source_collect(s);
}

static void source_watch_fn(struct event_source *watch, uint32_t events)
{
	struct msix_source *source = container_of(watch, struct msix_source, watch);
	struct msix *msix = source->msix;

	(void)events;
	pthread_mutex_lock(msix->config.machine_lock);
	source_collect(source);
	/* KVM listens again and epoll has not followed yet: leave the signal to KVM. */
	if (!source_wants_watch(source))
		event_loop_remove(&source->watch);
	pthread_mutex_unlock(msix->config.machine_lock);
}

void msix_follow(struct event_source *follow, uint32_t events)
{
	struct msix *msix = container_of(follow, struct msix, follow);

	(void)events;
	pthread_mutex_lock(msix->config.machine_lock);
	fd_drain(follow->fd);
	for (struct msix_source *s = msix->sources; s; s = s->next) {
		bool wants = source_wants_watch(s);
		if (!wants)
			event_loop_remove(&s->watch);
		else if (!s->watch.loop &&
			 event_loop_add(msix->config.main_loop, &s->watch, EPOLLIN) < 0) {
			log_error("'%s' loses interrupts: %s: %s", msix->config.dev->name,
				  error_text(), error_name(error_errno()));
			error_clear();
		}
	}
	pthread_mutex_unlock(msix->config.machine_lock);
}

int msix_add_source(struct msix *msix, struct msix_source *source)
{
	source->vector = MSIX_NO_VECTOR;
	source->msix = msix;
	source->attached_gsi = 0;
	source->watch = (struct event_source){ .fd = source->fd, .fn = source_watch_fn };
	source->next = msix->sources;
	msix->sources = source;
	source_update(source);
	return 0;
}

/* Returns true if the vector owes an interrupt to this source, the last that points there. */
static bool source_leave_vector(struct msix_source *source)
{
	struct msix_vector *vector = source_vector(source);
	bool owed;

	if (!vector)
		return false;
	source_detach(source);
	source->vector = MSIX_NO_VECTOR;
	vector_release(source->msix, vector);
	owed = vector->pending && vector->n_sources == 0;
	if (owed)
		vector->pending = false;
	return owed;
}

void msix_reset_source(struct msix_source *source)
{
	if (!source->msix)
		return;
	source_leave_vector(source);
	fd_drain(source->fd);
	source_update(source);
}

void msix_remove_source(struct msix_source *source)
{
	struct msix *msix = source->msix;

	if (!msix)
		return;
	source_leave_vector(source);
	event_loop_remove(&source->watch);
	for (struct msix_source **p = &msix->sources; *p; p = &(*p)->next) {
		if (*p == source) {
			*p = source->next;
			break;
		}
	}
	source->msix = NULL;
}

int msix_set_vector(struct msix_source *source, uint16_t vector)
{
	struct msix *msix = source->msix;
	bool had_one = source->vector != MSIX_NO_VECTOR;
	int r = 0;

	if (vector == source->vector)
		return 0;
	bool owed = source_leave_vector(source);
	if (vector < msix->config.n_vectors && vector_hold(msix, &msix->vector[vector]))
		source->vector = vector;
	else if (vector != MSIX_NO_VECTOR)
		r = -EINVAL;

	bool has_one = source->vector != MSIX_NO_VECTOR;
	if (msix_enabled(msix) && !(had_one && has_one))
		/* What happens while it has no vector interrupts nobody, not later either. */
		fd_drain(source->fd);
	else if (owed)
		/* What was pending in the old vector goes to the new one. */
		fd_signal(source->fd);
	source_update(source);
	return r;
}
