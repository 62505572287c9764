/*
 * A network device whose frames a (fake) kernel moves, while its control queue stays here; and the
 * way there and back under a driver.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/net_impl.h"
#include "tests/support/fake_vhost.h"
#include "tests/support/net_rig.h"
#include "virtio/device_account.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { RX = 0, TX = 1, CTRL = 2, OK = 0, ERR = 1 };

static struct net_rig net;
static struct fake_vhost fake;
static const struct net_header none;

static void create(struct net_rig_options options)
{
	if (!options.vhost_open)
		options.vhost_open = fake_vhost_open;
	net_rig_create(&net, &options);
}

static void setup(void)
{
	fake_vhost_init(&fake, fake_vhost_net_features());
}

static void teardown(void)
{
	if (net.peer)
		net_rig_destroy(&net);
	cr_assert_eq(fake.n_open, 0);
}

TestSuite(net_vhost, .init = setup, .fini = teardown);

static struct virtio_net *model(void)
{
	return container_of(net.dev, struct virtio_net, dev);
}

static const char *who(void)
{
	return net.dev->part[0].datapath->name;
}

static void change(void)
{
	machine_lock(&net.rig.machine->m);
	int r = virtio_device_switch(net.dev, 0);

	machine_unlock(&net.rig.machine->m);
	cr_assert_eq(r, 0, "%s", error_text());
}

/* A command on 'queue'; its answer. */
static uint8_t command(unsigned queue, uint8_t class, uint8_t number, const void *data, uint32_t len)
{
	uint64_t at = device_rig_alloc(&net.rig, 64);
	uint8_t *p = device_rig_at(&net.rig, at, 64);
	struct fake_buf buf[] = { { at, 2 + len, false }, { at + 48, 1, true } };

	p[0] = class;
	p[1] = number;
	memcpy(p + 2, data, len);
	device_rig_add(&net.rig, queue, buf, 2);
	cr_assert_eq(device_rig_wait(&net.rig, queue, NULL), 1);
	return p[48];
}

/* What the kernel does with what was sent: it is gone. */
static unsigned kernel_sends(void)
{
	struct fake_vhost_ring *r = &fake.ring[0][TX];
	struct virtqueue_config config = fake_ring_config(&net.rig.ring[TX], fake.told, r->call);
	struct virtqueue *q;
	struct chain c;
	unsigned n = 0;

	cr_assert_neq(r->backend, FD_NONE);
	config.resume = true;
	config.avail_base = config.used_base = (uint16_t)r->base;
	cr_assert_eq(virtqueue_create(&q, &config), 0);
	for (; virtqueue_pop(q, &c) == VQ_CHAIN; n++)
		virtqueue_push(q, c.head, 0);
	virtqueue_flush(q);
	r->base = virtqueue_position(q).avail;
	virtqueue_destroy(q);
	return n;
}

static void offer_frame(void)
{
	uint64_t at = device_rig_alloc(&net.rig, 128);

	memset(device_rig_at(&net.rig, at, 128), 0, 128);
	device_rig_add(&net.rig, TX, &(struct fake_buf){ at, net.header_len + 64, false }, 1);
}

/* N12, N13: ring and header bits as the kernel has them, all others as ever. */
Test(net_vhost, offers_what_kernel_and_model_have)
{
	create((struct net_rig_options){ .n_pairs = 2 });
	struct features f = fake_driver_offered(&net.rig.driver);

	cr_assert_str_eq(who(), "/dev/vhost-net");
	cr_assert(features_has(&f, VIRTIO_NET_F_MRG_RXBUF));
	cr_assert(features_has(&f, VIRTIO_NET_F_MAC));
	cr_assert(features_has(&f, VIRTIO_NET_F_CSUM));
	cr_assert(features_has(&f, VIRTIO_NET_F_CTRL_VQ));
	cr_assert(features_has(&f, VIRTIO_NET_F_MQ));
	cr_assert_not(features_has(&f, VIRTIO_NET_F_RSS), "the kernel does not hash");
	cr_assert_not(features_has(&f, VIRTIO_NET_F_HASH_REPORT));
	cr_assert_not(features_has(&f, VIRTIO_NET_F_NOTF_COAL));
	cr_assert_not(features_has(&f, VIRTIO_F_RING_PACKED));
}

