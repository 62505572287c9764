/*
 * The way of a feature bit from the register write to the back end, counted by looking at the stack
 * at its end: it is short, and docs/negotiation.md tells it function by function.  path.mk builds
 * this with a virtio floor that has no function inlined.
 */
#include <criterion/criterion.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/echo_rig.h"
#include "vmm/base/error.h"

enum { MAX_FUNCTIONS = 9, MAX_FILES = 8, MAX_FRAMES = 64 };

/* Functions of the virtio floor, the outermost first; each once. */
struct way {
	unsigned n;
	char function[2 * MAX_FRAMES][64], file[2 * MAX_FRAMES][64];
};

struct stack {
	void *frame[MAX_FRAMES];
	int n;
};

static struct stack at_judge, at_start, at_ring;

static void take_stack(struct stack *s)
{
	s->n = backtrace(s->frame, MAX_FRAMES);
}

/* The linker leads calls of NAME to __wrap_NAME, and __real_NAME is it (see path.mk). */
enum negotiation_event __real_negotiation_write_status(struct negotiation *n, uint8_t value);
enum negotiation_event __wrap_negotiation_write_status(struct negotiation *n, uint8_t value);
enum negotiation_event __real_negotiation_write_status_legacy(struct negotiation *n,
							      uint8_t value);
enum negotiation_event __wrap_negotiation_write_status_legacy(struct negotiation *n,
							      uint8_t value);
int __real_virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config);
int __wrap_virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config);

enum negotiation_event __wrap_negotiation_write_status(struct negotiation *n, uint8_t value)
{
	take_stack(&at_judge);
	return __real_negotiation_write_status(n, value);
}

enum negotiation_event __wrap_negotiation_write_status_legacy(struct negotiation *n,
							      uint8_t value)
{
	take_stack(&at_judge);
	return __real_negotiation_write_status_legacy(n, value);
}

int __wrap_virtqueue_create(struct virtqueue **out, const struct virtqueue_config *config)
{
	take_stack(&at_ring);
	return __real_virtqueue_create(out, config);
}

/* In place of the back end's own start. */
static const struct datapath_ops *real_ops;

static int counted_start(struct datapath *dp, const struct datapath_start *start)
{
	take_stack(&at_start);
	return real_ops->start(dp, start);
}

static void add(struct way *w, const char *function, const char *file)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!strcmp(w->function[i], function) && !strcmp(w->file[i], file))
			return;
	snprintf(w->function[w->n], sizeof(w->function[0]), "%s", function);
	snprintf(w->file[w->n], sizeof(w->file[0]), "%s", file);
	w->n++;
}

/* "/somewhere/virtio/packed.c:12 (discriminator 3)" to "packed.c"; NULL for another floor. */
static const char *file_of_floor(char *line)
{
	static const char folder[] = "/virtio";
	char *name = strrchr(line, '/');

	if (!name || name - line < (int)strlen(folder) ||
	    strncmp(name - strlen(folder), folder, strlen(folder)) != 0)
		return NULL;
	name[strcspn(name, ":\n")] = '\0';
	return name + 1;
}

/* Add the functions of a stack to 'w' by the names that the debugger knows. */
static void add_stack(struct way *w, const struct stack *s)
{
	extern const char __executable_start[];
	char command[128 + 20 * MAX_FRAMES], function[256], line[512];
	size_t used = (size_t)snprintf(command, sizeof(command),
				       "addr2line -f -e /proc/%d/exe", (int)getpid());

	for (int i = s->n; i-- > 0;)
		used += (size_t)snprintf(command + used, sizeof(command) - used, " %#zx",
					 (size_t)((char *)s->frame[i] - __executable_start) - 1);
	FILE *in = popen(command, "r");
	cr_assert_not_null(in);
	while (fgets(function, sizeof(function), in) && fgets(line, sizeof(line), in)) {
		const char *file = file_of_floor(line);

		function[strcspn(function, "\n")] = '\0';
		if (file)
			add(w, function, file);
	}
	cr_assert_eq(pclose(in), 0);
}

static unsigned count_files(const struct way *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n; i++) {
		bool seen = false;

		for (unsigned k = 0; k < i; k++)
			seen = seen || !strcmp(w->file[i], w->file[k]);
		n += !seen;
	}
	return n;
}

static void go(struct echo_rig *rig)
{
	struct datapath_ops ops = *rig->echo->datapath->ops;

	if (system("addr2line --version >/dev/null 2>&1") != 0)
		cr_skip_test("there is no addr2line (binutils)");
	at_judge.n = at_start.n = at_ring.n = 0;
	real_ops = rig->echo->datapath->ops;
	ops.start = counted_start;
	rig->echo->datapath->ops = &ops;
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	rig->echo->datapath->ops = real_ops;
	cr_assert(at_judge.n > 0 && at_start.n > 0 && at_ring.n > 0);
	cr_assert(features_equal(rig->echo->started_with, rig->dev->negotiation.accepted));
}

/* From the write of DRIVER_OK to the call of the back end's start, the judge included. */
static void take_way(struct way *w, struct echo_rig *rig)
{
	go(rig);
	*w = (struct way){ 0 };
	add_stack(w, &at_start);
	add(w, rig->dev->negotiation.legacy ? "negotiation_write_status_legacy" :
					      "negotiation_write_status", "negotiation.c");
	add(w, "(the back end's start)", "datapath_local.c");
}

OVER_ALL(path, from_the_register_to_the_back_end_is_short)
{
	struct way w;

	take_way(&w, rig);
	for (unsigned i = 0; w.n > MAX_FUNCTIONS && i < w.n; i++)
		cr_log_error("%s in %s", w.function[i], w.file[i]);
	cr_expect_leq(w.n, MAX_FUNCTIONS);
	cr_expect_leq(count_files(&w), MAX_FILES);
	cr_expect_geq(w.n, 6, "no function is missing from the count");
}

/* Function by function what docs/negotiation.md says of virtio-pci. */
OVER(path, it_is_the_one_that_is_documented, FAKE_PCI, FAKE_PCI)
{
	static const char *const start[][2] = {
		{ "bar_write", "transport_pci_bar.c" },
		{ "virtio_pci_bar_write", "transport_pci_bar.c" },
		{ "virtio_pci_common_write", "transport_pci_common.c" },
		{ "virtio_device_write_status", "virtio_device_session.c" },
		{ "act", "virtio_device_session.c" },
		{ "virtio_device_start", "virtio_device_session.c" },
		{ "start_part", "virtio_device_session.c" },
	};
	static const char *const ring[] = { "local_start", "queue_open" };
	struct way w = { 0 };

	go(rig);
	/* The judge is called on the way, four functions in. */
	add_stack(&w, &at_judge);
	cr_assert_eq(w.n, 4);
	cr_assert_str_eq(w.function[3], "virtio_device_write_status");
	add_stack(&w, &at_start);
	cr_assert_eq(w.n, ARRAY_SIZE(start));
	for (unsigned i = 0; i < w.n; i++) {
		cr_expect_str_eq(w.function[i], start[i][0]);
		cr_expect_str_eq(w.file[i], start[i][1]);
	}
	/* And from the back end's start to the ring. */
	w = (struct way){ 0 };
	add_stack(&w, &at_ring);
	cr_assert_eq(w.n, ARRAY_SIZE(start) + ARRAY_SIZE(ring));
	for (unsigned i = 0; i < ARRAY_SIZE(ring); i++)
		cr_expect_str_eq(w.function[ARRAY_SIZE(start) + i], ring[i]);
}
