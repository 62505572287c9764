/* What process 1 does at first: file systems, modules, and the orders of /vireo/boot. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest.h"

enum { WORDS = 6, LINE = 8192 };

static char trouble[256];

/* The first is the cause. */
static void note(const char *what, const char *name, int err)
{
	say("%s '%s': %s", what, name, strerror(err));
	if (!trouble[0])
		snprintf(trouble, sizeof(trouble), "%s '%s': %s", what, name, strerror(err));
	wire_make_printable(trouble, strlen(trouble));
}

int make_folders(const char *path, unsigned mode)
{
	static char part[4096];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != 0)
			continue;
		part[i] = 0;
		if (mkdir(part, i == len ? mode : 0755) < 0 && errno != EEXIST && i == len)
			return -errno;
		part[i] = i == len ? 0 : '/';
	}
	return 0;
}

struct flag {
	const char *name;
	unsigned long set, clear;
};

static const struct flag flags[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "dirsync", MS_DIRSYNC, 0 },
	{ "noatime", MS_NOATIME, 0 }, { "nodiratime", MS_NODIRATIME, 0 },
	{ "relatime", MS_RELATIME, 0 }, { "strictatime", MS_STRICTATIME, 0 },
	{ "lazytime", MS_LAZYTIME, 0 }, { "defaults", 0, 0 },
};

/* Split mount(8)'s options: flags that mount(2) knows, and what the file system reads itself. */
static unsigned long read_options(char *data, size_t size, const char *options)
{
	unsigned long result = 0;
	size_t len = 0;

	data[0] = 0;
	for (const char *p = options; *p;) {
		size_t n = strcspn(p, ",");
		const struct flag *flag = NULL;
		for (unsigned i = 0; i < ARRAY_SIZE(flags) && !flag; i++)
			if (strlen(flags[i].name) == n && !strncmp(flags[i].name, p, n))
				flag = &flags[i];
		if (flag) {
			result = (result & ~flag->clear) | flag->set;
		} else if (n > 0 && len + n + 2 <= size) {
			if (len > 0)
				data[len++] = ',';
			memcpy(data + len, p, n);
			len += n;
			data[len] = 0;
		}
		p += n + (p[n] == ',');
	}
	return result;
}

static int do_mount(const char *type, const char *source, const char *target, const char *options)
{
	static char data[LINE];
	unsigned long set = read_options(data, sizeof(data), options);

	/* If there is no such folder, mount says so. */
	(void)make_folders(target, 0755);
	return mount(source, target, type, set, data) < 0 ? -errno : 0;
}

static int order_mount(char **w)
{
	return do_mount(w[0], w[1], w[2], w[3]);
}

static int order_overlay(char **w)
{
	static unsigned n;
	static char options[LINE];
	char base[64], size[64] = "mode=755";
	int r;

	snprintf(base, sizeof(base), "/vireo/layer%u", n++);
	if (w[2][0])
		snprintf(size, sizeof(size), "mode=755,size=%s", w[2]);
	r = do_mount("tmpfs", "layer", base, size);
	if (r < 0)
		return r;
	snprintf(options, sizeof(options), "%s/upper", base);
	r = make_folders(options, 0755);
	snprintf(options, sizeof(options), "%s/work", base);
	if (r == 0)
		r = make_folders(options, 0755);
	if (r < 0)
		return r;
	/* A comma or colon in a path would be read as something else. */
	if (strpbrk(w[0], ",:\\"))
		return -EINVAL;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", w[0],
		 base, base);
	return do_mount("overlay", "overlay", w[1], options);
}

