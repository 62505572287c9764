/* The vsock device as a driver sees it: features, configuration, framing, events, sessions. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "devices/vsock_hub.h"
#include "tests/support/vsock_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

static struct vsock_rig *const v = &vsock_rig;
static const struct vsock_guest stream = { VSOCK_STREAM, 1000, 2000, 65536, 0 };
static const struct vsock_guest seqpacket = { VSOCK_SEQPACKET, 1000, 2000, 65536, 0 };

TestSuite(virtio_vsock, .init = vsock_rig_setup, .fini = vsock_rig_teardown);

/* covers: VSOCK-FEAT-01 VSOCK-VQ-01 */
Test(virtio_vsock, offers_its_types_and_three_queues)
{
	struct fake_driver *d = &v->rig.driver;
	struct features f = fake_driver_offered(d);

	cr_assert_eq(f.word[0] & 0xffffff, 7);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_gt(fake_driver_queue_max(d, i), 0);
	cr_assert_eq(fake_driver_queue_max(d, 3), 0);
}

/* covers: VSOCK-CFG-01 VSOCK-CFG-02 */
Test(virtio_vsock, shows_the_cid_and_keeps_it)
{
	struct fake_driver *d = &v->rig.driver;

	for (unsigned i = 0; i < 2; i++) {
		fake_driver_reset(d);
		fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
		cr_assert_eq(fake_driver_config(d, 0, 4), VSOCK_RIG_CID);
		cr_assert_eq(fake_driver_config(d, 4, 4), 0);
		vsock_rig_start();
		fake_driver_set_config(d, 0, 4, 5);
		cr_assert_eq(fake_driver_config(d, 0, 4), VSOCK_RIG_CID);
		cr_assert_eq(fake_driver_config(d, 4, 4), 0);
	}
}

/* covers: VSOCK-RXTX-01 */
Test(virtio_vsock, refuses_reserved_cids)
{
	static const uint64_t bad[] = { 1, 2, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX };
	struct virtio_vsock_config config = { .name = "vsock", .vhost_fd = FD_NONE,
					      .vhost = VIRTIO_OFFLOAD_OFF, .socket = "/nowhere/x",
					      .loop = v->rig.io };
	struct virtio_device *dev;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		config.cid = bad[i];
		cr_assert_eq(virtio_vsock_create(&dev, &config), -EINVAL);
		cr_assert_null(dev);
		cr_assert_not_null(strstr(error_text(), "CID"));
	}
	/* The wildcard of the host's cannot be said: 0 stands for "any that is free". */
	config.cid = 0;
	config.only_look = true;
	cr_assert_eq(virtio_vsock_create(&dev, &config), 0);
	cr_assert_eq(load_le64(dev->config), 3);
	dev->ops->destroy(dev);
}

/* Who moves the packets where the host's kernel cannot. */
Test(virtio_vsock, the_kernel_is_asked_first_and_sockets_do_without_it)
{
	char path[96];
	struct virtio_vsock_config config = { .name = "vsock", .vhost_fd = FD_NONE,
					      .vhost_path = "/nowhere/vhost-vsock",
					      .loop = v->rig.io };
	struct error_chain chain;
	struct virtio_device *dev;

	snprintf(path, sizeof(path), "%s/other", v->dir);
	cr_assert_eq(virtio_vsock_create(&dev, &config), -ENOENT);
	error_save(&chain);
	cr_assert_not_null(strstr(chain.hint, "socket=PATH"));
	config.vhost = VIRTIO_OFFLOAD_OFF;
	cr_assert_eq(virtio_vsock_create(&dev, &config), -EINVAL);
	config.socket = path;
	config.vhost = VIRTIO_OFFLOAD_REQUIRE;
	cr_assert_eq(virtio_vsock_create(&dev, &config), -ENOENT);
	cr_assert_eq(access(path, F_OK), -1);
	config.vhost = VIRTIO_OFFLOAD_AUTO;
	cr_assert_eq(virtio_vsock_create(&dev, &config), 0);
	cr_assert_not(virtio_vsock_is_offloaded(dev));
	cr_assert_eq(access(path, F_OK), 0);
	dev->ops->destroy(dev);
	cr_assert_eq(access(path, F_OK), -1);
	/* A descriptor is taken, whatever comes of it. */
	int fd = dup(0);
	config.vhost_fd = fd;
	config.cid = 1;
	cr_assert_eq(virtio_vsock_create(&dev, &config), -EINVAL);
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	error_clear();
}

static void expect_type(const struct vsock_guest *g, bool served)
{
	vsock_rig_say(g, VSOCK_OP_REQUEST, 0);
	vsock_rig_expect(g, served ? VSOCK_OP_RESPONSE : VSOCK_OP_RST);
}

