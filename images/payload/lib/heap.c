#include "images/payload/lib/heap.h"

#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"

enum { HEAP_END = 14 << 20 };	/* the smallest machine has 16 MiB */

extern char _end[];

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	if (d <= s)
		return memcpy(to, from, n);
	while (n-- > 0)
		*(volatile char *)&d[n] = s[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (((const volatile char *)s)[n] != '\0')
		n++;
	return n;
}

static uintptr_t heap_next;

uintptr_t heap_mark(void)
{
	if (heap_next == 0)
		heap_next = (uintptr_t)_end;
	return heap_next;
}

void heap_release(uintptr_t mark)
{
	heap_next = mark;
}

void *heap_alloc(size_t size, size_t align)
{
	uintptr_t at = (heap_mark() + align - 1) & ~(align - 1);

	heap_next = at + size;
	if (heap_next > HEAP_END) {
		print("heap: %lu bytes do not fit\n", size);
		payload_exit(EXIT_FAULT);
	}
	return memset((void *)at, 0, size);
}
