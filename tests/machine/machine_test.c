/* Bytes of real machine code on the host's KVM; each program's listing stands beside it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tiny_machine.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/cpu_look.h"
#include "vmm/machine/layout.h"

/* mov dx, PORT_EXIT; out dx, eax; jmp .  The same bytes in 32-bit and 64-bit mode. */
#define EXIT_WITH_EAX 0x66, 0xba, 0xf4, 0x00, 0xef, 0xeb, 0xfe

static const uint8_t exit_42[] = {
	0xb8, 0x2a, 0x00, 0x00, 0x00,			/* mov eax, 42 */
	EXIT_WITH_EAX,
};
static const uint8_t count_forever[] = {
	0xff, 0x05, 0x00, 0x70, 0x00, 0x00,		/* inc dword [TINY_DATA] */
	0xeb, 0xf8,					/* jmp to it */
};
static const uint8_t triple_fault[] = {
	0x0f, 0x0b,					/* ud2, with an empty IDT */
};
static const uint8_t halt_for_good[] = {
	0xfa, 0xf4, 0xeb, 0xfd,				/* cli; hlt; jmp to the hlt */
};
static const uint8_t idle[] = {
	0xfb, 0xf4, 0xeb, 0xfc,				/* sti; hlt; jmp to the sti */
};

static void wait_until_counts(struct tiny_machine *t)
{
	uint32_t before = tiny_machine_word(t, TINY_DATA);

	while (tiny_machine_word(t, TINY_DATA) == before)
		usleep(1000);
}

Test(machine, exit_status_comes_out_of_both_modes, .timeout = 40)
{
	static const enum boot_mode mode[] = { BOOT_MODE_LONG64, BOOT_MODE_PROTECTED32 };

	for (unsigned i = 0; i < ARRAY_SIZE(mode); i++) {
		struct tiny_machine t;

		tiny_machine_init(&t, 1);
		tiny_machine_load(&t, mode[i], exit_42, sizeof(exit_42));
		cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
		cr_assert_eq(t.machine->status, 42);
		cr_assert_eq(t.n_outcomes, 1);
		tiny_machine_fini(&t);
	}
}

Test(machine, mode_of_entry_is_what_the_boot_protocol_says, .timeout = 40)
{
	/* LONG64: CR0.PG and PE, CR4.PAE, EFER.LMA and LME; all of RSI, RAX, RBX arrive. */
	static const uint8_t code[] = {
		0x48, 0x89, 0x34, 0x25, 0x00, 0x70, 0x00, 0x00,	/* mov [0x7000], rsi */
		0x48, 0x89, 0x1c, 0x25, 0x08, 0x70, 0x00, 0x00,	/* mov [0x7008], rbx */
		0x8c, 0xc8,					/* mov eax, cs */
		0x89, 0x04, 0x25, 0x10, 0x70, 0x00, 0x00,	/* mov [0x7010], eax */
		0x8c, 0xd0,					/* mov eax, ss */
		0x89, 0x04, 0x25, 0x14, 0x70, 0x00, 0x00,	/* mov [0x7014], eax */
		0x8e, 0xd8,					/* mov ds, eax: from the GDT */
		EXIT_WITH_EAX,
	};
	const struct boot_entry entry = {
		.mode = BOOT_MODE_LONG64, .rip = TINY_CODE, .rsp = LAYOUT_BOOT_STACK,
		.rsi = 0x1122334455667788, .rbx = 0x99aabbcc,
	};
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_LONG64, code, sizeof(code));
	cr_assert_eq(machine_set_entry(t.machine, &entry), 0);
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA), 0x55667788);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA + 4), 0x11223344);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA + 8), 0x99aabbcc);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA + 0x10), 0x10);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA + 0x14), 0x18);
	tiny_machine_fini(&t);
}

Test(machine, triple_fault_is_an_outcome, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, triple_fault, sizeof(triple_fault));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_TRIPLE_FAULT);
	tiny_machine_fini(&t);
}

