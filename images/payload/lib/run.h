/* Start and end of a program: main() is called at CPL 3 with the boot information in place. */
#ifndef PAYLOAD_RUN_H
#define PAYLOAD_RUN_H

#include <stdint.h>

/* What a program reports when it cannot go on; small numbers are failed checks. */
enum {
	EXIT_FAULT = 101,	/* an exception */
	EXIT_SKIP = 77,		/* this machine has not what the program is about */
	EXIT_ALIVE = 102,	/* came back from something that should have ended the machine */
};

/* The program.  Its return value is the exit status. */
int main(void);

/* End the machine with 'status' through the exit port. */
void payload_exit(uint32_t status) __attribute__((noreturn));

void payload_main(uint64_t cpu) __attribute__((noreturn));	/* called by start.S */

#endif
