/*
 * The table itself: what every row must hold, so that everything that is made from it is
 * complete.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/config.h"
#include "vmm/option.h"

#define FOR_EACH_ROW(o)                                                                            \
	for (const struct option *o = option_table; o < option_table + option_table_len; o++)

Test(option_table, every_row_is_of_a_known_section)
{
	FOR_EACH_ROW (o)
		cr_expect_not_null(option_section_of(o), "%s.%s", o->section, o->key);
}

Test(option_table, every_row_explains_itself_in_one_line)
{
	FOR_EACH_ROW (o) {
		cr_assert_not_null(o->help, "%s.%s", o->section, o->key);
		cr_expect_gt(strlen(o->help), 8, "%s.%s", o->section, o->key);
		cr_expect_leq(strlen(o->help), 72, "%s.%s", o->section, o->key);
		cr_expect_neq(o->help[strlen(o->help) - 1], '.', "%s.%s", o->section, o->key);
		cr_expect_null(strchr(o->help, '\n'), "%s.%s", o->section, o->key);
	}
}

Test(option_table, every_value_has_a_word_for_it)
{
	char buf[128];

	FOR_EACH_ROW (o) {
		cr_expect_neq(option_value_text(o, buf)[0], '\0', "%s.%s", o->section, o->key);
		if (o->type != OPTION_BOOL && o->type != OPTION_CHOICE)
			cr_expect_not_null(o->value, "%s.%s", o->section, o->key);
	}
}

Test(option_table, choices_are_given_where_they_are_needed)
{
	FOR_EACH_ROW (o)
		cr_expect_eq(o->choice != NULL, o->type == OPTION_CHOICE || o->type == OPTION_TARGET, "%s.%s", o->section,
			     o->key);
}

/*
 * Only texts, paths and wishes can be absent, and a number where 0, which it then is, cannot be
 * given; any other number and a choice always have a value.
 */
Test(option_table, every_row_has_a_default_or_may_be_absent)
{
	FOR_EACH_ROW (o)
		cr_expect(o->initial || o->type == OPTION_TEXT || o->type == OPTION_PATH ||
				  o->type == OPTION_CONTENT || o->type == OPTION_FEATURES ||
				  o->type == OPTION_TEXTS ||
				  (o->type == OPTION_NUMBER && o->min > 0),
			  "%s.%s", o->section, o->key);
}

Test(option_table, every_default_is_allowed)
{
	struct vm_config config;
	char why[OPTION_WHY_SIZE];

	cr_assert_eq(config_init(&config), 0);
	FOR_EACH_ROW (o) {
		const struct option_section *section = option_section_of(o);
		void *object = section->list ? config_add(&config, section) : &config;
		if (o->initial)
			cr_expect_eq(option_set(o, object, o->initial, why), 0, "%s.%s: %s",
				     o->section, o->key, why);
	}
	config_fini(&config);
}

Test(option_table, keys_are_unique_and_plain)
{
	FOR_EACH_ROW (o) {
		cr_expect_eq(option_find(o->section, strlen(o->section), o->key, strlen(o->key)), o,
			     "%s.%s is there twice", o->section, o->key);
		cr_expect_eq(strspn(o->key, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(o->key), "%s.%s",
			     o->section, o->key);
	}
}

/* A flag belongs to one row, or its items to one section. */
Test(option_table, flags_are_unique)
{
	FOR_EACH_ROW (o) {
		const struct option *first;

		if (!o->flag)
			continue;
		first = option_find_flag(o->flag, strlen(o->flag));
		cr_expect_str_eq(first->section, o->section, "--%s", o->flag);
		cr_expect_eq(option_find_item(o->flag, o->key, strlen(o->key)), o, "--%s: %s",
			     o->flag, o->key);
		cr_expect_neq(strncmp(o->flag, "no-", 3), 0, "--%s: 'no-' means something else",
			      o->flag);
	}
}

/* What is made from the table relies on it: a section of pairs has one row, for the same field. */
Test(option_table, a_section_of_pairs_has_one_row)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *section = &option_sections[i];
		unsigned rows = 0;

		if (!section->pairs)
			continue;
		FOR_EACH_ROW (o) {
			if (strcmp(o->section, section->name))
				continue;
			rows++;
			cr_expect_eq(o->type, OPTION_TEXTS, "%s", section->name);
			cr_expect_eq(o->offset, section->pairs, "%s", section->name);
			cr_expect_not_null(o->flag, "%s", section->name);
		}
		cr_expect_eq(rows, 1, "%s", section->name);
		cr_expect_null(section->list, "%s", section->name);
	}
}

Test(option_table, fields_do_not_overlap)
{
	FOR_EACH_ROW (a)
		for (const struct option *b = option_table; b < a; b++)
			cr_expect(a->offset != b->offset ||
					  option_section_of(a)->list != option_section_of(b)->list,
				  "%s.%s and %s.%s", a->section, a->key, b->section, b->key);
}

/* What a user writes is what explain and messages say. */
Test(option_table, transports_have_one_name)
{
	FOR_EACH_ROW (o) {
		if (strcmp(o->key, "transport"))
			continue;
		for (const struct option_choice *c = o->choice; c->name; c++)
			if (c->value != TRANSPORT_OF_VM)
				cr_expect_str_eq(c->name,
						 virtio_transport_name(
							 (enum virtio_transport_kind)c->value));
	}
}
