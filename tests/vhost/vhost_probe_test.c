/* What a node of the host offers, in words; and what is said of nodes that are none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vhost/vhost_probe.h"
#include "vmm/base/error.h"

Test(vhost_probe, bits_have_their_names_and_numbers)
{
	char buf[VHOST_BITS_SIZE];

	cr_assert_str_eq(vhost_feature_bits(buf, 0, VIRTIO_ID_NET), "");
	cr_assert_str_eq(vhost_feature_bits(buf, UINT64_C(0x300000002), VIRTIO_ID_VSOCK),
			 "1 VIRTIO_VSOCK_F_SEQPACKET, 32 VIRTIO_F_VERSION_1, "
			 "33 VIRTIO_F_ACCESS_PLATFORM");
	cr_assert_str_eq(vhost_backend_bits(buf, 0x6),
			 "1 IOTLB_MSG_V2, 2 IOTLB_BATCH");
}

/* N17, N18: a number that means something else here, and one that means nothing to us. */
Test(vhost_probe, a_bit_means_what_it_means_for_this_device)
{
	char buf[VHOST_BITS_SIZE];

	cr_assert_str_eq(vhost_feature_bits(buf, 1 << 27, VIRTIO_ID_NET),
			 "27 VHOST_NET_F_VIRTIO_NET_HDR");
	cr_assert_str_eq(vhost_feature_bits(buf, 1 << 27, VIRTIO_ID_SCSI),
			 "27 VIRTIO_F_ANY_LAYOUT");
	cr_assert_str_eq(vhost_feature_bits(buf, UINT64_C(1) << 44, VIRTIO_ID_SCSI), "44");
}

Test(vhost_probe, a_list_that_is_too_long_is_cut_off)
{
	char buf[VHOST_BITS_SIZE];

	memset(buf, 'x', sizeof(buf));
	vhost_feature_bits(buf, UINT64_MAX, VIRTIO_ID_NET);
	cr_assert_eq(strlen(buf), VHOST_BITS_SIZE - 1);
}

Test(vhost_probe, a_node_that_is_none_is_told_by_its_kind)
{
	struct vhost_probe probe;

	vhost_probe(&probe, "/nonexistent/vhost-net");
	cr_assert_eq(probe.verdict, VHOST_NO_NODE);
	cr_assert_eq(probe.err, ENOENT);
	vhost_probe(&probe, "/dev/null");
	cr_assert_eq(probe.verdict, VHOST_BROKEN);
	cr_assert_eq(probe.err, ENOTTY);
	cr_assert_not(probe.has_backend_features);
}

/* Four reasons, four sentences, each with what helps. */
Test(vhost_probe, each_way_not_to_open_has_its_sentence_and_fix)
{
	static const struct {
		int err;
		const char *path, *sentence, *fix;
	} rows[] = {
		{ ENOENT, "/dev/vhost-net", "the host does not have it",
		  "sudo modprobe vhost_net; in a container, pass --device /dev/vhost-net" },
		{ ENODEV, "/dev/vhost-scsi", "no driver is behind it",
		  "sudo modprobe vhost_scsi; if there is no such module, the kernel needs "
		  "CONFIG_VHOST_SCSI" },
		{ ENODEV, "/dev/vhost-vsock", "no driver is behind it",
		  "sudo modprobe vhost_vsock; if that is busy, sudo modprobe -r "
		  "vmw_vsock_vmci_transport first" },
		{ EACCES, "/dev/vhost-vsock", "may not be opened by this user",
		  "sudo setfacl -m u:$USER:rw /dev/vhost-vsock" },
		{ EBUSY, "/dev/vhost-vsock", "another process has it",
		  "end the process that uses it (sudo fuser -v /dev/vhost-vsock)" },
	};
	struct error_chain chain;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(vhost_open_failed(rows[i].err, rows[i].path), -rows[i].err);
		error_save(&chain);
		error_clear();
		cr_expect_eq(chain.err, rows[i].err);
		cr_expect_not_null(strstr(chain.line[0], rows[i].sentence), "%s", chain.line[0]);
		cr_expect_not_null(strstr(chain.line[0], rows[i].path));
		cr_expect_str_eq(chain.hint, rows[i].fix);
	}
}