Test(net_vhost, frames_are_the_kernels_and_commands_ours)
{
	uint8_t on = 1;

	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	cr_assert(net.peer->is_started);
	cr_assert_null(net.peer->start.readable);
	cr_assert_eq(net.peer->header_len, 12);
	cr_assert(features_has(&net.peer->offloads, VIRTIO_NET_F_GUEST_CSUM));
	cr_assert_gt(net.peer->n_prog, 0, "nobody else looks at frames");
	cr_assert_eq(fake.ring[0][RX].backend, 1000);
	cr_assert_eq(fake.ring[0][TX].backend, 1000);
	cr_assert_not(features_has(&fake.told, VIRTIO_NET_F_CSUM));
	cr_assert(features_has(&fake.told, VIRTIO_NET_F_MRG_RXBUF));
	unsigned filters = net.peer->n_filters;

	cr_assert_eq(command(CTRL, 0, 0, &on, 1), OK);
	cr_assert_gt(net.peer->n_filters, filters, "promiscuous: the tap is told");
	offer_frame();
	cr_assert_eq(kernel_sends(), 1);
	device_rig_wait(&net.rig, TX, NULL);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
}

/* NET-VQ-02: without MQ the control queue follows the first pair, whoever has the frames. */
Test(net_vhost, the_control_queue_is_where_the_driver_expects_it)
{
	uint8_t on = 1, pairs[2] = { 2, 0 };

	create((struct net_rig_options){ .n_pairs = 2 });
	net_rig_start_without(&net, 3, VIRTIO_NET_F_MQ, -1);
	cr_assert_eq(command(2, 0, 0, &on, 1), OK);
	cr_assert_eq(fake.ring[1][RX].backend, FD_NONE);
	net_rig_start_without(&net, 5, -1);
	cr_assert_eq(fake.ring[1][RX].backend, 1001);
	cr_assert_eq(command(4, 4, 0, pairs, 2), OK);
	cr_assert_eq(net.peer->n_active, 2);
}

Test(net_vhost, a_reset_gives_all_back)
{
	create((struct net_rig_options){ .n_pairs = 2 });
	for (unsigned i = 0; i < 5; i++) {
		net_rig_start_without(&net, 5, -1);
		fake_driver_set_status(&net.rig.driver, 0);
		cr_assert_not(net.peer->is_started);
		for (unsigned k = 0; k < 4; k++) {
			cr_assert_eq(fake.ring[k / 2][k % 2].backend, FD_NONE);
			cr_assert_eq(fake.ring[k / 2][k % 2].kick, FD_NONE);
		}
		fake_vhost_clear(&fake);
	}
	cr_assert_eq(net.peer->n_starts, net.peer->n_stops);
}

/* There and back: rings, settings of the driver, and what waits in the host. */
Test(net_vhost, changes_hands_under_a_driver)
{
	uint8_t on = 1, offloads[8] = { 1 << VIRTIO_NET_F_GUEST_CSUM };
	uint8_t frame[64] = { 0 };
	struct net_header header;

	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	cr_assert_eq(command(CTRL, 0, 1, &on, 1), OK);
	cr_assert_eq(command(CTRL, 5, 0, offloads, 8), OK);
	offer_frame();
	cr_assert_eq(kernel_sends(), 1);
	device_rig_wait(&net.rig, TX, NULL);
	offer_frame();
	change();
	cr_assert_str_eq(who(), "in process");
	cr_assert(net.peer->start.resume);
	cr_assert_not_null(net.peer->start.readable);
	cr_assert_eq(fake_peer_take(net.peer, 0, &header, frame, sizeof(frame)), 64);
	device_rig_wait(&net.rig, TX, NULL);
	cr_assert(net_filter_has_mode(&model()->ctrl.rules.filter, NET_FILTER_ALLMULTI));
	cr_assert_eq(net.peer->offloads.word[0], 1u << VIRTIO_NET_F_GUEST_CSUM);
	cr_assert_eq(net.peer->n_prog, 0, "we look ourselves");

	/* And a frame in, here. */
	net_rig_offer(&net, RX, 2048);
	net_rig_fill(frame, sizeof(frame), 1);
	fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
	cr_assert_eq(device_rig_wait(&net.rig, RX, NULL), 12 + 64);
	change();
	cr_assert_str_eq(who(), "/dev/vhost-net");
	cr_assert_eq(fake.ring[0][RX].base, 1);
	cr_assert_eq(fake.ring[0][TX].base, 2);
	cr_assert_gt(net.peer->n_prog, 0);
	cr_assert_eq(net.peer->offloads.word[0], 1u << VIRTIO_NET_F_GUEST_CSUM);
	on = 0;
	cr_assert_eq(command(CTRL, 0, 1, &on, 1), OK);
	offer_frame();
	cr_assert_eq(kernel_sends(), 1);
	device_rig_wait(&net.rig, TX, NULL);
}

Test(net_vhost, a_broken_kernel_ring_comes_back_here)
{
	uint8_t frame[64];
	struct net_header header;

	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	offer_frame();
	fd_signal(fake.ring[0][TX].err);
	cr_assert_eq(fake_peer_n_sent(net.peer, 0), 0);
	device_rig_wait(&net.rig, TX, NULL);
	cr_assert_eq(fake_peer_take(net.peer, 0, &header, frame, sizeof(frame)), 64);
	cr_assert_str_eq(who(), "in process");
	cr_assert_eq(fake_driver_status(&net.rig.driver), 0xf);
}

