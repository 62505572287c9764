/* Who runs a ring when: start and stop, kicks, bounded work, stalls, pollers, broken rings. */
#include "virtio/datapath_local.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fake_ring.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { N = 3, SIZE = 8, DEVICE_FIRST = 5, RING = 0x10000, DATA = 0x80000 };

/* A model that answers at once, unless told otherwise. */
struct model {
	int start_error;
	unsigned n_starts, n_stops, n_queue_starts, n_queue_stops;
	_Atomic unsigned n_handled, n_chains;
	unsigned take_at_most;		/* chains in this life, 0: any number */
	void (*after_handle)(unsigned index);	/* what the guest does meanwhile */
	struct virtqueue *vq[N];
};

static struct fake_machine *machine;
static struct event_loop *loop;
static struct datapath *dp;
static struct model model;
static struct fake_ring ring[N];
static int kick_fd[N], call_fd[N];
static struct datapath_queue queue[N];
static unsigned n_fails, failed_queue;
static const char *failed_reason;

static int model_start(void *arg, const struct datapath_start *start)
{
	struct model *m = arg;

	(void)start;
	m->n_starts++;
	return m->start_error ? error_set(m->start_error, "told to fail") : 0;
}

static void model_queue_start(void *arg, unsigned index, struct virtqueue *q)
{
	struct model *m = arg;

	m->n_queue_starts++;
	m->vq[index] = q;
}

static void model_handle(void *arg, unsigned index, struct virtqueue *q)
{
	struct model *m = arg;
	struct chain c;

	m->n_handled++;
	while (!(m->take_at_most && m->n_chains >= m->take_at_most) &&
	       virtqueue_pop(q, &c) == VQ_CHAIN) {
		m->n_chains++;
		virtqueue_push(q, c.head, 0);
	}
	if (m->after_handle)
		m->after_handle(index);
}

static void model_queue_stop(void *arg, unsigned index, struct virtqueue *q)
{
	struct model *m = arg;

	cr_assert_eq(m->vq[index], q);
	m->n_queue_stops++;
	m->vq[index] = NULL;
}

static void model_stop(void *arg)
{
	struct model *m = arg;

	for (unsigned i = 0; i < N; i++)
		cr_assert_null(m->vq[i], "queues stop before the model");
	m->n_stops++;
}

static const struct local_ops ops = {
	.start = model_start,
	.queue_start = model_queue_start,
	.handle = model_handle,
	.queue_stop = model_queue_stop,
	.stop = model_stop,
};

static void on_fail(void *arg, unsigned index, enum vq_fault fault, const char *reason)
{
	(void)fault;
	(void)arg;
	n_fails++;
	failed_queue = index;
	failed_reason = reason;
}

static void setup(void)
{
	struct event_loop *loops[N];

	machine = fake_machine_create();
	cr_assert_eq(event_loop_create(&loop, "io"), 0);
	model = (struct model){ .start_error = 0 };
	n_fails = 0;
	for (unsigned i = 0; i < N; i++) {
		loops[i] = loop;
		cr_assert_eq(fd_create_event(&kick_fd[i]), 0);
		cr_assert_eq(fd_create_event(&call_fd[i]), 0);
		fake_ring_init(&ring[i], machine, SIZE, RING + 0x1000ull * i);
		queue[i] = (struct datapath_queue){
			.index = DEVICE_FIRST + i,
			.enabled = true,
			.size = SIZE,
			.desc = ring[i].desc,
			.driver = ring[i].driver,
			.device = ring[i].device,
			.kick_fd = kick_fd[i],
			.call = { .fd = call_fd[i] },
		};
	}
	cr_assert_eq(local_create(&dp, &ops, &model, loops, N), 0);
	dp->fail = on_fail;
}

static void teardown(void)
{
	dp->ops->stop(dp);
	event_loop_thread_stop(loop);
	dp->ops->destroy(dp);
	event_loop_destroy(loop);
	for (unsigned i = 0; i < N; i++) {
		fd_close(&kick_fd[i]);
		fd_close(&call_fd[i]);
	}
	fake_machine_destroy(machine);
}

