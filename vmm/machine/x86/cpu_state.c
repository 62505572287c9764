#include "vmm/machine/x86/cpu_state.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

enum {
	SELECTOR_CODE = 0x10,
	SELECTOR_DATA = 0x18,
	SELECTOR_TSS = 0x20,
	GDT_ENTRIES = 5,
	TSS_LIMIT = 0x67,

	CR0_PE = 1 << 0,
	CR0_ET = 1 << 4,
	CR4_PAE = 1 << 5,
	EFER_LME = 1 << 8,
	EFER_LMA = 1 << 10,
	RFLAGS_ALWAYS = 1 << 1,

	PAGE = 4096,
	PAGE_ENTRIES = 512,
	PTE_PRESENT = 1 << 0,
	PTE_WRITABLE = 1 << 1,
	PTE_LARGE = 1 << 7,
	MAPPED_GIB = 4,
};
#define CR0_PG (1u << 31)

/* Intel SDM volume 3, 3.4.5 "Segment Descriptors": base 0, limit 4 GiB, present, accessed. */
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffull
#define DESCRIPTOR_DATA 0x00cf93000000ffffull
#define DESCRIPTOR_TSS (0x00008b0000000000ull | TSS_LIMIT)

static void write_page_tables(uint8_t *tables)
{
	uint8_t *directory_pointers = tables + PAGE;
	uint8_t *directories = tables + 2 * PAGE;

	memset(tables, 0, 2 * PAGE);
	store_le64(tables, (LAYOUT_PAGE_TABLES + PAGE) | PTE_PRESENT | PTE_WRITABLE);
	for (unsigned i = 0; i < MAPPED_GIB; i++)
		store_le64(directory_pointers + 8 * i, (LAYOUT_PAGE_TABLES + (2 + i) * PAGE) |
							       PTE_PRESENT | PTE_WRITABLE);
	for (unsigned i = 0; i < MAPPED_GIB * PAGE_ENTRIES; i++)
		store_le64(directories + 8 * i,
			   MIB(2) * i | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE);
}

int cpu_state_write_tables(const struct guest_memory *mem, enum boot_mode mode)
{
	uint8_t *gdt = guest_memory_at(mem, LAYOUT_GDT, GDT_ENTRIES * 8);
	uint8_t *tables = guest_memory_at(mem, LAYOUT_PAGE_TABLES, (2 + MAPPED_GIB) * PAGE);

	if (!gdt || !tables)
		return error_set(ENOMEM, "no memory at 0x%llx for the boot processor's tables",
				 (unsigned long long)(gdt ? LAYOUT_PAGE_TABLES : LAYOUT_GDT));
	memset(gdt, 0, GDT_ENTRIES * 8);
	store_le64(gdt + SELECTOR_CODE,
		   mode == BOOT_MODE_LONG64 ? DESCRIPTOR_CODE64 : DESCRIPTOR_CODE32);
	store_le64(gdt + SELECTOR_DATA, DESCRIPTOR_DATA);
	store_le64(gdt + SELECTOR_TSS, DESCRIPTOR_TSS);
	if (mode == BOOT_MODE_LONG64)
		write_page_tables(tables);
	return 0;
}

void cpu_state_set_mode(struct kvm_sregs *sregs, enum boot_mode mode)
{
	bool is_64bit = mode == BOOT_MODE_LONG64;
	struct kvm_segment code = {
		.limit = UINT32_MAX, .selector = SELECTOR_CODE, .type = 0xb,
		.present = 1, .s = 1, .g = 1, .l = is_64bit, .db = !is_64bit,
	};
	struct kvm_segment data = {
		.limit = UINT32_MAX, .selector = SELECTOR_DATA, .type = 0x3,
		.present = 1, .s = 1, .g = 1, .db = 1,
	};

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = (struct kvm_segment) {
		.limit = TSS_LIMIT, .selector = SELECTOR_TSS, .type = 0xb, .present = 1,
	};
	sregs->gdt.base = LAYOUT_GDT;
	sregs->gdt.limit = GDT_ENTRIES * 8 - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_PE | CR0_ET;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
	if (is_64bit) {
		sregs->cr0 |= CR0_PG;
		sregs->cr3 = LAYOUT_PAGE_TABLES;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	}
}

int cpu_state_apply(int vcpu_fd, const struct kvm_sregs *power_on, const struct boot_entry *entry)
{
	struct kvm_sregs sregs = *power_on;
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rsi = entry->rsi,
		.rax = entry->rax,
		.rbx = entry->rbx,
		.rflags = RFLAGS_ALWAYS,
	};

	cpu_state_set_mode(&sregs, entry->mode);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return error_set(errno, "set the boot processor's mode (KVM_SET_SREGS)");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return error_set(errno, "set the boot processor's registers (KVM_SET_REGS)");
	return 0;
}
