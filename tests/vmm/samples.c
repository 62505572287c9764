#include "tests/vmm/samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/option.h"

static const char *const bools[] = { "yes", "no", "yes" };
static const char *const durations[] = { "0", "1ms", "90s", "1.5h", "5m" };
static const char *const targets[] = { "off", "null", "stdio", "file=a b", "file=/tmp/x: #$y" };
static const char *const features[] = { "-event_idx", "+ring_packed,-33,+version_1" };

/* What is hard to write and to quote, too. */
static const char *const texts[] = {
	"", " leading", "trailing ", "a: b # c", "- x", "[1, 2]", "{a}", "'single'", "\"double\"",
	"back\\slash", "two\nlines\n", "tab\there", "\x01\x1b\x7f", "null", "~", "yes", "0x10",
	"1e3", "12:30", "$", "$$", "${HOME}", "$${x", "%YAML", "---", "...", "!tag", "&a", "*a",
	"|", ">", "?", "@x", "`x`", "a,b", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6", "\xc2\x85",
	"\xe2\x80\xa8", ("\xef\xbb\xbf" "bom"), "console=hvc0 root=/dev/vda ro", "a  b", "x:", "02:00:00:00:00:01", "sample",
};

static const char *const contents[] = { "#cloud-config\nusers: [{ name: $x }]\n", "seed.yaml", "\n" };
static const char *const pairs[] = { "name=value", "a: b==c\n", "x.y=", "$z= ~" };

static bool is_pairs(const struct option *o)
{
	return option_section_of(o)->pairs != 0;
}

static const char *from(const char *const *list, unsigned i, char buf[SAMPLE_SIZE])
{
	snprintf(buf, SAMPLE_SIZE, "%s", list[i]);
	return buf;
}

/* The smallest, the largest, and one between that is no default. */
static const char *number(const struct option *o, unsigned i, char buf[SAMPLE_SIZE])
{
	uint64_t between = o->power_of_two ? 512 : o->max / 2 + 1;

	snprintf(buf, SAMPLE_SIZE, "%" PRIu64, i == 0 ? o->min : i == 1 ? o->max : between);
	if (i == 1 && o->power_of_two && (o->max & (o->max - 1)))
		snprintf(buf, SAMPLE_SIZE, "%" PRIu64, between);
	if (i == 2 && o->power_of_two && between > o->max)
		snprintf(buf, SAMPLE_SIZE, "%" PRIu64, o->max);
	return buf;
}

unsigned sample_count(const struct option *o)
{
	unsigned n = 0;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_TEXTS:
		return is_pairs(o) ? ARRAY_SIZE(pairs) : ARRAY_SIZE(texts);
	case OPTION_CONTENT:
		return ARRAY_SIZE(contents);
	case OPTION_PATH:
		return ARRAY_SIZE(texts) - 1;	/* none is empty */
	case OPTION_BOOL:
		return ARRAY_SIZE(bools);
	case OPTION_NUMBER:
	case OPTION_SIZE:
		return 3;
	case OPTION_DURATION:
		return ARRAY_SIZE(durations);
	case OPTION_CHOICE:
		while (o->choice[n].name)
			n++;
		return n;
	case OPTION_TARGET:
		return ARRAY_SIZE(targets);
	case OPTION_FEATURES:
		return ARRAY_SIZE(features);
	}
	return 0;
}

const char *sample(const struct option *o, unsigned i, char buf[SAMPLE_SIZE])
{
	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_TEXTS:
		return from(is_pairs(o) ? pairs : texts, i, buf);
	case OPTION_CONTENT:
		return from(contents, i, buf);
	case OPTION_PATH:
		return from(texts, i + 1, buf);
	case OPTION_BOOL:
		return from(bools, i, buf);
	case OPTION_NUMBER:
	case OPTION_SIZE:
		return number(o, i, buf);
	case OPTION_DURATION:
		return from(durations, i, buf);
	case OPTION_CHOICE:
		snprintf(buf, SAMPLE_SIZE, "%s", o->choice[i].name);
		return buf;
	case OPTION_TARGET:
		return from(targets, i, buf);
	case OPTION_FEATURES:
		return from(features, i, buf);
	}
	return "";
}
