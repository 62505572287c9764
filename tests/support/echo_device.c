#include "tests/support/echo_device.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/iov.h"

static int echo_start(void *model, const struct datapath_start *start)
{
	struct echo_device *echo = model;

	if (echo->refuse_start)
		return error_set(EIO, "the echo was told to fail");
	echo->n_starts++;
	echo->started_with = start->features;
	return 0;
}

static void echo_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct echo_device *echo = model;

	echo->n_queue_starts++;
	echo->queue[index] = (struct echo_queue){ .vq = q };
}

static void answer(struct virtqueue *q, const struct chain *c)
{
	size_t done = 0;

	for (unsigned i = 0; i < c->n_out; i++)
		done += iov_write(c->in, c->n_in, done, c->out[i].iov_base, c->out[i].iov_len);
	virtqueue_push(q, c->head, (uint32_t)done);
}

static void echo_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct echo_device *echo = model;
	struct echo_queue *eq = &echo->queue[index];
	struct chain c;

	echo->n_handled++;
	while (!(echo->max_held && eq->n_held == echo->max_held) &&
	       virtqueue_pop(q, &c) == VQ_CHAIN) {
		if (echo->hold)
			eq->held[eq->n_held++] = c;
		else
			answer(q, &c);
	}
}

static void echo_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct echo_device *echo = model;

	(void)q;
	echo->n_queue_stops++;
	echo->n_hard_stops += echo->slow && echo->queue[index].n_held > 0;
	echo->queue[index] = (struct echo_queue){ .vq = NULL };
}

static void echo_stop(void *model)
{
	struct echo_device *echo = model;

	echo->n_stops++;
}

static void echo_cancel(void *model, unsigned index)
{
	struct echo_device *echo = model;

	(void)index;
	echo->n_cancels++;
}

static bool echo_waits(void *model, unsigned index)
{
	const struct echo_device *echo = model;

	if (echo->look_us > 0)
		usleep(echo->look_us);
	return echo->slow && echo->queue[index].n_held > 0;
}

static const struct local_ops echo_local_ops = {
	.start = echo_start,
	.queue_start = echo_queue_start,
	.handle = echo_handle,
	.queue_stop = echo_queue_stop,
	.cancel = echo_cancel,
	.waits = echo_waits,
	.stop = echo_stop,
};

void echo_device_release(struct echo_device *echo, unsigned index)
{
	struct echo_queue *eq = &echo->queue[index];

	for (unsigned i = 0; i < eq->n_held; i++)
		answer(eq->vq, &eq->held[i]);
	eq->n_held = 0;
	virtqueue_flush(eq->vq);
	local_queue_resume(echo->datapath, index);
}

static struct echo_device *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct echo_device, dev);
}

static void echo_sealed(struct virtio_device *dev)
{
	from_dev(dev)->n_sealed++;
}

static void echo_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	(void)offset;
	(void)len;
	from_dev(dev)->n_config_written++;
}

static void echo_reset(struct virtio_device *dev)
{
	from_dev(dev)->n_resets++;
}

static void echo_destroy(struct virtio_device *dev)
{
	struct echo_device *echo = from_dev(dev);

	if (echo->destroyed)
		*echo->destroyed = true;
	virtio_device_fini(dev);
	free(echo);
}

static const struct virtio_device_ops echo_device_ops = {
	.sealed = echo_sealed,
	.config_written = echo_config_written,
	.reset = echo_reset,
	.destroy = echo_destroy,
};

int echo_device_try(struct echo_device **out, struct event_loop *loop)
{
	struct echo_device *echo = calloc(1, sizeof(*echo));
	struct event_loop *loops[ECHO_QUEUES];
	uint16_t size[ECHO_QUEUES];
	uint8_t config[ECHO_CONFIG_LEN];
	struct virtio_device_config dc = {
		.name = "echo0",
		.id = VIRTIO_ID_NET,
		.pci_class = 0x020000,
		.config = config,
		.config_len = sizeof(config),
		.n_queues = ECHO_QUEUES,
		.queue_size = size,
	};

	*out = NULL;
	if (!echo)
		return error_set(ENOMEM, "create an echo");
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++)
		config[i] = (uint8_t)(0x10 + i);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		size[i] = ECHO_QUEUE_SIZE;
		loops[i] = loop;
	}
	features_add(&dc.features, VIRTIO_NET_F_CSUM);
	features_add(&dc.features, VIRTIO_NET_F_HOST_TSO4);
	features_add(&dc.features, VIRTIO_NET_F_MTU);
	echo->loop = loop;
	int r = virtio_device_init(&echo->dev, &echo_device_ops, &dc);
	if (r == 0)
		r = local_create(&echo->datapath, &echo_local_ops, echo, loops, ECHO_QUEUES);
	if (r < 0) {
		echo_destroy(&echo->dev);
		return r;
	}
	for (unsigned i = 0; i < 4; i++)
		echo->dev.config_writable[ECHO_CONFIG_WRITABLE + i] = 0xff;
	virtio_device_add_part(&echo->dev, echo->datapath, 0, ECHO_QUEUES);
	*out = echo;
	return 0;
}

struct echo_device *echo_device_create(struct event_loop *loop)
{
	struct echo_device *echo;

	cr_assert_eq(echo_device_try(&echo, loop), 0, "%s", error_text());
	return echo;
}
