/*
 * Any bytes as a kernel file: opening and loading must end, touch nothing but guest memory, and
 * start only inside it.
 */
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/machine/boot.h"

static struct machine *make_machine(void)
{
	static const struct memory_extent extent = { 0, MIB(8) };
	struct machine *m = calloc(1, sizeof(*m));

	CHECK(m);
	m->memory = (struct guest_memory)GUEST_MEMORY_INIT;
	CHECK(guest_memory_create(&m->memory, &extent, 1) == 0);
	m->acpi = (struct acpi_config){ .n_vcpus = 1, .apic_id = m->apic_id };
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine *m;
	struct memory_file file;
	struct boot_config config = { .kernel_path = file.path, .cmdline = "quiet" };
	struct boot_entry entry;
	struct boot *boot;

	log_set_level(LOG_ERROR);
	if (!m)
		m = make_machine();
	memory_file_create(&file, data, size);
	if (boot_open(&boot, &config) == 0) {
		if (boot_load(boot, m, &entry) == 0)
			CHECK(guest_memory_at(&m->memory, entry.rip, 1));
		boot_close(boot);
	}
	error_clear();
	memory_file_destroy(&file);
	return 0;
}
