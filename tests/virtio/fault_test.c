/*
 * The life of a device while each call to the system fails once: it is made, plugged, started,
 * used, reset and unplugged.  What fails on the control path is reported with reasons, what fails
 * at DRIVER_OK is shown to the driver; nothing is left behind, and a reset gives a new chance.
 */
#include <criterion/criterion.h>

#include "tests/support/echo_rig.h"
#include "tests/support/fault.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"

/* Start and use it; FAULT_SHOWN if the driver is told that it does not work. */
static int use(struct echo_rig *rig)
{
	uint8_t status;

	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_set_status(&rig->driver, 0xf);
	status = fake_driver_status(&rig->driver);
	if (status & VIRTIO_STATUS_NEEDS_RESET)
		return FAULT_SHOWN;
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i);
	return FAULT_FINE;
}

static int plug(struct echo_rig *rig)
{
	int r = echo_device_try(&rig->echo, rig->loop);

	if (r < 0)
		return r;
	rig->dev = &rig->echo->dev;
	return fake_driver_try_plug(&rig->driver, rig->machine, rig->dev, rig->driver.transport, 2,
				    &rig->transport);
}

static void unplug(struct echo_rig *rig)
{
	machine_lock(&rig->machine->m);
	virtio_transport_destroy(rig->transport);
	machine_unlock(&rig->machine->m);
	echo_rig_pump(rig);
	/* What was unplugged gives its place in the PCI window to nobody: begin anew. */
	rig->machine->m.pci.next_mem = LAYOUT_PCI_MMIO;
	rig->machine->m.pci.next_io = PORT_PCI_BARS;
}

static int life(void *arg)
{
	struct echo_rig *rig = arg;
	int worst = FAULT_FINE;
	int r = plug(rig);

	/* ECAM, and the device's page or BAR. */
	cr_assert_eq(rig->machine->m.mmio.n_regions, r < 0 ? 1u : 2u);
	if (r < 0) {
		cr_assert_eq(rig->machine->irq.n_attached, 0u);
		return r;
	}
	for (unsigned round = 0; round < 3; round++) {
		r = use(rig);
		worst = r > worst ? r : worst;
		fake_driver_reset(&rig->driver);
	}
	unplug(rig);
	cr_assert_eq(rig->machine->irq.n_attached, 0u);
	cr_assert_eq(rig->machine->n_bells, 0u);
	return worst;
}

static void live(enum fake_transport transport)
{
	struct echo_rig rig = { .driver = { .transport = transport } };

	log_set_level(LOG_ERROR);
	rig.machine = fake_machine_create();
	cr_assert_eq(event_loop_create(&rig.loop, "io"), 0);
	/* At least the model, its fds, the transport, and three starts of three rings. */
	cr_assert_geq(fault_each(life, &rig), 20u);
	event_loop_destroy(rig.loop);
	fake_machine_destroy(rig.machine);
}

Test(fault, echo_over_pci)
{
	live(FAKE_PCI);
}

Test(fault, echo_over_mmio)
{
	live(FAKE_MMIO);
}

Test(fault, echo_over_transitional_pci)
{
	live(FAKE_TRANSITIONAL);
}

Test(fault, echo_over_the_legacy_face_of_pci)
{
	live(FAKE_TRANSITIONAL_LEGACY);
}

Test(fault, echo_over_legacy_pci)
{
	live(FAKE_PCI_LEGACY);
}

Test(fault, echo_over_legacy_mmio)
{
	live(FAKE_MMIO_LEGACY);
}
