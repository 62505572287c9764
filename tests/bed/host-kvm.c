/*
 * Is the KVM of this machine one that runs a kernel?  Status 0: yes.  1: it is there, but kernel code
 * (CPL 0) is so slow that it must be emulated.  2: it is not there or not permitted.
 *
 * What counts is how long a loop takes that hardware and nested virtualisation finish in well under a
 * millisecond, and an emulator of single instructions does not in fifty.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

enum { MEMORY_SIZE = 0x10000, CODE = 0x1000, LIMIT_MS = 50 };

static const uint8_t code[] = {
	0x66, 0xb9, 0x90, 0xd0, 0x03, 0x00,	/* mov $250000, %ecx */
	0x66, 0x49,				/* 1: dec %ecx */
	0x75, 0xfc,				/* jnz 1b */
	0xf4,					/* hlt */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A VM with the code in real mode at CODE; returns its vCPU, or -1. */
static int vcpu_create(int kvm, struct kvm_run **run)
{
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -1;
	uint8_t *memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	memcpy(memory + CODE, code, sizeof(code));
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY_SIZE,
		.userspace_addr = (uintptr_t)memory,
	};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -1;
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || run_size < 0)
		return -1;
	*run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (*run == MAP_FAILED)
		return -1;

	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -1;
	return vcpu;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		puts("/dev/kvm cannot be opened here");
		return 2;
	}
	struct kvm_run *run;
	int vcpu = vcpu_create(kvm, &run);
	if (vcpu < 0) {
		puts("/dev/kvm cannot create a virtual machine here");
		return 2;
	}
	int64_t start_ms = now_ms();
	if (ioctl(vcpu, KVM_RUN, 0) < 0 || run->exit_reason != KVM_EXIT_HLT) {
		puts("/dev/kvm cannot run code here");
		return 2;
	}
	if (now_ms() - start_ms > LIMIT_MS) {
		puts("/dev/kvm is too slow for a kernel here");
		return 1;
	}
	return 0;
}
