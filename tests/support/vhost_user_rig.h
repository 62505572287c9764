/*
 * A vhost-user datapath of two rings (a disk's) before a fake back end.  The I/O loop and the main
 * loop are the test's to pump.  One at a time per test program: 'vu'.
 */
#ifndef TESTS_VHOST_USER_RIG_H
#define TESTS_VHOST_USER_RIG_H

#include "tests/support/fake_back_end.h"
#include "tests/support/vhost_rig.h"
#include "vhost/vhost_user.h"
#include "virtio/virtio_device.h"

enum { VU_CONFIG_LEN = 60, VU_QUICK_MS = 200 };

struct vhost_user_rig {
	struct vhost_rig rig;
	struct fake_back_end back;
	struct virtio_device dev;	/* nothing but its machine */
	unsigned n_changes, n_lost;
	uint8_t changed_to[VU_CONFIG_LEN];
};
extern struct vhost_user_rig vu;

void vu_setup(void);
void vu_teardown(void);

/* The usual one, for the test to change / make it; that must work. */
struct vhost_user_config vu_config(void);
void vu_use(const struct vhost_user_config *config);

/* Let the main loop run until 'done' says so, a few seconds at most.  Does it? */
bool vu_pump_until(bool (*done)(void));
bool vu_is_connected(void);
bool vu_is_gone(void);
bool vu_has_failed(void);

unsigned vu_count_fds(void);

#endif
