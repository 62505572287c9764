#include "vmm/file/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void yaml_tree_free(struct yaml_tree *tree)
{
	struct yaml_node *node = tree->made_last;

	while (node) {
		struct yaml_node *before = node->made_before;
		free(node->key);
		free(node->text);
		free(node);
		node = before;
	}
	*tree = (struct yaml_tree){ 0 };
}

const char *yaml_node_path(const struct yaml_node *node, char buf[YAML_PATH_SIZE])
{
	const char *key[YAML_MAX_DEPTH + 1] = { NULL };
	unsigned n = 0;
	size_t len = 0;

	for (; node && n < ARRAY_SIZE(key); node = node->parent)
		if (node->key)
			key[n++] = node->key;
	buf[0] = '\0';
	while (n-- > 0 && len < YAML_PATH_SIZE)
		len += (size_t)snprintf(buf + len, YAML_PATH_SIZE - len, "%s%.64s", len ? "." : "",
					key[n]);
	return buf;
}

#if HAVE_YAML

#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct yaml_tree *tree;
	struct yaml_node *open;		/* the map or list that is being read */
	unsigned depth;			/* of it */
	struct yaml_node *keyed;	/* a node with a key that waits for its value */
	unsigned n_documents;
	bool has_flaw, stop;
	yaml_flaw_fn *flaw;
	void *arg;
};

static void report(struct reader *rd, const struct yaml_node *node, unsigned line, unsigned column,
		   const char *fmt, ...) PRINTF_LIKE(5, 6);
static void report(struct reader *rd, const struct yaml_node *node, unsigned line, unsigned column,
		   const char *fmt, ...)
{
	struct file_flaw flaw = { .line = line, .column = column };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(flaw.text, sizeof(flaw.text), fmt, ap);
	va_end(ap);
	rd->has_flaw = true;
	rd->flaw(rd->arg, node, &flaw);
}

/* --- What the parser cannot read ------------------------------------------------------------- */

static unsigned line_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->line + 1;
}

static unsigned column_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->column + 1;
}

/* libyaml's sentences, and what they mean to whoever wrote the file. */
static const struct problem {
	const char *problem, *sentence;
	bool names_begin;	/* the sentence goes on with where the thing began */
} problems[] = {
	{ "found a tab character that violates indentation",
	  "a tab cannot indent; use spaces", false },
	{ "found a tab character where an indentation space is expected",
	  "a tab cannot indent; use spaces", false },
	{ "mapping values are not allowed in this context",
	  "no ':' can be here; is the indentation right, is a text with ': ' in quotes?", false },
	{ "did not find expected key",
	  "a key belongs here; is the indentation right?", false },
	{ "could not find expected ':'", "a ':' is missing behind the key", true },
	{ "found unexpected end of stream", "the file ends in the text in quotes", true },
	{ "found unexpected document indicator", "the document ends in the text in quotes",
	  true },
	{ "did not find expected ',' or '}'", "a ',' or '}' is missing here, in the map", true },
	{ "did not find expected ',' or ']'", "a ',' or ']' is missing here, in the list", true },
	{ "did not find expected '-' indicator",
	  "a '- ' belongs here; is the indentation right?", false },
	{ "block sequence entries are not allowed in this context",
	  "no list can begin here; is the indentation right?", false },
	{ "did not find expected <document start>",
	  "nothing more can follow here; is the indentation right?", false },
	{ "did not find expected node content", "a value belongs here", false },
	{ "found unknown escape character",
	  "no such escape exists; '\\\\' is a backslash, and 'single quotes' know no escapes",
	  false },
};

/* Where character 'index' begins. */
static const char *find_character(const char *text, size_t index)
{
	while (*text && index > 0) {
		text++;
		index -= (*text & 0xc0) != 0x80;
	}
	return text;
}

/* What is told by the character at which the parser stumbled; false: nothing is. */
static bool report_character(struct reader *rd, const char *text, unsigned line, unsigned column)
{
	const yaml_parser_t *p = &rd->parser;
	const char *at = find_character(text, p->problem_mark.index);

	if (strcmp(p->problem, "found character that cannot start any token") == 0) {
		if (*at == '\t')
			report(rd, NULL, line, column, "a tab cannot indent; use spaces");
		else
			report(rd, NULL, line, column, "a value cannot begin with '%c'; put it in "
			       "quotes", *at);
		return true;
	}
	if (*at == '{' && at > text && at[-1] == '$') {
		report(rd, NULL, line, column, "a value with '${' in it needs quotes inside of "
		       "'{ }' and '[ ]'");
		return true;
	}
	return false;
}

