/*
 * virtiofsd, the program that serves a shared folder: where it is, which of the two there are
 * (QEMU's in C, and its successor in Rust), and how it is started as confined as this host lets us.
 *
 * Before the VM is made, main thread.
 */
#ifndef VMM_VIRTIOFSD_H
#define VMM_VIRTIOFSD_H

#include "vmm/base/util.h"
#include "vmm/launcher.h"

/* What of its help we make use of. */
struct virtiofsd {
	char *path;
	bool is_rust;
	bool has_readonly;		/* it refuses writes itself */
	bool has_announce_submounts;
};

/*
 * Find 'program', or (NULL) the one that packages install, and ask it what it is.  Returns 0 and
 * an owned path in 'out', or -errno with an error chain: -ENOENT; -EACCES; -ENOEXEC: it is no
 * virtiofsd; -ETIMEDOUT: it does not say.
 */
MUST_USE int virtiofsd_find(struct virtiofsd *out, const char *program);
void virtiofsd_fini(struct virtiofsd *v);

/* Is 'path' a folder that can be shared?  Returns 0 or -errno with an error chain. */
MUST_USE int virtiofsd_check_folder(const char *path);

/* What can be had here to confine a program. */
struct confinement {
	bool namespaces;		/* mounts, processes and network of its own */
	bool user_namespace;		/* all that only in a user namespace */
	bool chroot;
};

/* Try, in processes that end at once. */
void confinement_probe(struct confinement *out);

/* How to serve a folder; owns what its 'launch' points to, which is in part itself: it stays. */
struct virtiofsd_plan {
	struct launcher_program launch;
	char *argv[16];
	char *folder;			/* absolute */
	char uid_map[40], gid_map[40];
	const char *sandbox;		/* for people: "namespaces", "chroot", "nothing" */
};

/*
 * 'path' is what is shared.  Returns 0, or -errno with an error chain and a hint: -EPERM: it cannot
 * be confined at all, or not kept from writing, here.
 */
MUST_USE int virtiofsd_plan(struct virtiofsd_plan *out, const struct virtiofsd *v,
			    const struct confinement *host, const char *path, bool readonly);
void virtiofsd_plan_fini(struct virtiofsd_plan *p);

#endif
