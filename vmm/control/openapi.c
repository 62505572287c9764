#include "vmm/control/openapi.h"

extern const uint64_t openapi_size;

/* The assembler looks for it below the source tree (-Wa,-I in the Makefile). */
__asm__(".section .rodata\n"
	".balign 8\n"
	".global openapi_size\n"
	"openapi_size:\n"
	".quad openapi_end - openapi_text\n"
	".global openapi_text\n"
	"openapi_text:\n"
	".incbin \"docs/openapi.yaml\"\n"
	"openapi_end:\n"
	".byte 0\n"
	".previous\n");

size_t openapi_len(void)
{
	return openapi_size;
}
