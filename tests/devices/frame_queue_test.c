/* Frames come out whole and in order, wherever the ring ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "devices/frame_queue.h"
#include "devices/net_checksum.h"

TestSuite(frame_queue, .timeout = 10);

Test(frame_queue, frames_come_out_whole_and_in_order_wherever_the_ring_ends)
{
	struct frame_queue queue;
	uint8_t in[64], out[64];
	unsigned pushed = 0, popped = 0;

	cr_assert_eq(frame_queue_init(&queue, 257), 0);
	while (popped < 2000) {
		memset(in, (int)(pushed & 0xff), sizeof(in));
		if (frame_queue_push(&queue, in, 1 + pushed % 64)) {
			pushed++;
			if (pushed % 3)
				continue;
		}
		struct iovec iov[] = { { out, 7 }, { out + 7, sizeof(out) - 7 } };
		cr_assert_eq(frame_queue_pop(&queue, iov, 2, 0), 1 + popped % 64);
		for (unsigned i = 0; i < 1 + popped % 64; i++)
			cr_assert_eq(out[i], popped & 0xff);
		popped++;
	}
	frame_queue_fini(&queue);
}

Test(frame_queue, what_does_not_fit_is_not_taken_and_an_empty_queue_says_so)
{
	struct frame_queue queue;
	uint8_t bytes[100] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };

	cr_assert_eq(frame_queue_init(&queue, 104), 0);
	cr_expect_eq(frame_queue_pop(&queue, &iov, 1, 0), 0);
	cr_expect_not(frame_queue_push(&queue, bytes, 101));
	cr_expect(frame_queue_push(&queue, bytes, 100));
	cr_expect_not(frame_queue_push(&queue, bytes, 1));
	cr_expect_eq(frame_queue_pop(&queue, &iov, 1, 0), 100);
	cr_expect(frame_queue_push(&queue, bytes, 100));
	cr_expect_eq(frame_queue_pop(&queue, &iov, 1, 1), -EMSGSIZE, "no room behind the offset");
	cr_expect_eq(frame_queue_pop(&queue, &iov, 1, 0), 0);
	frame_queue_fini(&queue);
}

/* The example of RFC 1071, section 3. */
Test(frame_queue, checksums_are_those_of_the_internet)
{
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	uint8_t sum[2], frame[64], odd[9];

	net_checksum(sum, example, sizeof(example));
	cr_expect_eq(sum[0], 0x22);
	cr_expect_eq(sum[1], 0x0d);
	memcpy(odd, example, 8);
	odd[8] = 0x12;
	net_checksum(sum, odd, 9);
	cr_expect_eq((sum[0] << 8 | sum[1]), 0x100d);

	memset(frame, 0xa5, sizeof(frame));
	cr_expect(net_checksum_finish(frame, 61, 14, 16));
	net_checksum(sum, frame + 14, 61 - 14);
	cr_expect(frame[30] != 0 || frame[31] != 0);
	memset(frame, 0, sizeof(frame));
	frame[14] = frame[15] = 0xff;
	cr_expect(net_checksum_finish(frame, 60, 14, 16));
	cr_expect(frame[30] == 0xff && frame[31] == 0xff, "zero would mean none");
}

Test(frame_queue, a_checksum_outside_of_the_frame_is_not_written)
{
	uint8_t frame[32] = { 0 };

	cr_expect_not(net_checksum_finish(frame, 20, 21, 0));
	cr_expect_not(net_checksum_finish(frame, 20, 14, 5));
	cr_expect_not(net_checksum_finish(frame, 20, 65535, 65535));
	cr_expect(net_checksum_finish(frame, 20, 14, 4));
}
