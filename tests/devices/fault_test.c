/*
 * Each model's life while each call to the system fails once, over both transports: made,
 * plugged, started, used, reset, started again, unplugged.  What fails before the guest runs is
 * reported with reasons; afterwards the guest is told, by DEVICE_NEEDS_RESET or by the answer to
 * its request.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "devices/iommu_request.h"
#include "devices/virtio_iommu.h"
#include "devices/virtio_models.h"
#include "devices/vsock_packet.h"
#include "tests/support/blk_rig.h"
#include "tests/support/fault.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"

enum { WAIT_S = 20, DATA = MIB(2) };

struct life {
	struct device_rig *rig;
	enum fake_transport transport;
	unsigned n_queues;
	/* Make the model; 0 or -errno with a chain. */
	int (*create)(struct life *life, struct virtio_device **out);
	/* Use it while it runs: FAULT_FINE or FAULT_SHOWN. */
	int (*use)(struct life *life);
	/* Optional: after it was unplugged. */
	void (*end)(struct life *life);
	struct virtio_blk_config *blk;
	struct chardev *chardev;
	int pipe[2];
};

static bool needs_reset(const struct life *life)
{
	return fake_driver_status(&life->rig->driver) & VIRTIO_STATUS_NEEDS_RESET;
}

/* Wait for the answer; false if the device gave up instead. */
static bool answered(struct life *life, unsigned queue)
{
	time_t deadline = time(NULL) + WAIT_S;
	uint32_t head, len;

	while (!fake_ring_reap(&life->rig->ring[queue], &head, &len)) {
		if (needs_reset(life))
			return false;
		cr_assert_lt(time(NULL), deadline, "%s failed: neither an answer nor NEEDS_RESET",
			     fault_hit() ? fault_hit() : "nothing");
		usleep(20);
		fake_machine_pump(life->rig->machine);
	}
	return true;
}

static int plug(struct life *life)
{
	struct device_rig *rig = life->rig;
	struct virtio_device *dev;
	int r = life->create(life, &dev);

	return r < 0 ? r : fake_driver_try_plug(&rig->driver, rig->machine, dev, life->transport, 0,
						&rig->transport);
}

static int start_and_use(struct life *life)
{
	struct device_rig *rig = life->rig;
	struct fake_driver *d = &rig->driver;

	rig->next = DATA;
	cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
	for (unsigned i = 0; i < life->n_queues; i++) {
		fake_ring_init(&rig->ring[i], rig->machine, RIG_QUEUE_SIZE,
			       device_rig_alloc(rig, fake_ring_bytes(RIG_QUEUE_SIZE)));
		fake_driver_set_queue(d, i, &rig->ring[i]);
		fake_driver_enable_queue(d, i);
	}
	fake_driver_set_status(d, 0xf);
	return needs_reset(life) ? FAULT_SHOWN : life->use(life);
}

static int live(void *arg)
{
	struct life *life = arg;
	int worst = FAULT_FINE;
	int r = plug(life);

	for (unsigned round = 0; round < 2 && r >= 0; round++) {
		int shown = start_and_use(life);
		worst = shown > worst ? shown : worst;
		fake_driver_reset(&life->rig->driver);
	}
	if (r >= 0) {
		device_rig_unplug(life->rig);
		fake_machine_pump(life->rig->machine);
	}
	if (life->end)
		life->end(life);
	cr_assert_eq(life->rig->machine->irq.n_attached, 0u);
	cr_assert_eq(life->rig->machine->n_bells, 0u);
	/* What was unplugged gives its place in the window to nobody: begin anew. */
	life->rig->machine->m.pci.next_mem = LAYOUT_PCI_MMIO;
	return r < 0 ? r : worst;
}

static void live_over_both(struct life *life)
{
	log_set_level(LOG_ERROR);
	for (int t = FAKE_PCI; t <= FAKE_MMIO; t++) {
		life->transport = (enum fake_transport)t;
		cr_assert_geq(fault_each(live, life), 10u);
	}
}

/* --- Block ----------------------------------------------------------------------------------- */

static int create_blk(struct life *life, struct virtio_device **out)
{
	return virtio_blk_create(out, life->blk);
}

