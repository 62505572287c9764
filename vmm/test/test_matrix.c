/* A test's cases: every combination of its matrix that is not excluded. */
#include <stdlib.h>
#include <string.h>

#include "vmm/test/test_reader.h"

/* --- Axes ------------------------------------------------------------------------------------ */

static bool is_several(const struct yaml_node *node)
{
	return node->kind == YAML_LIST;
}

static const struct yaml_node *first_choice(const struct yaml_node *axis)
{
	return is_several(axis) ? axis->first : axis;
}

static void read_axes(const struct test_draft *draft, struct test_axes *axes)
{
	struct test_value v = test_find(draft, "matrix");

	*axes = (struct test_axes){ 0 };
	if (!v.node || v.node->is_empty || !test_is_map(v, "{ vm.transport: [pci, mmio] }"))
		return;
	for (const struct yaml_node *node = v.node->first; node; node = node->next) {
		struct test_value axis = { v.file, node };
		if (axes->n == TEST_MAX_AXES) {
			test_key_mistake(axis, "a matrix has at most %d axes", TEST_MAX_AXES);
			return;
		}
		if (!first_choice(node))
			test_mistake(axis, "the list is empty, so that there is nothing to test");
		else
			axes->key[axes->n++] = axis;
	}
}

/* Is each value of each axis one?  All are looked at, each in a VM of its own. */
static void check_axes(const struct test_draft *draft, const struct test_axes *axes)
{
	for (unsigned a = 0; a < axes->n; a++) {
		const struct yaml_node *choice = first_choice(axes->key[a].node);
		for (; choice; choice = is_several(axes->key[a].node) ? choice->next : NULL) {
			struct vm_config scratch;
			struct vm_load load = {
				.config = &scratch, .mistakes = draft->reader->mistakes,
				.budget = EXPAND_MAX, .origins = &scratch.origins,
				.kind = "VM file",
			};
			struct vm_file f = *axes->key[a].file;
			if (config_init(&scratch) < 0)
				return;
			f.load = &load;
			vm_file_set(&f, axes->key[a].node->key, choice);
			config_fini(&scratch);
		}
	}
}

/* A value as its title has it; of a list the texts with commas.  Owned, or NULL. */
static char *choice_text(const struct yaml_node *choice)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	if (choice->kind == YAML_TEXT)
		return strdup(choice->text);
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	for (const struct yaml_node *i = choice->first; i; i = i->next)
		fprintf(out, "%s%s", i == choice->first ? "" : ",", i->text ? i->text : "");
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* --- What is left out ------------------------------------------------------------------------ */

static int find_axis(const struct test_axes *axes, const char *key)
{
	for (unsigned i = 0; i < axes->n; i++)
		if (!strcmp(axes->key[i].node->key, key))
			return (int)i;
	return -1;
}

static bool is_same(const struct yaml_node *a, const struct yaml_node *b)
{
	return a->kind == YAML_TEXT && b->kind == YAML_TEXT && !strcmp(a->text, b->text);
}

/* Does 'value' fit one of the choices?  A list fits any of its texts. */
static bool names_choice(const struct yaml_node *value, const struct yaml_node *choice)
{
	if (value->kind != YAML_LIST)
		return is_same(value, choice);
	for (const struct yaml_node *i = value->first; i; i = i->next)
		if (is_same(i, choice))
			return true;
	return false;
}

static void check_excluded_value(const struct test_axes *axes, unsigned axis, struct test_value v)
{
	const struct yaml_node *list = axes->key[axis].node;

	for (const struct yaml_node *c = first_choice(list); c;
	     c = is_several(list) ? c->next : NULL)
		if (is_same(c, v.node))
			return;
	test_mistake(v, "the matrix has no such value of %s", list->key);
}

static void check_exclude(const struct test_axes *axes, struct test_value v)
{
	const char *names[TEST_MAX_AXES];

	for (unsigned i = 0; i < axes->n; i++)
		names[i] = axes->key[i].node->key;
	if (!test_is_map(v, "{ vm.transport: mmio, vm.cpus: 4 }"))
		return;
	if (!v.node->first)
		test_mistake(v, "this would leave out everything");
	for (const struct yaml_node *node = v.node->first; node; node = node->next) {
		int axis = test_know_key(v.file, node, "axis", names, axes->n);
		if (axis < 0)
			continue;
		if (node->kind != YAML_LIST)
			check_excluded_value(axes, (unsigned)axis,
					     (struct test_value){ v.file, node });
		else
			for (const struct yaml_node *i = node->first; i; i = i->next)
				check_excluded_value(axes, (unsigned)axis,
						     (struct test_value){ v.file, i });
	}
}

static bool fits(const struct test_axes *axes, const struct yaml_node *map)
{
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		int axis = find_axis(axes, node->key);
		if (axis < 0 || !names_choice(node, axes->choice[axis]))
			return false;
	}
	return true;
}

