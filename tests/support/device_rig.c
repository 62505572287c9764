#include "tests/support/device_rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"

enum { MEMORY_START = 1 << 20, WAIT_S = 20, QUIET_US = 30000 };

void device_rig_create(struct device_rig *rig)
{
	*rig = (struct device_rig){ .machine = fake_machine_create(), .next = MEMORY_START };
	cr_assert_eq(event_loop_create(&rig->io, "io"), 0);
	cr_assert_eq(event_loop_thread_start(rig->io), 0);
}

void device_rig_plug(struct device_rig *rig, struct virtio_device *dev, enum fake_transport how)
{
	rig->transport = fake_driver_plug(&rig->driver, rig->machine, dev, how, 0);
}

void device_rig_unplug(struct device_rig *rig)
{
	machine_lock(&rig->machine->m);
	virtio_transport_destroy(rig->transport);
	machine_unlock(&rig->machine->m);
	rig->transport = NULL;
}

void device_rig_destroy(struct device_rig *rig)
{
	if (!rig->machine)
		return;
	device_rig_unplug(rig);
	event_loop_destroy(rig->io);
	fake_machine_destroy(rig->machine);
	rig->machine = NULL;
}

void device_rig_start_some(struct device_rig *rig, struct features features, unsigned queues)
{
	struct fake_driver *d = &rig->driver;

	cr_assert(fake_driver_negotiate(d, features));
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		if (!(queues >> i & 1))
			continue;
		uint64_t at = device_rig_alloc(rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));

		fake_driver_init_ring(d, &rig->ring[i], RIG_QUEUE_SIZE, at);
		fake_driver_set_queue(d, i, &rig->ring[i]);
		fake_driver_enable_queue(d, i);
	}
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	cr_assert_not(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
}

void device_rig_start(struct device_rig *rig, struct features features, unsigned n_queues)
{
	device_rig_start_some(rig, features, (1u << n_queues) - 1);
}

void device_rig_start_all(struct device_rig *rig, unsigned n_queues)
{
	device_rig_start(rig, fake_driver_offered(&rig->driver), n_queues);
}

uint64_t device_rig_alloc(struct device_rig *rig, uint64_t len)
{
	uint64_t gpa = rig->next;

	rig->next = align_up(gpa + len, 4096);
	cr_assert_leq(rig->next, FAKE_LOW_RAM_SIZE);
	memset(device_rig_at(rig, gpa, len), 0xcc, len);
	return gpa;
}

void *device_rig_at(struct device_rig *rig, uint64_t gpa, uint64_t len)
{
	return fake_machine_driver_at(rig->machine, gpa, len);
}

uint16_t device_rig_add(struct device_rig *rig, unsigned queue, const struct fake_buf *buf,
			unsigned n)
{
	uint16_t head = fake_ring_add(&rig->ring[queue], buf, n);

	fake_driver_kick(&rig->driver, queue);
	return head;
}

uint32_t device_rig_wait(struct device_rig *rig, unsigned queue, uint32_t *head)
{
	time_t deadline = time(NULL) + WAIT_S;
	uint32_t id, len;

	while (!fake_ring_reap(&rig->ring[queue], &id, &len)) {
		cr_assert_lt(time(NULL), deadline, "queue %u: nothing came back", queue);
		usleep(50);
		fake_machine_pump(rig->machine);
	}
	if (head)
		*head = id;
	return len;
}

bool device_rig_is_quiet(struct device_rig *rig, unsigned queue)
{
	uint32_t id, len;

	usleep(QUIET_US);
	fake_machine_pump(rig->machine);
	return !fake_ring_reap(&rig->ring[queue], &id, &len);
}
