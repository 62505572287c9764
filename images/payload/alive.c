/*
 * Go on for as long as it may, and be seen to: for tests of who looks on from outside.  Says
 * "alive N" again and again; 'pace' is how many million turns of a loop are between two lines, and
 * 'lines' how many of them there are before it ends (0: no end).
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"

int main(void)
{
	uint64_t pace = option_number("pace", 20), lines = option_number("lines", 0);

	for (uint64_t i = 1; lines == 0 || i <= lines; i++) {
		print("alive %lu\n", i);
		for (uint64_t n = pace * 1000000; n > 0; n--)
			__asm__ volatile("");
	}
	return 0;
}
