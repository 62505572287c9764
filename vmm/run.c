/*
 * "vireo run": one guest from start to end.  The main thread builds the VM, enters the sandbox,
 * starts the guest and then only listens: to the guest's end, the time limit, signals and the
 * escape key.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/config.h"
#include "vmm/control/control.h"
#include "vmm/control/run_dir.h"
#include "vmm/dump_dtb.h"
#include "vmm/escape_key.h"
#include "vmm/explain.h"
#include "vmm/help.h"
#include "vmm/notify.h"
#include "vmm/outcome.h"
#include "vmm/report/reporter.h"
#include "vmm/sandbox.h"
#include "vmm/signals.h"
#include "vmm/terminal.h"
#include "vmm/time_limit.h"
#include "vmm/vm.h"
#include "vmm/vm_control.h"

/* Who ended the run.  The first one counts. */
enum ending { ENDING_NONE, ENDING_GUEST, ENDING_TIMEOUT, ENDING_SIGNAL, ENDING_QUIT, ENDING_ERROR };

struct run {
	struct vm_config config;
	struct run_switches switches;
	struct event_loop *loop;
	struct signals signals;
	struct time_limit limit;
	struct escape_key escape;
	struct notify notify;
	struct vm *vm;
	struct reporter reporter;
	struct state_report *report;	/* as it was when the time was up */
	struct control *control;	/* NULL: there is none */
	bool named_by_file;		/* a control socket would be nice, no more */
	struct device_account *account;	/* as it was at the end, if somebody wants it */
	unsigned n_accounts;

	enum ending ending;
	int signal;			/* of ENDING_SIGNAL */
	struct outcome outcome;		/* of ENDING_GUEST */
	enum outcome_blame blame;	/* of ENDING_ERROR */
};

static void end(struct run *run, enum ending ending)
{
	if (run->ending == ENDING_NONE)
		run->ending = ending;
	event_loop_stop(run->loop);
}

/* --- What the main loop hears ---------------------------------------------------------------- */

static void guest_ended(void *arg)
{
	struct run *run = arg;

	run->outcome = vm_outcome(run->vm);
	if (!run->outcome.restart) {
		end(run, ENDING_GUEST);
		return;
	}
	log_info("%s: starting it again", run->outcome.text);
	if (vm_reset(run->vm) < 0)
		end(run, ENDING_ERROR);
}

static void time_is_up(void *arg)
{
	struct run *run = arg;

	/* Before anybody waits for the guest. */
	if (run->ending == ENDING_NONE && !run->switches.quiet)
		run->report = reporter_take(&run->reporter, run->vm, "time limit");
	end(run, ENDING_TIMEOUT);
}

static void stopped_by_signal(struct run *run, int sig)
{
	if (run->ending == ENDING_NONE)
		run->signal = sig;
	end(run, ENDING_SIGNAL);
}

/* The shell may have changed the terminal while we were stopped, or given it to another. */
static void take_terminal_again(const struct run *run)
{
	terminal_restore();
	if (consoles_use_stdio(&run->config) && terminal_make_raw() < 0)
		error_clear();
}

/* --- What became of the features, and the mistakes of drivers --------------------------------- */

/* Write the accounts in one piece; who reads them may be slow, so no lock is held. */
static void write_account(const struct run *run, const struct device_account *device, unsigned n)
{
	enum explain_form form = run->switches.explain ? run->switches.explain : EXPLAIN_TEXT;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r = out ? explain_write(out, form, device, n) : error_set(errno, "explain the devices");

	if (out && fclose(out) != 0 && r == 0)
		r = error_set(ENOMEM, "explain the devices");
	if (r == 0)
		fwrite(text, 1, len, stderr);
	else
		error_print(stderr);
	free(text);
}

/* Somebody asks while the guest runs: what is everything at, and what became of the features? */
static void report_now(struct run *run)
{
	struct state_report *report = reporter_take(&run->reporter, run->vm, "SIGUSR1");
	struct device_account *device;
	unsigned n;

	terminal_restore();
	reporter_write(&run->reporter, report);
	if (vm_accounts(run->vm, &device, &n) == 0) {
		write_account(run, device, n);
		free(device);
	} else {
		error_print(stderr);
	}
	take_terminal_again(run);
}

static void signal_received(void *arg, int sig)
{
	struct run *run = arg;
	uint16_t cols, rows;

	switch (sig) {
	case SIGTSTP:
		terminal_restore();
		raise(SIGSTOP);
		break;		/* SIGCONT follows */
	case SIGCONT:
		take_terminal_again(run);
		break;
	case SIGUSR1:
		report_now(run);
		break;
	case SIGUSR2:
		vm_switch_datapaths(run->vm);
		break;
	case SIGPWR:
		log_info("SIGPWR presses the power button");
		vm_press_power_button(run->vm);
		break;
	case SIGWINCH:
		if (run->config.console.kind == TARGET_STDIO && terminal_size(&cols, &rows))
			vm_resize_console(run->vm, cols, rows);
		break;
	default:
		stopped_by_signal(run, sig);
	}
}

