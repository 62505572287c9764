#include "vmm/agent/agent_image.h"

#include "vmm/base/util.h"

extern const uint64_t agent_image_size;
extern const char agent_image_bytes[];
extern const uint64_t agent_unit_size;
extern const char agent_unit_text[];

/* The assembler looks for them in the build's folder and the source's (-Wa,-I in the Makefile). */
__asm__(".section .rodata\n"
	".balign 8\n"
	"agent_image_size:\n"
	".quad agent_image_end - agent_image_bytes\n"
	"agent_image_bytes:\n"
	".incbin \"obj/agent/vireo-agent\"\n"
	"agent_image_end:\n"
	".balign 8\n"
	"agent_unit_size:\n"
	".quad agent_unit_end - agent_unit_text\n"
	"agent_unit_text:\n"
	".incbin \"docs/examples/vireo-agent.service\"\n"
	"agent_unit_end:\n"
	".previous\n");

const void *agent_image(size_t *len)
{
	*len = agent_image_size;
	return agent_image_bytes;
}

const char *agent_unit(size_t *len)
{
	*len = agent_unit_size;
	return agent_unit_text;
}
