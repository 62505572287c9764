#include "vmm/test/result_order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_names(const struct test_result *x, const struct test_result *y)
{
	int order = compare_texts(x->file, y->file);

	if (!order)
		order = x->line < y->line ? -1 : x->line > y->line;
	return order ? order : compare_texts(x->name, y->name);
}

/* Pointers to elements of the results' array: their addresses are the order of the results. */
static int in_order(const void *a, const void *b)
{
	struct test_result *const *x = *(struct test_result *const *const *)a;
	struct test_result *const *y = *(struct test_result *const *const *)b;
	int order = compare_names(*x, *y);

	return order ? order : x < y ? -1 : x > y;
}

int result_order_init(struct result_order *out, const struct test_results *results)
{
	struct test_result ***place = malloc((results->n_tests + 1) * sizeof(*place));

	*out = (struct result_order){
		.n = results->n_tests,
		.test = malloc((results->n_tests + 1) * sizeof(*out->test)),
	};
	if (!place || !out->test) {
		free(place);
		result_order_fini(out);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < out->n; i++)
		place[i] = &results->test[i];
	qsort(place, out->n, sizeof(*place), in_order);
	for (unsigned i = 0; i < out->n; i++)
		out->test[i] = *place[i];
	free(place);
	return 0;
}

void result_order_fini(struct result_order *order)
{
	free(order->test);
	*order = (struct result_order){ 0 };
}

unsigned result_order_same_file(const struct result_order *order, unsigned i)
{
	unsigned n = 1;

	while (i + n < order->n && !compare_texts(order->test[i]->file, order->test[i + n]->file))
		n++;
	return n;
}

unsigned result_order_same_name(const struct result_order *order, unsigned i)
{
	unsigned n = 1;

	while (i + n < order->n && !compare_names(order->test[i], order->test[i + n]))
		n++;
	return n;
}

char *result_order_title(const struct test_result *result)
{
	char *title = test_result_title(result), *with = NULL;

	if (!title || result->attempt <= 1)
		return title;
	if (asprintf(&with, "%s (attempt %u)", title, result->attempt) < 0)
		with = NULL;
	free(title);
	return with;
}