static int request(struct life *life, struct blk_rig_request r)
{
	blk_rig_offer(0, &r);
	if (!answered(life, 0))
		return FAULT_SHOWN;
	return blk_rig_status(&r) == BLK_S_OK ? FAULT_FINE : FAULT_SHOWN;
}

static int use_blk(struct life *life)
{
	uint64_t gpa = device_rig_alloc(life->rig, 8192);
	uint64_t segment = device_rig_alloc(life->rig, 16);
	uint8_t *p = device_rig_at(life->rig, segment, 16);
	const struct blk_rig_request requests[] = {
		{ .type = BLK_T_IN, .sector = 8, .data = gpa, .in_len = 4096 },
		{ .type = BLK_T_OUT, .sector = 64, .data = gpa, .out_len = 8192 },
		{ .type = BLK_T_FLUSH },
		{ .type = BLK_T_WRITE_ZEROES, .data = segment, .out_len = 16 },
	};
	int worst = FAULT_FINE;

	store_le64(p, 200);
	store_le32(p + 8, 4);
	store_le32(p + 12, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		int r = request(life, requests[i]);

		/* No read is answered well with other bytes than the disk's. */
		if (requests[i].type == BLK_T_IN && r == FAULT_FINE)
			cr_assert(blk_rig_is_pattern(gpa, 8 * 512, 4096));
		worst = r > worst ? r : worst;
		if (needs_reset(life))
			return FAULT_SHOWN;
	}
	return worst;
}

static void live_as_blk(enum virtio_blk_engine engine, bool ephemeral)
{
	struct life life = { .rig = &blk_rig.device, .n_queues = 1, .create = create_blk,
			     .use = use_blk, .blk = &blk_rig.config };

	blk_rig_setup();
	blk_rig.config.engine = engine;
	blk_rig.config.ephemeral = ephemeral;
	if (engine == BLK_ENGINE_URING) {
		struct virtio_device *dev;
		if (virtio_blk_create(&dev, life.blk) < 0) {
			blk_rig_teardown();
			cr_skip_test("io_uring: the kernel or the build has none");
		}
		dev->ops->destroy(dev);
	}
	live_over_both(&life);
	blk_rig_teardown();
}

Test(fault, blk_on_uring)
{
	live_as_blk(BLK_ENGINE_URING, false);
}

Test(fault, blk_on_threads)
{
	live_as_blk(BLK_ENGINE_THREADS, false);
}

Test(fault, blk_with_overlay)
{
	live_as_blk(BLK_ENGINE_AUTO, true);
}

/* --- Entropy ---------------------------------------------------------------------------------- */

static struct device_rig rig;

static int create_rng(struct life *life, struct virtio_device **out)
{
	const struct virtio_rng_config config = { .name = "rng0", .loop = life->rig->io };

	return virtio_rng_create(out, &config);
}

static int use_rng(struct life *life)
{
	uint64_t gpa = device_rig_alloc(life->rig, 64);

	device_rig_add(life->rig, 0, &(struct fake_buf){ gpa, 64, true }, 1);
	return answered(life, 0) ? FAULT_FINE : FAULT_SHOWN;
}

Test(fault, rng)
{
	struct life life = { .rig = &rig, .n_queues = 1, .create = create_rng, .use = use_rng };

	device_rig_create(&rig);
	live_over_both(&life);
	rig.transport = NULL;
	event_loop_destroy(rig.io);
	fake_machine_destroy(rig.machine);
}

/* --- IOMMU ----------------------------------------------------------------------------------- */

enum { IOMMU_ENDPOINT = 0x18, IOMMU_REQUESTS = 0, IOMMU_EVENTS = 1 };

static struct iommu *iommu;
static const struct dma *behind;

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
}

static int create_iommu(struct life *life, struct virtio_device **out)
{
	const struct iommu_config tables = { .n_endpoints = 1, .n_mappings = 16 };
	struct virtio_iommu_config config = { .name = "iommu", .loop = life->rig->io };
	int r = iommu_create(&iommu, &tables);

	if (r < 0)
		return r;
	iommu_set_memory(iommu, &life->rig->machine->m.memory);
	behind = iommu_add_endpoint(iommu, IOMMU_ENDPOINT, lost, NULL);
	config.iommu = iommu;
	return virtio_iommu_create(out, &config);
}

static void end_iommu(struct life *life)
{
	(void)life;
	iommu_destroy(iommu);
	iommu = NULL;
}