/* What cannot be done is the end: who gave the order counts on it. */
static void ordered(void *arg, int order)
{
	struct run *run = arg;
	int r = 0;

	if (run->ending != ENDING_NONE)
		return;
	switch (order) {
	case VM_ORDER_PAUSE:
		r = vm_pause(run->vm);
		if (r == -EINPROGRESS) {
			error_clear();
			r = 0;
		}
		time_limit_hold(&run->limit, r == 0);
		break;
	case VM_ORDER_RESUME:
		r = vm_continue(run->vm);
		time_limit_hold(&run->limit, false);
		break;
	case VM_ORDER_RESET:
		log_info("reset by the process that started this one");
		r = vm_reset(run->vm);
		break;
	case VM_ORDER_NMI:
		r = vm_send_nmi(run->vm);
		break;
	}
	if (r < 0)
		end(run, ENDING_ERROR);
}

static void escape_command(void *arg, char letter)
{
	static const char help[] = "\r\n"
				   "Ctrl-A x       end the guest and Vireo\r\n"
				   "Ctrl-A p       press the guest's power button\r\n"
				   "Ctrl-A h       this help\r\n"
				   "Ctrl-A Ctrl-A  type Ctrl-A\r\n";
	struct run *run = arg;

	switch (letter) {
	case 'x':
		stopped_by_signal(run, SIGINT);
		break;
	case 'p':
		vm_press_power_button(run->vm);
		break;
	case 'h':
	case '?':
		fputs(help, stderr);
		break;
	default:
		break;
	}
}

/* --- What clients of the control socket want ------------------------------------------------- */

static void quit(void *arg)
{
	end(arg, ENDING_QUIT);
}

static void reset(void *arg)
{
	struct run *run = arg;

	log_info("reset through the control socket");
	if (run->ending == ENDING_NONE && vm_reset(run->vm) < 0)
		end(run, ENDING_ERROR);
}

static struct json_t *report(void *arg)
{
	struct run *run = arg;

	return reporter_json(&run->reporter, run->vm, "control socket");
}

static char *report_text(void *arg, size_t *len)
{
	struct run *run = arg;

	return reporter_text(&run->reporter, run->vm, "control socket", len);
}

static void held(void *arg, bool held)
{
	struct run *run = arg;

	time_limit_hold(&run->limit, held);
}

/* A VM from a file that says nothing else is called as the file: "web.yaml" is web. */
static void give_name(struct run *run)
{
	struct vm_config *config = &run->config;
	const char *file = config->origins.n_files ? config->origins.file[0]->name : NULL;
	const char *base;
	char *name;

	if (!HAVE_JANSSON || config->name || config->run_dir || !file || run->switches.no_run_dir)
		return;
	base = strrchr(file, '/');
	name = strdup(base ? base + 1 : file);
	if (name && strrchr(name, '.') > name)
		*strrchr(name, '.') = '\0';
	run->named_by_file = name && run_name_is_valid(name);
	if (run->named_by_file)
		config->name = name;
	else
		free(name);
}

static int make_control(struct run *run)
{
	int r;

	if (run->switches.no_run_dir || !control_is_wanted(&run->config))
		return 0;
	r = control_create(&run->control, &run->config, run->loop);
	if (r == 0 || r == -EBUSY || !run->named_by_file)
		return r;
	log_warning("there is no control socket: %s: %s", error_text(), error_name(-r));
	error_clear();
	return 0;
}

/* --- Building -------------------------------------------------------------------------------- */

static int prepare(struct run *run)
{
	struct vm_host host = { .ended = guest_ended, .arg = run };
	int r = explain_check(run->switches.explain);

	if (r == 0)
		r = sandbox_forbid_privileges();
	if (r == 0)
		r = event_loop_create(&run->loop, "main");
	if (r == 0)
		r = signals_init(&run->signals, run->loop, signal_received, run);
	if (r == 0)
		r = time_limit_start(&run->limit, run->loop, run->config.timeout_ms, time_is_up,
				     run);
	if (r == 0)
		r = make_control(run);
	if (r < 0)
		return r;
	r = reporter_open(&run->reporter, &run->config);
	if (r < 0) {
		run->blame = BLAME_FILE;
		return r;
	}
	if (run->control) {
		host.copy = control_console_copy(run->control);
		run->reporter.keep = control_keep_report;
		run->reporter.keep_arg = run->control;
	}
	notify_find(&run->notify);
	host.main_loop = run->loop;
	if (terminal_is_there()) {
		run->escape = (struct escape_key){ .command = escape_command, .arg = run };
		host.filter = (struct consoles_filter){ escape_key_filter, &run->escape };
	}
	return vm_create(&run->vm, &run->config, &host, &run->blame);
}