TestSuite(datapath_local, .init = setup, .fini = teardown);

static int try_start_with(struct features features)
{
	struct datapath_start start = {
		.features = features,
		.dma = &machine->m.dma,
		.queue = queue,
		.n_queues = N,
	};

	features_add(&start.features, VIRTIO_F_VERSION_1);
	return dp->ops->start(dp, &start);
}

static int try_start(void)
{
	return try_start_with(FEATURES_EMPTY);
}

static void start(void)
{
	cr_assert_eq(try_start(), 0, "%s", error_text());
	loop_pump(loop);
}

static void add(unsigned index)
{
	struct fake_buf buf = { DATA, 16, true };

	fake_ring_add(&ring[index], &buf, 1);
}

static void kick(unsigned index)
{
	fd_signal(kick_fd[index]);
	loop_pump(loop);
}

static bool wait_until(_Atomic unsigned *counter, unsigned value)
{
	for (int i = 0; i < 2000 && atomic_load(counter) < value; i++)
		usleep(1000);
	return atomic_load(counter) >= value;
}

Test(datapath_local, serves_the_bits_of_this_ring_and_no_others)
{
	struct features f = dp->ops->features(dp);

	cr_assert(features_has(&f, VIRTIO_F_VERSION_1));
	cr_assert(features_has(&f, VIRTIO_F_EVENT_IDX));
	cr_assert(features_has(&f, VIRTIO_F_INDIRECT_DESC));
	cr_assert(features_has(&f, VIRTIO_NET_F_MRG_RXBUF), "headers are the model's");
	cr_assert(features_has(&f, VIRTIO_F_RING_RESET));
	cr_assert(features_has(&f, VIRTIO_F_SUSPEND));
	cr_assert_not(features_has(&f, VIRTIO_F_SR_IOV));
	cr_assert_not(features_has(&f, VIRTIO_F_NOTIFY_ON_EMPTY));
	cr_assert(features_has(&f, VIRTIO_F_RING_PACKED));
	cr_assert(features_has(&f, VIRTIO_F_IN_ORDER));
}

/* covers: CORE-VQ-10 */
Test(datapath_local, each_queue_is_looked_at_once_without_a_kick)
{
	add(1);
	start();
	cr_assert_eq(model.n_starts, 1);
	cr_assert_eq(model.n_queue_starts, N);
	cr_assert_eq(model.n_handled, N);
	cr_assert_eq(fake_ring_used_idx(&ring[1]), 1);
	cr_assert(fd_drain(call_fd[1]));
}

/* The datapath does not know the layouts apart; what it looks at must hold for both. */
Test(datapath_local, packed_rings_run_and_run_again)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_RING_PACKED);
	features_add(&f, VIRTIO_F_IN_ORDER);
	for (unsigned life = 0; life < 2; life++) {
		uint32_t id, len;

		for (unsigned i = 0; i < N; i++) {
			/* No power of two; the smallest one has one slot. */
			queue[i].size = (uint16_t)(1 + 2 * i);
			fake_ring_init_as(&ring[i], FAKE_PACKED, machine, queue[i].size,
					  RING + 0x1000ull * i);
			queue[i].driver = ring[i].driver;
			queue[i].device = ring[i].device;
		}
		cr_assert_eq(try_start_with(f), 0, "%s", error_text());
		loop_pump(loop);
		for (unsigned k = 0; k < 40; k++) {
			add(k % N);
			cr_assert(fake_ring_must_kick(&ring[k % N]));
			kick(k % N);
			cr_assert(fake_ring_reap(&ring[k % N], &id, &len));
			cr_assert(fd_drain(call_fd[k % N]));
		}
		dp->ops->stop(dp);
	}
	cr_assert_eq(n_fails, 0);
}

