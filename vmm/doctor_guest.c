#include "vmm/doctor_guest.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/machine/machine.h"

/*
 * The guest.  At CPL 0, in protected mode without paging, it switches to 64 bits and asks a
 * register how often to go round an empty loop; after the answer 0 it drops to CPL 3 and does
 * the same again.  The host measures the time between two questions.  Intel SDM volume 3, 9.8.5
 * "Initializing IA-32e Mode".
 *
 * It runs at guest address CODE; labels are computed from there, so that the assembler's output
 * needs no relocation.
 */
#define CODE 0x100000
#define TABLES 0x2000		/* PML4, page directory pointers, page directory */
#define GDT 0x1000
#define STACK 0x8000
#define REGISTER 0x200000	/* just above RAM; both levels may touch it */
#define STRING(x) #x
#define TEXT(x) STRING(x)

__asm__(".pushsection .rodata\n"
	"doctor_guest_code:\n"
	".code32\n"
	"	lgdtl " TEXT(CODE) " + doctor_gdtr - doctor_guest_code\n"
	"	movl %cr4, %eax\n"
	"	orl $0x20, %eax\n"		/* PAE */
	"	movl %eax, %cr4\n"
	"	movl $" TEXT(TABLES) ", %eax\n"
	"	movl %eax, %cr3\n"
	"	movl $0xc0000080, %ecx\n"	/* EFER */
	"	rdmsr\n"
	"	orl $0x100, %eax\n"		/* LME */
	"	wrmsr\n"
	"	movl %cr0, %eax\n"
	"	orl $0x80000000, %eax\n"	/* PG */
	"	movl %eax, %cr0\n"
	"	ljmpl $8, $(" TEXT(CODE) " + doctor_long - doctor_guest_code)\n"
	".code64\n"
	"doctor_long:\n"
	"	movl $0x10, %eax\n"
	"	movl %eax, %ds\n"
	"	movl %eax, %ss\n"
	"	movl $" TEXT(STACK) ", %esp\n"
	"	movl $" TEXT(REGISTER) ", %edx\n"
	"1:	movl (%rdx), %eax\n"
	"	testl %eax, %eax\n"
	"	jz 3f\n"
	"2:	decl %eax\n"
	"	jnz 2b\n"
	"	jmp 1b\n"
	"3:	pushq $0x1b\n"			/* SS, RSP */
	"	pushq $" TEXT(STACK) "\n"
	"	pushq $0x2\n"			/* RFLAGS: interrupts off */
	"	pushq $0x23\n"			/* CS, RIP */
	"	pushq $(" TEXT(CODE) " + doctor_user - doctor_guest_code)\n"
	"	iretq\n"
	"doctor_user:\n"
	"1:	movl (%rdx), %eax\n"
	"	testl %eax, %eax\n"
	"	jz 3f\n"
	"2:	decl %eax\n"
	"	jnz 2b\n"
	"	jmp 1b\n"
	"3:	jmp 3b\n"
	"doctor_gdtr:\n"
	"	.word 39\n"
	"	.long " TEXT(GDT) "\n"
	"doctor_guest_end:\n"
	"	.balign 4\n"
	"doctor_guest_len:\n"
	"	.long doctor_guest_end - doctor_guest_code\n"
	".popsection\n");

extern const uint8_t doctor_guest_code[];
extern const uint32_t doctor_guest_len;

static const uint64_t descriptors[] = {
	0,
	0x00af9b000000ffff,	/* 0x08: code, 64 bits, level 0 */
	0x00cf93000000ffff,	/* 0x10: data, level 0 */
	0x00cff3000000ffff,	/* 0x18: data, level 3 */
	0x00affb000000ffff,	/* 0x20: code, 64 bits, level 3 */
};

enum {
	LOOP_INSTRUCTIONS = 2,
	FIRST_COUNT = 1000,
	MAX_COUNT = 1 << 30,
	ENOUGH_MS = 20,
	PATIENCE_S = 10,
	PAGE_USER_RW = 0x7,	/* present, writable, user */
	PAGE_LARGE = 0x80,
};

struct measurement {
	struct machine *machine;
	struct event_loop *loop;
	struct event_source timer;
	struct region reg;
	unsigned phase;		/* 0: CPL 0, 1: CPL 3 */
	uint32_t count;		/* what the last question was answered with; 0: nothing yet */
	uint64_t answered_ns;
	double per_s[2];
	bool timed_out;
};

/* The vCPU thread's own time: a busy host must not look like a slow one. */
static uint64_t cpu_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * The guest asks how often to go round next: ever more often, until a round is long enough to
 * trust.
 */
