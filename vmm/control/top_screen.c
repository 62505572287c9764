#include "vmm/control/top_screen.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_NCURSES

/* Functions, not macros that look into a window. */
#define NCURSES_NOMACROS
#include <curses.h>
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_CTRL_C = 3 };

/* What is used of ncurses. */
static struct {
	SCREEN *(*newterm)(const char *, FILE *, FILE *);
	int (*endwin)(void);
	void (*delscreen)(SCREEN *);
	int (*raw)(void);
	int (*noecho)(void);
	int (*keypad)(WINDOW *, bool);
	int (*curs_set)(int);
	void (*wtimeout)(WINDOW *, int);
	int (*wgetch)(WINDOW *);
	int (*werase)(WINDOW *);
	int (*wmove)(WINDOW *, int, int);
	int (*waddnstr)(WINDOW *, const char *, int);
	int (*wrefresh)(WINDOW *);
	int (*getmaxx)(const WINDOW *);
	int (*getmaxy)(const WINDOW *);
	int (*wattr_on)(WINDOW *, attr_t, void *);
	int (*wattr_off)(WINDOW *, attr_t, void *);
} curses;

static const struct {
	const char *name;
	void *slot;
} symbols[] = {
	{ "newterm", &curses.newterm },
	{ "endwin", &curses.endwin },	  { "delscreen", &curses.delscreen },
	{ "raw", &curses.raw },		  { "noecho", &curses.noecho },
	{ "keypad", &curses.keypad },	  { "curs_set", &curses.curs_set },
	{ "wtimeout", &curses.wtimeout }, { "wgetch", &curses.wgetch },
	{ "werase", &curses.werase },	  { "wmove", &curses.wmove },
	{ "waddnstr", &curses.waddnstr }, { "wrefresh", &curses.wrefresh },
	{ "getmaxx", &curses.getmaxx },	  { "getmaxy", &curses.getmaxy },
	{ "wattr_on", &curses.wattr_on }, { "wattr_off", &curses.wattr_off },
};

static SCREEN *screen;
static WINDOW *window;		/* the whole screen: ncurses' own, which follows its size */

static int load(void)
{
	static const char *const names[] = { "libncursesw.so.6", "libncurses.so.6" };
	void *handle = NULL, *standard;

	for (unsigned i = 0; !handle && i < ARRAY_SIZE(names); i++)
		handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		error_set(ENOENT, "draw on the terminal: %s", dlerror());
		error_hint("sudo apt-get install libncursesw6; or use '--batch'");
		return -ENOENT;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);
		if (!symbol)
			return error_set(ENOENT, "draw on the terminal: ncurses has no '%s'",
					 symbols[i].name);
		*(void **)symbols[i].slot = symbol;
	}
	screen = curses.newterm(NULL, stdout, stdin);
	standard = dlsym(handle, "stdscr");
	if (!screen || !standard) {
		error_set(ENOTTY, "draw on the terminal: ncurses cannot use it");
		error_hint("is TERM set to what it is? Or use '--batch'");
		return -ENOTTY;
	}
	window = *(WINDOW **)standard;
	return 0;
}

int top_screen_open(void)
{
	int r;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		error_set(ENOTTY, "draw on the terminal: there is none");
		error_hint("for pipes and files there is '--batch'");
		return -ENOTTY;
	}
	r = load();
	if (r < 0)
		return r;
	/* Ctrl-C comes as a key, so that the terminal is given back as it was. */
	curses.raw();
	curses.noecho();
	curses.keypad(window, true);
	curses.curs_set(0);
	return 0;
}

void top_screen_close(void)
{
	if (!screen)
		return;
	curses.endwin();
	curses.delscreen(screen);
	screen = NULL;
}

static void draw_line(int y, const char *line, size_t len, bool bold)
{
	int width = curses.getmaxx(window);

	curses.wmove(window, y, 0);
	if (bold)
		curses.wattr_on(window, WA_BOLD, NULL);
	curses.waddnstr(window, line, (int)min_u64(len, width > 0 ? (uint64_t)width : 0));
	if (bold)
		curses.wattr_off(window, WA_BOLD, NULL);
}

unsigned top_screen_draw(const char *text, unsigned first)
{
	int height = curses.getmaxy(window), y = 0;
	unsigned hidden = 0;

	curses.werase(window);
	for (unsigned n = 0; *text; n++) {
		size_t len = strcspn(text, "\n");
		if (n != 0 && n <= first)
			;
		else if (y < height)
			draw_line(y++, text, len, n == 0);
		else
			hidden++;
		text += len + (text[len] == '\n');
	}
	curses.wrefresh(window);
	return hidden;
}

enum top_key top_screen_wait(unsigned ms)
{
	curses.wtimeout(window, (int)ms);
	switch (curses.wgetch(window)) {
	case 'q':
	case 'Q':
	case KEY_CTRL_C:
		return TOP_KEY_QUIT;
	case KEY_UP:
	case 'k':
		return TOP_KEY_UP;
	case KEY_DOWN:
	case 'j':
		return TOP_KEY_DOWN;
	case KEY_RESIZE:
		return TOP_KEY_RESIZE;
	case ERR: {
		/* Nothing was typed, or nothing can be any more. */
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) ? TOP_KEY_QUIT :
										  TOP_KEY_NONE;
	}
	default:
		return TOP_KEY_NONE;
	}
}

#else

int top_screen_open(void)
{
	error_set(EOPNOTSUPP, "draw on the terminal: this Vireo was built without ncurses");
	error_hint("'--batch' needs none; or install libncurses-dev and build again");
	return -EOPNOTSUPP;
}

void top_screen_close(void)
{
}

unsigned top_screen_draw(const char *text, unsigned first)
{
	(void)text;
	(void)first;
	return 0;
}

enum top_key top_screen_wait(unsigned ms)
{
	(void)ms;
	return TOP_KEY_QUIT;
}

#endif