/* A node that died between the making of the VM and its driver: whichever request shows it. */
Test(net_vhost, a_node_that_cannot_start_is_done_without)
{
	uint8_t on = 1, frame[64];
	struct net_header header;

	create((struct net_rig_options){ 0 });
	for (unsigned n = 1;; n++) {
		cr_assert_str_eq(who(), "/dev/vhost-net");
		fake_vhost_clear(&fake);
		fake.fail_at = n;
		net_rig_start_without(&net, 3, -1);
		bool failed = fake.n_requests >= n;

		fake.fail_at = 0;
		cr_assert_eq(fake_driver_status(&net.rig.driver), 0xf, "request %u", n);
		if (!failed)
			break;
		cr_assert_str_eq(who(), "in process", "request %u", n);
		cr_assert_not(model()->is_offloaded);
		cr_assert_not(net.peer->n_prog, "we look ourselves");
		cr_assert_eq(fake.ring[0][TX].backend, FD_NONE);
		offer_frame();
		device_rig_wait(&net.rig, TX, NULL);
		cr_assert_eq(fake_peer_take(net.peer, 0, &header, frame, sizeof(frame)), 64);
		cr_assert_eq(command(CTRL, 0, 1, &on, 1), OK);
		fake_driver_reset(&net.rig.driver);
		change();
	}
	offer_frame();
	cr_assert_eq(kernel_sends(), 1);
}

/* Who requires the kernel is not served otherwise behind his back. */
Test(net_vhost, one_that_is_required_needs_a_reset)
{
	struct fake_driver *d = &net.rig.driver;
	struct fake_ring *ring = &net.rig.ring[TX];
	struct features f = FEATURES_EMPTY;

	create((struct net_rig_options){ .vhost = VIRTIO_OFFLOAD_REQUIRE });
	features_add(&f, VIRTIO_F_VERSION_1);
	cr_assert(fake_driver_negotiate(d, f));
	fake_driver_init_ring(d, ring, 16,
			      device_rig_alloc(&net.rig, fake_driver_ring_bytes(16)));
	fake_driver_set_queue(d, TX, ring);
	fake_driver_enable_queue(d, TX);
	fake_vhost_clear(&fake);
	fake.fail_at = 1;
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	fake.fail_at = 0;
	cr_assert(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	cr_assert_str_eq(who(), "/dev/vhost-net");
}

Test(net_vhost, without_a_link_nothing_moves)
{
	create((struct net_rig_options){ .link_down = true });
	net_rig_start_without(&net, 3, -1);
	cr_assert_eq(fake.ring[0][RX].backend, FD_NONE);
	cr_assert_neq(fake.ring[0][RX].kick, FD_NONE, "it is ready");
	net_rig_set_link(&net, true);
	cr_assert_eq(fake.ring[0][RX].backend, 1000);
	cr_assert_eq(fake.ring[0][TX].backend, 1000);
	net_rig_set_link(&net, false);
	cr_assert_eq(fake.ring[0][RX].backend, FD_NONE);
	cr_assert_eq(fake.ring[0][TX].backend, FD_NONE);
	fake_driver_set_status(&net.rig.driver, 0);
	net_rig_set_link(&net, true);
	net_rig_start_without(&net, 3, -1);
	cr_assert_eq(fake.ring[0][RX].backend, 1000);
}

static void set_master(bool on)
{
	fake_driver_pci_write(&net.rig.driver, 4, 2, on ? 7 : 3);
}

/*
 * Bus Master Enable off: kernel and control queue stand still, whatever the cable does meanwhile.
 * covers: PCI-BUS-02
 */
Test(net_vhost, without_bus_mastering_nothing_moves)
{
	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	set_master(false);
	cr_assert_eq(fake.ring[0][RX].backend, FD_NONE);
	cr_assert_eq(fake.ring[0][TX].backend, FD_NONE);
	net_rig_set_link(&net, false);
	net_rig_set_link(&net, true);
	cr_assert_eq(fake.ring[0][RX].backend, FD_NONE);
	set_master(true);
	cr_assert_eq(fake.ring[0][RX].backend, 1000);
	cr_assert_eq(fake.ring[0][TX].backend, 1000);
	offer_frame();
	cr_assert_eq(kernel_sends(), 1);
	device_rig_wait(&net.rig, TX, NULL);
}

/* A command that the main loop has not come to waits in the ring again; it is carried out once. */
Test(net_vhost, without_bus_mastering_a_command_waits)
{
	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = device_rig_alloc(&net.rig, 64);
		uint8_t *p = device_rig_at(&net.rig, at, 64);
		struct fake_buf buf[] = { { at, 3, false }, { at + 48, 1, true } };

		p[0] = 0;
		p[1] = 0;
		p[2] = i == 0;
		device_rig_add(&net.rig, CTRL, buf, 2);
		/* The I/O loop has taken it, and nobody has pumped the main loop since. */
		usleep(20000);
		set_master(false);
		unsigned filters = net.peer->n_filters;

		cr_assert(device_rig_is_quiet(&net.rig, CTRL));
		cr_assert_eq(net.peer->n_filters, filters);
		cr_assert_eq(p[48], 0xcc);
		cr_assert_eq(fake_driver_status(&net.rig.driver), 0xf);
		set_master(true);
		cr_assert_eq(device_rig_wait(&net.rig, CTRL, NULL), 1);
		cr_assert_eq(p[48], OK);
		cr_assert_eq(net.peer->n_filters, filters + 1);
	}
}

