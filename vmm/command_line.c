/*
 * Long options as people know them: "--flag value", "--flag=value", "--flag"/"--no-flag" for
 * booleans.  A flag that several rows of the table share takes a list, "--disk
 * FILE,readonly,queues=2"; a comma inside of a value is written twice,
 * but what begins with + or - goes on with the list of feature bits before it.
 */
#include "vmm/command_line.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/file/vm_file.h"
#include "vmm/option.h"

enum {
	EVERYWHERE = COMMAND_LINE_RUN | COMMAND_LINE_EXPLAIN | COMMAND_LINE_CONFIG |
		     COMMAND_LINE_EXPORT | COMMAND_LINE_CHECK | COMMAND_LINE_KERNEL,
	PRINTING = COMMAND_LINE_RUN | COMMAND_LINE_CONFIG,
};

const struct switch_info command_line_switches[] = {
	{ "--set SECTION.KEY=VALUE",
	  "any setting by its name; 'disks.NAME.key' where there can be several",
	  EVERYWHERE },
	{ "--dump-dtb FILE", "write the guest's device tree to FILE (see dtc); nothing is run",
	  COMMAND_LINE_RUN },
	{ "--explain[=text|json]",
	  "at the end and at each SIGUSR1, tell what became of the feature bits",
	  COMMAND_LINE_RUN },
	{ "--no-run-dir", "neither run directory nor control socket, whatever the file says",
	  COMMAND_LINE_RUN },
	{ "--json", "for programs: the same facts as JSON",
	  COMMAND_LINE_EXPLAIN | COMMAND_LINE_CONFIG | COMMAND_LINE_KERNEL },
	{ "--print[=yaml|json]", "write the configuration as a VM file; nothing is run", PRINTING },
	{ "--all", "write every setting, with what it means and what is allowed",
	  COMMAND_LINE_CONFIG },
	{ "--schema", "write the JSON Schema of VM files, for editors", COMMAND_LINE_CONFIG },
	{ "--all", "everything that Vireo can give a guest, and no VM in particular",
	  COMMAND_LINE_KERNEL },
	{ "--exec", "what 'vireo exec' needs, too", COMMAND_LINE_KERNEL },
	{ "--fragment", "write what the kernel lacks (without one: all that it needs) for kconfig",
	  COMMAND_LINE_KERNEL },
	{ "--qemu", "write a command line for qemu-system-x86_64", COMMAND_LINE_EXPORT },
	{ "-v, --verbose", "say more; twice: everything",
	  COMMAND_LINE_RUN | COMMAND_LINE_CHECK },
	{ "-q, --quiet", "do not say who moves what, nor how the guest ended unless it failed",
	  COMMAND_LINE_RUN | COMMAND_LINE_EXPLAIN },
	{ "-h, --help", "this text", EVERYWHERE },
};
const unsigned command_line_switches_len = ARRAY_SIZE(command_line_switches);

const char *switch_name(const struct switch_info *info, char buf[32])
{
	const char *name = strstr(info->shown, "--") + 2;

	snprintf(buf, 32, "%.*s", (int)strcspn(name, " =["), name);
	return buf;
}

bool switch_is_of(const struct switch_info *info, enum command_line_of command)
{
	return (info->commands & (command | COMMAND_LINE_RUN)) != 0;
}

enum { MAX_NAMES = 128, MAX_SECTIONS = 32 };

struct reader {
	char *const *next;	/* arguments not read yet, up to 'end' */
	char *const *end;
	struct vm_config *config;
	struct run_switches *switches;
	struct mistakes *mistakes;
	unsigned n_files;	/* words that are VM files, so far */
	/* Repeated sections: how many objects the files have, which flags may change. */
	unsigned from_files[MAX_SECTIONS];
};

static void set(struct reader *rd, const struct option *o, void *object, const char *label,
			const char *flag, const char *text)
{
	const struct option_section *section = option_section_of(o);
	struct origin origin = { .flag = flag };
	char why[OPTION_WHY_SIZE];

	if (option_set(o, object, text, why) < 0)
		mistakes_add(rd->mistakes, "%s: %s", label, why);
	if (origins_note(&rd->config->origins, section, config_index(rd->config, section, object),
			 o, &origin) < 0)
		mistakes_add(rd->mistakes, "%s: no memory", label);
	if (section->given)
		*(bool *)((char *)rd->config + section->given) = true;
}

