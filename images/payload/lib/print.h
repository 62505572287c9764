/* Text for people and for the test script, to the debug console (or COM1 where there is none). */
#ifndef PAYLOAD_PRINT_H
#define PAYLOAD_PRINT_H

#include <stdarg.h>

/* %s %c %u %d %x, with l for 64 bits; %x has no padding.  A line is sent when it is complete. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_va(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* Send what is left of an incomplete line. */
void print_flush(void);

#endif
