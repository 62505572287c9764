#include "vmm/exec/exec_status.h"

#include <errno.h>

#include "vmm/outcome.h"

int exec_status(const struct agent_end *end)
{
	switch (end->how) {
	case AGENT_EXITED:
		if (end->value < 0 || end->value > 255)
			return STATUS_GUEST_MAX;
		if (end->value > STATUS_GUEST_MAX && end->value <= STATUS_FAILED)
			return STATUS_GUEST_MAX;
		return end->value;
	case AGENT_SIGNALED:
		if (end->value < 1 || end->value > 64)
			return STATUS_GUEST_MAX;
		return EXEC_SIGNAL_BASE + end->value;
	case AGENT_NOT_STARTED:
		return end->value == ENOENT || end->value == ENOTDIR ? EXEC_NOT_FOUND : EXEC_CANNOT;
	case AGENT_LOST:
		break;
	}
	return STATUS_RESET;
}
