/*
 * Waiting for a pattern on a console: matching goes on where it stopped as text arrives, over the
 * borders of what came at a time.  A match that only the end of the text so far makes one ("done$",
 * "#") counts when nothing more has come for a moment, so that it does not depend on how the bytes
 * were cut.
 */
#ifndef TEST_EXPECT_H
#define TEST_EXPECT_H

#include "vmm/base/util.h"
#include "vmm/test/console_text.h"
#include "vmm/test/pattern.h"

struct expect {
	const struct pattern *pattern;	/* kept */
	uint64_t from;			/* no match begins before this place of the text */
	uint64_t hold;			/* not looked at before the text is so long */
	bool open;			/* a match may have begun at 'from' */
};

enum expect_verdict {
	EXPECT_FOUND,
	EXPECT_WAIT,		/* not yet */
	EXPECT_OPEN,		/* not yet; call again with 'settled' if nothing comes */
	EXPECT_TOO_HARD,	/* the pattern takes too much work on this text */
};

/* Places of the text. */
struct expect_place {
	uint64_t start, end;
};

enum { EXPECT_SETTLE_MS = 100 };

/* Look for 'pattern' from place 'from' on. */
void expect_begin(struct expect *expect, const struct pattern *pattern, uint64_t from);

/* Look at what has come.  'settled': the text's end is the end, for now. */
enum expect_verdict expect_look(struct expect *expect, const struct console_text *text,
				bool settled, struct expect_place *place);

#endif