/* covers: VSOCK-FEAT-02 VSOCK-FEAT-05 */
Test(virtio_vsock, without_a_type_bit_there_are_streams)
{
	int fd = vsock_rig_listen(2000, VSOCK_STREAM);

	vsock_rig_start_without(7, 16);
	expect_type(&stream, true);
	vsock_rig_say(&stream, VSOCK_OP_RST, 0);
	expect_type(&seqpacket, false);
	close(fd);
}

/* covers: VSOCK-FEAT-03 */
Test(virtio_vsock, streams_are_implied_unless_said_otherwise)
{
	int fd = vsock_rig_listen(2000, VSOCK_STREAM);

	vsock_rig_start_without(5, 16);
	expect_type(&stream, true);
	close(fd);
}

/* covers: VSOCK-FEAT-04 */
Test(virtio_vsock, streams_are_not_implied_if_said_so)
{
	int fd = vsock_rig_listen(2000, VSOCK_SEQPACKET);

	vsock_rig_start_without(1, 16);
	expect_type(&stream, false);
	expect_type(&seqpacket, true);
	close(fd);
	int client = vsock_rig_client(VSOCK_STREAM);
	cr_assert_eq(write(client, "CONNECT 5\n", 10), 10);
	cr_assert(vsock_rig_at_end(client));
	close(client);
}

/* A packet cut in any way into descriptors. */
static void send_cut(const struct vsock_packet *p, const char *payload, const unsigned *cut,
		     unsigned n)
{
	uint64_t at = device_rig_alloc(&v->rig, VSOCK_HEADER_LEN + p->len);
	uint8_t *wire = device_rig_at(&v->rig, at, VSOCK_HEADER_LEN + p->len);
	struct fake_buf buf[8];
	uint32_t done = 0;

	vsock_packet_store(p, wire);
	memcpy(wire + VSOCK_HEADER_LEN, payload, p->len);
	for (unsigned i = 0; i < n; i++) {
		buf[i] = (struct fake_buf){ at + done, cut[i], false };
		done += cut[i];
	}
	device_rig_add(&v->rig, 1, buf, n);
	cr_assert_eq(device_rig_wait(&v->rig, 1, NULL), 0);
}

/* covers: VSOCK-RXTX-06 VSOCK-RXTX-04 */
Test(virtio_vsock, framing_does_not_matter)
{
	static const unsigned cut[][5] = {
		{ 54 }, { 44, 10 }, { 1, 43, 10 }, { 43, 11 }, { 20, 20, 10, 3, 1 },
	};
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);
	struct vsock_packet p;
	char got[10];

	vsock_rig_start();
	int fd = vsock_rig_connect(&stream, listener);
	p = vsock_rig_packet(&stream, VSOCK_OP_RW);
	p.len = 10;
	for (unsigned i = 0; i < ARRAY_SIZE(cut); i++) {
		unsigned n = 0;
		while (n < 5 && cut[i][n])
			n++;
		send_cut(&p, "0123456789", cut[i], n);
		vsock_rig_read_all(fd, got, 10);
		cr_assert_eq(memcmp(got, "0123456789", 10), 0);
	}
	/* More in the buffer than 'len' says: the rest is nothing. */
	struct vsock_packet shorter = p;
	uint64_t at = device_rig_alloc(&v->rig, 4096);
	shorter.len = 3;
	vsock_packet_store(&shorter, device_rig_at(&v->rig, at, 44));
	device_rig_add(&v->rig, 1, &(struct fake_buf){ at, 4096, false }, 1);
	device_rig_wait(&v->rig, 1, NULL);
	vsock_rig_write(&stream, "end", 3, 0);
	vsock_rig_read_all(fd, got, 6);
	cr_assert_eq(memcmp(got, "\xcc\xcc\xcc" "end", 6), 0);
	close(fd);
	close(listener);
}

/* covers: VSOCK-RXTX-05 */
Test(virtio_vsock, a_length_beyond_the_buffer_is_reset)
{
	static const uint32_t len[] = { 1, 4096, UINT32_MAX };
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);

	vsock_rig_start();
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		struct vsock_packet p = vsock_rig_packet(&stream, VSOCK_OP_RW);
		int fd = vsock_rig_connect(&stream, listener);

		vsock_packet_store(&p, device_rig_at(&v->rig, v->tx_header, 44));
		store_le32((uint8_t *)device_rig_at(&v->rig, v->tx_header, 44) + 24, len[i]);
		device_rig_add(&v->rig, 1, &(struct fake_buf){ v->tx_header, 44, false }, 1);
		device_rig_wait(&v->rig, 1, NULL);
		vsock_rig_expect(&stream, VSOCK_OP_RST);
		cr_assert(vsock_rig_at_end(fd));
		close(fd);
	}
	cr_assert_not(fake_driver_status(&v->rig.driver) & VIRTIO_STATUS_NEEDS_RESET);
	close(listener);
}

