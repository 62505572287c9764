/* What a device has to say in the event log: its features by name, and who moves its buffers. */
#include <stdio.h>
#include <string.h>

#include "virtio/virtio_device_impl.h"

void virtio_device_note(const struct virtio_device *dev, enum event_kind kind, int value,
			const char *text)
{
	event_note(kind, dev->name, value, "%s", text);
}

void virtio_device_note_features(const struct virtio_device *dev)
{
	char text[EVENT_TEXT_SIZE] = "", name[24];
	size_t len = 0;

	/* What does not fit is cut off, as whole names. */
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		if (!features_has(&dev->negotiation.accepted, bit))
			continue;
		const char *one = feature_name(name, bit, dev->id);
		if (len + strlen(one) + 5 >= sizeof(text)) {
			snprintf(text + len, sizeof(text) - len, " ...");
			break;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
					one);
	}
	event_note(EVENT_FEATURES, dev->name, 0, "%s", text);
}

void virtio_device_note_datapath(const struct virtio_device *dev, unsigned part)
{
	event_note(EVENT_DATAPATH, dev->name, (int64_t)dev->part[part].first_queue, "%s",
		   dev->part[part].datapath->name);
}

void virtio_device_note_datapaths(const struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->n_parts; i++)
		virtio_device_note_datapath(dev, i);
}