Test(machine, halted_with_interrupts_off_is_an_outcome, .timeout = 40)
{
	for (unsigned n_vcpus = 1; n_vcpus <= 3; n_vcpus += 2) {
		struct tiny_machine t;

		/* The other processors were never started: they do not count as running. */
		tiny_machine_init(&t, n_vcpus);
		tiny_machine_load(&t, BOOT_MODE_PROTECTED32, halt_for_good, sizeof(halt_for_good));
		cr_assert_eq(tiny_machine_run(&t), MACHINE_HALT);
		tiny_machine_fini(&t);
	}
}

Test(machine, idle_guest_is_not_halted, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, idle, sizeof(idle));
	cr_assert_eq(machine_start(t.machine), 0);
	cr_assert_eq(tiny_machine_wait(&t, 3000), MACHINE_RUNNING);
	tiny_machine_fini(&t);
}

Test(machine, busy_guest_is_not_halted, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, count_forever, sizeof(count_forever));
	cr_assert_eq(machine_start(t.machine), 0);
	cr_assert_eq(tiny_machine_wait(&t, 1000), MACHINE_RUNNING);
	tiny_machine_fini(&t);
}

/* 16-bit code at TINY_AP_CODE. */
static const uint8_t ap_counts_and_halts[] = {
	0xf0, 0xff, 0x06, 0x00, 0x70,			/* lock inc word [TINY_DATA] */
	0xfa, 0xf4, 0xeb, 0xfd,				/* cli; hlt; jmp to the hlt */
};
/* INIT and SIPI (vector 8) to all others, by the local APIC's interrupt command register. */
static const uint8_t start_three_others[] = {
	0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00,
	0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x45, 0x0c, 0x00,
	0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x08, 0x46, 0x0c, 0x00,
	0x66, 0x83, 0x3d, 0x00, 0x70, 0x00, 0x00, 0x03,	/* cmp word [TINY_DATA], 3 */
	0x75, 0xf6,					/* jne to the cmp */
	0x0f, 0xb7, 0x05, 0x00, 0x70, 0x00, 0x00,	/* movzx eax, word [TINY_DATA] */
	EXIT_WITH_EAX,
};

static void load_smp(struct tiny_machine *t)
{
	memcpy(guest_memory_at(&t->machine->memory, TINY_AP_CODE, 64), ap_counts_and_halts,
	       sizeof(ap_counts_and_halts));
	tiny_machine_load(t, BOOT_MODE_PROTECTED32, start_three_others,
			  sizeof(start_three_others));
}

Test(machine, four_processors_start_again_after_a_reset, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 4);
	load_smp(&t);
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert_eq(t.machine->status, 3);
	for (unsigned i = 0; i < 3; i++) {
		machine_pause(t.machine);
		cr_assert_eq(guest_memory_clear(&t.machine->memory), 0);
		cr_assert_eq(machine_reset(t.machine), 0, "%s", error_text());
		cr_assert_eq(atomic_load(&t.machine->outcome), MACHINE_RUNNING);
		load_smp(&t);
		machine_resume(t.machine);
		cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_EXIT);
		cr_assert_eq(t.machine->status, 3);
	}
	tiny_machine_fini(&t);
}

Test(machine, paused_guest_stands_still_and_goes_on, .timeout = 40)
{
	struct tiny_machine t;
	char text[1024];

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_LONG64, (const uint8_t[]) {
		0xff, 0x04, 0x25, 0x00, 0x70, 0x00, 0x00,	/* inc dword [TINY_DATA] */
		0xeb, 0xf7,
	}, 9);
	cr_assert_eq(machine_start(t.machine), 0);
	for (unsigned i = 0; i < 20; i++) {
		wait_until_counts(&t);
		machine_pause(t.machine);
		machine_pause(t.machine);
		uint32_t before = tiny_machine_word(&t, TINY_DATA);
		usleep(5000);
		cr_assert_eq(tiny_machine_word(&t, TINY_DATA), before);
		machine_describe_vcpus(t.machine, text, sizeof(text));
		cr_assert_not_null(strstr(text, "vcpu0: RIP 0x2000"), "%s", text);
		cr_assert_not_null(strstr(text, "64-bit"), "%s", text);
		cr_assert_not_null(strstr(text, "\nvcpu1: "), "%s", text);
		cr_assert_not_null(strstr(text, "not started"), "%s", text);
		machine_resume(t.machine);
		machine_resume(t.machine);
	}
	machine_pause(t.machine);
	for (size_t size = 0; size < 300; size++) {
		memset(text, 'x', sizeof(text));
		machine_describe_vcpus(t.machine, text, size);
		cr_assert_eq(text[size], 'x');
	}
	tiny_machine_fini(&t);
}

