/*
 * The matrix of a test as a table: the last axes are columns, as long as these are few, the others
 * rows.  What is no matrix that fits (other axes in each run, too many values) is a list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/test/escape.h"
#include "vmm/test/html.h"

enum {
	MAX_COLUMNS = 8,
	MAX_VALUES = 256,	/* of an axis */
	MAX_ROWS = 4096,	/* if every combination were there */
	FEW_ATTEMPTS = 3,	/* more are signs only */
};

struct place {
	unsigned row, column, run;	/* 'run' is its index in the order */
};

struct grid {
	const struct result_order *order;
	unsigned first, n, n_axes;
	unsigned n_row_axes, n_rows, n_columns;
	unsigned n_values[RESULT_MAX_AXES];
	const char *value[RESULT_MAX_AXES][MAX_VALUES];
	struct place *place;		/* sorted */
};

static const struct test_result *run_of(const struct grid *g, unsigned i)
{
	return g->order->test[g->first + i];
}

static bool have_same_axes(const struct grid *g)
{
	const struct test_result *first = run_of(g, 0);

	for (unsigned i = 1; i < g->n; i++) {
		const struct test_result *r = run_of(g, i);
		if (r->n_axes != first->n_axes)
			return false;
		for (unsigned a = 0; a < r->n_axes; a++)
			if (strcmp(r->axis[a].name, first->axis[a].name) != 0)
				return false;
	}
	return true;
}

/* The number of a value on its axis; MAX_VALUES: there are too many. */
static unsigned number_of(struct grid *g, unsigned axis, const char *value)
{
	unsigned i = 0;

	while (i < g->n_values[axis] && strcmp(g->value[axis][i], value) != 0)
		i++;
	if (i == g->n_values[axis] && i < MAX_VALUES)
		g->value[axis][g->n_values[axis]++] = value;
	return i;
}

static bool divide_axes(struct grid *g)
{
	uint64_t rows = 1;

	for (unsigned i = 0; i < g->n; i++)
		for (unsigned a = 0; a < g->n_axes; a++)
			if (number_of(g, a, run_of(g, i)->axis[a].value) == MAX_VALUES)
				return false;
	g->n_columns = 1;
	g->n_row_axes = g->n_axes;
	while (g->n_row_axes > (g->n_axes > 1) &&
	       g->n_columns * g->n_values[g->n_row_axes - 1] <= MAX_COLUMNS)
		g->n_columns *= g->n_values[--g->n_row_axes];
	for (unsigned a = 0; a < g->n_row_axes && rows <= MAX_ROWS; a++)
		rows *= g->n_values[a];
	g->n_rows = (unsigned)rows;
	return rows <= MAX_ROWS;
}

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x->run < y->run ? -1 : x->run > y->run;
}

static void find_places(struct grid *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		struct place *p = &g->place[i];
		*p = (struct place){ .run = g->first + i };
		for (unsigned a = 0; a < g->n_axes; a++) {
			unsigned *at = a < g->n_row_axes ? &p->row : &p->column;
			*at = *at * g->n_values[a] + number_of(g, a, run_of(g, i)->axis[a].value);
		}
	}
	qsort(g->place, g->n, sizeof(g->place[0]), by_place);
}

/* A cell's run: a link to its details, if there are any. */
static void write_link(const struct html *h, const struct test_result *r, unsigned index,
		       bool sign_only)
{
	bool has_details = h->details_of_good || verdict_is_bad(r->verdict);

	fprintf(h->out, has_details ? "<a class=\"c %s\" href=\"#r%u\"" : "<span class=\"c %s\"",
		html_class(r->verdict), index);
	fprintf(h->out, " title=\"%s", verdict_words(r->verdict));
	if (r->attempt > 1 || sign_only)
		fprintf(h->out, ", attempt %u", r->attempt);
	fprintf(h->out, "\"><b>%s</b>", html_sign(r->verdict));
	if (!sign_only) {
		if (r->verdict != VERDICT_PASSED)
			fprintf(h->out, " %s", verdict_words(r->verdict));
		if (r->verdict != VERDICT_NOT_RUN && r->verdict != VERDICT_SKIPPED) {
			fputs(" <small>", h->out);
			html_duration(h->out, r->duration_ns);
			fputs("</small>", h->out);
		}
	}
	fputs(has_details ? "</a>" : "</span>", h->out);
}

