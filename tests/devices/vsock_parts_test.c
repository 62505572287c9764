/* What vsock connections are made of, alone: packets, credit, fifos. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vsock_credit.h"
#include "devices/vsock_fifo.h"
#include "devices/vsock_packet.h"
#include "vmm/base/iov.h"

/* covers: VSOCK-RXTX-03 */
Test(vsock_packet, has_its_fields_where_the_specification_has_them)
{
	static const uint8_t wire[VSOCK_HEADER_LEN] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x11, 0x12, 0x13,
		0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x31, 0x32,
		0x33, 0x34, 0x41, 0x42, 0x43, 0x44, 0x51, 0x52, 0x61, 0x62, 0x71,
		0x72, 0x73, 0x74, 0x81, 0x82, 0x83, 0x84, 0x91, 0x92, 0x93, 0x94,
	};
	uint8_t again[VSOCK_HEADER_LEN];
	struct vsock_packet p;

	vsock_packet_load(&p, wire);
	cr_assert_eq(p.src_cid, UINT64_C(0x0807060504030201));
	cr_assert_eq(p.dst_cid, UINT64_C(0x1817161514131211));
	cr_assert_eq(p.src_port, 0x24232221u);
	cr_assert_eq(p.dst_port, 0x34333231u);
	cr_assert_eq(p.len, 0x44434241u);
	cr_assert_eq(p.type, 0x5251);
	cr_assert_eq(p.op, 0x6261);
	cr_assert_eq(p.flags, 0x74737271u);
	cr_assert_eq(p.buf_alloc, 0x84838281u);
	cr_assert_eq(p.fwd_cnt, 0x94939291u);
	vsock_packet_store(&p, again);
	cr_assert_eq(memcmp(again, wire, sizeof(wire)), 0);
}

/* covers: VSOCK-CREDIT-04 VSOCK-CREDIT-06 */
Test(vsock_credit, counters_run_over_and_never_become_huge_credit)
{
	/* Just before the end of the range. */
	struct vsock_credit c = {
		.tx_cnt = UINT32_MAX - 10, .peer_fwd_cnt = UINT32_MAX - 10, .peer_buf_alloc = 4096,
	};

	cr_assert_eq(vsock_credit_free(&c), 4096);
	c.tx_cnt += 1000;
	cr_assert_eq(vsock_credit_free(&c), 3096);
	cr_assert(vsock_credit_hear(&c, 4096, c.tx_cnt - 500));
	cr_assert_eq(vsock_credit_free(&c), 3596);
	/* What a CPU said that was overtaken. */
	cr_assert(vsock_credit_hear(&c, 65536, c.tx_cnt - 900));
	cr_assert_eq(vsock_credit_free(&c), 3596);
	/* A buffer smaller than what is in it, and none at all. */
	cr_assert(vsock_credit_hear(&c, 100, c.tx_cnt - 500));
	cr_assert_eq(vsock_credit_free(&c), 0);
	cr_assert(vsock_credit_hear(&c, 0, c.tx_cnt - 500));
	cr_assert_eq(vsock_credit_free(&c), 0);
	/* More taken than was sent. */
	cr_assert_not(vsock_credit_hear(&c, 4096, c.tx_cnt + 1000));
	cr_assert_not(vsock_credit_hear(&c, 4096, c.tx_cnt + 1));
	cr_assert(vsock_credit_hear(&c, 4096, c.tx_cnt));
	cr_assert_eq(vsock_credit_free(&c), 4096);
}

/* covers: VSOCK-CREDIT-04 VSOCK-CREDIT-05 */
Test(vsock_credit, is_given_for_what_was_taken_over_more_than_4_gib)
{
	struct vsock_credit c = { 0 };
	uint64_t total = 0;
	unsigned updates = 0;

	while (total < GIB(5)) {
		cr_assert(vsock_credit_receive(&c, VSOCK_BUF_ALLOC));
		cr_assert_not(vsock_credit_receive(&c, 1));
		c.fwd_cnt += VSOCK_BUF_ALLOC;
		total += VSOCK_BUF_ALLOC;
		cr_assert(vsock_credit_update_is_due(&c));
		c.told_fwd_cnt = c.fwd_cnt;
		cr_assert_not(vsock_credit_update_is_due(&c));
		updates++;
	}
	cr_assert_eq(c.rx_cnt, (uint32_t)total);
	cr_assert_gt(updates, 1000u);
}

/* A small second opinion: the bytes in a plain array. */
Test(vsock_fifo, gives_back_what_was_put_in_and_all_memory)
{
	static uint8_t model[1 << 16];
	struct vsock_fifo f = { 0 };
	uint64_t budget = MIB(1);
	unsigned len = 0;
	uint8_t next = 0;

	srand(7);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t buf[3000];
		unsigned n = (unsigned)rand() % sizeof(buf);

		if (rand() & 1 && len + n <= sizeof(model)) {
			struct iovec iov[2] = { { buf, n / 3 }, { buf + n / 3, n - n / 3 } };
			for (unsigned k = 0; k < n; k++)
				buf[k] = next++;
			unsigned skip = n / 2;
			cr_assert_eq(vsock_fifo_put(&f, &budget, iov, 2, skip, n - skip), 0);
			memcpy(model + len, buf + skip, n - skip);
			len += n - skip;
		} else if (n <= len) {
			struct iovec out[2];
			unsigned pieces = vsock_fifo_peek(&f, 0, n, out);
			cr_assert_eq(iov_read(out, pieces, 0, buf, n), n);
			cr_assert_eq(memcmp(buf, model, n), 0);
			vsock_fifo_drop(&f, &budget, n);
			memmove(model, model + n, len - n);
			len -= n;
		}
		cr_assert_eq(f.len, len);
		cr_assert_eq(budget + f.size, MIB(1));
		cr_assert(len > 0 || !f.data);
	}
	vsock_fifo_clear(&f, &budget);
	cr_assert_eq(budget, MIB(1));
}

Test(vsock_fifo, stays_within_the_budget)
{
	static uint8_t bytes[8192];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct vsock_fifo f = { 0 };
	uint64_t budget = 10000;

	cr_assert_eq(vsock_fifo_put(&f, &budget, &iov, 1, 0, 8192), 0);
	cr_assert_eq(vsock_fifo_put(&f, &budget, &iov, 1, 0, 1), -ENOMEM);
	cr_assert_eq(f.len, 8192);
	vsock_fifo_drop(&f, &budget, 1);
	cr_assert_eq(vsock_fifo_put(&f, &budget, &iov, 1, 0, 1), 0);
	cr_assert_eq(vsock_fifo_put(&f, &budget, &iov, 1, 0, UINT32_MAX), -ENOMEM);
	vsock_fifo_clear(&f, &budget);
}
