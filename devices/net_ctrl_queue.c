/*
 * The control queue's way: a command is popped on the queue's loop, carried out on the main loop
 * (net_ctrl.c; it changes registers and calls the peer), and pushed back on the queue's loop.  One
 * at a time.
 */
#include "devices/net_impl.h"

/* Main loop.  A session that ended meanwhile took the command with it. */
static void carry_out(struct event_post *post)
{
	struct virtio_net *net = container_of(post, struct virtio_net, command.go);
	struct net_command *command = &net->command;

	machine_lock(net->dev.machine);
	/* Acquire: then the chain is that of the command, also if it is a later session's. */
	if (atomic_load_explicit(&command->is_out, memory_order_acquire)) {
		command->written = net_ctrl_handle(net, &command->chain);
		atomic_store_explicit(&command->is_out, false, memory_order_relaxed);
		event_loop_post(local_loop(net->datapath, command->index), &command->back);
	}
	machine_unlock(net->dev.machine);
}

static void bring_back(struct event_post *post)
{
	struct virtio_net *net = container_of(post, struct virtio_net, command.back);
	struct net_command *command = &net->command;

	if (!command->is_busy)
		return;
	command->is_busy = false;
	virtqueue_push(command->vq, command->chain.head, command->written);
	virtqueue_flush(command->vq);
	local_queue_resume(net->datapath, command->index);
}

void net_ctrl_queue_init(struct virtio_net *net)
{
	net->command.go.fn = carry_out;
	net->command.back.fn = bring_back;
}

/* The posts stay as they are: the main loop may just be taking one of an earlier session. */
void net_ctrl_queue_start(struct virtio_net *net, unsigned index, struct virtqueue *q)
{
	net->command.vq = q;
	net->command.index = index;
}

void net_ctrl_queue_run(struct virtio_net *net)
{
	struct net_command *command = &net->command;

	if (command->is_busy || virtqueue_pop(command->vq, &command->chain) != VQ_CHAIN)
		return;
	command->is_busy = true;
	/* Not only the post says so: one of an earlier session may still be under way. */
	atomic_store_explicit(&command->is_out, true, memory_order_release);
	event_loop_post(net->dev.machine->main_loop, &command->go);
}

/* Whoever suspends or stops the queue holds the machine lock: no command is being carried out. */
void net_ctrl_queue_hold(struct virtio_net *net)
{
	struct net_command *command = &net->command;

	if (!command->is_busy ||
	    !atomic_load_explicit(&command->is_out, memory_order_relaxed))
		return;
	virtqueue_unpop(command->vq, &command->chain);
	atomic_store_explicit(&command->is_out, false, memory_order_relaxed);
	command->is_busy = false;
}

/*
 * Nothing stays in progress, so that another datapath can go on: one that was not carried out is
 * still in the ring, and one that was is answered.
 */
void net_ctrl_queue_stop(struct virtio_net *net)
{
	struct net_command *command = &net->command;

	net_ctrl_queue_hold(net);
	if (command->is_busy) {
		virtqueue_push(command->vq, command->chain.head, command->written);
		virtqueue_flush(command->vq);
	}
	command->is_busy = false;
	command->vq = NULL;
	event_loop_unpost(local_loop(net->datapath, command->index), &command->back);
}

void net_ctrl_queue_close(struct virtio_net *net)
{
	event_loop_unpost(net->dev.machine->main_loop, &net->command.go);
}
