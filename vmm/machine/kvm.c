/* Linux Documentation/virt/kvm/api.rst, sections 4.1 to 4.4 and those named beside the calls. */
#include "vmm/machine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

#define CAP(name) { KVM_CAP_##name, "KVM_CAP_" #name }

/* What Vireo cannot do without; all are in mainline Linux since 4.12. */
static const struct {
	unsigned cap;
	const char *name;
} needed[] = {
	CAP(USER_MEMORY),
	CAP(SET_TSS_ADDR),
	CAP(SET_IDENTITY_MAP_ADDR),
	CAP(EXT_CPUID),
	CAP(IRQCHIP),
	CAP(PIT2),
	CAP(PIT_STATE2),
	CAP(IRQ_ROUTING),
	CAP(IRQFD),
	CAP(IOEVENTFD),
	CAP(MP_STATE),
	CAP(VCPU_EVENTS),
	CAP(DEBUGREGS),
	CAP(XSAVE),
	CAP(ADJUST_CLOCK),
	CAP(IMMEDIATE_EXIT),
};

int kvm_capability(int fd, unsigned cap)
{
	int r = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

/* The chain comes first: a hint belongs to it. */
static int cannot_open(const char *path, int err)
{
	int r = error_set(err, "open '%s'", path);

	switch (err) {
	case ENOENT:
		error_hint("load KVM's module: 'modprobe kvm_intel' or 'modprobe kvm_amd'; if that "
			   "fails, switch virtualization on in the firmware setup, or nesting in "
			   "the outer hypervisor; in a container, pass the device in (--device %s)",
			   path);
		break;
	case ENODEV:
	case ENXIO:
		error_hint("the node is there but no driver stands behind it: 'modprobe kvm_intel' "
			   "or 'modprobe kvm_amd', and see what dmesg says of kvm");
		break;
	case EACCES:
		error_hint("add yourself to the group that owns it: 'sudo usermod -aG kvm $USER', "
			   "then log in again; 'ls -l %s' shows the group", path);
		break;
	case EPERM:
		error_hint("a device rule of the container or cgroup forbids it: allow '%s' there",
			   path);
		break;
	default:
		break;
	}
	return r;
}

static int check_version(int fd, const char *path)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);
	int r;

	if (version == KVM_API_VERSION)
		return 0;
	if (version < 0) {
		r = error_set(ENOTTY, "'%s' is not KVM's device node", path);
		error_hint("the node is usually /dev/kvm");
		return r;
	}
	r = error_set(EOPNOTSUPP, "'%s' speaks KVM API version %d, Vireo %d", path, version,
		      KVM_API_VERSION);
	error_hint("all kernels since Linux 2.6.22 speak version 12: use another kernel");
	return r;
}

static int check_capabilities(int fd)
{
	char missing[200] = "";
	size_t len = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		if (kvm_capability(fd, needed[i].cap))
			continue;
		int n = snprintf(missing + len, sizeof(missing) - len, "%s%s", len ? ", " : "",
				 needed[i].name);
		len = min_u64(len + (size_t)n, sizeof(missing) - 1);
	}
	if (len == 0)
		return 0;
	int r = error_set(EOPNOTSUPP, "KVM here lacks %s", missing);
	error_hint("Linux 4.12 and later have it on processors with hardware virtualization");
	return r;
}

int kvm_open(const char *path, int *out)
{
	int r;

	*out = open(path, O_RDWR | O_CLOEXEC);
	if (*out < 0)
		return cannot_open(path, errno);
	r = check_version(*out, path);
	if (r == 0)
		r = check_capabilities(*out);
	if (r < 0)
		fd_close(out);
	return r;
}

static int cannot_create(int err)
{
	int r = error_set(err, "create a VM (KVM_CREATE_VM)");

	if (err == EBUSY)
		error_hint("another hypervisor (VirtualBox, VMware ...) holds the processor's "
			   "virtualization: stop its machines");
	else if (err == ENODEV || err == EOPNOTSUPP)
		error_hint("virtualization is switched off in the processor: see the firmware "
			   "setup");
	return r;
}

/* Pages that KVM needs on Intel processors to run real mode, placed where no RAM is: 4.38, 4.41. */
static int place_own_pages(int vm_fd)
{
	__u64 identity_map = LAYOUT_KVM_IDENTITY_MAP;

	if (ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		return error_set(errno, "place KVM's identity map (KVM_SET_IDENTITY_MAP_ADDR)");
	if (ioctl(vm_fd, KVM_SET_TSS_ADDR, (unsigned long)(LAYOUT_KVM_IDENTITY_MAP + KIB(4))) < 0)
		return error_set(errno, "place KVM's task state (KVM_SET_TSS_ADDR)");
	return 0;
}

int kvm_create_vm(int kvm_fd, int *out)
{
	int r;

	do {
		*out = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (*out < 0 && errno == EINTR);
	if (*out < 0)
		return cannot_create(errno);
	r = place_own_pages(*out);
	if (r < 0)
		fd_close(out);
	return r;
}

int kvm_create_irqchip(int vm_fd)
{
	if (ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return error_set(errno, "create the interrupt controllers (KVM_CREATE_IRQCHIP)");
	return 0;
}

int kvm_create_pit(int vm_fd)
{
	/* The dummy makes port 0x61 KVM's, which Linux reads when it calibrates its clock. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return error_set(errno, "create the interval timer (KVM_CREATE_PIT2)");
	return 0;
}

int kvm_add_memory(int vm_fd, const struct guest_memory *mem)
{
	for (unsigned i = 0; i < mem->n_regions; i++) {
		const struct memory_region *region = &mem->region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = region->base,
			.memory_size = region->size,
			.userspace_addr = (uintptr_t)region->host,
		};
		if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return error_set(errno, "give KVM %llu bytes of memory at 0x%llx",
					 (unsigned long long)region->size,
					 (unsigned long long)region->base);
	}
	return 0;
}