static int start(struct run *run)
{
	bool interactive = terminal_is_there() && consoles_use_stdio(&run->config);
	const struct control_host control_host = {
		.quit = quit, .reset = reset, .held = held, .report = report,
		.report_text = report_text, .arg = run,
	};
	int r;

	if (interactive && !run->switches.quiet)
		fprintf(stderr, "vireo: Ctrl-A x ends the guest, Ctrl-A h lists the other keys\n");
	r = interactive ? terminal_make_raw() : 0;
	if (r == 0 && run->control)
		r = control_serve(run->control, run->vm, &control_host);
	if (r < 0)
		return r;
	event_note(EVENT_PHASE, NULL, 0, "sandbox");
	r = sandbox_enter(run->config.seccomp,
			  vm_sandbox_needs(run->vm) | reporter_sandbox_needs(&run->reporter) |
				  (run->control ? SANDBOX_CONTROL : 0));
	if (r < 0)
		run->blame = BLAME_HOST;
	event_note(EVENT_PHASE, NULL, 0, "guest");
	if (r == 0)
		r = vm_start(run->vm);
	if (r == 0)
		notify_say(&run->notify, "READY=1", "the guest runs");
	return r;
}

/* --- The end --------------------------------------------------------------------------------- */

static int say_time_is_up(struct run *run)
{
	static char cpus[64 * 160];	/* a line for each vCPU */

	vm_describe_cpus(run->vm, cpus, sizeof(cpus));
	fprintf(stderr, "vireo: time limit of %g s passed; the guest was stopped here:\n%s\n",
		(double)run->config.timeout_ms / 1000, cpus);
	reporter_write(&run->reporter, run->report);
	return STATUS_TIMEOUT;
}

static int say_outcome(const struct run *run)
{
	if (run->outcome.failure || !run->switches.quiet)
		fprintf(stderr, "vireo: %s\n", run->outcome.text);
	return run->outcome.status;
}

static int say_error(const struct run *run)
{
	int status = outcome_of_error(run->blame, error_errno());

	error_print(stderr);
	return status;
}

static int say_ending(struct run *run)
{
	switch (run->ending) {
	case ENDING_GUEST:
		return say_outcome(run);
	case ENDING_TIMEOUT:
		return say_time_is_up(run);
	case ENDING_SIGNAL:
		fprintf(stderr, "vireo: ended by SIG%s; the guest was stopped\n",
			sigabbrev_np(run->signal));
		return COMMAND_SIGNAL + run->signal;
	case ENDING_QUIT:
		/* As by 'kill': the guest did not get to its end. */
		fprintf(stderr, "vireo: ended through the control socket; the guest was stopped\n");
		return COMMAND_SIGNAL + SIGTERM;
	case ENDING_ERROR:
	case ENDING_NONE:
		break;
	}
	return say_error(run);
}

static void note_exit(const struct run *run, int status)
{
	static const char *const why[] = {
		[ENDING_GUEST] = "the guest ended",
		[ENDING_TIMEOUT] = "the time limit passed",
		[ENDING_SIGNAL] = "ended by a signal",
		[ENDING_QUIT] = "ended through the control socket",
		[ENDING_ERROR] = "Vireo failed",
	};
	const char *text = run->ending == ENDING_GUEST ? run->outcome.text : why[run->ending];

	event_note(EVENT_EXIT, NULL, status, "%s", text ? text : "");
}

/* The terminal is restored already. */
static int conclude(struct run *run)
{
	uint64_t n_mistakes = 0;
	int status, judged;

	if (run->account && run->switches.explain)
		write_account(run, run->account, run->n_accounts);
	if (run->account && run->config.strict_driver)
		n_mistakes = explain_report_mistakes(stderr, run->account, run->n_accounts,
						     run->switches.quiet);
	status = say_ending(run);
	judged = outcome_of_mistakes(&run->config, status, n_mistakes);
	if (judged != status)
		fprintf(stderr, "vireo: status %d because of the drivers' mistakes; "
				"'--on-driver-mistake report' only reports them\n", judged);
	free(run->account);
	note_exit(run, judged);
	return judged;
}

/* Before the devices are reset for good, and while the error that ended the run is kept. */
static void take_account(struct run *run)
{
	struct error_chain kept;

	if (!run->switches.explain && !run->config.strict_driver)
		return;
	error_save(&kept);
	if (vm_accounts(run->vm, &run->account, &run->n_accounts) < 0)
		log_line(LOG_ERROR, "%s", error_text());
	error_restore(&kept);
}

