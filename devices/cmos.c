/*
 * MC146818 and its memory.  The clock never ticks: time registers are made when they are read,
 * from the host's clock and an offset, and setting the time sets the offset.  A timer runs only
 * while the guest wants alarm or update-ended interrupts.  There are no periodic interrupts and
 * no square wave.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/rtc_time.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

enum {
	A_UPDATING = 0x80,
	A_DEFAULT = 0x26,		/* 32.768 kHz crystal, 1024 Hz */
	B_SET = 0x80,			/* time stands still while the guest sets it */
	B_ALARM_INTERRUPT = 0x20,
	B_UPDATE_INTERRUPT = 0x10,
	C_INTERRUPT = 0x80,
	C_ALARM = 0x20,
	C_UPDATE = 0x10,
	D_VALID = 0x80,			/* the battery is good */
	/* Memory sizes, as a PC BIOS leaves them. */
	BASE_KIB = 0x15,
	EXTENDED_KIB = 0x17,
	EXTENDED_KIB_COPY = 0x30,
	ABOVE_16M_64KIB = 0x34,
	ABOVE_4G_64KIB = 0x5b,
};

enum {
	NS_PER_SECOND = 1000000000,
	/* "Updating" announces an update 244 us ahead; the update itself takes us no time. */
	UPDATE_AHEAD_NS = 244000,
	/* Seconds that are looked at for an alarm after the clock was not looked at. */
	MAX_CATCH_UP = 3600,
};

struct cmos {
	struct platform_device dev;
	struct machine *machine;
	struct region region;
	uint8_t index;
	uint8_t reg[RTC_N_REGISTERS];
	int64_t offset;			/* guest's clock - host's, in seconds */
	int64_t last;			/* guest second up to which flags are set */
	struct event_source timer;
};

static struct timespec host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts;
}

static int64_t guest_now(const struct cmos *c)
{
	return host_now().tv_sec + c->offset;
}

static bool is_set_mode(const struct cmos *c)
{
	return c->reg[RTC_B] & B_SET;
}

static void update_line(struct cmos *c)
{
	uint8_t wanted = c->reg[RTC_B] & (B_ALARM_INTERRUPT | B_UPDATE_INTERRUPT);

	/* Flags in C have the bit numbers of their enables in B. */
	c->reg[RTC_C] &= (uint8_t)~C_INTERRUPT;
	c->reg[RTC_C] |= c->reg[RTC_C] & wanted ? C_INTERRUPT : 0;
	irq_chip_set_line(c->machine->irq, GSI_CMOS, c->reg[RTC_C] & C_INTERRUPT);
}

/* Set the flags for the seconds that have passed. */
static void catch_up(struct cmos *c)
{
	int64_t now = guest_now(c);

	if (is_set_mode(c) || now <= c->last) {
		c->last = now;
		return;
	}
	if (now - c->last > MAX_CATCH_UP)
		c->last = now - MAX_CATCH_UP;
	while (c->last < now) {
		rtc_time_store(c->reg, ++c->last);
		if (rtc_time_is_alarm(c->reg))
			c->reg[RTC_C] |= C_ALARM;
	}
	c->reg[RTC_C] |= C_UPDATE;
	update_line(c);
}