/* Send an ATTACH or DETACH of domain 1; returns where its answer comes. */
static uint64_t ask_iommu(struct life *life, uint8_t type)
{
	uint64_t out = device_rig_alloc(life->rig, 20), in = device_rig_alloc(life->rig, 4);
	uint8_t *bytes = device_rig_at(life->rig, out, 20);

	memset(bytes, 0, 20);
	bytes[0] = type;
	store_le32(bytes + 4, 1);
	store_le32(bytes + 8, IOMMU_ENDPOINT);
	*(uint8_t *)device_rig_at(life->rig, in, 4) = 0xcc;
	device_rig_add(life->rig, IOMMU_REQUESTS,
		       (struct fake_buf[]){ { out, 20, false }, { in, 4, true } }, 2);
	return in;
}

static bool said_ok(struct life *life, uint64_t in)
{
	return answered(life, IOMMU_REQUESTS) &&
	       *(uint8_t *)device_rig_at(life->rig, in, 4) == IOMMU_S_OK;
}

/* A fault is reported, and a DETACH waits for a chain. */
static int use_iommu(struct life *life)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	uint64_t len = 1;

	device_rig_add(life->rig, IOMMU_EVENTS,
		       &(struct fake_buf){ device_rig_alloc(life->rig, 24), 24, true }, 1);
	unsigned era = dma_enter(behind);
	cr_assert_null(dma_pin(behind, &cache, 0x5000, &len, DMA_BOTH, &pin));
	dma_leave(behind, era);
	if (!answered(life, IOMMU_EVENTS) || !said_ok(life, ask_iommu(life, IOMMU_T_ATTACH)))
		return FAULT_SHOWN;
	era = dma_enter(behind);
	uint64_t in = ask_iommu(life, IOMMU_T_DETACH);

	usleep(1000);
	dma_leave(behind, era);
	return said_ok(life, in) ? FAULT_FINE : FAULT_SHOWN;
}

Test(fault, iommu)
{
	struct life life = {
		.rig = &rig, .n_queues = 2, .create = create_iommu, .use = use_iommu,
		.end = end_iommu,
	};

	device_rig_create(&rig);
	live_over_both(&life);
	rig.transport = NULL;
	event_loop_destroy(rig.io);
	fake_machine_destroy(rig.machine);
}

/* --- Console ---------------------------------------------------------------------------------- */

static int create_console(struct life *life, struct virtio_device **out)
{
	const struct chardev_config host = {
		.in_fd = life->pipe[0], .out_fd = life->pipe[1],
		.main_loop = life->rig->machine->m.main_loop,
	};
	struct virtio_console_config config = { .name = "console0", .loop = life->rig->io,
						.cols = 80, .rows = 25 };
	int r = chardev_create(&life->chardev, &host);

	if (r < 0)
		return r;
	config.chardev = life->chardev;
	return virtio_console_create(out, &config);
}

static void end_console(struct life *life)
{
	chardev_destroy(life->chardev);
	life->chardev = NULL;
}

/* What goes out comes in again, through a pipe. */
static int use_console(struct life *life)
{
	uint64_t to = device_rig_alloc(life->rig, 16), from = device_rig_alloc(life->rig, 16);

	memcpy(device_rig_at(life->rig, from, 6), "hello\n", 6);
	device_rig_add(life->rig, 0, &(struct fake_buf){ to, 16, true }, 1);
	device_rig_add(life->rig, 1, &(struct fake_buf){ from, 6, false }, 1);
	if (!answered(life, 1) || !answered(life, 0))
		return FAULT_SHOWN;
	cr_assert_arr_eq(device_rig_at(life->rig, to, 6), "hello\n", 6);
	return FAULT_FINE;
}

Test(fault, console)
{
	struct life life = { .rig = &rig, .n_queues = 2, .create = create_console,
			     .use = use_console, .end = end_console };

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe2(life.pipe, O_CLOEXEC | O_NONBLOCK), 0);
	device_rig_create(&rig);
	live_over_both(&life);
	event_loop_destroy(rig.io);
	fake_machine_destroy(rig.machine);
	fd_close(&life.pipe[0]);
	fd_close(&life.pipe[1]);
}

/* --- Network, over a real tap ---------------------------------------------------------------- */

