/*
 * VM files.  The input is up to three files, web.yaml, a.yaml and b.yaml, with bytes 0xff between
 * them, which no text has; they may include each other.
 */
#include "tests/fuzz/fuzz_files.h"
#include "vmm/base/error.h"
#include "vmm/config.h"
#include "vmm/file/vm_file.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

static const char *const names[FUZZ_FILES] = { "web.yaml", "a.yaml", "b.yaml" };

/* --- What is said ---------------------------------------------------------------------------- */

static void check_mistakes(const struct mistakes *m)
{
	unsigned shown = m->n < MISTAKES_SHOWN ? m->n : MISTAKES_SHOWN;

	CHECK((m->n > 0) == (m->status != 0));
	CHECK(m->n == 0 || m->status == STATUS_FAILED || m->status == STATUS_NO_FILE);
	for (unsigned i = 0; i < shown; i++) {
		size_t len = strnlen(m->line[i], MISTAKE_SIZE);

		CHECK(len > 0 && len < MISTAKE_SIZE);
		if (i == 0)
			continue;
		const struct mistake_order *a = &m->order[i - 1], *b = &m->order[i];
		CHECK(a->file < b->file || (a->file == b->file && (a->line < b->line ||
		      (a->line == b->line && a->column <= b->column))));
	}
}

static void check_origins(const struct origins *origins)
{
	CHECK(origins->n_files <= 64);
	for (unsigned i = 0; i < origins->n_entries; i++) {
		const struct origin *at = &origins->entry[i].origin;

		CHECK(at->file && at->file->number < origins->n_files);
		CHECK(at->line > 0 && at->column > 0 && !at->flag);
	}
}

/* --- What was read --------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_texts(const struct text_list *a, const struct text_list *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = same_text(a->item[i], b->item[i]);
	return same;
}

static bool same_value(const struct option *o, const void *a, const void *b)
{
	const struct feature_wishes *wa = a, *wb = b;
	const struct target *ta = a, *tb = b;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CONTENT:
		return same_text(*(char *const *)a, *(char *const *)b);
	case OPTION_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case OPTION_NUMBER:
	case OPTION_CHOICE:
		return !memcmp(a, b, sizeof(unsigned));
	case OPTION_SIZE:
	case OPTION_DURATION:
		return !memcmp(a, b, sizeof(uint64_t));
	case OPTION_TARGET:
		return ta->kind == tb->kind && same_text(ta->path, tb->path);
	case OPTION_FEATURES:
		return features_equal(wa->on, wb->on) && features_equal(wa->off, wb->off);
	case OPTION_TEXTS:
		return same_texts(a, b);
	}
	return false;
}

static void check_objects(const struct vm_config *a, const struct vm_config *b,
			  const struct option_section *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const char *oa = s->list ? config_object(a, s, i) : (const void *)a;
		const char *ob = s->list ? config_object(b, s, i) : (const void *)b;

		for (unsigned k = 0; k < option_table_len; k++) {
			const struct option *o = &option_table[k];

			if (!strcmp(o->section, s->name))
				CHECK(same_value(o, oa + o->offset, ob + o->offset));
		}
		CHECK(!s->list || config_find(a, s, config_name(a, s, i),
					      strlen(config_name(a, s, i))) == oa);
	}
}

static void check_same(const struct vm_config *a, const struct vm_config *b)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *s = &option_sections[i];
		unsigned n = s->list ? config_count(a, s) : 1;

		CHECK(!s->list || config_count(b, s) == n);
		check_objects(a, b, s, n);
		CHECK(!s->given || *((const bool *)a + s->given) == *((const bool *)b + s->given));
	}
}

static void validate(struct vm_config *config, struct mistakes *mistakes)
{
	config_validate(config, mistakes);
	config_need_kernel(config, mistakes);
	check_mistakes(mistakes);
	for (unsigned i = 0; i < config->n_disks; i++)
		CHECK(config->disk[i].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct mistakes once, twice;
	struct vm_config a, b;

	make_directory(names);
	write_files(data, len);
	CHECK(config_init(&a) == 0 && config_init(&b) == 0);
	once.n = twice.n = 0;
	once.status = twice.status = 0;
	vm_file_read(&a, path_of(0), &once);
	check_mistakes(&once);
	check_origins(&a.origins);
	/* Once more on top of itself changes nothing, also where something is wrong. */
	vm_file_read(&b, path_of(0), &twice);
	CHECK(twice.n == once.n);
	if (a.origins.n_files <= 32) {
		vm_file_read(&b, path_of(0), &twice);
		CHECK(twice.n == 2 * once.n);
		check_mistakes(&twice);
		check_same(&a, &b);
	}
	CHECK(error_errno() == 0);
	validate(&a, &once);
	error_clear();
	config_fini(&b);
	config_fini(&a);
	return 0;
}
