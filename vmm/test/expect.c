#include "vmm/test/expect.h"

enum {
	/*
	 * A match that is open over more than this much text is looked at only when the text has
	 * grown by a part of it, so that all work together stays in proportion to the text.
	 */
	FAR = 16384,
	PART = 8,
};

void expect_begin(struct expect *e, const struct pattern *pattern, uint64_t from)
{
	*e = (struct expect){ .pattern = pattern, .from = from };
}

enum expect_verdict expect_look(struct expect *e, const struct console_text *text,
				bool settled, struct expect_place *place)
{
	uint64_t total = console_text_total(text);
	struct pattern_place found;

	if (e->from < text->dropped)
		e->from = text->dropped;
	if (!settled && total < e->hold)
		return EXPECT_OPEN;
	if (!text->data || (e->from == total && !e->open && !settled))
		return EXPECT_WAIT;
	switch (pattern_find(e->pattern, text->data, text->len, e->from - text->dropped, !settled,
			     &found)) {
	case PATTERN_FOUND:
		place->start = text->dropped + found.start;
		place->end = text->dropped + found.end;
		return EXPECT_FOUND;
	case PATTERN_NOT_FOUND:
		/*
		 * Settled, the end was taken for the end; what begins before it may go on all the
		 * same.
		 */
		if (!settled) {
			e->from = total;
			e->open = false;
		}
		return EXPECT_WAIT;
	case PATTERN_OPEN:
		e->from = text->dropped + found.start;
		e->open = true;
		if (total - e->from > FAR)
			e->hold = total + (total - e->from) / PART;
		return EXPECT_OPEN;
	case PATTERN_TOO_HARD:
		break;
	}
	return EXPECT_TOO_HARD;
}