/* Less than a header, or buffers for the device to write: come back, mean nothing. */
Test(virtio_vsock, what_is_no_packet_comes_back)
{
	vsock_rig_start();
	struct vsock_packet p = vsock_rig_packet(&stream, VSOCK_OP_REQUEST);
	vsock_packet_store(&p, device_rig_at(&v->rig, v->tx_header, 44));
	device_rig_add(&v->rig, 1, &(struct fake_buf){ v->tx_header, 43, false }, 1);
	cr_assert_eq(device_rig_wait(&v->rig, 1, NULL), 0);
	device_rig_add(&v->rig, 1, (struct fake_buf[]){ { v->tx_header, 44, false },
							{ v->tx_payload, 10, true } }, 2);
	cr_assert_eq(device_rig_wait(&v->rig, 1, NULL), 0);
	cr_assert(vsock_rig_is_silent());
}

/* covers: VSOCK-RXTX-08 */
Test(virtio_vsock, useless_receive_buffers_come_back_empty)
{
	static const uint32_t useless[] = { 1, 43, 44 };

	vsock_rig_start_without(0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(useless); i++)
		device_rig_add(&v->rig, 0, &(struct fake_buf){ v->tx_payload, useless[i], true },
			       1);
	device_rig_add(&v->rig, 0, (struct fake_buf[]){ { v->tx_payload, 8, false },
							{ v->tx_payload, 8192, true } }, 2);
	vsock_rig_supply(1, 45);
	vsock_rig_say(&stream, VSOCK_OP_REQUEST, 0);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(device_rig_wait(&v->rig, 0, NULL), 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
}

/* covers: VSOCK-RXTX-08 */
Test(virtio_vsock, data_is_cut_to_the_buffers)
{
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);
	char payload[VSOCK_RIG_PAYLOAD];

	vsock_rig_start_without(0, 0);
	vsock_rig_supply(4, 45);
	int fd = vsock_rig_connect(&stream, listener);
	cr_assert_eq(write(fd, "abc", 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		struct vsock_packet p = vsock_rig_receive(payload);
		cr_assert_eq(p.op, VSOCK_OP_RW);
		cr_assert_eq(p.len, 1);
		cr_assert_eq(payload[0], "abc"[i]);
	}
	close(fd);
	close(listener);
}

/* covers: VSOCK-RXTX-07 */
Test(virtio_vsock, nobody_speaks_for_others)
{
	struct vsock_packet p;

	vsock_rig_start();
	p = vsock_rig_packet(&stream, VSOCK_OP_REQUEST);
	p.src_cid = VSOCK_RIG_CID + 1;
	vsock_rig_send(&p, NULL);
	p.src_cid = VSOCK_RIG_CID | UINT64_C(1) << 32;
	vsock_rig_send(&p, NULL);
	p.src_cid = VSOCK_CID_HOST;
	vsock_rig_send(&p, NULL);
	cr_assert(vsock_rig_is_silent());
	/* To others than the host: there is nobody. */
	static const uint64_t to[] = { 0, 1, 3, VSOCK_RIG_CID, UINT32_MAX,
				       VSOCK_CID_HOST | UINT64_C(1) << 32 };
	for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
		p = vsock_rig_packet(&stream, VSOCK_OP_REQUEST);
		p.dst_cid = to[i];
		vsock_rig_send(&p, NULL);
		struct vsock_packet reply = vsock_rig_receive(NULL);
		cr_assert_eq(reply.op, VSOCK_OP_RST);
		cr_assert_eq(reply.src_cid, to[i]);
		cr_assert_eq(reply.dst_cid, (uint64_t)VSOCK_RIG_CID);
	}
}

/* covers: VSOCK-RXTX-02 VSOCK-RXTX-09 */
Test(virtio_vsock, unknown_types_and_operations_are_reset)
{
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);
	struct vsock_packet p;

	vsock_rig_start();
	p = vsock_rig_packet(&stream, VSOCK_OP_REQUEST);
	p.type = 7;
	vsock_rig_send(&p, NULL);
	p = vsock_rig_receive(NULL);
	cr_assert_eq(p.op, VSOCK_OP_RST);
	cr_assert_eq(p.type, 7);
	static const uint16_t op[] = { 0, 8, 99, UINT16_MAX };
	for (unsigned i = 0; i < ARRAY_SIZE(op); i++) {
		vsock_rig_say(&stream, (enum vsock_op)op[i], 0);
		vsock_rig_expect(&stream, VSOCK_OP_RST);
		/* And in a connection. */
		int fd = vsock_rig_connect(&stream, listener);
		vsock_rig_say(&stream, (enum vsock_op)op[i], 0);
		vsock_rig_expect(&stream, VSOCK_OP_RST);
		cr_assert(vsock_rig_at_end(fd));
		close(fd);
	}
	/* A reset is never answered, whatever type it has. */
	vsock_rig_say(&stream, VSOCK_OP_RST, 0);
	p = vsock_rig_packet(&stream, VSOCK_OP_RST);
	p.type = 7;
	vsock_rig_send(&p, NULL);
	cr_assert(vsock_rig_is_silent());
	close(listener);
}

