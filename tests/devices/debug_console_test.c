#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

static struct fake_machine *fake;
static struct chardev *chardev;
static struct platform_device *console;
static int out[2];

static void set_up(void)
{
	fake = fake_machine_create();
	cr_assert_eq(pipe2(out, O_NONBLOCK), 0);
	const struct chardev_config config = {
		.in_fd = FD_NONE, .out_fd = out[1], .main_loop = fake->m.main_loop,
	};
	cr_assert_eq(chardev_create(&chardev, &config), 0);
	cr_assert_eq(debug_console_create(&console, &fake->m, chardev), 0);
}

static void tear_down(void)
{
	platform_device_destroy(console);
	chardev_destroy(chardev);
	close(out[0]);
	close(out[1]);
	fake_machine_destroy(fake);
}

TestSuite(debug_console, .init = set_up, .fini = tear_down, .timeout = 20);

Test(debug_console, it_is_found_by_its_magic)
{
	cr_expect_eq(fake_machine_in(fake, PORT_DEBUG_CONSOLE, 1), 0xe9u);
}

Test(debug_console, bytes_are_printed)
{
	char buf[4] = "";

	fake_machine_out(fake, PORT_DEBUG_CONSOLE, 1, 'o');
	fake_machine_out(fake, PORT_DEBUG_CONSOLE, 1, 'k');
	cr_assert_eq(read(out[0], buf, sizeof(buf)), 2);
	cr_expect_str_eq(buf, "ok");
}

Test(debug_console, a_full_host_makes_nobody_wait)
{
	for (unsigned i = 0; i < 300000; i++)
		fake_machine_out(fake, PORT_DEBUG_CONSOLE, 1, 'x');
}