/* --- Mistyped names -------------------------------------------------------------------------- */

static bool is_switch(const char *name, size_t len, enum command_line_of command)
{
	char own[32];

	for (unsigned i = 0; i < command_line_switches_len; i++) {
		const struct switch_info *info = &command_line_switches[i];
		if (switch_is_of(info, command) && strlen(switch_name(info, own)) == len &&
		    !memcmp(own, name, len))
			return true;
	}
	return false;
}

static void unknown_flag(struct reader *rd, const char *name, size_t len)
{
	const char *names[MAX_NAMES], *near;
	char own[32][32], no[32][32];	/* "quiet", "no-unpack" */
	unsigned n = 0, n_no = 0;
	char word[64];

	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	if (is_switch(name, len, rd->switches->command)) {
		mistakes_add(rd->mistakes, "--%s: takes no value", word);
		return;
	}
	for (unsigned i = 0; i < command_line_switches_len && n < ARRAY_SIZE(own); i++) {
		const struct switch_info *info = &command_line_switches[i];
		if (switch_is_of(info, rd->switches->command)) {
			names[n] = switch_name(info, own[n]);
			n++;
		}
	}
	for (unsigned i = 0; i < option_table_len && n < MAX_NAMES - 1; i++) {
		const struct option *o = &option_table[i];
		if (!o->flag || option_find_flag(o->flag, strlen(o->flag)) != o)
			continue;
		names[n++] = o->flag;
		if (o->type == OPTION_BOOL && n_no < ARRAY_SIZE(no)) {
			snprintf(no[n_no], sizeof(no[0]), "no-%s", o->flag);
			names[n++] = no[n_no++];
		}
	}
	near = text_nearest(word, names, n);
	if (near)
		mistakes_add(rd->mistakes, "unknown option '--%s'; did you mean '--%s'?", word,
			     near);
	else
		mistakes_add(rd->mistakes, "unknown option '--%s'; 'vireo run --help' lists them",
			     word);
}

/* 'where' is what is searched, in words; the candidates are the keys that 'wanted' accepts. */
static void unknown_key(struct reader *rd, const char *where, const char *key, size_t len,
			bool (*wanted)(const struct option *o, const char *of), const char *of)
{
	const char *names[MAX_NAMES], *near;
	char word[64], list[256] = "";
	size_t used = 0;
	unsigned n = 0;

	snprintf(word, sizeof(word), "%.*s", (int)len, key);
	for (unsigned i = 0; i < option_table_len && n < MAX_NAMES; i++)
		if (wanted(&option_table[i], of))
			names[n++] = option_table[i].key;
	near = text_nearest(word, names, n);
	if (near) {
		mistakes_add(rd->mistakes, "%s: unknown key '%s'; did you mean '%s'?", where, word,
			     near);
		return;
	}
	for (unsigned i = 0; i < n && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 names[i]);
	mistakes_add(rd->mistakes, "%s: unknown key '%s'; known are %s", where, word, list);
}

static bool has_flag(const struct option *o, const char *flag)
{
	return o->flag && !strcmp(o->flag, flag);
}

static bool has_section(const struct option *o, const char *section)
{
	return !strcmp(o->section, section);
}

/* --- Lists ----------------------------------------------------------------------------------- */

/*
 * Move the next item of '*list' into 'item' (room for the whole list), doubled commas made single.
 * '*list' is NULL when it was the last.
 */
static void take_item(const char **list, char *item)
{
	const char *p = *list;

	while (*p && (*p != ',' || p[1] == ',')) {
		p += *p == ',';
		*item++ = *p++;
	}
	*item = '\0';
	*list = *p ? p + 1 : NULL;
}

/* The length of "key" in "key=..." or "key"; 0 if it does not begin like that. */
static size_t key_length(const char *item)
{
	size_t len = 0;

	while (islower((unsigned char)item[len]) || item[len] == '_' ||
	       (len > 0 && isdigit((unsigned char)item[len])))
		len++;
	return item[len] == '=' || item[len] == '\0' ? len : 0;
}

/* Can any word be a value of it? */
static bool takes_any_word(const struct option *o)
{
	return o->type == OPTION_TEXT || o->type == OPTION_PATH;
}