Test(machine, held_guest_stands_still_through_a_pause, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_LONG64, (const uint8_t[]) {
		0xff, 0x04, 0x25, 0x00, 0x70, 0x00, 0x00,	/* inc dword [TINY_DATA] */
		0xeb, 0xf7,
	}, 9);
	cr_assert_eq(machine_start(t.machine), 0);
	cr_assert_not(machine_is_held(t.machine));
	wait_until_counts(&t);
	while (!machine_hold(t.machine, 1000))
		;
	cr_assert(machine_is_held(t.machine));
	machine_pause(t.machine);
	machine_resume(t.machine);
	uint32_t before = tiny_machine_word(&t, TINY_DATA);
	usleep(20000);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA), before);
	machine_release(t.machine);
	cr_assert_not(machine_is_held(t.machine));
	wait_until_counts(&t);
	machine_release(t.machine);
	tiny_machine_fini(&t);
}

static void *keep_locked(void *arg)
{
	struct machine *m = arg;

	machine_lock(m);
	usleep(300000);
	machine_unlock(m);
	return NULL;
}

Test(machine, who_shall_not_wait_for_the_lock_does_not, .timeout = 40)
{
	struct tiny_machine t;
	pthread_t thread;

	tiny_machine_init(&t, 1);
	cr_assert_eq(pthread_create(&thread, NULL, keep_locked, t.machine), 0);
	while (machine_lock_within(t.machine, 0))
		machine_unlock(t.machine);
	cr_assert_not(machine_lock_within(t.machine, 1));
	cr_assert(machine_lock_within(t.machine, 20000));
	machine_unlock(t.machine);
	pthread_join(thread, NULL);
	tiny_machine_fini(&t);
}

Test(machine, nmi_reaches_a_halted_processor, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, idle, sizeof(idle));
	cr_assert_eq(machine_start(t.machine), 0);
	cr_assert_eq(tiny_machine_wait(&t, 50), MACHINE_RUNNING);
	cr_assert_eq(machine_send_nmi(t.machine, 1000), 0);
	/* Its interrupt table is empty. */
	cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_TRIPLE_FAULT);
	tiny_machine_fini(&t);
}

Test(machine, reset_restores_the_power_on_state, .timeout = 40)
{
	static const uint8_t dirty_and_exit[] = {
		0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20,		/* mov eax, cr4; or eax, 0x20 */
		0x0f, 0x22, 0xe0,				/* mov cr4, eax */
		0xb9, 0x74, 0x01, 0x00, 0x00,			/* mov ecx, IA32_SYSENTER_CS */
		0xb8, 0x08, 0x00, 0x00, 0x00,			/* mov eax, 8 */
		0x31, 0xd2, 0x0f, 0x30,				/* xor edx, edx; wrmsr */
		0xc7, 0x05, 0x20, 0x03, 0xe0, 0xfe, 0x31, 0x00, 0x02, 0x00,
			/* mov dword [APIC timer entry], periodic and vector 0x31 */
		0xb8, 0x01, 0x00, 0x00, 0x00,			/* mov eax, 1 */
		EXIT_WITH_EAX,
	};
	static const uint8_t look_and_exit[] = {
		0xb9, 0x74, 0x01, 0x00, 0x00,			/* mov ecx, IA32_SYSENTER_CS */
		0x0f, 0x32,					/* rdmsr */
		0xa3, 0x00, 0x70, 0x00, 0x00,			/* mov [TINY_DATA], eax */
		0xa1, 0x20, 0x03, 0xe0, 0xfe,			/* mov eax, [APIC timer entry] */
		0xa3, 0x04, 0x70, 0x00, 0x00,			/* mov [TINY_DATA + 4], eax */
		0x0f, 0x20, 0xe0,				/* mov eax, cr4 */
		EXIT_WITH_EAX,
	};
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, dirty_and_exit, sizeof(dirty_and_exit));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	machine_pause(t.machine);
	cr_assert_eq(machine_reset(t.machine), 0, "%s", error_text());
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, look_and_exit, sizeof(look_and_exit));
	machine_resume(t.machine);
	cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_EXIT);
	cr_assert_eq(t.machine->status, 0);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA), 0);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA + 4), 0x10000);
	tiny_machine_fini(&t);
}

