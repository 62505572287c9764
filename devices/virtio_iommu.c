/*
 * The model of the virtio IOMMU: configuration, requests, fault events.
 *
 * virtio-v1.4 5.13 "IOMMU Device"
 */
#include "devices/virtio_iommu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/iommu_request.h"
#include "virtio/datapath_local.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum {
	REQUEST_QUEUE, EVENT_QUEUE, IOMMU_QUEUES,
	QUEUE_SIZE = 256,
	PCI_CLASS_IOMMU = 0x080600,
	REQUESTS_PER_TURN = 32,

	/* virtio-v1.4 5.13.4 "Device configuration layout" */
	CONFIG_PAGE_SIZES = 0,
	CONFIG_INPUT_FIRST = 8, CONFIG_INPUT_LAST = 16,
	CONFIG_DOMAIN_FIRST = 24, CONFIG_DOMAIN_LAST = 28,
	CONFIG_PROBE_SIZE = 32,
	CONFIG_BYPASS = 36,
	CONFIG_SIZE = 40,

	/* How often it is looked whether a request is over, and for how long devices have time. */
	TICK_NS = 1000000,
	PATIENCE_TICKS = 1000,
	RESET_PATIENCE_MS = 1000,

	/* Areas for properties are filled to their end, by the loop that serves others, too. */
	PROPERTIES_MAX = 65536,
};

/* A request that was carried out, and whose answer waits for the devices. */
struct waiting {
	struct chain chain;
	struct iommu_ticket ticket;
	unsigned ticks;
};

struct virtio_iommu {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct iommu *iommu;
	bool bypass_at_power_on;

	/* Written at start, before the queues run. */
	struct iommu_request_rules rules;

	/* Of the owner loop. */
	struct event_loop *loop;
	struct virtqueue *requests, *events;	/* NULL: does not run */
	struct event_source faults;
	struct event_source tick;	/* a timerfd; runs while something waits */
	struct waiting waiting[QUEUE_SIZE];
	unsigned n_waiting;

	/* Of the machine lock. */
	uint64_t patience_ends;		/* milliseconds; 0: no reset waits */
};

static struct virtio_iommu *to_iommu(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_iommu, dev);
}

/* --- Answers --------------------------------------------------------------------------------- */

/*
 * The tail is the last that the device writes: of a PROBE request behind the properties, which
 * begin the writable part, and of others at its start.
 */
static void answer_at(struct virtio_iommu *v, const struct chain *c, size_t offset,
		      enum iommu_status status)
{
	const uint8_t tail[IOMMU_TAIL_SIZE] = { (uint8_t)status };

	iov_write(c->in, c->n_in, offset, tail, sizeof(tail));
	virtqueue_push(v->requests, c->head, (uint32_t)(offset + sizeof(tail)));
}

static void answer(struct virtio_iommu *v, const struct chain *c, enum iommu_status status)
{
	answer_at(v, c, 0, status);
}

static enum iommu_status status_of(int r)
{
	switch (-r) {
	case 0: return IOMMU_S_OK;
	case EINVAL: return IOMMU_S_INVAL;
	case ERANGE: return IOMMU_S_RANGE;
	case ENOENT: return IOMMU_S_NOENT;
	case ENOMEM: return IOMMU_S_NOMEM;
	case EOPNOTSUPP: return IOMMU_S_UNSUPP;
	default: return IOMMU_S_DEVERR;
	}
}

static void set_tick(struct virtio_iommu *v, bool on)
{
	const struct timespec period = { .tv_nsec = on ? TICK_NS : 0 };
	const struct itimerspec when = { .it_value = period, .it_interval = period };

	/* Fails for values that are none, only. */
	(void)!timerfd_settime(v->tick.fd, 0, &when, NULL);
}

/* It was carried out.  There is room: no more requests are out than the queue has heads. */
static void answer_when_over(struct virtio_iommu *v, const struct chain *c,
			     const struct iommu_ticket *ticket)
{
	if (ticket->serial == 0) {
		answer(v, c, IOMMU_S_OK);
		return;
	}
	if (v->n_waiting == 0)
		set_tick(v, true);
	v->waiting[v->n_waiting++] = (struct waiting){ .chain = *c, .ticket = *ticket };
}

