#include "vmm/control/openapi.h"

extern const char openapi_end[];

/* The assembler looks for it below the source tree (-Wa,-I in the Makefile). */
__asm__(".section .rodata\n"
	".global openapi_text\n"
	".global openapi_end\n"
	"openapi_text:\n"
	".incbin \"docs/openapi.yaml\"\n"
	"openapi_end:\n"
	".byte 0\n"
	".previous\n");

size_t openapi_len(void)
{
	return (size_t)(openapi_end - openapi_text);
}