static int order_bind(char **w)
{
	struct stat st;
	int fd;

	if (w[2][0] && strcmp(w[2], "ro") != 0)
		return -EINVAL;
	if (stat(w[0], &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		(void)make_folders(w[1], 0755);
	} else {
		fd = open(w[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		close_fd(&fd);
	}
	if (mount(w[0], w[1], NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	if (w[2][0] && mount(NULL, w[1], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return -errno;
	return 0;
}

static int order_move(char **w)
{
	(void)make_folders(w[1], 0755);
	return mount(w[0], w[1], NULL, MS_MOVE, NULL) < 0 ? -errno : 0;
}

static int order_mkdir(char **w)
{
	char *end = w[1];
	unsigned long mode = w[1][0] ? strtoul(w[1], &end, 8) : 0755;

	return *end || mode > 07777 ? -EINVAL : make_folders(w[0], (unsigned)mode);
}

static int order_link(char **w)
{
	return symlink(w[0], w[1]) < 0 ? -errno : 0;
}

static int order_write(char **w)
{
	size_t len = strlen(w[1]);
	int fd = open(w[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), r = 0;

	w[1][len] = '\n';
	/* In one piece: a setting of the kernel reads just one. */
	if (fd < 0 || write(fd, w[1], len + 1) != (ssize_t)len + 1)
		r = errno ? -errno : -EIO;
	w[1][len] = 0;
	close_fd(&fd);
	return r;
}

static int order_hostname(char **w)
{
	return sethostname(w[0], strlen(w[0])) < 0 ? -errno : 0;
}

static int order_up(char **w)
{
	struct ifreq rq = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (strlen(w[0]) >= sizeof(rq.ifr_name)) {
		close_fd(&fd);
		return -ENODEV;
	}
	memcpy(rq.ifr_name, w[0], strlen(w[0]) + 1);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &rq) < 0)
		r = -errno;
	rq.ifr_flags |= IFF_UP;
	if (r == 0 && ioctl(fd, SIOCSIFFLAGS, &rq) < 0)
		r = -errno;
	close_fd(&fd);
	return r;
}

struct node {
	const char *name;
	unsigned major, minor, mode;
};

/* What programs expect in /dev where the kernel does not make it. */
static void make_nodes(const char *dev)
{
	static const struct node nodes[] = {
		{ "console", 5, 1, 0600 }, { "tty", 5, 0, 0666 }, { "null", 1, 3, 0666 },
		{ "zero", 1, 5, 0666 }, { "full", 1, 7, 0666 }, { "random", 1, 8, 0666 },
		{ "urandom", 1, 9, 0666 }, { "kmsg", 1, 11, 0644 }, { "ptmx", 5, 2, 0666 },
	};
	char path[4300];

	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(path, sizeof(path), "%s/%s", dev, nodes[i].name);
		(void)!mknod(path, S_IFCHR | nodes[i].mode,
			     makedev(nodes[i].major, nodes[i].minor));
		(void)!chmod(path, nodes[i].mode);
	}
}

/* Without devtmpfs nobody else would make a node for the ports of virtio-console. */
static void make_port_nodes(const char *dev)
{
	char path[4300], numbers[32];
	unsigned major, minor;

	for (unsigned device = 0; device < 4; device++) {
		for (unsigned port = 0; port < 32; port++) {
			snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%up%u/dev",
				 device, port);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			ssize_t n = fd < 0 ? -1 : read(fd, numbers, sizeof(numbers) - 1);
			close_fd(&fd);
			if (n <= 0)
				continue;
			numbers[n] = 0;
			if (sscanf(numbers, "%u:%u", &major, &minor) != 2)
				continue;
			snprintf(path, sizeof(path), "%s/vport%up%u", dev, device, port);
			(void)!mknod(path, S_IFCHR | 0600, makedev(major, minor));
		}
	}
}

struct usual {
	const char *type, *target, *options;
};

/*
 * What programs expect to be mounted, below 'root' ("" or a folder).  There, only where it has
 * such a folder.
 */
static void mount_usual(const char *root)
{
	static const struct usual usual[] = {
		{ "proc", "/proc", "nosuid,nodev,noexec" },
		{ "sysfs", "/sys", "nosuid,nodev,noexec" },
		{ "devtmpfs", "/dev", "nosuid,mode=755" },
		{ "devpts", "/dev/pts", "nosuid,noexec,mode=620,ptmxmode=666" },
		{ "tmpfs", "/dev/shm", "nosuid,nodev,mode=1777" },
		{ "tmpfs", "/run", "nosuid,nodev,mode=755" },
		{ "tmpfs", "/tmp", "nosuid,nodev,mode=1777" },
	};
	char path[4200];

	for (unsigned i = 0; i < ARRAY_SIZE(usual); i++) {
		const struct usual *u = &usual[i];
		struct stat st;
		snprintf(path, sizeof(path), "%s%s", root, u->target);
		if (root[0] && strncmp(u->target, "/dev/", 5) && stat(path, &st) < 0)
			continue;
		int r = do_mount(u->type, u->type, path, u->options);
		if (r == 0 || r == -EBUSY)
			continue;	/* the kernel may have mounted /dev itself */
		if (r == -ENODEV && !strcmp(u->type, "devtmpfs")) {
			r = do_mount("tmpfs", "dev", path, u->options);
			make_nodes(path);
			make_port_nodes(path);
		}
		if (r < 0 && strncmp(u->target, "/dev/", 5))
			note("mount", path, -r);
	}
}

static int order_root(char **w)
{
	mount_usual(w[0]);
	if (chdir(w[0]) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

static struct port *the_port;

static int order_vsock(char **w)
{
	char *end;
	unsigned long port = strtoul(w[0], &end, 10);

	if (!w[0][0] || *end || port > UINT32_MAX)
		return -EINVAL;
	the_port->vsock = (long)port;
	return 0;
}

struct order {
	const char *name;
	unsigned min, max;
	int (*carry_out)(char **words);
};

static const struct order orders[] = {
	{ "mount", 3, 4, order_mount }, { "overlay", 2, 3, order_overlay },
	{ "bind", 2, 3, order_bind }, { "move", 2, 2, order_move },
	{ "mkdir", 1, 2, order_mkdir }, { "link", 2, 2, order_link },
	{ "write", 2, 2, order_write }, { "hostname", 1, 1, order_hostname },
	{ "up", 1, 1, order_up }, { "root", 1, 1, order_root },
	{ "vsock", 1, 1, order_vsock },
};

/* "\040" becomes a space, in place. */
static void unescape(char *word)
{
	char *out = word;

	for (char *p = word; *p; out++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*out = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*out = *p++;
		}
	}
	*out = 0;
}

/* Returns the words of a line after its first, or -1. */
static int split(char *line, char **words)
{
	static char none[2];
	int n = 0;

	for (char *p = strchr(line, ' '); p; p = strchr(p, ' ')) {
		*p++ = 0;
		if (n == WORDS)
			return -1;
		words[n++] = p;
	}
	for (int i = 0; i < n; i++)
		unescape(words[i]);
	for (int i = n; i < WORDS; i++)
		words[i] = none;
	return n;
}

/* Returns whether the rest shall be carried out, too. */
static bool carry_out(char *line)
{
	bool may_fail = line[0] == '?';
	char *words[WORDS], whole[160];
	const struct order *order = NULL;

	line += may_fail;
	snprintf(whole, sizeof(whole), "%s", line);
	int n = split(line, words), r;
	for (unsigned i = 0; i < ARRAY_SIZE(orders) && !order; i++)
		if (!strcmp(orders[i].name, line))
			order = &orders[i];
	r = !order || n < (int)order->min || n > (int)order->max ? -EINVAL :
		order->carry_out(words);
	if (r < 0 && !may_fail)
		note("/vireo/boot:", whole, -r);
	return r == 0 || may_fail;
}

static void carry_out_file(const char *path)
{
	/* One byte more than a line: 'write' puts a newline behind its last word. */
	static char line[LINE + 1];
	FILE *file = fopen(path, "re");
	bool goes_on = true;

	while (file && goes_on && fgets(line, LINE, file)) {
		size_t len = strcspn(line, "\n");
		if (len == LINE - 1)
			note("read", "/vireo/boot, a line that is too long", E2BIG);
		goes_on = len < LINE - 1;
		line[len] = 0;
		if (goes_on && len > 0 && line[0] != '#')
			goes_on = carry_out(line);
	}
	if (file)
		fclose(file);
}

const char *boot_all(struct port *port)
{
	static char lo[] = "lo";
	char *words[] = { lo };

	the_port = port;
	umask(0);
	mount_usual("");
	umask(022);
	trouble[0] = 0;		/* until here a guest can do without; it has been said */
	modules_load("/vireo/modules");
	(void)order_up(words);
	carry_out_file("/vireo/boot");
	return trouble;
}