Test(machine, reset_from_a_triple_fault_and_from_a_halt, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, triple_fault, sizeof(triple_fault));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_TRIPLE_FAULT);
	machine_pause(t.machine);
	cr_assert_eq(machine_reset(t.machine), 0, "%s", error_text());
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, halt_for_good, sizeof(halt_for_good));
	machine_resume(t.machine);
	cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_HALT);
	machine_pause(t.machine);
	cr_assert_eq(machine_reset(t.machine), 0, "%s", error_text());
	tiny_machine_load(&t, BOOT_MODE_LONG64, exit_42, sizeof(exit_42));
	machine_resume(t.machine);
	cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_EXIT);
	cr_assert_eq(t.n_outcomes, 3);
	tiny_machine_fini(&t);
}

Test(machine, first_report_counts, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, count_forever, sizeof(count_forever));
	cr_assert_eq(machine_start(t.machine), 0);
	wait_until_counts(&t);
	machine_report(t.machine, MACHINE_CRASH, 7, "said first");
	machine_report(t.machine, MACHINE_POWEROFF, 0, NULL);
	cr_assert_eq(tiny_machine_wait(&t, 20000), MACHINE_CRASH);
	cr_assert_str_eq(t.machine->detail, "said first");
	cr_assert_eq(t.n_outcomes, 1);
	/* The guest is out, without a pause. */
	usleep(20000);
	uint32_t before = tiny_machine_word(&t, TINY_DATA);
	usleep(20000);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA), before);
	tiny_machine_fini(&t);
}

Test(machine, can_be_destroyed_while_the_guest_runs_or_before, .timeout = 40)
{
	struct tiny_machine t;

	for (unsigned i = 0; i < 5; i++) {
		tiny_machine_init(&t, 2);
		tiny_machine_load(&t, BOOT_MODE_PROTECTED32, count_forever, sizeof(count_forever));
		if (i)
			cr_assert_eq(machine_start(t.machine), 0);
		usleep(i * 300);
		tiny_machine_fini(&t);
	}
	machine_destroy(NULL);
}

Test(machine, an_outcome_that_nobody_heard_of_goes_with_its_machine, .timeout = 40)
{
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	machine_report(t.machine, MACHINE_STOPPED, 0, NULL);
	machine_destroy(t.machine);
	event_loop_stop(t.loop);
	event_loop_run(t.loop);
	cr_assert_eq(t.n_outcomes, 0);
	event_loop_destroy(t.loop);
}

/* --- Register accesses ---------------------------------------------------------------------- */

struct recorder {
	uint64_t offset[16], value[16];
	unsigned size[16], n;
	uint64_t answer;
};

static uint64_t recorder_read(void *arg, uint64_t offset, unsigned size)
{
	struct recorder *r = arg;

	(void)offset;
	(void)size;
	return r->answer++;
}

static void recorder_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct recorder *r = arg;

	if (r->n == ARRAY_SIZE(r->offset))
		return;
	r->offset[r->n] = offset;
	r->size[r->n] = size;
	r->value[r->n++] = value;
}

static const struct region_ops recorder_ops = { recorder_read, recorder_write };