static void report_problem(struct reader *rd, const char *text)
{
	const yaml_parser_t *p = &rd->parser;
	unsigned line = line_of(&p->problem_mark), column = column_of(&p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR || !p->problem) {
		report(rd, NULL, 1, 1, "no memory");
		return;
	}
	if (report_character(rd, text, line, column))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(problems); i++) {
		if (strcmp(problems[i].problem, p->problem))
			continue;
		if (problems[i].names_begin && p->context)
			report(rd, NULL, line, column, "%s that begins at %u:%u",
			       problems[i].sentence, line_of(&p->context_mark),
			       column_of(&p->context_mark));
		else
			report(rd, NULL, line, column, "%s", problems[i].sentence);
		return;
	}
	report(rd, NULL, line, column, "no YAML: %s%s%s", p->problem, p->context ? ", " : "",
	       p->context ? p->context : "");
}

/* --- Making the tree ------------------------------------------------------------------------- */

static struct yaml_node *make_node(struct reader *rd, unsigned line, unsigned column)
{
	struct yaml_node *node;

	if (rd->tree->n_nodes == YAML_MAX_NODES) {
		report(rd, rd->open, line, column, "the file has more than %d values",
		       YAML_MAX_NODES);
		rd->stop = true;
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (!node) {
		report(rd, rd->open, line, column, "no memory");
		rd->stop = true;
		return NULL;
	}
	node->line = line;
	node->column = column;
	node->parent = rd->open;
	node->made_before = rd->tree->made_last;
	rd->tree->made_last = node;
	rd->tree->n_nodes++;
	return node;
}

static void append(struct reader *rd, struct yaml_node *node)
{
	struct yaml_node *parent = rd->open;

	if (!parent) {
		rd->tree->root = node;
		return;
	}
	if (parent->n_items == YAML_MAX_ITEMS) {
		report(rd, parent, node->line, node->column, "more than %d things in one place",
		       YAML_MAX_ITEMS);
		rd->stop = true;
		return;
	}
	parent->n_items++;
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
}

/* What may stand before any value or key. */
static void refuse_properties(struct reader *rd, const yaml_event_t *event, const char *anchor,
			      const char *tag)
{
	unsigned line = line_of(&event->start_mark), column = column_of(&event->start_mark);

	if (anchor)
		report(rd, rd->keyed ? rd->keyed : rd->open, line, column,
		       "anchors ('&%.40s') are not used in VM files", anchor);
	if (tag)
		report(rd, rd->keyed ? rd->keyed : rd->open, line, column,
		       "tags ('%.40s') are not used in VM files; the key says what a value is",
		       tag);
}

/* The node that the next value is for: that of its key, or a new one.  NULL: stopped. */
static struct yaml_node *value_node(struct reader *rd, const yaml_event_t *event)
{
	struct yaml_node *node = rd->keyed;
	unsigned line = line_of(&event->start_mark), column = column_of(&event->start_mark);

