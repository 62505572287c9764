#include "vmm/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* Written before 'is_raw' becomes true; read by handlers only while it is. */
static struct termios found;
static struct sigaction before[ARRAY_SIZE(crash_signals)];
static atomic_bool is_raw;
static bool is_guarded;

bool terminal_is_there(void)
{
	return isatty(STDIN_FILENO) == 1;
}

void terminal_restore(void)
{
	int saved = errno;

	if (atomic_exchange(&is_raw, false)) {
		/* TCSANOW: waiting for output to drain could last for ever here. */
		tcsetattr(STDIN_FILENO, TCSANOW, &found);
		log_set_raw_terminal(false);
	}
	errno = saved;
}

/* Give the terminal back, then let the crash take its course (core dump, sanitizer's report). */
static void on_crash(int sig, siginfo_t *info, void *context)
{
	(void)context;
	terminal_restore();
	for (unsigned i = 0; i < ARRAY_SIZE(crash_signals); i++)
		if (crash_signals[i] == sig)
			sigaction(sig, &before[i], NULL);
	/* An instruction that faulted does so again on return; what was sent is sent again. */
	if (info->si_code <= 0)
		raise(sig);
}

static void guard(void)
{
	struct sigaction action = {
		.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_NODEFER
	};

	if (is_guarded)
		return;
	is_guarded = true;
	for (unsigned i = 0; i < ARRAY_SIZE(crash_signals); i++)
		sigaction(crash_signals[i], &action, &before[i]);
	atexit(terminal_restore);
}

int terminal_make_raw(void)
{
	struct termios raw;

	if (!terminal_is_there() || atomic_load(&is_raw))
		return 0;
	if (tcgetpgrp(STDIN_FILENO) != getpgrp())
		return 0;
	if (tcgetattr(STDIN_FILENO, &found) < 0)
		return error_set(errno, "read the terminal's settings");
	guard();
	raw = found;
	cfmakeraw(&raw);
	atomic_store(&is_raw, true);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
		int err = errno;
		atomic_store(&is_raw, false);
		return error_set(err, "make the terminal raw");
	}
	log_set_raw_terminal(true);
	return 0;
}

bool terminal_size(uint16_t *cols, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
		return false;
	*cols = size.ws_col;
	*rows = size.ws_row;
	return true;
}
