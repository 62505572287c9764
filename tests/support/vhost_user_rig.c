#include "tests/support/vhost_user_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

struct vhost_user_rig vu;

static void config_changed(void *arg, const uint8_t *config, unsigned len)
{
	(void)arg;
	vu.n_changes++;
	memcpy(vu.changed_to, config, len);
}

struct vhost_user_config vu_config(void)
{
	vu.dev.machine = &vu.rig.machine->m;
	return (struct vhost_user_config){
		.name = "root", .id = VIRTIO_ID_BLOCK, .dev = &vu.dev, .fd = FD_NONE,
		.path = vu.back.path, .n_rings = 2, .config_len = VU_CONFIG_LEN,
		.loop = vu.rig.loop, .main = vu.rig.machine->m.main_loop,
		.first_ms = VU_QUICK_MS, .config_changed = config_changed,
	};
}

void vu_use(const struct vhost_user_config *config)
{
	struct datapath *dp;

	cr_assert_eq(vhost_user_create(&dp, config), 0, "%s", error_text());
	vhost_rig_use(&vu.rig, dp);
}

void vu_setup(void)
{
	vhost_rig_init(&vu.rig, fake_vhost_net_features(), 2);
	vu.rig.machine->m.memory.fd = vu.rig.machine->memory_fd;
	fake_back_end_init(&vu.back);
	vu.n_changes = vu.n_lost = 0;
}

void vu_teardown(void)
{
	vhost_rig_fini(&vu.rig);
	fake_back_end_fini(&vu.back);
}

bool vu_pump_until(bool (*done)(void))
{
	for (unsigned i = 0; i < 300 && !done(); i++)
		loop_pump_for(vu.rig.machine->m.main_loop, 10);
	return done();
}

bool vu_is_connected(void)
{
	return vhost_user_is_connected(vu.rig.dp);
}

bool vu_is_gone(void)
{
	return !vu_is_connected();
}

bool vu_has_failed(void)
{
	return vu.rig.n_fails > 0;
}

unsigned vu_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