/*
 * Is the item in first place the flag's own value?  A lone word is ("--disk readonly" names a
 * file) unless it can only be a key ("--balloon reporting" is no size), and so is what only looks
 * like a key ("--console file=log").
 */
static bool is_bare(const struct option *first, const struct option *o, const char *item,
		    size_t len)
{
	if (len == 0)
		return true;
	if (item[len] != '=')
		return !o || takes_any_word(first);
	return !o && first->type == OPTION_TARGET;
}

/*
 * One item; 'before' is the row of the one before it, NULL in first place.  Returns the row that it
 * is for, or that of the flag if there is none.
 */
static const struct option *read_item(struct reader *rd, const struct option *first, void *object,
				      const char *item, const struct option *before)
{
	size_t len = key_length(item);
	const struct option *o = option_find_item(first->flag, item, len);
	char label[96];

	snprintf(label, sizeof(label), "--%s", first->flag);
	if (!before && is_bare(first, o, item, len)) {
		set(rd, first, object, label, first->flag, item);
		return first;
	}
	if (before && before->type == OPTION_FEATURES && (*item == '+' || *item == '-'))
		o = before;
	if (!o) {
		unknown_key(rd, label, item, len ? len : strcspn(item, "="), has_flag, first->flag);
		return first;
	}
	snprintf(label, sizeof(label), "--%s: %s", first->flag, o->key);
	if (*item == '+' || *item == '-')
		set(rd, o, object, label, o->flag, item);
	else if (item[len] == '=')
		set(rd, o, object, label, o->flag, item + len + 1);
	else if (o->type == OPTION_BOOL)
		set(rd, o, object, label, o->flag, "yes");
	else
		mistakes_add(rd->mistakes, "%s: needs a value, '%s=...'", label, o->key);
	return o;
}

/* The value of item "name=..." of the list; 'item' is room for it.  NULL: it has none. */
static const char *find_name(const char *list, char *item)
{
	while (list) {
		take_item(&list, item);
		if (!strncmp(item, "name=", 5))
			return item + 5;
	}
	return NULL;
}

/* What a list is about: an object that a file has, if the list names it, else another one. */
static void *list_object(struct reader *rd, const struct option_section *section, const char *list,
			 char *item)
{
	if (!section->list)
		return rd->config;
	const char *name = find_name(list, item);
	void *object = name ? config_find(rd->config, section, name, strlen(name)) : NULL;
	if (object && config_index(rd->config, section, object) <
			      rd->from_files[section - option_sections])
		return object;
	return config_add(rd->config, section);
}

static void read_list(struct reader *rd, const struct option *first, const char *list)
{
	const struct option_section *section = option_section_of(first);
	char *item = malloc(strlen(list) + 1);
	void *object = item ? list_object(rd, section, list, item) : NULL;

	if (!object || !item) {
		mistakes_add(rd->mistakes, "--%s: no memory", first->flag);
	} else {
		const struct option *o = NULL;
		do {
			take_item(&list, item);
			o = read_item(rd, first, object, item, o);
		} while (list);
	}
	free(item);
}

/* --- --set ------------------------------------------------------------------------------------ */

