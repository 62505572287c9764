#include "tests/support/msix_rig.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"

enum { COMMAND = 0x04, COMMAND_MASTER = 0x4 };

static void count_intx(void *arg, struct msix_source *source)
{
	struct msix_rig *rig = arg;

	/* The lock is held. */
	cr_assert_eq(pthread_mutex_trylock(&rig->fake->m.lock), EBUSY);
	rig->n_intx[source - rig->source]++;
}

static void config_written(struct pci_device *dev, unsigned offset, unsigned size)
{
	msix_config_written(container_of(dev, struct msix_rig, dev)->msix, offset, size);
}

static const struct pci_device_ops dev_ops = { .config_written = config_written };

void msix_rig_init(struct msix_rig *rig)
{
	static const struct pci_ids ids = { .vendor = 1, .device = 2, .has_intx = true };

	log_set_level(LOG_ERROR);
	*rig = (struct msix_rig){ .fake = fake_machine_create() };
	struct machine *m = &rig->fake->m;
	pci_device_init(&rig->dev, "rig", &ids, &dev_ops);
	const struct msix_config config = {
		.dev = &rig->dev, .irq = m->irq, .main_loop = m->main_loop,
		.machine_lock = &m->lock, .n_vectors = RIG_VECTORS, .bar = 4,
		.table_offset = RIG_TABLE, .pba_offset = RIG_PBA, .intx = count_intx, .arg = rig,
	};
	cr_assert_eq(msix_create(&rig->msix, &config), 0);
	cr_assert_eq(pci_root_add(&m->pci, &rig->dev), 0);
	for (unsigned i = 0; i < RIG_SOURCES; i++) {
		cr_assert_eq(fd_create_event(&rig->source[i].fd), 0);
		cr_assert_eq(msix_add_source(rig->msix, &rig->source[i]), 0);
	}
	fake_machine_pump(rig->fake);
}

void msix_rig_fini(struct msix_rig *rig)
{
	msix_destroy(rig->msix);
	cr_assert_eq(rig->fake->irq.n_attached, 0u);
	for (unsigned i = 0; i < RIG_SOURCES; i++)
		fd_close(&rig->source[i].fd);
	pci_root_remove(&rig->dev);
	fake_machine_destroy(rig->fake);
}

void msix_rig_control(struct msix_rig *rig, uint16_t value)
{
	fake_machine_config_write(rig->fake, rig->dev.slot, 0, RIG_CONTROL, 2, value);
}

void msix_rig_master(struct msix_rig *rig, bool on)
{
	fake_machine_config_write(rig->fake, rig->dev.slot, 0, COMMAND, 2,
				  on ? COMMAND_MASTER : 0);
}

void msix_rig_enable(struct msix_rig *rig)
{
	msix_rig_master(rig, true);
	msix_rig_control(rig, RIG_CONTROL_ENABLE);
}

void msix_rig_message(struct msix_rig *rig, unsigned vector, uint64_t addr, uint32_t data)
{
	msix_write(rig->msix, RIG_TABLE + 16 * vector, 4, (uint32_t)addr);
	msix_write(rig->msix, RIG_TABLE + 16 * vector + 4, 4, addr >> 32);
	msix_write(rig->msix, RIG_TABLE + 16 * vector + 8, 4, data);
}

void msix_rig_mask(struct msix_rig *rig, unsigned vector, bool masked)
{
	msix_write(rig->msix, RIG_TABLE + 16 * vector + 12, 4, masked);
}

bool msix_rig_is_pending(struct msix_rig *rig, unsigned vector)
{
	return msix_read(rig->msix, RIG_PBA + vector / 8, 1) >> (vector % 8) & 1;
}

void msix_rig_signal(struct msix_rig *rig, unsigned source)
{
	fd_signal(rig->source[source].fd);
}
