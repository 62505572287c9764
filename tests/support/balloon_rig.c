#include "tests/support/balloon_rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void balloon_rig_create(struct balloon_rig *r, struct virtio_balloon_config config,
			enum fake_transport how)
{
	*r = (struct balloon_rig){ 0 };
	device_rig_create(&r->rig);
	r->rig.machine->m.memory.fd = r->rig.machine->memory_fd;
	config.name = "balloon";
	config.loop = r->rig.io;
	cr_assert_eq(virtio_balloon_create(&r->dev, &config), 0);
	device_rig_plug(&r->rig, r->dev, how);
}

void balloon_rig_destroy(struct balloon_rig *r)
{
	device_rig_destroy(&r->rig);
}

void balloon_rig_start(struct balloon_rig *r, unsigned bits, unsigned queues)
{
	struct features f = fake_driver_offered(&r->rig.driver);

	f.word[0] = (f.word[0] & ~UINT64_C(0xffffff)) | bits;
	device_rig_start_some(&r->rig, f, queues);
}

uint64_t balloon_rig_pages(struct balloon_rig *r, unsigned n)
{
	return device_rig_alloc(&r->rig, (uint64_t)n * PAGE);
}

bool balloon_rig_is(struct balloon_rig *r, uint64_t gpa, unsigned n_pages, uint8_t byte)
{
	const uint8_t *p = device_rig_at(&r->rig, gpa, (uint64_t)n_pages * PAGE);

	for (size_t i = 0; i < (size_t)n_pages * PAGE; i++)
		if (p[i] != byte)
			return false;
	return true;
}

uint64_t balloon_rig_resident(struct balloon_rig *r)
{
	struct stat st;

	cr_assert_eq(fstat(r->rig.machine->memory_fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

void balloon_rig_frames(struct balloon_rig *r, unsigned queue, const uint32_t *frame, unsigned n)
{
	balloon_rig_send(r, queue, frame, n * (uint32_t)sizeof(*frame));
}

void balloon_rig_range(struct balloon_rig *r, unsigned queue, uint64_t gpa, unsigned n_pages)
{
	uint32_t frame[1024];

	cr_assert_leq(n_pages, ARRAY_SIZE(frame));
	for (unsigned i = 0; i < n_pages; i++)
		frame[i] = (uint32_t)(gpa / PAGE) + i;
	balloon_rig_frames(r, queue, frame, n_pages);
}

void balloon_rig_put(struct balloon_rig *r, unsigned queue, const void *bytes, uint32_t len)
{
	uint64_t gpa = device_rig_alloc(&r->rig, len);

	memcpy(device_rig_at(&r->rig, gpa, len), bytes, len);
	device_rig_add(&r->rig, queue, &(struct fake_buf){ gpa, len, false }, 1);
}

void balloon_rig_send(struct balloon_rig *r, unsigned queue, const void *bytes, uint32_t len)
{
	balloon_rig_put(r, queue, bytes, len);
	cr_assert_eq(device_rig_wait(&r->rig, queue, NULL), 0);
}

void balloon_rig_report(struct balloon_rig *r, unsigned queue, uint64_t gpa, uint32_t len)
{
	device_rig_add(&r->rig, queue, &(struct fake_buf){ gpa, len, true }, 1);
	cr_assert_eq(device_rig_wait(&r->rig, queue, NULL), 0);
}

void balloon_rig_await(struct balloon_rig *r, unsigned offset, uint32_t value)
{
	time_t deadline = time(NULL) + 20;

	while (fake_driver_config(&r->rig.driver, offset, 4) != value) {
		cr_assert_lt(time(NULL), deadline, "config field %u did not become %u", offset,
			     value);
		usleep(50);
		fake_machine_pump(r->rig.machine);
	}
}