/* covers: CORE-VQ-06 */
Test(datapath_local, disabled_queues_are_left_alone)
{
	queue[0].enabled = false;
	queue[0].desc = UINT64_MAX;
	start();
	cr_assert_eq(model.n_queue_starts, N - 1);
	cr_assert_null(model.vq[0]);
	kick(0);
	dp->ops->stop_queue(dp, 0);
	dp->ops->stop(dp);
	cr_assert_eq(model.n_queue_stops, N - 1);
}

Test(datapath_local, a_model_that_refuses_is_not_stopped)
{
	model.start_error = EIO;
	cr_assert_eq(try_start(), -EIO);
	cr_assert_eq(model.n_queue_starts, 0);
	cr_assert_eq(model.n_stops, 0);
	dp->ops->stop(dp);
	cr_assert_eq(model.n_stops, 0);
}

Test(datapath_local, a_ring_that_cannot_be_undoes_the_start)
{
	queue[2].driver = 1;
	cr_assert_eq(try_start(), -EINVAL);
	cr_assert_str_eq(error_text(), "set up queue 7");
	cr_assert_eq(model.n_queue_starts, 0);
	cr_assert_eq(model.n_stops, 1);
	queue[2].driver = ring[2].driver;
	start();
	cr_assert_eq(model.n_queue_starts, N);
}

Test(datapath_local, a_failure_on_the_loops_thread_undoes_the_start)
{
	queue[2].kick_fd = FD_NONE;
	cr_assert_eq(event_loop_thread_start(loop), 0);
	cr_assert_eq(try_start(), -EBADF);
	cr_assert_eq(error_errno(), EBADF, "the chain came over");
	cr_assert_eq(model.n_queue_starts, 2);
	cr_assert_eq(model.n_queue_stops, 2);
	cr_assert_eq(model.n_stops, 1);
}

Test(datapath_local, stop_ends_everything_and_can_be_repeated)
{
	start();
	dp->ops->stop(dp);
	cr_assert_eq(model.n_queue_stops, N);
	cr_assert_eq(model.n_stops, 1);
	dp->ops->stop(dp);
	cr_assert_eq(model.n_stops, 1);
	add(0);
	kick(0);
	local_queue_resume(dp, 0);
	cr_assert_eq(fake_ring_used_idx(&ring[0]), 0);
}

Test(datapath_local, one_queue_can_be_stopped)
{
	start();
	dp->ops->stop_queue(dp, 1);
	dp->ops->stop_queue(dp, 1);
	dp->ops->stop_queue(dp, N);
	cr_assert_eq(model.n_queue_stops, 1);
	add(0);
	add(1);
	kick(0);
	kick(1);
	cr_assert_eq(fake_ring_used_idx(&ring[0]), 1);
	cr_assert_eq(fake_ring_used_idx(&ring[1]), 0);
	dp->ops->stop(dp);
	cr_assert_eq(model.n_queue_stops, N);
}

static bool was_suppressed;

static void note_suppression(unsigned index)
{
	was_suppressed = fake_ring_used_flags(&ring[index]) == 1;
}

/* covers: RING-SPLIT-AVAILNOTIF-02 */
Test(datapath_local, the_driver_need_not_kick_while_we_work)
{
	start();
	model.after_handle = note_suppression;
	add(0);
	kick(0);
	cr_assert(was_suppressed);
	cr_assert_eq(fake_ring_used_flags(&ring[0]), 0);
}

static unsigned n_left;

/* Comes after the model's last look: only rearming can see it. */
static void offer_more(unsigned index)
{
	if (n_left == 0)
		return;
	n_left--;
	add(index);
}

/* covers: RING-SPLIT-AVAILNOTIF-06 */
Test(datapath_local, what_comes_in_between_needs_no_kick)
{
	start();
	n_left = 5;
	model.after_handle = offer_more;
	kick(0);
	loop_pump(loop);
	cr_assert_eq(model.n_chains, 5);
	cr_assert_eq(fake_ring_used_idx(&ring[0]), 5);
}

