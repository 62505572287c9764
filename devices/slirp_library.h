/*
 * libslirp, loaded when the first user-mode network is made: most VMs need neither it nor GLib,
 * which it brings along, and would pay for both at every start.
 */
#ifndef DEVICES_SLIRP_LIBRARY_H
#define DEVICES_SLIRP_LIBRARY_H

#include "vmm/base/util.h"

#if HAVE_SLIRP

#include <slirp/libslirp.h>

struct slirp_library {
	Slirp *(*create)(const SlirpConfig *config, const SlirpCb *callbacks, void *opaque);
	void (*cleanup)(Slirp *slirp);
	void (*pollfds_fill)(Slirp *slirp, uint32_t *timeout_ms, SlirpAddPollCb add_poll,
			     void *opaque);
	void (*pollfds_poll)(Slirp *slirp, int select_error, SlirpGetREventsCb get_revents,
			     void *opaque);
	void (*input)(Slirp *slirp, const uint8_t *frame, int len);
	int (*add_forward)(Slirp *slirp, const struct sockaddr *host, socklen_t host_len,
			   const struct sockaddr *guest, socklen_t guest_len, int flags);
	const char *(*version)(void);
};

#endif

/*
 * Load it, once per process; it stays.  What it has to say about a guest goes to the log from then
 * on, limited.  Control path, before the sandbox.
 *
 * Returns 0; -ENOTSUP if this Vireo was built without it; -ENOENT if the library is not installed
 * or is too old.  With an error chain.
 */
struct slirp_library;
MUST_USE int slirp_library_load(const struct slirp_library **out);

#endif
