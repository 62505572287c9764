/*
 * The vhost-net of a real kernel behind our IOMMU (N16), in a storm: frames come all the time, and
 * what they are written to is unmapped under them.  Once that is answered the kernel writes there
 * no more, whatever it had translated before.  The test is the driver; elsewhere than in the test
 * bed it is skipped.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cable.h"
#include "tests/support/loop_pump.h"
#include "tests/support/real_vhost.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_net.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum {
	ENDPOINT = 8, DOMAIN = 1, PAGE = 4096, RX = 0,
	RINGS_LEN = 64 * PAGE,
	BUFFERS_AT = 0x200000,
	NET_HEADER = 12, FRAME = 1000,
	STORMS = 60, UNTOUCHED = 0xa5, PAINT = 0x6b, WAIT_MS = 20000,
};
#define IOVA UINT64_C(0x40000000)

static struct vhost_rig rig;
static struct iommu *iommu;
static int tap = FD_NONE, wire = FD_NONE;
static atomic_bool is_over;
static pthread_t sender;

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
}

static uint8_t *page(unsigned i)
{
	return fake_machine_driver_at(rig.machine, BUFFERS_AT + (uint64_t)i * PAGE, PAGE);
}

static void map_to(uint64_t at, uint64_t len)
{
	cr_assert_eq(iommu_map(iommu, DOMAIN, IOVA + at, IOVA + at + len - 1, at,
			       IOMMU_READ | IOMMU_WRITE), 0);
}

static void unmap(uint64_t at, uint64_t len)
{
	struct iommu_ticket ticket;

	cr_assert_eq(iommu_unmap(iommu, DOMAIN, IOVA + at, IOVA + at + len - 1, &ticket), 0);
	for (unsigned i = 0; !iommu_ticket_is_over(iommu, &ticket); i++) {
		cr_assert_lt(i, WAIT_MS);
		usleep(1000);
	}
}

/* --- the other end of the cable -------------------------------------------------------------- */

static int tap_fd(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
	return tap;
}

/* Frames without end; those that there is no room for are lost. */
static void *flood(void *arg)
{
	uint8_t frame[FRAME];

	(void)arg;
	memset(frame, 0x11, sizeof(frame));
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02vhost\x88\xb5", 8);
	while (!atomic_load(&is_over))
		(void)!write(wire, frame, sizeof(frame));
	return NULL;
}

/* --- the driver ------------------------------------------------------------------------------ */

static void need_net(void)
{
	const struct iommu_config config = { .n_endpoints = 1, .n_mappings = 64 };
	struct iommu_ticket ticket;
	struct datapath *dp;

	real_vhost_need("/dev/vhost-net");
	cable_create(&tap, &wire, SOCK_NONBLOCK);
	vhost_rig_init(&rig, FEATURES_EMPTY, 2);
	cr_assert_eq(iommu_create(&iommu, &config), 0);
	iommu_set_memory(iommu, &rig.machine->m.memory);
	rig.start.dma = iommu_add_endpoint(iommu, ENDPOINT, lost, NULL);
	cr_assert_eq(iommu_attach(iommu, ENDPOINT, DOMAIN, false, &ticket), 0);
	map_to(VHOST_RIG_RINGS_AT, RINGS_LEN);
	cr_assert_eq(vhost_net_create(&dp, &(struct vhost_net_config){
		.path = "/dev/vhost-net",
		.n_pairs = 1,
		.tap_fd = tap_fd,
		.loop = &rig.loop,
		.n_loops = 1,
	}), 0, "%s", error_text());
	vhost_rig_use(&rig, dp);
	rig.start.features = FEATURES(VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF,
				      VIRTIO_F_ACCESS_PLATFORM);
	atomic_store(&is_over, false);
	cr_assert_eq(pthread_create(&sender, NULL, flood, NULL), 0);
}

static void fini_net(void)
{
	atomic_store(&is_over, true);
	pthread_join(sender, NULL);
	vhost_rig_fini(&rig);
	iommu_destroy(iommu);
	fd_close(&tap);
	fd_close(&wire);
}

TestSuite(real_iotlb, .init = need_net, .fini = fini_net, .timeout = 300);

/* Fresh rings at the device's addresses, and a page for each buffer, each mapped for itself. */
static void begin(void)
{
	vhost_rig_lay_out(&rig, FAKE_SPLIT);
	for (unsigned i = 0; i < 2; i++) {
		rig.queue[i].desc += IOVA;
		rig.queue[i].driver += IOVA;
		rig.queue[i].device += IOVA;
	}
	for (unsigned i = 0; i < VHOST_RIG_QUEUE_SIZE; i++) {
		struct fake_buf buf = { IOVA + BUFFERS_AT + i * PAGE, PAGE, true };

		map_to(BUFFERS_AT + i * PAGE, PAGE);
		memset(page(i), UNTOUCHED, PAGE);
		fake_ring_add(&rig.ring[RX], &buf, 1);
	}
	rig.n_fails = 0;
	vhost_rig_start(&rig);
	fd_signal(rig.kick[RX]);
}

/* Give every buffer back that was filled, until 'n' were; translations are asked for meanwhile. */
static unsigned receive(unsigned n)
{
	unsigned n_got = 0;
	uint32_t id, len;

	for (unsigned ms = 0; n_got < n && rig.n_fails == 0 && ms < WAIT_MS;) {
		loop_pump(rig.loop);
		if (!fake_ring_reap(&rig.ring[RX], &id, &len)) {
			usleep(1000);
			ms++;
			continue;
		}
		unsigned at = BUFFERS_AT + n_got++ % VHOST_RIG_QUEUE_SIZE * PAGE;
		struct fake_buf buf = { IOVA + at, PAGE, true };

		fake_ring_add(&rig.ring[RX], &buf, 1);
		fd_signal(rig.kick[RX]);
	}
	return n_got;
}

/* covers: IOMMU-OP-12 */
Test(real_iotlb, what_was_unmapped_under_frames_is_not_written_any_more)
{
	unsigned n_received = 0;

	for (unsigned storm = 0; storm < STORMS; storm++) {
		unsigned n = 8 + storm * 7 % 40;

		begin();
		cr_assert_eq(receive(n), n, "frames do not come");
		n_received += n;
		unmap(BUFFERS_AT, VHOST_RIG_QUEUE_SIZE * PAGE);
		for (unsigned i = 0; i < VHOST_RIG_QUEUE_SIZE; i++)
			memset(page(i), PAINT, PAGE);
		for (unsigned ms = 0; ms < 20; ms++) {
			loop_pump(rig.loop);
			usleep(1000);
		}
		for (unsigned i = 0; i < VHOST_RIG_QUEUE_SIZE * PAGE; i++)
			cr_assert_eq(page(0)[i], PAINT, "storm %u: byte %u was written", storm, i);
		vhost_rig_stop(&rig);
	}
	cr_assert_geq(n_received, STORMS * 8);
}
