/* N16: a vhost behind our IOMMU, as the kernel hears of it. */
#include "vhost/iotlb.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/loop_pump.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_datapath.h"
#include "vhost/vhost_vsock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { ENDPOINT = 8, DOMAIN = 1, PAGE = 4096 };
#define IOVA UINT64_C(0x40000000)
#define DATA UINT64_C(0x200000)

static struct vhost_rig rig;
static struct iommu *iommu;
static struct iommu_ticket ticket;
static unsigned n_lost;

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
	n_lost++;
}

static void map_to(uint64_t iova, uint64_t gpa, uint64_t len, uint32_t access)
{
	cr_assert_eq(iommu_map(iommu, DOMAIN, iova, iova + len - 1, gpa, access), 0);
}

static void use(void)
{
	uint64_t cid = 3;
	struct datapath *dp;

	cr_assert_eq(vhost_vsock_create(&dp, &cid, &(struct vhost_vsock_config){
		.path = "/dev/vhost-vsock", .fd = FD_NONE, .cid = cid, .loop = rig.loop,
		.open = fake_vhost_open,
	}), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
}

/* Two rings of 16 in the first pages, mapped at IOVA and up. */
static void setup(void)
{
	const struct iommu_config config = { .n_endpoints = 1, .n_mappings = 64 };

	vhost_rig_init(&rig, fake_vhost_vsock_features(), 2);
	cr_assert_eq(fd_create_event(&rig.fake.miss_fd), 0);
	cr_assert_eq(iommu_create(&iommu, &config), 0);
	iommu_set_memory(iommu, &rig.machine->m.memory);
	rig.start.dma = iommu_add_endpoint(iommu, ENDPOINT, lost, NULL);
	cr_assert_eq(iommu_attach(iommu, ENDPOINT, DOMAIN, false, &ticket), 0);
	map_to(IOVA + VHOST_RIG_RINGS_AT, VHOST_RIG_RINGS_AT, 64 * PAGE, 3);
	for (unsigned i = 0; i < 2; i++) {
		rig.queue[i].desc += IOVA;
		rig.queue[i].driver += IOVA;
		rig.queue[i].device += IOVA;
	}
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM);
	use();
	fake_vhost_clear(&rig.fake);
	n_lost = 0;
}

static void teardown(void)
{
	int fd = rig.fake.miss_fd;

	vhost_rig_fini(&rig);
	iommu_destroy(iommu);
	fd_close(&fd);
}

TestSuite(iotlb, .init = setup, .fini = teardown);

static void miss(uint64_t iova, unsigned may)
{
	rig.fake.miss = (struct vhost_iotlb_message){
		.type = VHOST_IOTLB_IS_MISS, .iova = iova, .size = 1, .may = may,
	};
	fd_signal(rig.fake.miss_fd);
	loop_pump(rig.loop);
	fd_drain(rig.fake.miss_fd);
}

/* The pages of a ring are told before it runs; its addresses are the device's. */
Test(iotlb, the_ladder_with_an_iommu_in_front)
{
	vhost_rig_start(&rig);
	fake_vhost_expect(&rig.fake, "SET_FEATURES 32 33\n"
				     "SET_MEM_TABLE 2\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "SET_VRING_NUM 0: 16\n"
				     "SET_VRING_BASE 0: 0\n"
				     "SET_VRING_ADDR 0\n"
				     "SET_VRING_ERR 0: fd\n"
				     "SET_VRING_CALL 0: fd\n"
				     "SET_VRING_KICK 0: fd\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "IOTLB 5 0+0\n"
				     "IOTLB 2 0x40010000+0x40000\n"
				     "IOTLB 6 0+0\n"
				     "SET_VRING_NUM 1: 16\n"
				     "SET_VRING_BASE 1: 0\n"
				     "SET_VRING_ADDR 1\n"
				     "SET_VRING_ERR 1: fd\n"
				     "SET_VRING_CALL 1: fd\n"
				     "SET_VRING_KICK 1: fd\n"
				     "VSOCK_SET_RUNNING 1\n");
	cr_expect_eq(rig.fake.ring[0][0].addr.desc, rig.queue[0].desc);
	cr_expect_eq(rig.fake.ring[0][1].addr.used, rig.queue[1].device);
	vhost_rig_stop(&rig);
	/* What comes then is nobody's. */
	fake_vhost_clear(&rig.fake);
	cr_assert_eq(iommu_detach(iommu, ENDPOINT, DOMAIN, &ticket), 0);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	fake_vhost_expect(&rig.fake, "");
	cr_expect_eq(n_lost, 0);
}