static int create_net(struct life *life, struct virtio_device **out)
{
	const struct net_tap_config tap = { .name = "net0", .ifname = "vt0", .fd = FD_NONE,
					    .n_pairs = 2 };
	struct virtio_net_config config = {
		.name = "net0", .mac = { 0x52, 0x54 }, .n_pairs = 2, .queue_size = RIG_QUEUE_SIZE,
		.link_up = true, .loop = &life->rig->io, .n_loops = 1,
	};
	int r = net_tap_create(&config.peer, &tap);

	return r < 0 ? r : virtio_net_create(out, &config);
}

/* A frame goes out; a command turns on a mode. */
static int use_net(struct life *life)
{
	uint64_t gpa = device_rig_alloc(life->rig, 256);
	uint8_t *p = device_rig_at(life->rig, gpa, 256);
	struct fake_buf command[] = { { gpa + 128, 3, false }, { gpa + 192, 1, true } };

	memset(p, 0, 131);
	p[130] = 1;
	device_rig_add(life->rig, 1, &(struct fake_buf){ gpa, 100, false }, 1);
	if (!answered(life, 1))
		return FAULT_SHOWN;
	device_rig_add(life->rig, 4, command, 2);
	return answered(life, 4) && p[192] == 0 ? FAULT_FINE : FAULT_SHOWN;
}

Test(fault, net_on_a_tap)
{
	struct life life = { .rig = &rig, .n_queues = 5, .create = create_net, .use = use_net };

	if (access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		cr_skip_test("no /dev/net/tun, or no network namespace");
	device_rig_create(&rig);
	/* Making and deleting a tap takes the host's kernel long: over one transport. */
	log_set_level(LOG_ERROR);
	life.transport = FAKE_MMIO;
	cr_assert_geq(fault_each(live, &life), 10u);
	event_loop_destroy(rig.io);
	fake_machine_destroy(rig.machine);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static char vsock_path[64];
static int vsock_listener;

static int create_vsock(struct life *life, struct virtio_device **out)
{
	const struct virtio_vsock_config config = {
		.name = "vsock", .vhost = VIRTIO_OFFLOAD_OFF, .vhost_fd = FD_NONE,
		.socket = vsock_path, .loop = life->rig->io,
	};

	return virtio_vsock_create(out, &config);
}

/* A connection to the host's listener, or a RST. */
static int use_vsock(struct life *life)
{
	uint64_t to = device_rig_alloc(life->rig, 64), from = device_rig_alloc(life->rig, 64);
	const struct vsock_packet request = {
		.src_cid = 3, .dst_cid = VSOCK_CID_HOST, .src_port = 1, .dst_port = 5,
		.type = VSOCK_STREAM, .op = VSOCK_OP_REQUEST, .buf_alloc = 4096,
	};
	struct vsock_packet reply;

	vsock_packet_store(&request, device_rig_at(life->rig, from, VSOCK_HEADER_LEN));
	device_rig_add(life->rig, 0, &(struct fake_buf){ to, 64, true }, 1);
	device_rig_add(life->rig, 1, &(struct fake_buf){ from, VSOCK_HEADER_LEN, false }, 1);
	if (!answered(life, 1) || !answered(life, 0))
		return FAULT_SHOWN;
	vsock_packet_load(&reply, device_rig_at(life->rig, to, VSOCK_HEADER_LEN));
	for (int fd; (fd = accept4(vsock_listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
		close(fd);
	return reply.op == VSOCK_OP_RESPONSE ? FAULT_FINE : FAULT_SHOWN;
}

Test(fault, vsock)
{
	struct life life = { .rig = &rig, .n_queues = 3, .create = create_vsock,
			     .use = use_vsock };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/vireo-fault-XXXXXX";

	cr_assert_not_null(mkdtemp(dir));
	snprintf(vsock_path, sizeof(vsock_path), "%s/s", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s_5", vsock_path);
	vsock_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(vsock_listener, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(vsock_listener, 16), 0);
	device_rig_create(&rig);
	live_over_both(&life);
	event_loop_destroy(rig.io);
	fake_machine_destroy(rig.machine);
	close(vsock_listener);
	unlink(a.sun_path);
	/* No socket of the device's was left. */
	cr_assert_eq(rmdir(dir), 0);
}
