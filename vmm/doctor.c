/*
 * "vireo doctor": what of the host works, found by trying, and what to do about the rest.  Only
 * KVM and memory are needed by every guest; everything else is about single features.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/net_peer.h"
#include "devices/slirp_library.h"
#include "vhost/vhost_probe.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/command.h"
#include "vmm/completion.h"
#include "vmm/doctor_guest.h"
#include "vmm/outcome.h"

/*
 * A stock kernel executes some hundred million instructions before its init: seconds at this
 * speed.
 */
#define LINUX_NEEDS_PER_S 20e6

struct report {
	bool quiet;	/* only the verdict */
};

static void say(const struct report *report, const char *verdict, const char *what,
		const char *detail)
{
	if (!report->quiet)
		printf("%-5s %-18s %s\n", verdict, what, detail);
}

static void say_error(const struct report *report, const char *what, int err, const char *fix)
{
	char detail[160];

	snprintf(detail, sizeof(detail), "%s (%s)", strerror(err), error_name(err));
	say(report, "no", what, detail);
	if (!report->quiet && fix)
		printf("%-24s fix: %s\n", "", fix);
}

/* --- KVM ------------------------------------------------------------------------------------- */

static void say_chain(const struct report *report, const char *what)
{
	struct error_chain chain;
	char detail[600];

	error_save(&chain);
	error_clear();
	snprintf(detail, sizeof(detail), "%s%s%s%s%s", chain.n ? chain.line[chain.n - 1] : "",
		 chain.n > 1 ? ": " : "", chain.n > 1 ? chain.line[0] : "", chain.n ? ": " : "",
		 strerror(chain.err));
	say(report, "no", what, detail);
	if (!report->quiet && chain.hint[0])
		printf("%-24s fix: %s\n", "", chain.hint);
}

static void say_speed(const struct report *report, const char *what, double per_s)
{
	char detail[80];

	snprintf(detail, sizeof(detail), "%.1f million instructions/s", per_s / 1e6);
	say(report, "ok", what, detail);
}

static int check_kvm(const struct report *report, const char *path, struct guest_speed *speed)
{
	int r = doctor_guest_measure(speed, path);

	if (r < 0) {
		say_chain(report, path);
		return r;
	}
	say(report, "ok", path, "a virtual machine runs");
	say_speed(report, "guest at CPL 0", speed->cpl0_per_s);
	say_speed(report, "guest at CPL 3", speed->cpl3_per_s);
	return 0;
}

/* --- Single facilities ----------------------------------------------------------------------- */

static int try_memfd(void)
{
	int fd = memfd_create("vireo-doctor", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	fd_close(&fd);
	return r;
}

static int try_seccomp(void)
{
	unsigned action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static int try_io_uring(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	int r = fd < 0 ? -errno : 0;

	fd_close(&fd);
	return r;
}

static int try_userfaultfd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	int r = fd < 0 ? -errno : 0;

	fd_close(&fd);
	return r;
}

static const struct facility {
	const char *name;
	int (*attempt)(void);	/* 0 or -errno */
	bool needed;		/* by every guest */
	const char *use, *fix;
} facilities[] = {
	{ "memfd", try_memfd, true, "guest memory", "use a kernel with CONFIG_MEMFD_CREATE" },
	{ "seccomp", try_seccomp, false, "the sandbox",
	  "use a kernel with CONFIG_SECCOMP_FILTER, or run with '--seccomp off'" },
	{ "io_uring", try_io_uring, false, "fast disks (threads do it otherwise)",
	  "sudo sysctl kernel.io_uring_disabled=0; in a container, allow io_uring_setup" },
	{ "userfaultfd", try_userfaultfd, false, "memory on demand",
	  "sudo sysctl vm.unprivileged_userfaultfd=1" },
};

static int check_facilities(const struct report *report)
{
	int missing = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(facilities); i++) {
		const struct facility *f = &facilities[i];
		int r = f->attempt();
		if (r == 0)
			say(report, "ok", f->name, f->use);
		else
			say_error(report, f->name, -r, f->fix);
		if (r < 0 && f->needed)
			missing = r;
	}
	return missing;
}

static void say_more(const struct report *report, const char *what, const char *detail)
{
	if (!report->quiet)
		printf("%-24s %s: %s\n", "", what, detail);
}

/* --- networks -------------------------------------------------------------------------------- */

static void check_slirp(const struct report *report)
{
	const struct slirp_library *library;
	char detail[80];
	int r = slirp_library_load(&library);

	if (r == 0) {
		snprintf(detail, sizeof(detail), "networks without any right (--net user), %s",
			 library->version());
		say(report, "ok", "libslirp", detail);
		return;
	}
	error_clear();
	say_error(report, "libslirp", -r,
		  HAVE_SLIRP ? "sudo apt-get install libslirp0" :
		  "install libslirp-dev and build Vireo anew, without --enable-static");
}