static void ticked(struct event_source *source, uint32_t events)
{
	struct virtio_iommu *v = container_of(source, struct virtio_iommu, tick);
	uint64_t n;

	(void)events;
	(void)!read(source->fd, &n, sizeof(n));
	for (unsigned i = 0; i < v->n_waiting;) {
		struct waiting *w = &v->waiting[i];

		if (iommu_ticket_is_over(v->iommu, &w->ticket)) {
			answer(v, &w->chain, IOMMU_S_OK);
			*w = v->waiting[--v->n_waiting];
			continue;
		}
		if (++w->ticks % PATIENCE_TICKS == 0)
			iommu_ticket_enforce(v->iommu, &w->ticket);
		i++;
	}
	if (v->n_waiting == 0)
		set_tick(v, false);
	virtqueue_flush(v->requests);
}

/* --- Requests -------------------------------------------------------------------------------- */

static void probe(struct virtio_iommu *v, const struct chain *c, uint32_t endpoint)
{
	size_t room = c->in_len - IOMMU_TAIL_SIZE;
	uint8_t properties[IOMMU_PROBE_SIZE];

	/* Nothing is written to an area that is no area; its tail is where it ends. */
	if (room < IOMMU_PROBE_SIZE || room > PROPERTIES_MAX) {
		answer_at(v, c, room, IOMMU_S_INVAL);
		return;
	}
	if (!iommu_has_endpoint(v->iommu, endpoint)) {
		iov_fill(c->in, c->n_in, 0, 0, room);
		answer_at(v, c, room, IOMMU_S_NOENT);
		return;
	}
	iommu_write_properties(properties);
	iov_write(c->in, c->n_in, 0, properties, sizeof(properties));
	iov_fill(c->in, c->n_in, sizeof(properties), 0, room - sizeof(properties));
	answer_at(v, c, room, IOMMU_S_OK);
}

static void carry_out(struct virtio_iommu *v, const struct chain *c,
		      const struct iommu_request *req)
{
	struct iommu_ticket ticket = { 0 };
	int r = 0;

	switch (req->type) {
	case IOMMU_T_ATTACH:
		r = iommu_attach(v->iommu, req->endpoint, req->domain, req->bypass, &ticket);
		break;
	case IOMMU_T_DETACH:
		r = iommu_detach(v->iommu, req->endpoint, req->domain, &ticket);
		break;
	case IOMMU_T_MAP:
		r = iommu_map(v->iommu, req->domain, req->first, req->last, req->phys,
			      req->access);
		break;
	case IOMMU_T_UNMAP:
		r = iommu_unmap(v->iommu, req->domain, req->first, req->last, &ticket);
		break;
	case IOMMU_T_PROBE:
		probe(v, c, req->endpoint);
		return;
	}
	if (r < 0)
		answer(v, c, status_of(r));
	else
		answer_when_over(v, c, &ticket);
}

static void serve(struct virtio_iommu *v, const struct chain *c)
{
	uint8_t bytes[IOMMU_REQUEST_MAX];
	size_t len = iov_read(c->out, c->n_out, 0, bytes, sizeof(bytes));
	enum iommu_status status = IOMMU_S_OK;
	struct iommu_request req;
	enum iommu_parse parse = iommu_request_parse(&v->rules, bytes, len, &req, &status);

	if (parse == IOMMU_PARSE_IGNORE || c->in_len < IOMMU_TAIL_SIZE)
		virtqueue_push(v->requests, c->head, 0);
	else if (parse == IOMMU_PARSE_REFUSE)
		answer_at(v, c, req.type == IOMMU_T_PROBE ? c->in_len - IOMMU_TAIL_SIZE : 0,
			  status);
	else
		carry_out(v, c, &req);
}

/* --- Faults ---------------------------------------------------------------------------------- */

/* One buffer for one report.  Those that nobody left a buffer for are dropped. */
static void report(struct virtio_iommu *v, const struct iommu_fault *fault)
{
	uint8_t bytes[IOMMU_FAULT_SIZE];
	struct chain c;

	iommu_write_fault(bytes, (uint8_t)fault->reason, fault->access, fault->endpoint,
			  fault->addr);
	for (unsigned n = 0; n < QUEUE_SIZE && virtqueue_pop(v->events, &c) == VQ_CHAIN; n++) {
		bool fits = c.in_len >= sizeof(bytes);

		if (fits)
			iov_write(c.in, c.n_in, 0, bytes, sizeof(bytes));
		virtqueue_push(v->events, c.head, fits ? sizeof(bytes) : 0);
		if (fits)
			return;
	}
}