/* What the kernel moves is its own, but for what arrived before the cable was pulled. */
Test(net_vhost, the_link_takes_no_frame_from_the_kernel)
{
	const uint8_t frame[64] = { 0 };

	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	for (unsigned again = 0; again < 2; again++) {
		for (unsigned i = 0; i < 600; i++)
			fake_peer_give(net.peer, 0, &none, frame, sizeof(frame));
		net_rig_set_link(&net, true);
		cr_assert_eq(fake_peer_n_arriving(net.peer, 0), 600);
		net_rig_set_link(&net, false);
		cr_assert_eq(fake_peer_n_arriving(net.peer, 0), 0);
		net_rig_set_link(&net, true);
		/* The same after the frames were ours in between. */
		change();
		change();
	}
}

/* The kernel's node is not there: in process, unless it is required. */
Test(net_vhost, auto_goes_on_without)
{
	fake.open_fails = -ENOENT;
	create((struct net_rig_options){ 0 });
	cr_assert_str_eq(who(), "in process");
	struct features f = fake_driver_offered(&net.rig.driver);

	cr_assert(features_has(&f, VIRTIO_NET_F_HASH_REPORT));
}

static int try(struct virtio_net_config config)
{
	struct event_loop *loop;
	struct virtio_device *dev;
	struct fake_peer *peer = fake_peer_create(FEATURES_EMPTY, 1);

	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	peer->base.is_vhost_capable = true;
	config.name = "net0";
	config.peer = &peer->base;
	config.n_pairs = 1;
	config.queue_size = 16;
	config.loop = &loop;
	config.n_loops = 1;
	config.vhost_path = "/dev/vhost-net";
	config.vhost_open = fake_vhost_open;
	int r = virtio_net_create(&dev, &config);

	if (r == 0) {
		cr_assert_eq(dev->n_parts, 1);
		r = dev->part[0].other ? 2 : 1;
		dev->ops->destroy(dev);
	}
	event_loop_destroy(loop);
	return r;
}

Test(net_vhost, required_is_required)
{
	net.peer = NULL;
	cr_assert_eq(try((struct virtio_net_config){ .vhost = VIRTIO_OFFLOAD_REQUIRE }), 1,
		     "nobody else takes over");
	cr_assert_eq(try((struct virtio_net_config){ .vhost = VIRTIO_OFFLOAD_AUTO }), 2);
	fake.open_fails = -EACCES;
	cr_assert_eq(try((struct virtio_net_config){ .vhost = VIRTIO_OFFLOAD_REQUIRE }), -EACCES);
	cr_assert_str_eq(error_text(), "net0: vhost is required");
	fake.open_fails = 0;
	cr_assert_eq(try((struct virtio_net_config){ .vhost = VIRTIO_OFFLOAD_REQUIRE,
						     .capture = "/nonexistent/x" }), -ENOENT);
}

/* N20: it is explained who moves what, and why vhost was told no more. */
Test(net_vhost, is_explained)
{
	static struct device_account a;
	char why[FEATURES_BITS][64] = { "" };

	create((struct net_rig_options){ 0 });
	net_rig_start_without(&net, 3, -1);
	device_account_take(&a, net.dev, VIRTIO_PCI);
	cr_assert_str_eq(a.part[0].datapath, "/dev/vhost-net");
	cr_assert_str_eq(a.part[0].other, "in process");
	for (unsigned i = 0; i < a.n_bits; i++)
		feature_account_reason(&a.bit[i], why[a.bit[i].bit]);
	cr_assert_str_eq(why[VIRTIO_NET_F_MAC], "others answer for it");
	cr_assert_str_eq(why[VIRTIO_NET_F_HASH_REPORT], "the back end does not serve it");
	cr_assert_str_eq(why[VIRTIO_F_VERSION_1], "");
}