static void write_cell(const struct html *h, const struct grid *g, const struct place *place,
		       unsigned n)
{
	bool flaky = n && g->order->test[place->run]->flaky;
	unsigned passed = 0;

	fputs("<td>", h->out);
	for (unsigned i = 0; i < n; i++) {
		const struct test_result *r = g->order->test[place[i].run];
		passed += r->verdict == VERDICT_PASSED;
		write_link(h, r, place[i].run, n > FEW_ATTEMPTS);
	}
	if (flaky)
		fprintf(h->out, "<span class=\"fl\">flaky: %u of %u passed</span>", passed, n);
	fputs("</td>", h->out);
}

static void write_head(const struct html *h, const struct grid *g)
{
	unsigned outer = 1, inner = g->n_columns;

	fputs("<thead>", h->out);
	for (unsigned a = g->n_row_axes; a < g->n_axes; a++) {
		inner /= g->n_values[a];
		fprintf(h->out, "<tr><th class=\"ax\" colspan=\"%u\">",
			g->n_row_axes ? g->n_row_axes : 1);
		escape_html(h->out, run_of(g, 0)->axis[a].name);
		fputs("</th>", h->out);
		for (unsigned i = 0; i < outer * g->n_values[a]; i++) {
			fprintf(h->out, "<th scope=\"col\" colspan=\"%u\">", inner);
			escape_html(h->out, g->value[a][i % g->n_values[a]]);
			fputs("</th>", h->out);
		}
		fputs("</tr>\n", h->out);
		outer *= g->n_values[a];
	}
	if (g->n_row_axes > 0) {
		fputs("<tr>", h->out);
		for (unsigned a = 0; a < g->n_row_axes; a++) {
			fputs("<th class=\"rx\">", h->out);
			escape_html(h->out, run_of(g, 0)->axis[a].name);
			fputs("</th>", h->out);
		}
		fprintf(h->out, "<td colspan=\"%u\"></td></tr>\n", g->n_columns);
	}
	fputs("</thead>\n", h->out);
}

static void write_row(const struct html *h, const struct grid *g, const struct place *place,
		      unsigned n)
{
	unsigned below = g->n_rows, at = 0, cell;

	fputs("<tr>", h->out);
	if (g->n_row_axes == 0 && g->n_axes > 0)
		fputs("<td></td>", h->out);
	for (unsigned a = 0; a < g->n_row_axes; a++) {
		below /= g->n_values[a];
		fputs("<th scope=\"row\">", h->out);
		escape_html(h->out, g->value[a][place->row / below % g->n_values[a]]);
		fputs("</th>", h->out);
	}
	for (unsigned column = 0; column < g->n_columns; column++, at += cell) {
		for (cell = 0; at + cell < n && place[at + cell].column == column; cell++)
			;
		write_cell(h, g, place + at, cell);
	}
	fputs("</tr>\n", h->out);
}

static void write_table(const struct html *h, struct grid *g)
{
	find_places(g);
	fputs("<div class=\"gw\"><table class=\"grid\">\n", h->out);
	if (g->n_axes)
		write_head(h, g);
	fputs("<tbody>", h->out);
	for (unsigned i = 0, n; i < g->n; i += n) {
		for (n = 1; i + n < g->n && g->place[i + n].row == g->place[i].row; n++)
			;
		write_row(h, g, g->place + i, n);
	}
	fputs("</tbody></table></div>\n", h->out);
}

static int write_list(const struct html *h, const struct grid *g)
{
	fputs("<ul class=\"list\">", h->out);
	for (unsigned i = 0; i < g->n; i++) {
		char *title = result_order_title(run_of(g, i));
		if (!title)
			return -ENOMEM;
		fputs("<li>", h->out);
		write_link(h, run_of(g, i), g->first + i, false);
		fputc(' ', h->out);
		escape_html(h->out, title);
		fputs("</li>\n", h->out);
		free(title);
	}
	fputs("</ul>\n", h->out);
	return 0;
}

int html_write_grid(const struct html *h, const struct result_order *order, unsigned first,
		    unsigned n)
{
	struct grid *g = calloc(1, sizeof(*g));
	int r = 0;

	if (g)
		g->place = malloc(n * sizeof(g->place[0]));
	if (!g || !g->place) {
		free(g);
		return -ENOMEM;
	}
	g->order = order;
	g->first = first;
	g->n = n;
	g->n_axes = order->test[first]->n_axes;
	if (have_same_axes(g) && divide_axes(g))
		write_table(h, g);
	else
		r = write_list(h, g);
	free(g->place);
	free(g);
	return r;
}