Test(iotlb, a_miss_is_answered_with_the_whole_mapping)
{
	vhost_rig_start(&rig);
	map_to(IOVA + DATA, DATA, 4 * PAGE, IOMMU_READ);
	fake_vhost_clear(&rig.fake);
	miss(IOVA + DATA + 5, VHOST_IOTLB_MAY_READ);
	fake_vhost_expect(&rig.fake, "IOTLB 2 0x40200000+0x4000\n");
	cr_expect_eq(rig.n_fails, 0);
}

/* What goes further than it may is a fault and the end of the session, and never answered. */
Test(iotlb, a_miss_that_nothing_answers_is_a_fault)
{
	struct iommu_fault fault;

	vhost_rig_start(&rig);
	map_to(IOVA + DATA, DATA, PAGE, IOMMU_READ);
	fake_vhost_clear(&rig.fake);
	miss(IOVA + DATA, VHOST_IOTLB_MAY_WRITE);
	fake_vhost_expect(&rig.fake, "");
	cr_expect_eq(rig.n_fails, 1);
	cr_assert(iommu_take_fault(iommu, &fault));
	cr_expect(fault.addr == IOVA + DATA && fault.access == IOMMU_WRITE);
	miss(DATA, VHOST_IOTLB_MAY_READ);
	fake_vhost_expect(&rig.fake, "");
	cr_assert(iommu_take_fault(iommu, &fault));
	cr_expect(fault.addr == DATA && fault.reason == IOMMU_NO_MAPPING);
}

/* A guest can have its kernel ask as often as it likes; the loop has other things to do. */
Test(iotlb, a_storm_of_misses_is_answered_bit_by_bit)
{
	struct vhost_iotlb *t = &vhost_datapath_node(rig.dp, 0)->iotlb;
	struct iommu_fault fault;

	vhost_rig_start(&rig);
	map_to(IOVA + DATA, DATA, PAGE, IOMMU_READ);
	fake_vhost_clear(&rig.fake);
	rig.fake.miss = (struct vhost_iotlb_message){
		.type = VHOST_IOTLB_IS_MISS, .iova = IOVA + DATA, .size = 1,
		.may = VHOST_IOTLB_MAY_READ,
	};
	rig.fake.miss_again = 1000;
	vhost_iotlb_serve(t);
	cr_expect_eq(rig.fake.n_lines, 64);
	cr_expect_eq(rig.fake.miss_again, 1000 - 64);
	cr_expect_eq(rig.n_fails, 0);
	/* The first that nothing answers is the last that is looked at. */
	rig.fake.miss.iova = DATA;
	fake_vhost_clear(&rig.fake);
	vhost_iotlb_serve(t);
	cr_expect_eq(rig.fake.miss_again, 1000 - 65);
	fake_vhost_expect(&rig.fake, "");
	cr_expect_eq(rig.n_fails, 1);
	cr_expect(iommu_take_fault(iommu, &fault));
	cr_expect_not(iommu_take_fault(iommu, &fault));
}

/* covers: IOMMU-OP-12 */
Test(iotlb, an_unmap_is_told_before_it_is_answered)
{
	vhost_rig_start(&rig);
	map_to(IOVA + DATA, DATA, 2 * PAGE, 3);
	fake_vhost_clear(&rig.fake);
	uint64_t last = IOVA + DATA + 2 * PAGE - 1;

	cr_assert_eq(iommu_unmap(iommu, DOMAIN, IOVA + DATA, last, &ticket), 0);
	fake_vhost_expect(&rig.fake, "IOTLB 3 0x40200000+0x2000\n");
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

Test(iotlb, a_ring_that_is_unmapped_ends_the_session)
{
	vhost_rig_start(&rig);
	cr_assert_eq(iommu_unmap(iommu, DOMAIN, 0, UINT64_MAX, &ticket), 0);
	cr_expect_eq(n_lost, 1);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	vhost_rig_stop(&rig);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	/* Nor does it start without. */
	cr_expect_eq(rig.dp->ops->start(rig.dp, &rig.start), -EINVAL);
}

Test(iotlb, a_kernel_that_cannot_ask_is_not_used_behind_an_iommu)
{
	rig.dp->ops->destroy(rig.dp);
	rig.fake.backend_features = 0;
	use();
	cr_expect_eq(rig.dp->ops->start(rig.dp, &rig.start), -EOPNOTSUPP);
	cr_expect_not(features_has(&rig.fake.told, VIRTIO_F_ACCESS_PLATFORM));
}

/*
 * N15, the other way: what a driver that knows nothing of the IOMMU calls addresses would be taken
 * for those of this process.
 */
Test(iotlb, a_driver_without_access_platform_is_no_start)
{
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1);
	cr_expect_eq(rig.dp->ops->start(rig.dp, &rig.start), -EOPNOTSUPP);
	fake_vhost_expect(&rig.fake, "");
}
