/*
 * The account of one device for people and programs: what it is, how it is reached, how far a
 * driver got with it, each feature bit that anybody mentions, and the driver's mistakes.  A copy.
 */
#ifndef VIRTIO_DEVICE_ACCOUNT_H
#define VIRTIO_DEVICE_ACCOUNT_H

#include "virtio/feature_account.h"
#include "virtio/transport.h"

struct device_account {
	char name[80];
	enum virtio_device_id id;
	enum virtio_transport_kind transport;
	bool runs;			/* in a machine; else the rest of this is nothing */
	uint8_t status;
	bool has_session;		/* the features of a driver count now */
	bool legacy_driver;		/* of this session, or else of the last one */
	uint32_t n_sessions;		/* since power-on, this one included */
	char refusal[128];		/* the last set of features that was refused; or "" */
	bool strict;
	struct driver_mistakes mistakes;

	struct {
		unsigned first_queue, n_queues;
		char datapath[40];	/* who moves its buffers */
		char other[40];		/* who could, too; or "" */
		struct datapath_account more;
	} part[VIRTIO_MAX_PARTS];
	unsigned n_parts;
	struct feature_account bit[FEATURES_BITS];
	unsigned n_bits;
};

/*
 * Take the account of 'dev' over 'transport'.  A failure of a ring that the main loop has not heard
 * of yet is carried out first.  Machine lock held, if there is a machine; main thread.
 */
void device_account_take(struct device_account *out, struct virtio_device *dev,
			 enum virtio_transport_kind transport);

/* "block device", or "device" for a type without a name here. */
const char *device_type_name(enum virtio_device_id id);

/* "DRIVER_OK"; NULL for a bit of the status that has no name. */
const char *device_status_name(uint8_t bit);

#endif