	if (node) {
		node->line = line;
		node->column = column;
		rd->keyed = NULL;
		return node;
	}
	node = make_node(rd, line, column);
	if (node)
		append(rd, node);
	return rd->stop ? NULL : node;
}

static bool wants_key(const struct reader *rd)
{
	return rd->open && rd->open->kind == YAML_MAP && !rd->keyed;
}

/* A text of the event's; NULL, reported, if memory is short or a NUL is in it. */
static char *copy_scalar(struct reader *rd, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	unsigned line = line_of(&event->start_mark), column = column_of(&event->start_mark);
	char *copy;

	if (strlen(value) != event->data.scalar.length) {
		report(rd, rd->keyed ? rd->keyed : rd->open, line, column,
		       "a text cannot hold the character NUL");
		return strdup("");
	}
	copy = strdup(value);
	if (!copy) {
		report(rd, rd->open, line, column, "no memory");
		rd->stop = true;
	}
	return copy;
}

static void refuse_key(struct reader *rd, const struct yaml_node *node)
{
	for (struct yaml_node *other = rd->open->first; other != node; other = other->next) {
		if (strcmp(other->key, node->key))
			continue;
		report(rd, node, node->line, node->column,
		       "given twice; the first one is in line %u", other->key_line);
		return;
	}
	if (!strcmp(node->key, "<<"))
		report(rd, rd->open, node->line, node->column, "merge keys ('<<') are not used in "
		       "VM files; 'include' takes the settings of another file");
	else if (!*node->key)
		report(rd, rd->open, node->line, node->column, "a key is missing before the ':'");
}

static void read_key(struct reader *rd, const yaml_event_t *event)
{
	struct yaml_node *node = make_node(rd, line_of(&event->start_mark),
					   column_of(&event->start_mark));

	if (!node)
		return;
	node->key_line = node->line;
	node->key_column = node->column;
	node->key = copy_scalar(rd, event);
	if (!node->key)
		return;
	append(rd, node);
	if (rd->stop)
		return;
	refuse_key(rd, node);
	rd->keyed = node;
}

static void read_scalar(struct reader *rd, const yaml_event_t *event)
{
	struct yaml_node *node;

	refuse_properties(rd, event, (const char *)event->data.scalar.anchor,
			  (const char *)event->data.scalar.tag);
	if (wants_key(rd)) {
		read_key(rd, event);
		return;
	}
	char *text = copy_scalar(rd, event);
	node = value_node(rd, event);
	if (!node) {
		free(text);
		return;
	}
	node->text = text;
	node->is_empty = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			 event->data.scalar.length == 0;
	if (node->is_empty && node->key) {
		node->line = node->key_line;
		node->column = node->key_column;
	}
}

static void open_node(struct reader *rd, const yaml_event_t *event, enum yaml_kind kind,
		      const yaml_char_t *anchor, const yaml_char_t *tag)
{
	unsigned line = line_of(&event->start_mark), column = column_of(&event->start_mark);
	struct yaml_node *node;

	refuse_properties(rd, event, (const char *)anchor, (const char *)tag);
	if (wants_key(rd)) {
		report(rd, rd->open, line, column, "a key is a word, not a %s",
		       kind == YAML_MAP ? "map" : "list");
		rd->stop = true;
		return;
	}
	if (rd->depth == YAML_MAX_DEPTH) {
		report(rd, rd->keyed ? rd->keyed : rd->open, line, column,
		       "maps and lists are more than %d deep", YAML_MAX_DEPTH);
		rd->stop = true;
		return;
	}
	node = value_node(rd, event);
	if (!node)
		return;
	node->kind = kind;
	rd->open = node;
	rd->depth++;
}

static void close_node(struct reader *rd)
{
	rd->open = rd->open->parent;
	rd->depth--;
}

static void begin_document(struct reader *rd, const yaml_event_t *event)
{
	unsigned line = line_of(&event->start_mark), column = column_of(&event->start_mark);
	bool has_tags = event->data.document_start.tag_directives.start !=
			event->data.document_start.tag_directives.end;

	if (rd->n_documents++ > 0) {
		report(rd, NULL, line, column, "a second document begins here; a VM file is one");
		rd->stop = true;
	} else if (event->data.document_start.version_directive || has_tags) {
		report(rd, NULL, line, column,
		       "directives (lines with '%%') are not used in VM files");
	}
}

static void read_event(struct reader *rd, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		begin_document(rd, event);
		break;
	case YAML_ALIAS_EVENT:
		report(rd, rd->keyed ? rd->keyed : rd->open, line_of(&event->start_mark),
		       column_of(&event->start_mark),
		       "aliases ('*%.40s') are not used in VM files; a text with '*' needs quotes",
		       (const char *)event->data.alias.anchor);
		/* What it stands for is not known: nothing that follows can be judged. */
		rd->stop = true;
		break;
	case YAML_SCALAR_EVENT:
		read_scalar(rd, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		open_node(rd, event, YAML_LIST, event->data.sequence_start.anchor,
			  event->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		open_node(rd, event, YAML_MAP, event->data.mapping_start.anchor,
			  event->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_node(rd);
		break;
	case YAML_STREAM_END_EVENT:
		rd->stop = true;
		break;
	default:
		break;
	}
}

bool yaml_tree_read(struct yaml_tree *out, const struct file_text *text, yaml_flaw_fn *flaw,
		    void *arg)
{
	struct reader rd = { .tree = out, .flaw = flaw, .arg = arg };

	*out = (struct yaml_tree){ 0 };
	if (!yaml_parser_initialize(&rd.parser)) {
		report(&rd, NULL, 1, 1, "no memory");
		return false;
	}
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text->data, text->len);
	while (!rd.stop) {
		yaml_event_t event;

		if (!yaml_parser_parse(&rd.parser, &event)) {
			report_problem(&rd, text->data);
			break;
		}
		read_event(&rd, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&rd.parser);
	return !rd.has_flaw;
}

#else

bool yaml_tree_read(struct yaml_tree *out, const struct file_text *text, yaml_flaw_fn *flaw,
		    void *arg)
{
	struct file_flaw absent = {
		.line = 1, .column = 1,
		.text = "this Vireo was built without libyaml and reads no VM files; install "
			"libyaml-dev, then ./configure and make",
	};

	(void)text;
	*out = (struct yaml_tree){ 0 };
	flaw(arg, NULL, &absent);
	return false;
}

#endif
