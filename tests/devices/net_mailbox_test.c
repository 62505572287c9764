/* Frames that go from one queue pair to another. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "devices/net_mailbox.h"

enum { N_THREADS = 3, N_EACH = 20000 };

static struct net_mailbox box;

static void setup(void)
{
	cr_assert_eq(net_mailbox_open(&box), 0);
}

static void teardown(void)
{
	net_mailbox_close(&box);
}

TestSuite(net_mailbox, .init = setup, .fini = teardown);

static bool put(uint32_t who, uint32_t number)
{
	uint32_t words[] = { who, number, ~number };
	struct iovec iov[] = { { words, 5 }, { (char *)words + 5, sizeof(words) - 5 } };
	struct net_header header = { .hash_value = number };

	return net_mailbox_put(&box, &header, iov, 2, sizeof(words));
}

Test(net_mailbox, frames_come_out_as_they_went_in)
{
	for (uint32_t lap = 0; lap < 5; lap++) {
		for (uint32_t i = 0; i < NET_MAILBOX_SLOTS; i++)
			cr_assert(put(1, i));
		cr_assert_not(put(1, 0), "full");
		for (uint32_t i = 0; i < NET_MAILBOX_SLOTS; i++) {
			const struct net_mail *mail = net_mailbox_peek(&box);
			uint32_t words[3];

			cr_assert(mail);
			cr_assert_eq(mail->len, sizeof(words));
			memcpy(words, mail->frame, sizeof(words));
			cr_assert_eq(words[1], i);
			cr_assert_eq(mail->header.hash_value, i);
			net_mailbox_drop(&box);
		}
		cr_assert_null(net_mailbox_peek(&box));
	}
}

Test(net_mailbox, frame_that_is_too_long_is_not_taken)
{
	static uint8_t frame[NET_FRAME_MAX + 1];
	struct net_header header = { 0 };
	struct iovec iov = { frame, sizeof(frame) };

	cr_assert_not(net_mailbox_put(&box, &header, &iov, 1, sizeof(frame)));
	cr_assert(net_mailbox_put(&box, &header, &iov, 1, NET_FRAME_MAX));
}

Test(net_mailbox, one_that_is_not_open_takes_nothing)
{
	net_mailbox_close(&box);
	cr_assert_not(put(0, 0));
	cr_assert_null(net_mailbox_peek(&box));
}

static void *send_all(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;

	for (uint32_t i = 0; i < N_EACH;)
		if (put(who, i))
			i++;
	return NULL;
}

/* Each sender's frames arrive once, whole, and in order. */
Test(net_mailbox, several_can_put_at_a_time)
{
	pthread_t thread[N_THREADS];
	uint32_t next[N_THREADS] = { 0 };

	for (uintptr_t i = 0; i < N_THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, send_all, (void *)i), 0);
	for (unsigned n = 0; n < N_THREADS * N_EACH;) {
		const struct net_mail *mail = net_mailbox_peek(&box);
		uint32_t words[3];

		if (!mail)
			continue;
		memcpy(words, mail->frame, sizeof(words));
		cr_assert_lt(words[0], N_THREADS);
		cr_assert_eq(words[1], next[words[0]]);
		cr_assert_eq(words[2], ~words[1]);
		next[words[0]]++;
		net_mailbox_drop(&box);
		n++;
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(thread[i], NULL);
	cr_assert_null(net_mailbox_peek(&box));
}