static bool is_excluded(const struct test_axes *axes, struct test_value exclude)
{
	if (!exclude.node || exclude.node->is_empty)
		return false;
	if (exclude.node->kind == YAML_MAP)
		return fits(axes, exclude.node);
	for (const struct yaml_node *i = exclude.node->first; i; i = i->next)
		if (fits(axes, i))
			return true;
	return false;
}

static void check_excludes(const struct test_axes *axes, struct test_value exclude)
{
	if (!exclude.node || exclude.node->is_empty)
		return;
	if (exclude.node->kind != YAML_LIST)
		check_exclude(axes, exclude);
	else
		for (const struct yaml_node *i = exclude.node->first; i; i = i->next)
			check_exclude(axes, (struct test_value){ exclude.file, i });
}

/* --- Cases ----------------------------------------------------------------------------------- */

static bool name_case(struct test_case *item, const struct test_axes *axes)
{
	size_t len;
	FILE *out = open_memstream(&item->title, &len);

	if (!out)
		return false;
	fputs(item->spec->name, out);
	for (unsigned i = 0; i < axes->n; i++) {
		struct test_axis *axis = &item->axis[item->n_axes++];
		axis->name = strdup(axes->key[i].node->key);
		axis->value = choice_text(axes->choice[i]);
		if (!axis->name || !axis->value)
			break;
		fprintf(out, "%s%s=%s", i ? " " : " [", axis->name, axis->value);
	}
	if (axes->n)
		fputc(']', out);
	return fclose(out) == 0 && (!axes->n || item->axis[axes->n - 1].value);
}

static struct test_case *make_case(const struct test_draft *draft, const struct test_axes *axes)
{
	struct test_case *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->spec = draft->spec;
	item->axis = calloc(axes->n ? axes->n : 1, sizeof(*item->axis));
	if (config_init(&item->vm) < 0 || !item->axis || !name_case(item, axes)) {
		test_case_destroy(item);
		return NULL;
	}
	return item;
}

static bool keep_case(struct test_plan *plan, struct test_case *item)
{
	if (plan->n == plan->room) {
		unsigned room = plan->room ? plan->room * 2 : 16;
		struct test_case **list = reallocarray(plan->item, room, sizeof(*list));
		if (!list)
			return false;
		plan->item = list;
		plan->room = room;
	}
	plan->item[plan->n++] = item;
	return true;
}

/* Add one combination.  False: it has mistakes, which the others would have, too. */
static bool add_case(struct test_draft *draft, const struct test_axes *axes)
{
	struct test_plan *plan = draft->reader->plan;
	struct mistakes *mistakes = draft->reader->mistakes;
	unsigned before = mistakes->n;
	struct test_case *item;

	if (plan->n == PLAN_MAX_CASES) {
		test_key_mistake(draft->test, "these are more than %d tests", PLAN_MAX_CASES);
		return false;
	}
	item = make_case(draft, axes);
	if (item)
		test_vm_make(draft, axes, true, &item->vm);
	if (item && mistakes->n == before && keep_case(plan, item))
		return true;
	if (mistakes->n == before)
		mistakes_add(mistakes, "no memory");
	test_case_destroy(item);
	return false;
}

/* The next combination; the last axis turns fastest.  False: that was the last one. */
static bool turn(struct test_axes *axes)
{
	for (unsigned i = axes->n; i > 0; i--) {
		const struct yaml_node *list = axes->key[i - 1].node;
		const struct yaml_node *next = is_several(list) ? axes->choice[i - 1]->next : NULL;
		if (next) {
			axes->choice[i - 1] = next;
			return true;
		}
		axes->choice[i - 1] = first_choice(list);
	}
	return false;
}

/* What is wrong with the VM whatever the matrix says, and with each value of that. */
static void check_parts(struct test_draft *draft, struct test_axes *axes)
{
	struct vm_config scratch;
	struct test_axes none = { 0 };

	if (axes->n == 0 || config_init(&scratch) < 0)
		return;
	test_vm_make(draft, &none, false, &scratch);
	config_fini(&scratch);
	check_axes(draft, axes);
}

void test_expand(struct test_draft *draft)
{
	struct test_value exclude = test_find(draft, "exclude");
	unsigned before = draft->reader->mistakes->n, n = 0;
	struct test_axes axes;

	read_axes(draft, &axes);
	check_excludes(&axes, exclude);
	check_parts(draft, &axes);
	if (axes.n > 0 && draft->reader->mistakes->n != before)
		return;
	for (unsigned i = 0; i < axes.n; i++)
		axes.choice[i] = first_choice(axes.key[i].node);
	do {
		if (is_excluded(&axes, exclude))
			continue;
		if (!add_case(draft, &axes))
			return;
		n++;
	} while (turn(&axes));
	if (n == 0)
		test_mistake(exclude, "this leaves out every combination of the matrix");
}
