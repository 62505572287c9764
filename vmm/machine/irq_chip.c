/* Bookkeeping of message GSIs, and the verbs that end in the chip's ops. */
#include "vmm/machine/irq_chip.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

enum { WORD_BITS = 64 };

static uint64_t bit_of(uint32_t gsi)
{
	return UINT64_C(1) << (gsi % WORD_BITS);
}

static bool is_allocated(const struct irq_chip *chip, uint32_t gsi)
{
	return gsi >= IRQ_CHIP_FIRST_MSI && gsi < IRQ_CHIP_MAX_GSI &&
	       (chip->msi_used[gsi / WORD_BITS] & bit_of(gsi));
}

void irq_chip_set_line(struct irq_chip *chip, uint32_t gsi, bool level)
{
	int r = gsi < IRQ_CHIP_PINS ? chip->ops->set_line(chip, gsi, level) : -EINVAL;

	if (r < 0)
		log_warning("interrupt line %u cannot be set to %d: %s", gsi, level, strerror(-r));
}

int irq_chip_alloc_msi(struct irq_chip *chip, uint32_t *gsi)
{
	for (uint32_t i = IRQ_CHIP_FIRST_MSI; i < IRQ_CHIP_MAX_GSI; i++) {
		if (chip->msi_used[i / WORD_BITS] & bit_of(i))
			continue;
		chip->msi_used[i / WORD_BITS] |= bit_of(i);
		*gsi = i;
		return 0;
	}
	return error_set(ENOSPC, "all %d interrupt message routes are in use",
			 IRQ_CHIP_MAX_GSI - IRQ_CHIP_FIRST_MSI);
}

void irq_chip_free_msi(struct irq_chip *chip, uint32_t gsi)
{
	if (!is_allocated(chip, gsi))
		return;
	if (chip->ops->clear_route)
		chip->ops->clear_route(chip, gsi);
	chip->msi_used[gsi / WORD_BITS] &= ~bit_of(gsi);
}

int irq_chip_set_route(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data)
{
	if (!is_allocated(chip, gsi))
		return -EINVAL;
	return chip->ops->set_route(chip, gsi, addr, data);
}

int irq_chip_attach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	return chip->ops->attach_fd(chip, gsi, fd);
}

void irq_chip_detach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	int r = chip->ops->detach_fd(chip, gsi, fd);

	if (r < 0)
		log_warning("event fd %d cannot be detached from GSI %u: %s", fd, gsi,
			    strerror(-r));
}
