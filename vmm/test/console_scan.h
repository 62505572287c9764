/*
 * Trouble that a Linux kernel reports on its console: panics, oopses, warnings ...  They are known
 * by their first words, at the begin of a line or behind the time that the kernel puts before a
 * message, so that a kernel's line in the middle of somebody else's is found and a quotation is
 * not.
 */
#ifndef TEST_CONSOLE_SCAN_H
#define TEST_CONSOLE_SCAN_H

#include "vmm/test/console_text.h"
#include "vmm/test/expect.h"
#include "vmm/test/test_spec.h"

enum { N_TROUBLES = 5, TROUBLE_TEXT_SIZE = 200 };

/* The first of a kind. */
struct trouble {
	enum kernel_trouble kind;
	struct expect_place place;
	char text[TROUBLE_TEXT_SIZE];	/* the message, without its time */
};

/* Zeroed has seen nothing. */
struct console_scan {
	uint64_t from;			/* the begin of a line that is not complete */
	unsigned found;			/* enum kernel_trouble */
	struct trouble trouble[N_TROUBLES];	/* in the order in which they came */
	unsigned n_troubles;
};

/* Look at what has come; 'end': also at a line that has none. */
void console_scan_look(struct console_scan *scan, const struct console_text *text, bool end);

/* The first that is of one of 'kinds', or NULL. */
const struct trouble *console_scan_first(const struct console_scan *scan, unsigned kinds);

/* "panic", "oops", ...: as in 'fail_on'.  Returns 0 for another word. */
enum kernel_trouble console_trouble_parse(const char *word);
const char *console_trouble_name(enum kernel_trouble kind);

#endif
