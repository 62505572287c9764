/* Loads the modules that the initramfs lists, in that order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

enum { COMPRESSED = 4 };	/* MODULE_INIT_COMPRESSED_FILE: Linux 5.17 */

static void load(const char *path, const char *parameters)
{
	size_t len = strlen(path);
	bool is_plain = len > 3 && !strcmp(path + len - 3, ".ko");
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, is_plain ? 0 : COMPRESSED) < 0 &&
		       errno != EEXIST))
		say("load the module '%s': %s", path, strerror(errno));
	close_fd(&fd);
}

void modules_load(const char *list)
{
	char line[1024];
	FILE *file = fopen(list, "re");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (!line[0] || line[0] == '#')
			continue;
		char *space = strchr(line, ' ');
		if (space)
			*space = 0;
		load(line, space ? space + 1 : "");
	}
	if (file)
		fclose(file);
}
