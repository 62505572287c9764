#include "virtio/datapath.h"

#include "vmm/base/error.h"

int datapath_end_start(struct datapath *dp, int r, void (*undo)(struct datapath *dp))
{
	struct error_chain chain;

	dp->is_started = r == 0;
	if (r < 0) {
		error_save(&chain);
		undo(dp);
		error_restore(&chain);
	}
	return r;
}

bool datapath_begin_stop(struct datapath *dp)
{
	bool was_started = dp->is_started;

	dp->is_started = false;
	return was_started;
}
