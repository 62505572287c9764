/*
 * The virtio console: bytes out in order however they are cut, bytes in, the emergency register.
 * With the option "echo" it waits for a line of input and sends it back.  virtio-v1.4 5.3
 * "Console Device".
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/ring.h"
#include "virtio/features.h"

enum { RECEIVE = 0, TRANSMIT = 1, EMERGENCY = 8 };

static struct virtio device;
static struct ring receive, transmit;

/* In 'n' pieces; the used length must be 0.  covers: CONSOLE-OP-01 */
static void send(const char *text, unsigned n)
{
	struct piece p[8];
	uint32_t len = (uint32_t)strlen(text), at = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t part = i + 1 < n ? len / n : len - at;

		p[i] = (struct piece){ (char *)text + at, part };
		at += part;
	}
	ring_add(&transmit, p, n, 0);
	ring_publish(&transmit);
	check(ring_wait(&transmit) >= 0, "output was not taken");
	check_equal(transmit.taken_len, 0, "used length of output");
}

/* A line of input, a buffer of 'size' bytes at a time.  covers: CONSOLE-OP-02 */
static void echo(uint32_t size)
{
	char *line = heap_alloc(256, 1), *buf = heap_alloc(size, 1);
	unsigned len = 0;

	while (len < 255 && (len == 0 || line[len - 1] != '\n')) {
		ring_add(&receive, &(struct piece){ buf, size }, 0, 1);
		ring_publish(&receive);
		if (!check(ring_wait(&receive) >= 0, "no input"))
			return;
		check(receive.taken_len >= 1 && receive.taken_len <= size, "%u bytes of input",
		      receive.taken_len);
		memcpy(line + len, buf, receive.taken_len);
		len += receive.taken_len;
	}
	send("echo: ", 1);
	send(line, 1);
}

/* covers: CONSOLE-INIT-01 CONSOLE-INIT-02 CONSOLE-INIT-03 */
static void emergency(const char *text)
{
	if (!(virtio_offered(&device) >> VIRTIO_CONSOLE_F_EMERG_WRITE & 1))
		return;
	for (; *text != '\0'; text++)
		write32(device.config + EMERGENCY, (uint8_t)*text);
}

int main(void)
{
	uint64_t features;

	if (!virtio_find(&device, VIRTIO_ID_CONSOLE, 0))
		check_skip("no console");
	check(virtio_reset(&device), "reset");
	emergency("emergency before the driver\n");
	check(virtio_negotiate(&device, ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT), &features),
	      "FEATURES_OK does not stand");
	check(ring_init(&receive, &device, RECEIVE, 0, features), "no receive queue");
	check(ring_init(&transmit, &device, TRANSMIT, 0, features), "no transmit queue");
	virtio_driver_ok(&device);
	send("one piece\n", 1);
	send("and one that came in seven\n", 7);
	for (unsigned i = 0; i < 50; i++)
		send("0123456789", 3);
	send("\n", 1);
	if (option_given("echo"))
		echo(3);
	emergency("emergency beside the driver\n");
	return check_result("console");
}