Test(machine, string_instructions_reach_the_port_byte_by_byte, .timeout = 40)
{
	static const uint8_t code[] = {
		0xfc, 0x66, 0xba, 0x50, 0x01,			/* cld; mov dx, 0x150 */
		0xb9, 0x05, 0x00, 0x00, 0x00,			/* mov ecx, 5 */
		0xbf, 0x00, 0x70, 0x00, 0x00,			/* mov edi, TINY_DATA */
		0xf3, 0x6c,					/* rep insb */
		0xb9, 0x05, 0x00, 0x00, 0x00,
		0xbe, 0x00, 0x70, 0x00, 0x00,			/* mov esi, TINY_DATA */
		0xf3, 0x6e,					/* rep outsb */
		EXIT_WITH_EAX,
	};
	struct recorder r = { .answer = 'a' };
	struct region region = { "recorder", 0x150, 1, &recorder_ops, &r };
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	cr_assert_eq(bus_add(&t.machine->pio, &region), 0);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, code, sizeof(code));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert_eq(r.n, 5);
	for (unsigned i = 0; i < 5; i++)
		cr_assert(r.value[i] == 'a' + i && r.size[i] == 1);
	cr_assert_eq(memcmp(guest_memory_at(&t.machine->memory, TINY_DATA, 5), "abcde", 5), 0);
	tiny_machine_fini(&t);
}

Test(machine, mmio_of_all_sizes, .timeout = 40)
{
	static const uint8_t code[] = {
		0xbb, 0x00, 0x00, 0x00, 0xd0,			/* mov ebx, 0xd0000000 */
		0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1,		/* mov rax, 0x0102030405060708 */
		0x88, 0x43, 0x01,				/* mov [rbx + 1], al */
		0x66, 0x89, 0x43, 0x02,				/* mov [rbx + 2], ax */
		0x89, 0x43, 0x04,				/* mov [rbx + 4], eax */
		0x48, 0x89, 0x43, 0x08,				/* mov [rbx + 8], rax */
		0x8b, 0x43, 0x0c,				/* mov eax, [rbx + 12] */
		EXIT_WITH_EAX,
	};
	struct recorder r = { .answer = 0x12345678 };
	struct region region = { "recorder", 0xd0000000, 16, &recorder_ops, &r };
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	cr_assert_eq(bus_add(&t.machine->mmio, &region), 0);
	tiny_machine_load(&t, BOOT_MODE_LONG64, code, sizeof(code));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert_eq(t.machine->status, 0x12345678);
	cr_assert_eq(r.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(r.offset[i], 1u << i);
		cr_assert_eq(r.size[i], 1u << i);
	}
	cr_assert_eq(r.value[0], 0x08);
	cr_assert_eq(r.value[1], 0x0708);
	cr_assert_eq(r.value[2], 0x05060708);
	cr_assert_eq(r.value[3], 0x0102030405060708);
	tiny_machine_fini(&t);
}

Test(machine, unclaimed_accesses_read_all_ones_and_are_counted, .timeout = 40)
{
	static const uint8_t code[] = {
		0xa3, 0x00, 0x00, 0x00, 0xd0,			/* mov [0xd0000000], eax */
		0xa1, 0x00, 0x00, 0x00, 0xd0,			/* mov eax, [0xd0000000] */
		0xa3, 0x00, 0x70, 0x00, 0x00,			/* mov [TINY_DATA], eax */
		0x31, 0xc0, 0xe4, 0x99,				/* xor eax, eax; in al, 0x99 */
		EXIT_WITH_EAX,
	};
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, code, sizeof(code));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert_eq(t.machine->status, 0xff);
	cr_assert_eq(tiny_machine_word(&t, TINY_DATA), 0xffffffff);
	cr_assert_eq(t.machine->mmio.unclaimed_reads, 1);
	cr_assert_eq(t.machine->mmio.unclaimed_writes, 1);
	cr_assert_eq(t.machine->pio.unclaimed_reads, 1);
	tiny_machine_fini(&t);
}