/* covers: CORE-VQ-09 */
Test(datapath_local, a_flooded_queue_leaves_the_loop_to_others)
{
	start();
	model.after_handle = offer_more;
	n_left = UINT32_MAX;
	unsigned before = model.n_handled;
	fd_signal(kick_fd[0]);
	fd_signal(kick_fd[1]);
	fd_signal(kick_fd[2]);
	/* The pump gives each source that is ready four turns, and comes back. */
	loop_pump(loop);
	cr_assert_leq(model.n_handled - before, 4 * N);
	for (unsigned i = 0; i < N; i++)
		cr_assert_gt(fake_ring_used_idx(&ring[i]), 1);
	before = model.n_handled;
	loop_pump(loop);
	cr_assert_gt(model.n_handled, before, "and it goes on without a kick");
}

Test(datapath_local, a_model_that_takes_no_more_is_left_alone_until_it_resumes)
{
	start();
	unsigned before = model.n_handled;
	model.take_at_most = 2;
	for (int i = 0; i < 5; i++)
		add(0);
	kick(0);
	cr_assert_eq(model.n_chains, 2);
	cr_assert_leq(model.n_handled - before, 3);
	before = model.n_handled;
	loop_pump(loop);
	cr_assert_eq(model.n_handled, before, "no spinning");
	model.take_at_most = 0;
	local_queue_resume(dp, 0);
	loop_pump(loop);
	cr_assert_eq(model.n_chains, 5);
	add(0);
	kick(0);
	cr_assert_eq(model.n_chains, 6);
}

Test(datapath_local, a_polling_loop_needs_no_kick)
{
	event_loop_set_poll_limit(loop, 1000000000);
	cr_assert_eq(event_loop_thread_start(loop), 0);
	cr_assert_eq(try_start(), 0);
	cr_assert(wait_until(&model.n_handled, N));
	for (unsigned i = 1; i <= 100; i++) {
		add(i % N);
		cr_assert(wait_until(&model.n_chains, i));
	}
}

/* N10.  covers: CORE-STATUS-13 */
Test(datapath_local, a_broken_ring_is_reported_once_and_the_others_go_on)
{
	start();
	fake_ring_offer(&ring[1], SIZE);
	fake_ring_publish(&ring[1]);
	kick(1);
	cr_assert_eq(n_fails, 1);
	cr_assert_eq(failed_queue, DEVICE_FIRST + 1);
	cr_assert_str_eq(failed_reason, vq_fault_text(VQ_FAULT_HEAD));
	kick(1);
	local_queue_resume(dp, 1);
	loop_pump(loop);
	cr_assert_eq(n_fails, 1);
	add(0);
	kick(0);
	cr_assert_eq(fake_ring_used_idx(&ring[0]), 1);
	dp->ops->stop(dp);
	cr_assert_eq(model.n_queue_stops, N, "a broken queue is stopped, too");
}

/* The model meets it on its own account, as when input arrives. */
Test(datapath_local, a_ring_found_broken_outside_of_handle_is_reported)
{
	struct chain c;

	start();
	fake_ring_set_avail_idx(&ring[2], 0x4000);
	cr_assert_eq(virtqueue_pop(model.vq[2], &c), VQ_BROKEN);
	cr_assert_eq(n_fails, 1);
	cr_assert_eq(failed_queue, DEVICE_FIRST + 2);
}

/* covers: CORE-RESET-05 */
Test(datapath_local, start_and_stop_while_being_kicked)
{
	cr_assert_eq(event_loop_thread_start(loop), 0);
	for (int i = 0; i < 300; i++) {
		for (unsigned k = 0; k < N; k++)
			fake_ring_init(&ring[k], machine, SIZE, RING + 0x1000ull * k);
		add(i % N);
		cr_assert_eq(try_start(), 0);
		for (unsigned k = 0; k < N; k++) {
			add(k);
			fd_signal(kick_fd[k]);
		}
		dp->ops->stop(dp);
		for (unsigned k = 0; k < N; k++)
			cr_assert_null(model.vq[k]);
	}
	cr_assert_eq(n_fails, 0);
}
