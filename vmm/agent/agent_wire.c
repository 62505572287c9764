#include "vmm/agent/agent_wire.h"

#include <string.h>

#include "vmm/base/le.h"

enum about {
	ABOUT_SESSION,		/* op is 0 */
	ABOUT_OP,
	ABOUT_STREAM,		/* an op's stream, which one depends on the side */
};

struct rule {
	const char *name;
	uint8_t type;
	uint8_t from;		/* enum wire_side */
	uint8_t about;
	uint32_t min, max;	/* bytes of payload */
};

static const struct rule rules[] = {
	{ "HELLO", WIRE_HELLO, WIRE_AGENT, ABOUT_SESSION, WIRE_MAGIC + 12,
	  WIRE_MAGIC + 12 + WIRE_TEXT_MAX },
	{ "CALL", WIRE_CALL, WIRE_HOST, ABOUT_SESSION, WIRE_MAGIC + 8, WIRE_MAGIC + 8 },
	{ "WELCOME", WIRE_WELCOME, WIRE_HOST, ABOUT_SESSION, WIRE_MAGIC + 20, WIRE_MAGIC + 20 },
	{ "RUN", WIRE_RUN, WIRE_HOST, ABOUT_OP, WIRE_RUN_HEAD + 2,
	  WIRE_RUN_HEAD + WIRE_COMMAND_MAX },
	{ "COPY_IN", WIRE_COPY_IN, WIRE_HOST, ABOUT_OP, 4 + 1, 4 + WIRE_PATH_MAX },
	{ "COPY_OUT", WIRE_COPY_OUT, WIRE_HOST, ABOUT_OP, 1, WIRE_PATH_MAX },
	{ "SIGNAL", WIRE_SIGNAL, WIRE_HOST, ABOUT_OP, 4, 4 },
	{ "RESIZE", WIRE_RESIZE, WIRE_HOST, ABOUT_OP, 4, 4 },
	{ "CANCEL", WIRE_CANCEL, WIRE_HOST, ABOUT_OP, 0, 0 },
	{ "POWER", WIRE_POWER, WIRE_HOST, ABOUT_SESSION, 4, 4 },
	{ "DATA", WIRE_DATA, WIRE_HOST | WIRE_AGENT, ABOUT_STREAM, 1, WIRE_DATA_MAX },
	{ "END", WIRE_END, WIRE_HOST | WIRE_AGENT, ABOUT_STREAM, 0, 0 },
	{ "CREDIT", WIRE_CREDIT, WIRE_HOST | WIRE_AGENT, ABOUT_STREAM, 4, 4 },
	{ "ENDED", WIRE_ENDED, WIRE_AGENT, ABOUT_OP, 8, 8 + WIRE_TEXT_MAX },
	{ "DONE", WIRE_DONE, WIRE_AGENT, ABOUT_OP, 4, 4 + WIRE_TEXT_MAX },
	{ "ENTRY", WIRE_ENTRY, WIRE_AGENT, ABOUT_OP, 8, 8 + WIRE_PATH_MAX },
	{ "COMPLAINT", WIRE_COMPLAINT, WIRE_AGENT, ABOUT_SESSION, 0, WIRE_TEXT_MAX },
};

static const struct rule *rule_of(uint8_t type)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

void wire_put_head(uint8_t out[WIRE_HEAD], const struct wire_head *head)
{
	store_le32(out, head->len);
	out[4] = head->type;
	out[5] = head->stream;
	store_le16(out + 6, 0);
	store_le32(out + 8, head->op);
}

/* The host writes to stdin and gives credit for the others; the agent the other way round. */
static bool stream_is_right(const struct wire_head *head, enum wire_side from)
{
	bool to_guest = head->stream == WIRE_STDIN;

	if (head->stream >= WIRE_STREAMS)
		return false;
	if (head->type == WIRE_CREDIT)
		return to_guest == (from == WIRE_AGENT);
	/* Of the input only; from the agent, it says that nobody reads it any more. */
	if (head->type == WIRE_END)
		return to_guest;
	return to_guest == (from == WIRE_HOST);
}

const char *wire_judge_head(struct wire_head *head, const uint8_t in[WIRE_HEAD],
			    enum wire_side from)
{
	const struct rule *rule;

	*head = (struct wire_head){
		.len = load_le32(in), .type = in[4], .stream = in[5], .op = load_le32(in + 8),
	};
	rule = rule_of(head->type);
	if (!rule)
		return "a frame of a type that does not exist";
	if (!(rule->from & from))
		return "a frame that only the other side may send";
	if (head->len < rule->min || head->len > rule->max)
		return "a frame of a length that its type does not have";
	if (load_le16(in + 6) != 0)
		return "a frame with bits set that must be 0";
	if ((head->op == 0) != (rule->about == ABOUT_SESSION))
		return "a frame for an operation that cannot be";
	if (rule->about == ABOUT_STREAM ? !stream_is_right(head, from) : head->stream != 0)
		return "a frame for a stream that does not go this way";
	return NULL;
}

static const char *magic_of(enum wire_type type)
{
	switch (type) {
	case WIRE_HELLO: return WIRE_MAGIC_HELLO;
	case WIRE_CALL: return WIRE_MAGIC_CALL;
	case WIRE_WELCOME: return WIRE_MAGIC_WELCOME;
	default: return NULL;
	}
}

size_t wire_find(const uint8_t *buf, size_t len, enum wire_type type, bool *found)
{
	const char *magic = magic_of(type);
	size_t at = 0;

	*found = false;
	for (; magic && at + WIRE_HEAD + WIRE_MAGIC <= len; at++) {
		if (buf[at + 4] == type && !memcmp(buf + at + WIRE_HEAD, magic, WIRE_MAGIC)) {
			*found = true;
			break;
		}
	}
	return at;
}

const char *wire_type_name(uint8_t type)
{
	const struct rule *rule = rule_of(type);

	return rule ? rule->name : "?";
}

void wire_make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}
