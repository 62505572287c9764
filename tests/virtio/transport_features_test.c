/* Which bits each kind of transport lets a device offer; no machine, no bus. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/echo_device.h"
#include "virtio/transport.h"
#include "vmm/base/error.h"

static struct event_loop *loop;
static struct virtio_device *dev;

static void setup(void)
{
	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	dev = &echo_device_create(loop)->dev;
}

static void teardown(void)
{
	dev->ops->destroy(dev);
	event_loop_destroy(loop);
}

TestSuite(transport_features, .init = setup, .fini = teardown);

static const enum virtio_transport_kind kinds[] = {
	VIRTIO_PCI, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_LEGACY, VIRTIO_MMIO, VIRTIO_MMIO_LEGACY,
};

Test(transport_features, each_kind_has_its_interfaces)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *name = virtio_transport_name(kinds[i]);
		bool modern = strcmp(name, "pci-legacy") && strcmp(name, "mmio-legacy");
		bool legacy = strcmp(name, "pci") && strcmp(name, "mmio");

		cr_assert_eq(virtio_transport_settle_features(dev, kinds[i]), 0, "%s", name);
		cr_expect_eq(features_has(&dev->negotiation.offered, VIRTIO_F_VERSION_1), modern,
			     "%s", name);
		cr_expect_eq(features_has(&dev->negotiation.offered_legacy, VIRTIO_NET_F_CSUM),
			     legacy, "%s", name);
	}
}

Test(transport_features, each_kind_carries_what_it_can)
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_NOTIF_CONFIG_DATA);
	virtio_device_want_features(dev, on, FEATURES_EMPTY);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool has = kinds[i] == VIRTIO_PCI || kinds[i] == VIRTIO_PCI_TRANSITIONAL;
		int r = virtio_transport_settle_features(dev, kinds[i]);

		cr_expect_eq(r == 0, has, "%s", virtio_transport_name(kinds[i]));
		if (r < 0)
			cr_expect_not_null(strstr(error_text(), "offer the features of 'echo0' over "));
		error_clear();
	}
}

Test(transport_features, a_type_without_a_legacy_interface_has_none)
{
	dev->id = VIRTIO_ID_VSOCK;
	cr_expect_eq(virtio_transport_settle_features(dev, VIRTIO_PCI_LEGACY), -EINVAL);
	cr_expect_str_eq(error_text(), "devices of type 19 have no legacy interface");
	cr_expect_eq(virtio_transport_settle_features(dev, VIRTIO_PCI), 0);
}
