/*
 * The inside of reading test files: test_file.c (files, tests), test_keys.c (what a test is, beside
 * its VM), test_steps.c (its steps), test_matrix.c (its cases), test_vm.c (the VM of one).
 */
#ifndef TEST_TEST_READER_H
#define TEST_TEST_READER_H

#include "vmm/file/vm_file_impl.h"
#include "vmm/test/test_plan.h"

enum {
	TEST_MAX_SOURCES = 64,	/* files that include each other */
	TEST_MAX_AXES = 16,
};

/* A value, and the file that it is in. */
struct test_value {
	struct vm_file *file;
	const struct yaml_node *node;	/* NULL: there is none */
};

/* One file, while it is read. */
struct test_source {
	struct vm_file file;
	struct yaml_tree tree;
	char *path;			/* owned */
	struct test_value defaults;
	struct test_source *included[TEST_MAX_SOURCES];
	unsigned n_included;
};

struct test_reader {
	struct test_plan *plan;
	struct mistakes *mistakes;
	struct vm_load load;		/* without a configuration */
	struct test_source *source[TEST_MAX_SOURCES];
	unsigned n_sources;
	/* Is that file a Linux kernel?  The answer for the last one that was asked for. */
	char *kernel;
	bool kernel_is_linux;
};

/* One test, while it is read. */
struct test_draft {
	struct test_reader *reader;
	const struct test_source *source;
	struct test_value test;		/* its map; the key is its name */
	struct test_spec *spec;
};

/*
 * The value of 'key' for a test: its own, or that of the defaults of its file, or of those that the
 * file includes, the last one first.
 */
struct test_value test_find(const struct test_draft *draft, const char *key);

/*
 * Call 'fn' for each value of 'key' from the weakest (of included defaults) to the test's own.
 */
void test_each(const struct test_draft *draft, const char *key,
	       void (*fn)(const struct test_draft *draft, struct test_value value, void *arg),
	       void *arg);

/* As vm_file_mistake, with the keys that lead to the value before the sentence. */
void test_mistake(struct test_value value, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same about its key. */
void test_key_mistake(struct test_value value, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * The value's one text, owned: with variables expanded, or just as it is (patterns, what is typed,
 * commands: a '$' means something else there).  NULL, noted, if it is none.
 */
char *test_text(struct test_value value, bool expand);

/* Readings of a single value; false, noted, if it is none.  '*out' is unchanged then. */
bool test_read_duration(struct test_value value, uint64_t *out);
bool test_read_number(struct test_value value, uint64_t min, uint64_t max, unsigned *out);
bool test_read_bool(struct test_value value, bool *out);
bool test_read_pattern(struct test_value value, bool of_stream, struct pattern **out);

/* Append 'text' (consumed; NULL: nothing).  Memory that is short is noted. */
void test_list_add(struct test_value value, struct text_list *list, char *text);
/* "NAME=VALUE" of each pair of a map; a name that is there gets the new value. */
void test_read_pairs(struct test_value value, struct text_list *list);

/* Know the key of 'node' by a list of names; its index, or -1, noted. */
int test_know_key(struct vm_file *file, const struct yaml_node *node, const char *what,
		  const char *const *names, unsigned n);

/* Is it a map?  If not, say what belongs there. */
bool test_is_map(struct test_value value, const char *what);

/* All keys of a test but those of its VM, into the draft's spec. */
void test_read_keys(struct test_draft *draft);
/* Its keys are all known? Also of defaults.  What is not is noted. */
void test_check_keys(struct vm_file *file, const struct yaml_node *map);

void test_read_steps(struct test_draft *draft, struct test_value steps);

/* Append its cases to the plan. */
void test_expand(struct test_draft *draft);

/* One combination: an index into each axis. */
struct test_axes {
	unsigned n;
	struct test_value key[TEST_MAX_AXES];		/* the list, or one value, with its key */
	const struct yaml_node *choice[TEST_MAX_AXES];	/* NULL: not chosen */
};

/*
 * Make the VM of one combination into 'vm' (initialised).  'complete': check that it is one, too.
 * Mistakes are noted.
 */
void test_vm_make(const struct test_draft *draft, const struct test_axes *axes, bool complete,
		  struct vm_config *vm);

#endif