static uint64_t answer(void *arg, uint64_t offset, unsigned size)
{
	struct measurement *m = arg;
	uint64_t took = cpu_time_ns() - m->answered_ns;

	(void)offset;
	(void)size;
	if (m->phase > 1)
		return 0;
	if (m->count && (took > ENOUGH_MS * UINT64_C(1000000) || m->count >= MAX_COUNT)) {
		double instructions = (double)m->count * LOOP_INSTRUCTIONS;
		m->per_s[m->phase++] = instructions * 1e9 / (double)(took | 1);
		m->count = 0;
		if (m->phase > 1)
			machine_report(m->machine, MACHINE_EXIT, 0, NULL);
		return 0;
	}
	m->count = m->count ? m->count * 2 : FIRST_COUNT;
	m->answered_ns = cpu_time_ns();
	return m->count;
}

static void ignore(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct region_ops register_ops = { .read = answer, .write = ignore };

/* Two pages of 2 MiB, RAM and the register's, that both levels may use. */
static int fill_memory(struct machine *m)
{
	uint8_t *code = guest_memory_at(&m->memory, CODE, 4096);
	uint8_t *tables = guest_memory_at(&m->memory, TABLES, 3 * 4096);
	uint8_t *gdt = guest_memory_at(&m->memory, GDT, sizeof(descriptors));

	if (!code || !tables || !gdt)
		return error_set(EFAULT, "place a small guest");
	memcpy(code, doctor_guest_code, doctor_guest_len);
	memcpy(gdt, descriptors, sizeof(descriptors));
	store_le64(tables, (TABLES + 4096) | PAGE_USER_RW);
	store_le64(tables + 4096, (TABLES + 8192) | PAGE_USER_RW);
	store_le64(tables + 8192, PAGE_USER_RW | PAGE_LARGE);
	store_le64(tables + 8192 + 8, REGISTER | PAGE_USER_RW | PAGE_LARGE);
	return 0;
}

static void guest_ended(void *arg)
{
	struct measurement *m = arg;

	event_loop_stop(m->loop);
}

static void time_is_up(struct event_source *source, uint32_t events)
{
	struct measurement *m = container_of(source, struct measurement, timer);

	(void)events;
	m->timed_out = true;
	event_loop_stop(m->loop);
}

static int arm_timer(struct measurement *m)
{
	struct itimerspec when = { .it_value.tv_sec = PATIENCE_S };

	m->timer.fn = time_is_up;
	m->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (m->timer.fd < 0 || timerfd_settime(m->timer.fd, 0, &when, NULL) < 0)
		return error_set(errno, "set a time limit");
	return event_loop_add(m->loop, &m->timer, EPOLLIN);
}

static int run(struct measurement *m, const char *kvm_path)
{
	struct machine_config config = {
		.kvm_path = kvm_path, .memory_size = REGISTER, .n_vcpus = 1,
	};
	struct boot_entry entry = { .mode = BOOT_MODE_PROTECTED32, .rip = CODE, .rsp = STACK };
	int r = event_loop_create(&m->loop, "doctor");

	if (r == 0)
		r = arm_timer(m);
	if (r == 0)
		r = machine_create(&m->machine, &config, m->loop);
	if (r < 0)
		return r;
	m->machine->on_outcome = guest_ended;
	m->machine->on_outcome_arg = m;
	m->reg = (struct region){ "doctor", REGISTER, 4, &register_ops, m };
	r = bus_add(&m->machine->mmio, &m->reg);
	if (r == 0)
		r = fill_memory(m->machine);
	if (r == 0)
		r = machine_set_entry(m->machine, &entry);
	if (r == 0)
		r = machine_start(m->machine);
	if (r < 0)
		return r;
	event_loop_run(m->loop);
	machine_pause(m->machine);
	return 0;
}

static int judge(const struct measurement *m)
{
	if (m->timed_out)
		return error_set(ETIMEDOUT, "run a small guest: it does not answer");
	if (atomic_load(&m->machine->outcome) != MACHINE_EXIT)
		return error_set(EIO, "run a small guest: it crashed %s",
				 m->machine->detail);
	return 0;
}

int doctor_guest_measure(struct guest_speed *out, const char *kvm_path)
{
	struct measurement m = { .timer.fd = FD_NONE };
	int r = run(&m, kvm_path);

	if (r == 0)
		r = judge(&m);
	machine_destroy(m.machine);
	event_loop_remove(&m.timer);
	fd_close(&m.timer.fd);
	event_loop_destroy(m.loop);
	*out = (struct guest_speed){ m.per_s[0], m.per_s[1] };
	return r;
}