static void tell_status(struct run *run, int status)
{
	if (run->ending == ENDING_GUEST)
		notify_say(&run->notify, NULL, "%s", run->outcome.text);
	else
		notify_say(&run->notify, NULL, "ended with status %d",
			   status < COMMAND_SIGNAL ? status : status - COMMAND_SIGNAL + 128);
}

/* Who looks into the run directory wants to know where it was. */
static void keep_report_of_crash(struct run *run)
{
	if (reporter_keeps(&run->reporter) && run->ending == ENDING_GUEST &&
	    run->outcome.status >= STATUS_PANIC)
		reporter_keep(&run->reporter,
			      reporter_take(&run->reporter, run->vm, run->outcome.text));
}

static int run_guest(struct run *run)
{
	int r = prepare(run), status;
	bool had_vm;

	if (r == 0)
		r = start(run);
	if (r == 0)
		event_loop_run(run->loop);
	else
		run->ending = ENDING_ERROR;
	notify_say(&run->notify, "STOPPING=1", "ending");
	if (run->vm) {
		vm_halt(run->vm);
		reporter_complete(&run->reporter, &run->report, run->vm);
		keep_report_of_crash(run);
		if (run->ending == ENDING_GUEST && run->outcome.dump)
			reporter_dump(&run->reporter, run->vm);
		take_account(run);
		vm_stop(run->vm);
	}
	/* Who follows the console has its last words, too. */
	if (run->control)
		control_stop(run->control);
	had_vm = run->vm;
	terminal_restore();
	status = conclude(run);
	tell_status(run, status);
	reporter_end(&run->reporter);
	vm_destroy(run->vm);
	reporter_close(&run->reporter);
	/* After a failure somebody may want to read what the guest said last. */
	control_destroy(run->control,
			had_vm && status > STATUS_GUEST_MAX && status < COMMAND_SIGNAL);
	time_limit_stop(&run->limit);
	notify_close(&run->notify);
	signals_fini(&run->signals);
	event_loop_destroy(run->loop);
	return status;
}

/* Returns 0 or, said why, the status to exit with. */
static int read_command_line(struct run *run, int argc, char **argv)
{
	struct mistakes mistakes = { 0 };

	command_line_read(argc, argv, &run->config, &run->switches, &mistakes);
	if (run->switches.help)
		return 0;
	bool whole = mistakes.n == 0;
	config_validate(&run->config, &mistakes);
	if (whole && !run->switches.print)
		config_need_kernel(&run->config, &mistakes);
	if (run->switches.dump_dtb && run->config.mmio_discovery != MMIO_DISCOVERY_DTB)
		mistakes_add(&mistakes, "--dump-dtb: this guest gets no device tree; give "
			     "'--transport mmio --set vm.mmio_discovery=dtb'");
	mistakes_print(&mistakes, stderr);
	return mistakes.status;
}

static int dump_tree(const struct run *run)
{
	int r = dump_dtb(&run->config, run->switches.dump_dtb);

	if (r == 0)
		return STATUS_OK;
	error_print(stderr);
	return outcome_of_error(BLAME_FILE, r);
}

static int run_main(int argc, char **argv)
{
	struct run run = {
		.switches = { .command = COMMAND_LINE_RUN },
		.signals = { .source.fd = FD_NONE, .ordered = ordered },
		.reporter = REPORTER_INIT,
		.limit = TIME_LIMIT_INIT,
		.notify = NOTIFY_INIT,
	};
	int status;

	event_note(EVENT_PHASE, NULL, 0, "configuration");
	if (config_init(&run.config) < 0) {
		error_print(stderr);
		return STATUS_FAILED;
	}
	status = read_command_line(&run, argc, argv);
	if (status == STATUS_OK) {
		if (run.switches.help) {
			run_command.help(stdout);
			status = STATUS_OK;
		} else if (run.switches.print) {
			status = config_print(&run.config, run.switches.print, false);
		} else if (run.switches.dump_dtb) {
			status = dump_tree(&run);
		} else {
			log_set_level(run.switches.verbose > 1 ? LOG_DEBUG :
				      run.switches.verbose == 1 ? LOG_INFO :
				      run.switches.quiet ? LOG_WARNING : LOG_NOTICE);
			give_name(&run);
			status = run_guest(&run);
		}
	}
	config_fini(&run.config);
	return status;
}

const struct command run_command = {
	.name = "run",
	.summary = "boot a kernel in a virtual machine",
	.run = run_main,
	.help = help_run,
	.options = COMMAND_LINE_RUN,
};
