#include "images/payload/lib/print.h"

#include "images/payload/lib/cpu.h"
#include "vmm/machine/layout.h"

static char line[256];
static unsigned line_len;

void print_flush(void)
{
	static uint16_t port;
	const char *p = line;
	unsigned long n = line_len;

	/* The debug console answers 0xe9; a port that nobody has, 0xff. */
	if (port == 0)
		port = in8(PORT_DEBUG_CONSOLE) == 0xe9 ? PORT_DEBUG_CONSOLE : PORT_UART;
	/* A string instruction leaves the guest once for the whole line. */
	__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(port) : "memory");
	line_len = 0;
}

static void put(char c)
{
	line[line_len++] = c;
	if (c == '\n' || line_len == sizeof(line))
		print_flush();
}

static void put_number(uint64_t v, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	while (n > 0)
		put(digits[--n]);
}

static void put_signed(int64_t v)
{
	if (v < 0)
		put('-');
	put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

void print_va(const char *format, va_list args)
{
	for (; *format != '\0'; format++) {
		bool is_long = false;

		if (*format != '%') {
			put(*format);
			continue;
		}
		if (*++format == 'l') {
			is_long = true;
			format++;
		}
		switch (*format) {
		case 's':
			for (const char *s = va_arg(args, const char *); *s != '\0'; s++)
				put(*s);
			break;
		case 'c': put((char)va_arg(args, int)); break;
		case 'd': put_signed(is_long ? va_arg(args, long) : va_arg(args, int)); break;
		case 'u':
		case 'x':
			put_number(is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned),
				   *format == 'x' ? 16 : 10);
			break;
		default: put(*format); break;
		}
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_va(format, args);
	va_end(args);
}