/* "section.key=value" or "disks.NAME.key=value". */
static void read_set(struct reader *rd, const char *text)
{
	size_t name_len = strcspn(text, "="), section_len = strcspn(text, ".=");
	const struct option_section *section = option_find_section(text, section_len);
	const char *dot = memrchr(text, '.', name_len);
	void *object = rd->config;
	char label[128];

	if (!text[name_len] || !dot) {
		mistakes_add(rd->mistakes, "--set: '%s' is not SECTION.KEY=VALUE", text);
		return;
	}
	if (!section) {
		const char *names[32], *near;

		assert(option_sections_len <= ARRAY_SIZE(names));
		for (unsigned i = 0; i < option_sections_len; i++)
			names[i] = option_sections[i].name;
		snprintf(label, sizeof(label), "%.*s", (int)section_len, text);
		near = text_nearest(label, names, option_sections_len);
		mistakes_add(rd->mistakes, "--set: unknown section '%s'%s%s%s", label,
			     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
		return;
	}
	const char *key = dot + 1;
	size_t key_len = name_len - (size_t)(key - text);
	const struct option *o = option_find(section->name, section_len, key, key_len);
	snprintf(label, sizeof(label), "--set: %.*s", (int)name_len, text);
	if ((section->list != NULL) != (dot != text + section_len)) {
		mistakes_add(rd->mistakes, section->list ? "%s: give a name, '%s.NAME.%.*s'"
							      : "%s: write '%s.%.*s'",
			     label, section->name, (int)key_len, key);
		return;
	}
	if (!o) {
		unknown_key(rd, label, key, key_len, has_section, section->name);
		return;
	}
	if (section->list) {
		const char *name = text + section_len + 1;
		size_t len = (size_t)(dot - name);

		object = config_find(rd->config, section, name, len);
		if (!object)	/* the first time that it is named */
			object = config_add_named(rd->config, section, name, len);
	}
	if (!object)
		mistakes_add(rd->mistakes, "%s: no memory", label);
	else
		set(rd, o, object, label, "set", text + name_len + 1);
}

/* --- Arguments ------------------------------------------------------------------------------- */

static bool is_flag(const char *arg)
{
	return !strncmp(arg, "--", 2) && option_find_flag(arg + 2, strcspn(arg + 2, "="));
}

/* What follows the flag; NULL, noted, when nothing does. */
static const char *take_value(struct reader *rd, const char *flag, const char *inline_value,
			      const char *shown)
{
	if (inline_value)
		return inline_value;
	if (rd->next < rd->end && !is_flag(*rd->next))
		return *rd->next++;
	mistakes_add(rd->mistakes, "--%s: needs a value (%s)", flag, shown);
	return NULL;
}

static void read_flag(struct reader *rd, const struct option *o, const char *inline_value,
		      bool negated)
{
	char label[64], shown[128];
	const char *value;

	snprintf(label, sizeof(label), "--%s%s", negated ? "no-" : "", o->flag);
	if (negated && inline_value) {
		mistakes_add(rd->mistakes, "%s: takes no value", label);
		return;
	}
	if (o->type == OPTION_BOOL && !option_flag_is_list(o->flag)) {
		set(rd, o, rd->config, label, o->flag,
		    negated ? "no" : inline_value ? inline_value : "yes");
		return;
	}
	value = take_value(rd, o->flag, inline_value, option_value_text(o, shown));
	if (!value)
		return;
	if (option_flag_is_list(o->flag))
		read_list(rd, o, value);
	else
		set(rd, o, rd->config, label, o->flag, value);
}

static void read_json(struct run_switches *sw)
{
	if (sw->command == COMMAND_LINE_EXPLAIN)
		sw->explain = EXPLAIN_JSON;
	else
		sw->print = CONFIG_JSON;
}

/* A switch of the command's own.  False if there is none, or it takes no value and has one. */
static bool read_switch(struct reader *rd, const char *name, size_t len, const char *value)
{
	struct run_switches *sw = rd->switches;

	if (!is_switch(name, len, sw->command))
		return false;
	if (!strcmp(name, "help"))
		sw->help = true;
	else if (!strcmp(name, "verbose"))
		sw->verbose++;
	else if (!strcmp(name, "quiet"))
		sw->quiet = true;
	else if (!strcmp(name, "json"))
		read_json(sw);
	else if (!strcmp(name, "no-run-dir"))
		sw->no_run_dir = true;
	else if (!strcmp(name, "all"))
		sw->all = true;
	else if (!strcmp(name, "schema"))
		sw->print = CONFIG_SCHEMA;
	else if (!strcmp(name, "exec"))
		sw->exec = true;
	else if (!strcmp(name, "fragment"))
		sw->fragment = true;
	else if (!strcmp(name, "qemu"))
		sw->qemu = true;
	else if (len == 5 && !memcmp(name, "print", len)) {
		if (config_form_parse(value, &sw->print) < 0)
			mistakes_add(rd->mistakes, "--print: '%s' is not one of yaml, json", value);
	} else if (len == 7 && !memcmp(name, "explain", len)) {
		if (explain_parse(value, &sw->explain) < 0)
			mistakes_add(rd->mistakes, "--explain: '%s' is not one of text, json",
				     value);
	} else {
		return false;
	}
	return true;
}

static void read_long(struct reader *rd, const char *name)
{
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct option *o = option_find_flag(name, len);

	if (o) {
		read_flag(rd, o, value, false);
		return;
	}
	if (len > 3 && !strncmp(name, "no-", 3)) {
		o = option_find_flag(name + 3, len - 3);
		if (o && o->type == OPTION_BOOL) {
			read_flag(rd, o, value, true);
			return;
		}
	}
	if (len == 3 && !memcmp(name, "set", len)) {
		value = take_value(rd, "set", value, "SECTION.KEY=VALUE");
		if (value)
			read_set(rd, value);
	} else if (len == 8 && !memcmp(name, "dump-dtb", len)) {
		value = take_value(rd, "dump-dtb", value, "FILE");
		if (value)
			rd->switches->dump_dtb = value;
	} else if (!read_switch(rd, name, len, value)) {
		unknown_flag(rd, name, len);
		/* What follows is most likely its value: one mistake, not two. */
		if (!value && rd->next < rd->end && **rd->next != '-')
			rd->next++;
	}
}

static void read_short(struct reader *rd, const char *letters)
{
	for (const char *p = letters; *p; p++) {
		switch (*p) {
		case 'v': rd->switches->verbose++; break;
		case 'q': rd->switches->quiet = true; break;
		case 'h': rd->switches->help = true; break;
		default:
			mistakes_add(rd->mistakes,
				     "unknown option '-%c'; 'vireo run --help' lists them", *p);
		}
	}
}

static bool is_file(const char *arg)
{
	return arg[0] != '-' || !arg[1] || !strcmp(arg, "--");
}

bool command_line_is_vm_file(const char *word)
{
	static const char *const endings[] = { ".yaml", ".yml", ".json" };
	const char *dot = strrchr(word, '.');

	for (unsigned i = 0; dot && i < ARRAY_SIZE(endings); i++)
		if (!strcmp(dot, endings[i]))
			return true;
	return false;
}

static bool is_kernel_file(const struct reader *rd, const char *arg)
{
	return rd->switches->command == COMMAND_LINE_KERNEL && !rd->switches->kernel_file &&
	       !command_line_is_vm_file(arg);
}

/* All arguments but the files, which go to 'files' (room for as many as there are arguments). */
static void read_arguments(struct reader *rd, const char **files)
{
	rd->n_files = 0;
	while (rd->next < rd->end) {
		const char *arg = *rd->next++;
		if (is_file(arg) && is_kernel_file(rd, arg))
			rd->switches->kernel_file = arg;
		else if (is_file(arg))
			files[rd->n_files++] = arg;
		else if (arg[1] == '-')
			read_long(rd, arg + 2);
		else
			read_short(rd, arg + 1);
	}
}

/* Read the files into a configuration as new. */
static int read_files(struct reader *rd, const char **files)
{
	config_fini(rd->config);
	if (config_init(rd->config) < 0) {
		error_clear();
		return -ENOMEM;
	}
	for (unsigned i = 0; i < rd->n_files; i++)
		vm_file_read(rd->config, files[i], rd->mistakes);
	for (unsigned i = 0; i < option_sections_len; i++)
		if (option_sections[i].list)
			rd->from_files[i] = config_count(rd->config, &option_sections[i]);
	return 0;
}

/*
 * Flags override files wherever they stand, so that files are to be read first; but which words are
 * files shows only when the flags before them take their values.  If there are files, what was read
 * until then is thrown away, and the flags are read again on top of them.
 */
void command_line_read(int argc, char *const *argv, struct vm_config *config,
		       struct run_switches *switches, struct mistakes *mistakes)
{
	struct reader rd = {
		.next = argv, .end = argv + argc,
		.config = config, .switches = switches, .mistakes = mistakes,
	};
	const char **files = calloc((size_t)argc + 1, sizeof(*files));
	const struct run_switches at_first = *switches;

	if (!files) {
		mistakes_add(mistakes, "no memory");
		return;
	}
	read_arguments(&rd, files);
	if (rd.n_files > 0 && !switches->help) {
		*mistakes = (struct mistakes){ 0 };
		*switches = at_first;
		rd.next = argv;
		if (read_files(&rd, files) < 0)
			mistakes_add(mistakes, "no memory");
		else
			read_arguments(&rd, files);
	}
	free(files);
}