static void fault_came(struct event_source *source, uint32_t events)
{
	struct virtio_iommu *v = container_of(source, struct virtio_iommu, faults);
	struct iommu_fault fault;

	(void)events;
	fd_drain(source->fd);
	while (iommu_take_fault(v->iommu, &fault))
		report(v, &fault);
	virtqueue_flush(v->events);
}

/* --- Queues ---------------------------------------------------------------------------------- */

static int iommu_start(void *model, const struct datapath_start *start)
{
	struct virtio_iommu *v = model;
	const struct features *f = &start->features;
	struct features offered = virtio_device_offered(&v->dev);

	v->rules = (struct iommu_request_rules){
		.map_unmap = features_has(f, VIRTIO_IOMMU_F_MAP_UNMAP),
		.probe = features_has(f, VIRTIO_IOMMU_F_PROBE),
		.bypass_config = features_has(f, VIRTIO_IOMMU_F_BYPASS_CONFIG),
		.input_range = features_has(&offered, VIRTIO_IOMMU_F_INPUT_RANGE),
		.domain_range = features_has(&offered, VIRTIO_IOMMU_F_DOMAIN_RANGE),
	};
	return 0;
}

static void watch(struct virtio_iommu *v, struct event_source *source, unsigned queue)
{
	if (event_loop_add(v->loop, source, EPOLLIN) == 0)
		return;
	error_clear();
	virtio_device_fail(&v->dev, queue, "its event loop takes no more descriptors");
}

static void iommu_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_iommu *v = model;

	if (index == REQUEST_QUEUE) {
		v->requests = q;
		watch(v, &v->tick, index);
	} else {
		v->events = q;
		watch(v, &v->faults, index);
	}
}

static void iommu_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_iommu *v = model;
	struct chain c;

	/* Buffers for events wait in their ring. */
	if (index != REQUEST_QUEUE)
		return;
	for (unsigned n = 0; n < REQUESTS_PER_TURN && virtqueue_pop(q, &c) == VQ_CHAIN; n++)
		serve(v, &c);
}

static void iommu_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_iommu *v = model;

	(void)q;
	if (index == REQUEST_QUEUE) {
		event_loop_remove(&v->tick);
		set_tick(v, false);
		v->requests = NULL;
		v->n_waiting = 0;
	} else {
		event_loop_remove(&v->faults);
		v->events = NULL;
	}
}

static const struct local_ops iommu_local_ops = {
	.start = iommu_start,
	.queue_start = iommu_queue_start,
	.handle = iommu_handle,
	.queue_stop = iommu_queue_stop,
};

/* --- Control --------------------------------------------------------------------------------- */

static void show_bypass(struct virtio_iommu *v)
{
	uint8_t bypass = iommu_bypass(v->iommu);

	/* A reset of the device leaves it as it is. */
	v->dev.config[CONFIG_BYPASS] = v->dev.config_initial[CONFIG_BYPASS] = bypass;
}

static void iommu_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	struct virtio_iommu *v = to_iommu(dev);
	bool known = features_has(&dev->negotiation.accepted, VIRTIO_IOMMU_F_BYPASS_CONFIG);
	uint8_t value = dev->config[CONFIG_BYPASS];

	/* The only byte that can be written; other values than 0 and 1 are none. */
	(void)offset;
	(void)len;
	if (dev->negotiation.sealed && known && value <= 1)
		iommu_set_bypass(v->iommu, value);
	show_bypass(v);
}

/* A reset takes every mapping away, so it is over when an UNMAP of everything would be. */
static bool iommu_can_reset(struct virtio_device *dev)
{
	struct virtio_iommu *v = to_iommu(dev);

	iommu_reset(v->iommu);
	if (iommu_is_quiet(v->iommu)) {
		v->patience_ends = 0;
		return true;
	}
	if (v->patience_ends == 0)
		v->patience_ends = clock_now_ms() + RESET_PATIENCE_MS;
	else if (clock_now_ms() >= v->patience_ends)
		iommu_enforce(v->iommu);
	return false;
}