/* --- Events and sessions --------------------------------------------------------------------- */

static void lose_connections(void)
{
	struct virtio_device *dev = v->rig.transport->device;

	machine_lock(&v->rig.machine->m);
	virtio_vsock_transport_reset(dev);
	machine_unlock(&v->rig.machine->m);
}

/* covers: VSOCK-EVENT-01 VSOCK-EVENT-02 */
Test(virtio_vsock, a_transport_reset_waits_for_its_buffer)
{
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);

	vsock_rig_start();
	int fd = vsock_rig_connect(&stream, listener);
	lose_connections();
	cr_assert(vsock_rig_at_end(fd));
	cr_assert(device_rig_is_quiet(&v->rig, 2));
	/* One that is too small is no buffer. */
	uint64_t at = device_rig_alloc(&v->rig, 64);
	device_rig_add(&v->rig, 2, &(struct fake_buf){ at, 3, true }, 1);
	cr_assert_eq(device_rig_wait(&v->rig, 2, NULL), 0);
	device_rig_add(&v->rig, 2, &(struct fake_buf){ at, 64, true }, 1);
	cr_assert_eq(device_rig_wait(&v->rig, 2, NULL), 4);
	cr_assert_eq(load_le32(device_rig_at(&v->rig, at, 4)), 0);
	/* Told once. */
	device_rig_add(&v->rig, 2, &(struct fake_buf){ at, 64, true }, 1);
	cr_assert(device_rig_is_quiet(&v->rig, 2));
	/* The old connection is dead, new ones work. */
	vsock_rig_write(&stream, "x", 1, 0);
	vsock_rig_expect(&stream, VSOCK_OP_RST);
	close(fd);
	fd = vsock_rig_connect(&stream, listener);
	close(fd);
	close(listener);
}

/* The guest had no buffers for its resets, and so nothing more was taken: that is over, too. */
Test(virtio_vsock, a_transport_reset_hears_the_guest_again)
{
	struct vsock_packet p = vsock_rig_packet(&stream, VSOCK_OP_REQUEST);
	uint32_t id, len;
	bool taken = false;

	vsock_rig_start_without(0, 0);
	for (unsigned i = 0; i < VSOCK_MAX_REPLIES; i++)
		vsock_rig_send(&p, NULL);
	vsock_rig_offer(&p);
	cr_assert(device_rig_is_quiet(&v->rig, 1));
	lose_connections();
	for (unsigned i = 0; i < 1000 && !taken; i++) {
		usleep(1000);
		taken = fake_ring_reap(&v->rig.ring[1], &id, &len);
	}
	cr_assert(taken);
}

Test(virtio_vsock, a_reset_closes_everything_and_delivers_what_it_can)
{
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);
	char got[4];

	for (unsigned i = 0; i < 3; i++) {
		vsock_rig_start();
		int fd = vsock_rig_connect(&stream, listener);
		int client = vsock_rig_client(VSOCK_STREAM);
		vsock_rig_write(&stream, "last", 4, 0);
		fake_driver_reset(&v->rig.driver);
		vsock_rig_read_all(fd, got, 4);
		cr_assert_eq(memcmp(got, "last", 4), 0);
		cr_assert(vsock_rig_at_end(fd));
		close(fd);
		close(client);
	}
	close(listener);
}

Test(virtio_vsock, works_with_everything_that_is_offered)
{
	int listener = vsock_rig_listen(2000, VSOCK_STREAM);
	char got[5];

	device_rig_start_all(&v->rig, 3);
	v->tx_header = device_rig_alloc(&v->rig, VSOCK_HEADER_LEN);
	v->tx_payload = device_rig_alloc(&v->rig, VSOCK_RIG_PAYLOAD);
	vsock_rig_supply(8, VSOCK_RIG_BUFFER);
	for (unsigned i = 0; i < 100; i++) {
		int fd = vsock_rig_connect(&stream, listener);
		vsock_rig_write(&stream, "hello", 5, 0);
		vsock_rig_read_all(fd, got, 5);
		vsock_rig_say(&stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUT_BOTH);
		vsock_rig_expect(&stream, VSOCK_OP_RST);
		close(fd);
	}
	close(listener);
}
