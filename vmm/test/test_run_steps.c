/* Steps, beside those that wait for the console or are the agent's. */
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/signals.h"
#include "vmm/test/test_run_impl.h"

static void send_text(struct test_run *run, const struct step_spec *step)
{
	size_t len = strlen(step->text);

	run->busy = true;
	run->n_sent += vm_process_input(run->vm, step->text + run->n_sent, len - run->n_sent);
	if (run->n_sent == len)
		test_run_step_done(run);
}

static void nap_is_over(void *arg)
{
	test_run_step_done(arg);
}

static void sleep_now(struct test_run *run, const struct step_spec *step)
{
	if (step->sleep_ms == 0) {
		test_run_step_done(run);
		return;
	}
	run->busy = true;
	if (time_limit_start(&run->nap, run->loop, step->sleep_ms, nap_is_over, run) < 0) {
		test_run_fail(run, VERDICT_BROKEN, 0, "%s", error_text());
		error_clear();
	}
}

/* By the agent where there is one, else by the button. */
static void power_off(struct test_run *run)
{
	run->busy = true;
	if (run->agent_ready && agent_poweroff(run->agent, AGENT_OFF) == 0)
		return;
	error_clear();
	vm_process_press_power_button(run->vm);
}

static void order(struct test_run *run, enum step_kind kind)
{
	static const enum vm_order orders[] = {
		[STEP_PAUSE] = VM_ORDER_PAUSE, [STEP_RESUME] = VM_ORDER_RESUME,
		[STEP_RESET] = VM_ORDER_RESET, [STEP_NMI] = VM_ORDER_NMI,
	};

	/* The next one that the guest starts begins anew, where this session goes on. */
	if (kind == STEP_RESET) {
		test_run_agent_close(run);
		run->agent_ready = false;
	}
	if (vm_process_order(run->vm, (int)orders[kind]) == 0) {
		test_run_step_done(run);
		return;
	}
	test_run_fail(run, VERDICT_BROKEN, 0, "%s", error_text());
	error_clear();
}

/* Who wants the guest's end has got it; for all others it is too late. */
void test_run_step_ends(struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);
	char text[END_TEXT_SIZE], last[LAST_LINE_SIZE];

	if (step->kind == STEP_POWEROFF || step->kind == STEP_END) {
		test_run_step_done(run);
		return;
	}
	/* Where the kernel is at its end for a reason of its own, that is the reason here. */
	test_run_end_text(run, text);
	test_run_last_line(run, last);
	test_run_fail(run, VERDICT_FAILED, 0, "%s before that%s%s", text,
		      *last ? "; the last line of the console: " : "", last);
}

void test_run_begin_step(struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);

	if (run->is_over && step->kind != STEP_EXPECT && step->kind != STEP_SLEEP) {
		test_run_step_ends(run);
		return;
	}
	switch (step->kind) {
	case STEP_EXPECT:
		if (!run->busy)
			test_run_expect(run);
		if (run->is_over && run->busy)
			test_run_step_ends(run);
		break;
	case STEP_SEND:
		send_text(run, step);
		break;
	case STEP_RUN:
	case STEP_COPY_IN:
	case STEP_COPY_OUT:
	case STEP_WAIT:
		test_run_agent_begin(run);
		break;
	case STEP_SLEEP:
		if (!run->busy)
			sleep_now(run, step);
		break;
	case STEP_POWEROFF:
		if (!run->busy)
			power_off(run);
		break;
	case STEP_POWER_BUTTON:
		vm_process_press_power_button(run->vm);
		test_run_step_done(run);
		break;
	case STEP_PAUSE:
	case STEP_RESUME:
	case STEP_RESET:
	case STEP_NMI:
		order(run, step->kind);
		break;
	case STEP_END:
		run->busy = true;
		break;
	case N_STEP_KINDS:
		break;
	}
}