static void iommu_was_reset(struct virtio_device *dev)
{
	struct virtio_iommu *v = to_iommu(dev);
	struct iommu_fault fault;

	iommu_reset(v->iommu);
	v->patience_ends = 0;
	/* The next driver does not hear of them.  No queue runs: nobody else takes any. */
	while (iommu_take_fault(v->iommu, &fault))
		continue;
}

static void iommu_system_reset(struct virtio_device *dev)
{
	struct virtio_iommu *v = to_iommu(dev);

	iommu_set_bypass(v->iommu, v->bypass_at_power_on);
	show_bypass(v);
}

static void iommu_destroy_model(struct virtio_device *dev)
{
	struct virtio_iommu *v = to_iommu(dev);

	virtio_device_fini(dev);
	fd_close(&v->tick.fd);
	free(v);
}

static const struct virtio_device_ops iommu_ops = {
	.config_written = iommu_config_written,
	.can_reset = iommu_can_reset,
	.reset = iommu_was_reset,
	.system_reset = iommu_system_reset,
	.destroy = iommu_destroy_model,
};

static struct features offered(void)
{
	static const uint8_t bits[] = {
		VIRTIO_IOMMU_F_INPUT_RANGE, VIRTIO_IOMMU_F_DOMAIN_RANGE,
		VIRTIO_IOMMU_F_MAP_UNMAP, VIRTIO_IOMMU_F_PROBE, VIRTIO_IOMMU_F_BYPASS_CONFIG,
	};
	struct features f = FEATURES_EMPTY;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		features_add(&f, bits[i]);
	return f;
}

static int init_device(struct virtio_iommu *v, const char *name)
{
	static const uint16_t queue_size[IOMMU_QUEUES] = { QUEUE_SIZE, QUEUE_SIZE };
	uint8_t bytes[CONFIG_SIZE] = { 0 };
	const struct virtio_device_config dev = {
		.name = name,
		.id = VIRTIO_ID_IOMMU,
		.pci_class = PCI_CLASS_IOMMU,
		.features = offered(),
		.config = bytes,
		.config_len = CONFIG_SIZE,
		.n_queues = IOMMU_QUEUES,
		.queue_size = queue_size,
	};

	/* The granule, and every larger power of two as a hint: mappings have any length. */
	store_le64(bytes + CONFIG_PAGE_SIZES, ~(uint64_t)(IOMMU_GRANULE - 1));
	store_le64(bytes + CONFIG_INPUT_LAST, IOMMU_INPUT_LAST);
	store_le32(bytes + CONFIG_DOMAIN_LAST, IOMMU_DOMAIN_LAST);
	store_le32(bytes + CONFIG_PROBE_SIZE, IOMMU_PROBE_SIZE);
	bytes[CONFIG_BYPASS] = v->bypass_at_power_on;
	int r = virtio_device_init(&v->dev, &iommu_ops, &dev);

	v->dev.config_writable[CONFIG_BYPASS] = 0xff;
	return r;
}

int virtio_iommu_create(struct virtio_device **out, const struct virtio_iommu_config *config)
{
	struct event_loop *loop[IOMMU_QUEUES] = { config->loop, config->loop };
	struct virtio_iommu *v = calloc(1, sizeof(*v));

	*out = NULL;
	if (!v)
		return error_set(ENOMEM, "create '%s'", config->name);
	v->iommu = config->iommu;
	v->bypass_at_power_on = iommu_bypass(config->iommu);
	v->loop = config->loop;
	v->faults = (struct event_source){ .fd = iommu_fault_fd(v->iommu), .fn = fault_came };
	v->tick = (struct event_source){ .fd = FD_NONE, .fn = ticked };
	int r = init_device(v, config->name);

	if (r == 0) {
		v->tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (v->tick.fd < 0)
			r = error_set(errno, "create the timer of '%s'", config->name);
	}
	if (r == 0)
		r = local_create(&v->datapath, &iommu_local_ops, v, loop, IOMMU_QUEUES);
	if (r < 0) {
		iommu_destroy_model(&v->dev);
		return r;
	}
	virtio_device_add_part(&v->dev, v->datapath, 0, IOMMU_QUEUES);
	*out = &v->dev;
	return 0;
}