static void check_tun(const struct report *report)
{
	const char *fix;
	bool may_make;
	int r = net_tap_probe(&may_make, &fix);

	if (r < 0) {
		say_error(report, "/dev/net/tun", -r, fix);
		return;
	}
	say(report, "ok", "/dev/net/tun", "tap networks (--net tap)");
	say_more(report, "taps", may_make ? "Vireo makes those that are missing" :
		 "only those made for this user: sudo ip tuntap add NAME mode tap user $USER");
}

/* --- vhost ----------------------------------------------------------------------------------- */

static void say_vhost(const struct report *report, const char *path, unsigned device,
		      const struct vhost_probe *probe)
{
	char detail[80], bits[VHOST_BITS_SIZE];

	snprintf(detail, sizeof(detail), "offers features %#llx",
		 (unsigned long long)probe->features);
	say(report, "ok", path, detail);
	say_more(report, "bits",
		 vhost_feature_bits(bits, probe->features, (enum virtio_device_id)device));
	if (probe->has_backend_features)
		say_more(report, "backend bits",
			 vhost_backend_bits(bits, probe->backend_features));
}

/* 'device': enum virtio_device_id, or 0 where the type of device is not known. */
static void check_vhost(const struct report *report, const char *path, unsigned device)
{
	struct vhost_probe probe;
	char fix[160];

	vhost_probe(&probe, path);
	if (probe.verdict == VHOST_WORKS) {
		say_vhost(report, path, device, &probe);
		return;
	}
	say_error(report, path, probe.err, vhost_advice(fix, probe.verdict, path));
}

/* vDPA devices are made one by one ('vdpa dev add'): as many nodes as there are. */
static void check_vdpa(const struct report *report)
{
	glob_t found;

	if (glob("/dev/vhost-vdpa-*", 0, NULL, &found) != 0) {
		say(report, "no", "/dev/vhost-vdpa-*", "no vDPA device");
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_vhost(report, found.gl_pathv[i], 0);
	globfree(&found);
}

/* --- The command ----------------------------------------------------------------------------- */

static int conclude(int kvm, int needed, const struct guest_speed *speed)
{
	if (kvm < 0 || needed < 0) {
		printf("Linux guests: no\n");
		return STATUS_HOST;
	}
	printf("Linux guests: %s (%.1f million instructions/s at CPL 0)\n",
	       speed->cpl0_per_s < LINUX_NEEDS_PER_S ? "too slow here" : "yes",
	       speed->cpl0_per_s / 1e6);
	return STATUS_OK;
}

static void doctor_help(FILE *out)
{
	fprintf(out, "Usage: vireo doctor [-q] [--kvm PATH]\n\n"
		     "Try what Vireo uses of this host: say what works, what does not, the fix.\n\n"
		     "  -q, --quiet   only the last line, which begins with 'Linux guests: yes',\n"
		     "                'Linux guests: too slow here' or 'Linux guests: no'\n"
		     "  --kvm PATH    the KVM device [/dev/kvm]\n\n"
		     "Exit status: 0 if 'vireo run' can work, 126 if not.\n");
}

static int doctor_main(int argc, char **argv)
{
	const char *kvm_path = "/dev/kvm";
	struct guest_speed speed = { 0 };
	struct report report = { 0 };
	int kvm, needed;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-q") || !strcmp(argv[i], "--quiet")) {
			report.quiet = true;
		} else if (!strcmp(argv[i], "--kvm") && i + 1 < argc) {
			kvm_path = argv[++i];
		} else if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			doctor_help(stdout);
			return STATUS_OK;
		} else {
			return command_unexpected(&doctor_command, argv[i]);
		}
	}
	kvm = check_kvm(&report, kvm_path, &speed);
	needed = check_facilities(&report);
	check_slirp(&report);
	check_tun(&report);
	check_vhost(&report, "/dev/vhost-net", VIRTIO_ID_NET);
	check_vhost(&report, "/dev/vhost-vsock", VIRTIO_ID_VSOCK);
	check_vhost(&report, "/dev/vhost-scsi", VIRTIO_ID_SCSI);
	check_vdpa(&report);
	return conclude(kvm, needed, &speed);
}

static void complete_doctor(struct completion *c, unsigned n, char *const *words)
{
	if (n > 1 && !strcmp(words[n - 2], "--kvm")) {
		completion_add_files(c, 0);
		return;
	}
	completion_add(c, "--quiet", "only the last line");
	completion_add(c, "--kvm", "the KVM device");
}

const struct command doctor_command = {
	.name = "doctor",
	.summary = "tell what of this host works, and how to mend the rest",
	.run = doctor_main,
	.help = doctor_help,
	.complete = complete_doctor,
};
