#include "vmm/agent/agent.h"

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
int agent_create(struct agent **out, struct event_loop *loop, int fd, const struct agent_ops *ops,
		 void *arg)
{
	(void)loop;
	(void)ops;
	(void)arg;
	*out = NULL;
	fd_close(&fd);
	return error_set(ENOSYS, "talk to an agent");
}

void agent_destroy(struct agent *agent)
{
	(void)agent;
}

bool agent_is_ready(const struct agent *agent)
{
	return !agent;
}

int agent_run(struct agent *agent, const struct agent_command *command, uint32_t *run)
{
	(void)agent;
	(void)command;
	*run = 0;
	return error_set(ENOSYS, "run a command");
}

ssize_t agent_input(struct agent *agent, uint32_t run, const void *buf, size_t len)
{
	(void)agent;
	(void)run;
	(void)buf;
	(void)len;
	return -EPIPE;
}

void agent_input_end(struct agent *agent, uint32_t run)
{
	(void)agent;
	(void)run;
}

void agent_consumed(struct agent *agent, uint32_t run, enum agent_stream stream, size_t n)
{
	(void)agent;
	(void)run;
	(void)stream;
	(void)n;
}

int agent_signal(struct agent *agent, uint32_t run, int signal)
{
	(void)agent;
	(void)run;
	(void)signal;
	return -ESRCH;
}

int agent_resize(struct agent *agent, uint32_t run, uint16_t rows, uint16_t columns)
{
	(void)agent;
	(void)run;
	(void)rows;
	(void)columns;
	return -ESRCH;
}

int agent_copy_in(struct agent *agent, const char *host_path, const char *guest_path,
		  unsigned mode, uint32_t *copy)
{
	(void)agent;
	(void)host_path;
	(void)guest_path;
	(void)mode;
	*copy = 0;
	return error_set(ENOSYS, "copy a file");
}

int agent_copy_out(struct agent *agent, const char *guest_path, const char *host_path,
		   uint32_t *copy)
{
	(void)agent;
	(void)host_path;
	(void)guest_path;
	*copy = 0;
	return error_set(ENOSYS, "copy a file");
}

int agent_poweroff(struct agent *agent, enum agent_power how)
{
	(void)agent;
	(void)how;
	return -ENOTCONN;
}
