/*
 * N25: whoever moves the buffers may refuse what the driver took, and is asked before FEATURES_OK
 * stands.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "virtio/device_account.h"
#include "vmm/base/error.h"

enum { NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET, FEATURES_OK = VIRTIO_STATUS_FEATURES_OK };

/* The echo's datapath, which is also asked. */
static struct datapath_ops asked;
static int verdict;
static unsigned n_asked, n_forgotten;
static struct features asked_for;

static int agree(struct datapath *dp, struct features accepted, const struct dma *dma)
{
	(void)dp;
	cr_assert_not_null(dma);
	n_asked++;
	asked_for = accepted;
	return verdict < 0 ? error_set(verdict, "the back end wants none of it") : 0;
}

static void forget(struct datapath *dp)
{
	(void)dp;
	n_forgotten++;
}

static void ask_the_back_end_of(struct echo_rig *rig, int its_verdict)
{
	asked = *rig->dev->part[0].datapath->ops;
	asked.agree = agree;
	asked.forget = forget;
	rig->dev->part[0].datapath->ops = &asked;
	verdict = its_verdict;
	n_asked = n_forgotten = 0;
}

static const char *last_refusal(const struct echo_rig *rig)
{
	static struct device_account account;

	device_account_take(&account, rig->dev, VIRTIO_PCI);
	return account.refusal;
}

OVER_ALL(agreement, n25_the_back_end_is_asked_once_a_session)
{
	ask_the_back_end_of(rig, 0);
	echo_rig_start(rig);
	cr_assert_eq(n_asked, 1);
	cr_assert(features_equal(asked_for, rig->dev->negotiation.accepted));
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
	echo_rig_round_trip(rig, 0);
	unsigned before = n_forgotten;

	fake_driver_reset(&rig->driver);
	cr_assert_eq(n_forgotten, before + 1);
	echo_rig_start(rig);
	cr_assert_eq(n_asked, 2);
	cr_assert_str_eq(last_refusal(rig), "");
}

OVER_MODERN(agreement, n25_features_ok_does_not_stand_against_the_back_end)
{
	ask_the_back_end_of(rig, -EREMOTEIO);
	cr_assert_not(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_str_eq(last_refusal(rig), "the back end wants none of it");
	cr_assert_eq(rig->echo->n_sealed, 0);
	cr_assert_eq(rig->dev->negotiation.n_sealed, 0, "that is no session");
	cr_assert_eq(error_errno(), 0, "the chain is not left for somebody else");
	/* Nor does it start. */
	fake_driver_set_status(&rig->driver, 3 | VIRTIO_STATUS_DRIVER_OK);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_eq(rig->echo->n_starts, 0);
	/* N5: the driver can try again, with what it likes. */
	verdict = 0;
	fake_driver_set_status(&rig->driver, 3 | FEATURES_OK);
	cr_assert_eq(fake_driver_status(&rig->driver), 3 | FEATURES_OK);
	cr_assert_eq(n_asked, 2);
	cr_assert_eq(rig->echo->n_sealed, 1);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 1);
}

/* N8: both bits in one write. */
OVER_MODERN(agreement, n25_driver_ok_falls_with_features_ok)
{
	ask_the_back_end_of(rig, -EREMOTEIO);
	(void)!fake_driver_negotiate(&rig->driver, echo_rig_ring_features());
	fake_driver_set_status(&rig->driver, 3 | FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	cr_assert_eq(fake_driver_status(&rig->driver), 3);
	cr_assert_eq(rig->echo->n_starts, 0);
}

/* What explain says of the session before is not said of one that never was. */
OVER_MODERN(agreement, n25_a_refused_session_leaves_the_last_one_in_place)
{
	struct features before;

	ask_the_back_end_of(rig, 0);
	echo_rig_start(rig);
	before = rig->dev->negotiation.last_accepted;
	verdict = -EREMOTEIO;
	struct features other = FEATURES_EMPTY;

	features_add(&other, VIRTIO_F_VERSION_1);
	cr_assert_not(fake_driver_negotiate(&rig->driver, other));
	cr_assert(features_equal(rig->dev->negotiation.last_accepted, before));
	cr_assert_eq(rig->dev->negotiation.n_sealed, 1);
}

/* It does not look whether it was refused: it is told so otherwise. */
OVER_LEGACY(agreement, n25_a_refused_legacy_driver_needs_a_reset)
{
	ask_the_back_end_of(rig, -EREMOTEIO);
	(void)!fake_driver_negotiate(&rig->driver, FEATURES_EMPTY);
	fake_driver_set_status(&rig->driver, 3 | VIRTIO_STATUS_DRIVER_OK);
	cr_assert_eq(fake_driver_status(&rig->driver), 7 | NEEDS_RESET);
	cr_assert_str_eq(last_refusal(rig), "the back end wants none of it");
	cr_assert_eq(rig->echo->n_starts, 0);
	verdict = 0;
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

OVER_LEGACY(agreement, n25_a_legacy_driver_is_asked_about_at_its_first_queue)
{
	ask_the_back_end_of(rig, -EREMOTEIO);
	(void)!fake_driver_negotiate(&rig->driver, FEATURES_EMPTY);
	cr_assert_eq(n_asked, 0);
	fake_driver_init_ring(&rig->driver, &rig->ring[0], 8, RIG_RINGS);
	fake_driver_set_queue(&rig->driver, 0, &rig->ring[0]);
	cr_assert_eq(n_asked, 1);
	cr_assert_eq(fake_driver_status(&rig->driver), 3 | NEEDS_RESET);
}
