/*
 * The virtio entropy device: fills what the driver supplies from getrandom(2), straight into guest
 * memory, so that no byte is ever kept or given twice.
 *
 * virtio-v1.4 5.4 "Entropy Device"
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "devices/virtio_models.h"
#include "virtio/datapath_local.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"

enum {
	QUEUE_SIZE = 64,
	PCI_CLASS_UNCLASSIFIED = 0x00ff00,
	/* A request may be for gigabytes; it gets this much, and the loop its time back. */
	MAX_PER_CHAIN = 16 << 10,
	MAX_CHAINS_PER_TURN = 16,
};

struct virtio_rng {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct log_limit log;
};

/* Returns how many random bytes were put at the start of the chain: at least 1, or 0 on failure. */
static uint32_t fill(const struct chain *c)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->n_in && done < MAX_PER_CHAIN; i++) {
		size_t len = min_u64(c->in[i].iov_len, MAX_PER_CHAIN - done);
		size_t got = 0;

		while (got < len) {
			ssize_t n = getrandom((uint8_t *)c->in[i].iov_base + got, len - got, 0);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return done + (uint32_t)got;
			got += (size_t)n;
		}
		done += (uint32_t)len;
	}
	return done;
}

static void rng_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_rng *rng = model;
	struct chain c;

	(void)index;
	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN; n++) {
		if (virtqueue_pop(q, &c) != VQ_CHAIN)
			return;
		uint32_t filled = c.in_len > 0 ? fill(&c) : 0;
		if (filled == 0 && c.in_len > 0) {
			/* No answer is better than one that can be guessed. */
			virtqueue_unpop(q, &c);
			log_guest(&rng->log, LOG_WARNING, "%s: getrandom: %s", rng->dev.name,
				  error_name(errno));
			return;
		}
		virtqueue_push(q, c.head, filled);
	}
}

static const struct local_ops rng_local_ops = {
	.handle = rng_handle,
};

static void rng_destroy(struct virtio_device *dev)
{
	virtio_device_fini(dev);
	free(container_of(dev, struct virtio_rng, dev));
}

static const struct virtio_device_ops rng_ops = {
	.destroy = rng_destroy,
};

int virtio_rng_create(struct virtio_device **out, const struct virtio_rng_config *config)
{
	static const uint16_t queue_size[] = { QUEUE_SIZE };
	const struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_RNG,
		.pci_class = PCI_CLASS_UNCLASSIFIED,
		.features = FEATURES_EMPTY,
		.n_queues = 1,
		.queue_size = queue_size,
	};
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int r;

	*out = NULL;
	if (!rng)
		return error_set(ENOMEM, "create '%s'", config->name);
	r = virtio_device_init(&rng->dev, &rng_ops, &dev);
	if (r == 0)
		r = local_create(&rng->datapath, &rng_local_ops, rng, &config->loop, 1);
	if (r < 0) {
		rng_destroy(&rng->dev);
		return r;
	}
	virtio_device_add_part(&rng->dev, rng->datapath, 0, 1);
	*out = &rng->dev;
	return 0;
}
