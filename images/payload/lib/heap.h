/* Memory: a heap that grows and is cut back, and what the compiler calls by itself. */
#ifndef PAYLOAD_HEAP_H
#define PAYLOAD_HEAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * 'size' zeroed bytes at a multiple of 'align' (a power of two), below 14 MiB.  Never fails
 * quietly.
 */
void *heap_alloc(size_t size, size_t align);

/* Where the heap ends now / give back everything that was allocated since then. */
uintptr_t heap_mark(void);
void heap_release(uintptr_t mark);

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
