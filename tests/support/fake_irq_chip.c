#include "tests/support/fake_irq_chip.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/fd.h"

static struct fake_irq_chip *to_fake(struct irq_chip *chip)
{
	return container_of(chip, struct fake_irq_chip, chip);
}

static int fake_set_line(struct irq_chip *chip, uint32_t gsi, bool level)
{
	struct fake_irq_chip *fake = to_fake(chip);

	if (gsi >= IRQ_CHIP_PINS)
		return -EINVAL;
	if (level && !fake->level[gsi])
		fake->n_rises[gsi]++;
	fake->level[gsi] = level;
	return 0;
}

static int fake_set_route(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct fake_irq_chip *fake = to_fake(chip);

	if (gsi < IRQ_CHIP_FIRST_MSI || gsi >= IRQ_CHIP_MAX_GSI)
		return -EINVAL;
	if (fake->refused_addr && addr == fake->refused_addr)
		return -EINVAL;
	/* What was signalled before the change went to the old address. */
	fake_irq_chip_run(fake);
	fake->route[gsi].set = true;
	fake->route[gsi].addr = addr;
	fake->route[gsi].data = data;
	fake->n_set_routes++;
	return 0;
}

static void deliver(struct fake_irq_chip *fake, uint32_t gsi)
{
	if (gsi < IRQ_CHIP_PINS) {
		fake->n_rises[gsi]++;
		return;
	}
	if (!fake->route[gsi].set || fake->n_messages == FAKE_IRQ_MAX_MESSAGES)
		return;
	fake->message[fake->n_messages++] = (struct fake_message){
		.gsi = gsi,
		.addr = fake->route[gsi].addr,
		.data = fake->route[gsi].data,
	};
}

static int fake_attach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	struct fake_irq_chip *fake = to_fake(chip);

	if (gsi >= IRQ_CHIP_MAX_GSI)
		return -EINVAL;
	if (fake->refuse_attach || fake->n_attached == FAKE_IRQ_MAX_FDS)
		return -ENOSPC;
	if (fake_irq_chip_is_attached(fake, fd))
		return -EBUSY;
	fake->attached[fake->n_attached].gsi = gsi;
	fake->attached[fake->n_attached].fd = fd;
	fake->n_attached++;
	if (fd_drain(fd))
		deliver(fake, gsi);
	return 0;
}

static int fake_detach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	struct fake_irq_chip *fake = to_fake(chip);

	for (unsigned i = 0; i < fake->n_attached; i++) {
		if (fake->attached[i].gsi != gsi || fake->attached[i].fd != fd)
			continue;
		/* A signal that came while attached has been delivered by then. */
		if (fd_drain(fd))
			deliver(fake, gsi);
		fake->attached[i] = fake->attached[--fake->n_attached];
		return 0;
	}
	return -ENOENT;
}

static const struct irq_chip_ops fake_irq_chip_ops = {
	.set_line = fake_set_line,
	.set_route = fake_set_route,
	.attach_fd = fake_attach_fd,
	.detach_fd = fake_detach_fd,
};

void fake_irq_chip_init(struct fake_irq_chip *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->chip.ops = &fake_irq_chip_ops;
}

void fake_irq_chip_run(struct fake_irq_chip *fake)
{
	for (unsigned i = 0; i < fake->n_attached; i++)
		if (fd_drain(fake->attached[i].fd))
			deliver(fake, fake->attached[i].gsi);
}

unsigned fake_irq_chip_take(struct fake_irq_chip *fake, uint64_t addr, uint32_t data)
{
	unsigned n = 0, kept = 0;

	fake_irq_chip_run(fake);
	for (unsigned i = 0; i < fake->n_messages; i++) {
		if (fake->message[i].addr == addr && fake->message[i].data == data)
			n++;
		else
			fake->message[kept++] = fake->message[i];
	}
	fake->n_messages = kept;
	return n;
}

bool fake_irq_chip_is_attached(const struct fake_irq_chip *fake, int fd)
{
	for (unsigned i = 0; i < fake->n_attached; i++)
		if (fake->attached[i].fd == fd)
			return true;
	return false;
}