/* The write to the exit port that ended the run is finished before the pause: EIP is behind it. */
Test(machine, pause_finishes_the_access_in_progress, .timeout = 40)
{
	static const uint8_t in_then_spin[] = {
		0x66, 0xba, 0x50, 0x01, 0xec,			/* mov dx, 0x150; in al, dx */
		0xa2, 0x00, 0x70, 0x00, 0x00,			/* mov [TINY_DATA], al */
		0xeb, 0xf8,					/* jmp to the in */
	};
	struct recorder r = { .answer = 1 };
	struct region region = { "recorder", 0x150, 1, &recorder_ops, &r };
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	cr_assert_eq(bus_add(&t.machine->pio, &region), 0);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, in_then_spin, sizeof(in_then_spin));
	cr_assert_eq(machine_start(t.machine), 0);
	for (unsigned i = 0; i < 100; i++) {
		wait_until_counts(&t);
		machine_pause(t.machine);
		/* A reset in the middle must not let the old access change the new start. */
		cr_assert_eq(machine_reset(t.machine), 0, "%s", error_text());
		tiny_machine_load(&t, BOOT_MODE_PROTECTED32, in_then_spin, sizeof(in_then_spin));
		machine_resume(t.machine);
	}
	cr_assert_eq(atomic_load(&t.machine->outcome), MACHINE_RUNNING);
	tiny_machine_fini(&t);
}

Test(machine, doorbell_is_signalled_without_an_exit, .timeout = 40)
{
	static const uint8_t code[] = {
		0xb8, 0x05, 0x00, 0x00, 0x00,			/* mov eax, 5 */
		0x66, 0xa3, 0x00, 0x00, 0x00, 0xd0,		/* mov [0xd0000000], ax */
		0x40, 0x66, 0xa3, 0x00, 0x00, 0x00, 0xd0,	/* inc eax; the same: matched */
		EXIT_WITH_EAX,
	};
	struct recorder r = { 0 };
	struct region region = { "recorder", 0xd0000000, 4, &recorder_ops, &r };
	struct doorbell bell = {
		.space = DOORBELL_MMIO, .addr = 0xd0000000, .len = 2, .match = true, .value = 6,
	};
	struct tiny_machine t;

	tiny_machine_init(&t, 1);
	cr_assert_eq(fd_create_event(&bell.fd), 0);
	cr_assert_eq(bus_add(&t.machine->mmio, &region), 0);
	cr_assert_eq(doorbell_attach(&t.machine->doorbells, &bell), 0);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, code, sizeof(code));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	cr_assert(r.n == 1 && r.value[0] == 5);
	cr_assert(fd_drain(bell.fd));
	doorbell_detach(&t.machine->doorbells, &bell);
	fd_close(&bell.fd);
	tiny_machine_fini(&t);
}

Test(machine, who_looks_sees_registers_and_the_guest_goes_on, .timeout = 40)
{
	struct tiny_machine t;
	struct cpu_look look;
	struct irq_look irqs;
	uint32_t before;

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, count_forever, sizeof(count_forever));
	cr_assert_eq(machine_start(t.machine), 0);
	cr_assert_eq(tiny_machine_wait(&t, 200), MACHINE_RUNNING);
	cr_assert_eq(machine_catch(t.machine, 2000), 0);
	machine_look_at_cpu(t.machine, 0, &look);
	cr_expect_eq(look.doing, CPU_RUNNING);
	cr_expect_eq(look.bits, 32);
	cr_expect_geq(look.rip, TINY_CODE);
	cr_expect_lt(look.rip, TINY_CODE + sizeof(count_forever));
	cr_expect(look.cr0 & 1);
	machine_look_at_cpu(t.machine, 1, &look);
	cr_expect_eq(look.doing, CPU_NOT_STARTED);
	machine_look_at_irqs(t.machine, &irqs);
	cr_expect(irqs.valid);
	cr_expect_eq(irqs.pin_masked, 0xffffff);
	machine_let_go(t.machine);
	before = tiny_machine_word(&t, TINY_DATA);
	cr_assert_eq(tiny_machine_wait(&t, 200), MACHINE_RUNNING);
	cr_expect_neq(tiny_machine_word(&t, TINY_DATA), before);
	tiny_machine_fini(&t);
}