/* Wake up at each full second, or not at all. */
static void set_timer(struct cmos *c)
{
	struct itimerspec spec = { 0 };

	if (c->reg[RTC_B] & (B_ALARM_INTERRUPT | B_UPDATE_INTERRUPT)) {
		spec.it_value.tv_sec = host_now().tv_sec + 1;
		spec.it_interval.tv_sec = 1;
	}
	timerfd_settime(c->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void timer_fn(struct event_source *source, uint32_t events)
{
	struct cmos *c = container_of(source, struct cmos, timer);

	(void)events;
	fd_drain(source->fd);
	machine_lock(c->machine);
	catch_up(c);
	machine_unlock(c->machine);
}

/* The registers hold a time that the guest has set: that is the time now. */
static void take_time(struct cmos *c)
{
	c->offset = rtc_time_load(c->reg) - host_now().tv_sec;
	c->last = guest_now(c);
}

static uint8_t read_register(struct cmos *c, unsigned index)
{
	uint8_t value;

	switch (index) {
	case RTC_A:
		if (!is_set_mode(c) && host_now().tv_nsec >= NS_PER_SECOND - UPDATE_AHEAD_NS)
			return c->reg[RTC_A] | A_UPDATING;
		return c->reg[RTC_A];
	case RTC_C:
		catch_up(c);
		value = c->reg[RTC_C];
		c->reg[RTC_C] = 0;
		update_line(c);
		return value;
	default:
		if (rtc_time_is_register(index) && !is_set_mode(c))
			rtc_time_store(c->reg, guest_now(c));
		return c->reg[index];
	}
}

static void write_b(struct cmos *c, uint8_t value)
{
	bool was_set_mode = is_set_mode(c);

	catch_up(c);
	if (!was_set_mode)
		rtc_time_store(c->reg, guest_now(c));
	/* Entering set mode ends update-ended interrupts. */
	if (value & B_SET)
		value &= (uint8_t)~B_UPDATE_INTERRUPT;
	c->reg[RTC_B] = value;
	if (was_set_mode && !is_set_mode(c))
		take_time(c);
	set_timer(c);
	update_line(c);
}

static void write_register(struct cmos *c, unsigned index, uint8_t value)
{
	switch (index) {
	case RTC_A:
		c->reg[RTC_A] = value & (uint8_t)~A_UPDATING;
		return;
	case RTC_B:
		write_b(c, value);
		return;
	case RTC_C:
	case RTC_D:
		return;
	default:
		/* A new alarm does not ring for the seconds before it. */
		catch_up(c);
		if (!rtc_time_is_register(index) || is_set_mode(c)) {
			c->reg[index] = value;
			return;
		}
		/* One field of a running clock. */
		rtc_time_store(c->reg, guest_now(c));
		c->reg[index] = value;
		take_time(c);
	}
}

static uint64_t cmos_read(void *arg, uint64_t offset, unsigned size)
{
	struct cmos *c = arg;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		/* The index port cannot be read back. */
		uint8_t byte = offset + i == 0 ? 0xff : read_register(c, c->index);
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void cmos_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct cmos *c = arg;

	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(value >> (8 * i));
		/* Bit 7 of the index masks NMIs on a PC. */
		if (offset + i == 0)
			c->index = byte % RTC_N_REGISTERS;
		else
			write_register(c, c->index, byte);
	}
}

static const struct region_ops cmos_region_ops = { .read = cmos_read, .write = cmos_write };

static void store_memory_sizes(struct cmos *c)
{
	const struct guest_memory *mem = &c->machine->memory;
	uint64_t low_end = 0, high = 0;

	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct memory_region *r = &mem->region[i];
		if (r->base < LAYOUT_RAM_ABOVE)
			low_end = max_u64(low_end, r->base + r->size);
		else
			high += r->size;
	}
	uint64_t extended = low_end > MIB(1) ? low_end - MIB(1) : 0;
	uint64_t above_16m = low_end > MIB(16) ? low_end - MIB(16) : 0;
	uint16_t extended_kib = (uint16_t)min_u64(extended / KIB(1), UINT16_MAX);

	store_le16(c->reg + BASE_KIB, 640);
	store_le16(c->reg + EXTENDED_KIB, extended_kib);
	store_le16(c->reg + EXTENDED_KIB_COPY, extended_kib);
	store_le16(c->reg + ABOVE_16M_64KIB, (uint16_t)min_u64(above_16m / KIB(64), UINT16_MAX));
	uint32_t above_4g = (uint32_t)min_u64(high / KIB(64), 0xffffff);
	store_le16(c->reg + ABOVE_4G_64KIB, (uint16_t)above_4g);
	c->reg[ABOVE_4G_64KIB + 2] = (uint8_t)(above_4g >> 16);
}

/* Time and the guest's bytes survive, as they do in a chip with a battery. */
static void cmos_reset(struct platform_device *dev)
{
	struct cmos *c = container_of(dev, struct cmos, dev);

	c->index = 0;
	c->reg[RTC_A] = A_DEFAULT;
	c->reg[RTC_B] = RTC_B_24_HOURS;
	c->reg[RTC_C] = 0;
	c->reg[RTC_D] = D_VALID;
	c->last = guest_now(c);
	store_memory_sizes(c);
	set_timer(c);
	update_line(c);
}

static void cmos_destroy(struct platform_device *dev)
{
	struct cmos *c = container_of(dev, struct cmos, dev);

	event_loop_remove(&c->timer);
	fd_close(&c->timer.fd);
	bus_remove(&c->machine->pio, &c->region);
	free(c);
}

static const struct platform_device_ops cmos_ops = {
	.reset = cmos_reset,
	.destroy = cmos_destroy,
};

int cmos_create(struct platform_device **out, struct machine *m)
{
	struct cmos *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return error_set(ENOMEM, "CMOS clock");
	c->dev = (struct platform_device){ .name = "cmos", .ops = &cmos_ops };
	c->machine = m;
	c->region = (struct region){
		.name = "cmos", .base = PORT_CMOS, .size = 2,
		.ops = &cmos_region_ops, .arg = c,
	};
	c->timer = (struct event_source){
		.fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC),
		.fn = timer_fn,
	};
	r = c->timer.fd == FD_NONE ? error_set(errno, "create a timer")
				   : event_loop_add(m->main_loop, &c->timer, EPOLLIN);
	if (r == 0)
		r = bus_add(&m->pio, &c->region);
	if (r < 0) {
		cmos_destroy(&c->dev);
		return error_add(r, "CMOS clock");
	}
	cmos_reset(&c->dev);
	*out = &c->dev;
	return 0;
}
