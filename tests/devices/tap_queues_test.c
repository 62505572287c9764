/*
 * A tap's queues come and go while calls to the host fail.  Without the right to make a tap the
 * tests are skipped.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/tap_impl.h"
#include "tests/support/fault.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { N_PAIRS = 4 };

static struct event_loop *loop;
static struct net_peer *peer;
static unsigned lost;			/* bit per pair that was said to be at its end */

static void nothing(void *arg, unsigned pair)
{
	(void)arg;
	(void)pair;
}

static void on_lost(void *arg, unsigned pair)
{
	(void)arg;
	lost |= 1u << pair;
}

static void start_peer(void)
{
	struct event_loop *loops[N_PAIRS] = { loop, loop, loop, loop };
	const struct net_peer_start start = {
		.header_len = 12, .n_pairs = N_PAIRS, .loop = loops, .readable = nothing,
		.writable = nothing, .lost = on_lost,
	};

	cr_assert_eq(peer->ops->start(peer, &start), 0, "%s", error_text());
}

static void setup(void)
{
	const struct net_tap_config config = {
		.name = "net0", .ifname = "vireo0", .fd = FD_NONE, .n_pairs = N_PAIRS,
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0 ||
	    net_tap_create(&peer, &config) < 0)
		cr_skip_test("cannot make a tap here: %s", strerror(errno));
	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	start_peer();
}

static void teardown(void)
{
	if (!peer)
		return;
	peer->ops->stop(peer);
	peer->ops->destroy(peer);
	event_loop_destroy(loop);
}

TestSuite(tap_queues, .init = setup, .fini = teardown);

static const struct tap_queue *queue(unsigned i)
{
	return &container_of(peer, struct tap, base)->queue[i];
}

/* Would the host's kernel give it frames? */
static bool is_attached(unsigned i)
{
	struct ifreq ifr = { .ifr_flags = IFF_ATTACH_QUEUE };
	int fd = queue(i)->fd;

	if (ioctl(fd, TUNSETQUEUE, &ifr) < 0) {
		cr_assert_eq(errno, EINVAL);
		return true;
	}
	ifr.ifr_flags = IFF_DETACH_QUEUE;
	cr_assert_eq(ioctl(fd, TUNSETQUEUE, &ifr), 0);
	return false;
}

/* The first 'n' are in use and no others, in the host's eyes and in ours. */
static void expect_in_use(unsigned n, unsigned failing)
{
	for (unsigned i = 0; i < N_PAIRS; i++) {
		cr_assert_eq(is_attached(i), i < n, "queue %u, call %u", i, failing);
		cr_assert_eq(queue(i)->is_attached, i < n, "queue %u, call %u", i, failing);
	}
}

static void set_pairs(unsigned n)
{
	cr_assert_eq(peer->ops->set_pairs(peer, n), 0, "%s", error_text());
	expect_in_use(n, 0);
}

/* Any one call fails on the way from one number to another. */
static void expect_all_or_nothing(unsigned from, unsigned to, unsigned at_least)
{
	unsigned n = 1;

	for (;; n++) {
		set_pairs(from);
		fault_arm(n, false);
		int r = peer->ops->set_pairs(peer, to);
		const char *call = fault_disarm();

		if (!call)
			break;
		cr_assert_lt(r, 0, "%s %u did not matter", call, n);
		cr_assert_neq(*error_text(), '\0');
		error_clear();
		expect_in_use(from, n);
	}
	expect_in_use(to, 0);
	cr_assert_gt(n, at_least, "only %u calls", n - 1);
	cr_assert_eq(lost, 0);
}

Test(tap_queues, that_cannot_all_be_had_are_as_they_were)
{
	expect_all_or_nothing(1, 4, 6);
	expect_all_or_nothing(2, 3, 2);
}

Test(tap_queues, that_cannot_all_be_given_back_are_as_they_were)
{
	expect_all_or_nothing(4, 1, 3);
	expect_all_or_nothing(3, 2, 1);
}

/* The driver has to hear of it, or it waits at a dead queue. */
Test(tap_queues, that_cannot_even_be_restored_are_said_to_be_lost)
{
	const struct iovec none = { 0 };

	set_pairs(4);
	/* Two are given back; of the third and all after it every call fails. */
	fault_arm(3, true);
	cr_assert_lt(peer->ops->set_pairs(peer, 1), 0);
	cr_assert_not_null(fault_disarm());
	cr_assert_eq(lost, 1u << 1 | 1u << 2 | 1u << 3);
	cr_assert_eq(peer->ops->send(peer, 1, &none, 0), -ENODEV);
	cr_assert_eq(peer->ops->receive(peer, 2, &none, 0), -ENODEV);
	cr_assert(queue(0)->is_attached);
	/* A driver that was reset starts as ever. */
	lost = 0;
	peer->ops->stop(peer);
	start_peer();
	set_pairs(1);
	set_pairs(4);
	cr_assert_eq(lost, 0);
}
