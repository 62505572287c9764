/*
 * What a guest can do to those who read its console (the virtio one), by say=: greet (and answer),
 * flood without end, garbage, the words of a kernel in trouble, text that is hard on a regular
 * expression, and silence.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/ring.h"
#include "images/payload/lib/run.h"
#include "virtio/features.h"
#include "vmm/machine/layout.h"

enum { RECEIVE = 0, TRANSMIT = 1, CHUNK = 65536, PVPANIC_PANICKED = 1 };

static struct virtio device;
static struct ring receive, transmit;

static void send(const char *bytes, uint32_t len)
{
	ring_add(&transmit, &(struct piece){ (char *)bytes, len }, 1, 0);
	ring_publish(&transmit);
	ring_wait(&transmit);
}

static void say(const char *text)
{
	send(text, (uint32_t)strlen(text));
}

/* A line of input, without its end. */
static char *listen(void)
{
	char *line = heap_alloc(256, 1), *c = heap_alloc(1, 1);
	unsigned len = 0;

	for (;;) {
		ring_add(&receive, &(struct piece){ c, 1 }, 0, 1);
		ring_publish(&receive);
		while (ring_take(&receive) < 0)
			pause();
		if (*c == '\n')
			break;
		if (len < 255)
			line[len++] = *c;
	}
	line[len] = '\0';
	return line;
}

static void greet(void)
{
	say("\x1b[1;32mwelcome\x1b[0m\r\nlog");
	say("in: ");
	char *name = listen();
	say("hello ");
	say(name);
	say("\r\n# ");
}

static void flood(void)
{
	char *chunk = heap_alloc(CHUNK, 1);

	for (unsigned i = 0; i < CHUNK; i++)
		chunk[i] = i % 64 == 63 ? '\n' : (char)('0' + i % 64);
	for (;;)
		send(chunk, CHUNK);
}

static void garbage(void)
{
	char *chunk = heap_alloc(CHUNK, 1);
	uint64_t x = 88172645463325252ull;

	for (unsigned n = 0; n < 32; n++) {
		for (unsigned i = 0; i < CHUNK; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			chunk[i] = (char)(x >> 32);
		}
		send(chunk, CHUNK);
	}
	/* Half a character, an open sequence: what follows is there all the same. */
	say("\xe2\x82\x1b[1;31\x1b[mthe end of it \xc3");
	say("\xa4\r\n");
}

static void hard(void)
{
	char *line = heap_alloc(CHUNK, 1);

	memset(line, 'x', CHUNK);
	send(line, CHUNK);
	say("\n");
	for (;;)
		pause();
}

static void oops(void)
{
	say("[    1.000000] BUG: unable to handle page fault for address: 0000000000000008\r\n"
	    "[    1.000100] Oops: 0002 [#1] PREEMPT SMP\r\n"
	    "[    1.000200] Kernel panic - not syncing: Fatal exception\r\n");
	say("[    1.000300] ---[ end of it ]---\r\n");
	out8(PORT_PVPANIC, PVPANIC_PANICKED);
	for (;;)
		pause();
}

int main(void)
{
	uint64_t features;

	if (!virtio_find(&device, VIRTIO_ID_CONSOLE, 0))
		check_skip("no console");
	check(virtio_reset(&device), "reset");
	check(virtio_negotiate(&device, ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT), &features),
	      "FEATURES_OK does not stand");
	check(ring_init(&receive, &device, RECEIVE, 0, features), "no receive queue");
	check(ring_init(&transmit, &device, TRANSMIT, 0, features), "no transmit queue");
	virtio_driver_ok(&device);
	if (option_is("say", "greet"))
		greet();
	if (option_is("say", "flood"))
		flood();
	if (option_is("say", "garbage"))
		garbage();
	if (option_is("say", "hard"))
		hard();
	if (option_is("say", "oops"))
		oops();
	if (option_is("say", "warning"))
		say("before\r\nus[    2.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1\r\ner\r\n");
	if (option_is("say", "nothing"))
		for (;;)
			pause();
	if (option_is("then", "triple-fault"))
		call_kernel(kernel_triple_fault);
	if (option_is("then", "spin"))
		for (;;)
			pause();
	return (int)option_number("status", 0);
}
