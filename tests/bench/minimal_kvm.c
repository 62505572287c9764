/*
 * The yardstick of the start-up benchmark: the least that runs a guest.  Open KVM, make a VM
 * with memory and one vCPU, enter 32-bit protected mode, and leave at the first port that the
 * guest writes, as images/payload/first-instruction.S does.  What Vireo takes longer than this
 * is Vireo's own.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MEMORY_SIZE = 128 << 20, ENTRY = 0x200000, CPUID_MAX = 256 };

/* mov $0x402, %edx; out %al, %dx */
static const uint8_t code[] = { 0xba, 0x02, 0x04, 0, 0, 0xee };

static int need(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		exit(125);
	}
	return r;
}

static void set_up_cpu(int kvm, int vcpu)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[CPUID_MAX];
	} cpuid = { .head = { .nent = CPUID_MAX } };
	struct kvm_segment flat = { .limit = 0xffffffff, .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_regs regs = { .rip = ENTRY, .rflags = 2 };
	struct kvm_sregs sregs;

	need(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(vcpu, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
	need(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = sregs.ds = sregs.es = sregs.ss = flat;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.ds.selector = sregs.es.selector = sregs.ss.selector = 16;
	sregs.ds.type = sregs.es.type = sregs.ss.type = 3;
	sregs.cr0 = 0x11;
	need(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	need(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

int main(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_SIZE };
	int kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	int vm = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	int memory = need((int)syscall(SYS_memfd_create, "guest", 0), "memfd_create");
	struct kvm_run *run;
	uint8_t *ram;
	int vcpu;

	need(ftruncate(memory, MEMORY_SIZE), "ftruncate");
	ram = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	need(ram == MAP_FAILED ? -1 : 0, "mmap");
	memcpy(ram + ENTRY, code, sizeof(code));
	region.userspace_addr = (uintptr_t)ram;
	need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	vcpu = need(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run = mmap(NULL,
		   (size_t)need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"),
		   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	need(run == MAP_FAILED ? -1 : 0, "mmap of kvm_run");
	set_up_cpu(kvm, vcpu);
	need(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x402) {
		fprintf(stderr, "minimal_kvm: exit reason %u\n", run->exit_reason);
		return 125;
	}
	return write(1, ".", 1) == 1 ? 0 : 125;
}
