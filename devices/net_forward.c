#include "devices/net_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"

enum { MAX_WORDS = 4, WORD_SIZE = 64 };

struct words {
	char word[MAX_WORDS][WORD_SIZE];
	unsigned n;
};

static const char two_ports[] = "the host's and the guest's port are needed, and no more";

static int refuse(const char *text, const char *why, const char *word)
{
	error_set(EINVAL, "forward '%s': %s%s%s%s", text, why, word ? " '" : "", word ? word : "",
		  word ? "'" : "");
	error_hint("write PROTOCOL:[HOST-ADDRESS:]PORT:[GUEST-ADDRESS:]PORT, as in 'tcp:8080:80', "
		   "'udp:0.0.0.0:5353:53' or 'tcp:[::1]:8080:80'");
	return -EINVAL;
}

/* Split at colons, but not at those in brackets.  Returns false if there are too many words. */
static bool split(struct words *out, const char *text)
{
	bool in_brackets = false;
	size_t len = 0;

	*out = (struct words){ .n = 1 };
	for (; *text; text++) {
		if (*text == '[' || *text == ']')
			in_brackets = *text == '[';
		if (*text == ':' && !in_brackets) {
			if (out->n++ == MAX_WORDS)
				return false;
			len = 0;
			continue;
		}
		if (len + 1 == WORD_SIZE)
			return false;
		out->word[out->n - 1][len++] = *text;
	}
	return true;
}

static bool is_number(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

static bool parse_port(in_port_t *out, const char *word)
{
	uint64_t port;

	if (!is_number(word) || text_parse_u64(word, &port) < 0 || port == 0 || port > 65535)
		return false;
	*out = htons((uint16_t)port);
	return true;
}

/* "1.2.3.4" or "[1::2]". */
static bool parse_address(union net_address *out, const char *word)
{
	char inner[WORD_SIZE];
	size_t len = strlen(word);

	memset(out, 0, sizeof(*out));
	if (word[0] != '[') {
		out->v4.sin_family = AF_INET;
		return inet_pton(AF_INET, word, &out->v4.sin_addr) == 1;
	}
	if (len < 3 || word[len - 1] != ']')
		return false;
	memcpy(inner, word + 1, len - 2);
	inner[len - 2] = '\0';
	out->v6.sin6_family = AF_INET6;
	return inet_pton(AF_INET6, inner, &out->v6.sin6_addr) == 1;
}

static void set_port(union net_address *address, in_port_t port)
{
	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = port;
	else
		address->v6.sin6_port = port;
}

/* What is not given follows the family of what is: nobody but this host, and our guest. */
static void set_defaults(struct net_forward *f)
{
	if (f->host.any.sa_family == AF_UNSPEC && f->guest.any.sa_family == AF_INET6) {
		f->host.v6.sin6_family = AF_INET6;
		f->host.v6.sin6_addr = in6addr_loopback;
	} else if (f->host.any.sa_family == AF_UNSPEC) {
		f->host.v4.sin_family = AF_INET;
		f->host.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	if (f->guest.any.sa_family == AF_UNSPEC)
		f->guest.any.sa_family = f->host.any.sa_family;
	f->len = f->host.any.sa_family == AF_INET ? sizeof(f->host.v4) : sizeof(f->host.v6);
}

static int parse_ends(struct net_forward *out, const char *text, const struct words *w)
{
	in_port_t host_port, guest_port;
	unsigned i = 0;

	if (w->n > 2 && !is_number(w->word[i]) && !parse_address(&out->host, w->word[i++]))
		return refuse(text, "no address:", w->word[0]);
	if (!parse_port(&host_port, w->word[i]))
		return refuse(text, "a port is a number from 1 to 65535, not", w->word[i]);
	i++;
	if (w->n - i == 2 && !parse_address(&out->guest, w->word[i++]))
		return refuse(text, "no address:", w->word[i - 1]);
	if (w->n - i != 1)
		return refuse(text, two_ports, NULL);
	if (!parse_port(&guest_port, w->word[i]))
		return refuse(text, "a port is a number from 1 to 65535, not", w->word[i]);
	set_defaults(out);
	if (out->host.any.sa_family != out->guest.any.sa_family)
		return refuse(text, "one address is IPv4, the other IPv6", NULL);
	set_port(&out->host, host_port);
	set_port(&out->guest, guest_port);
	return 0;
}

int net_forward_parse(struct net_forward *out, const char *text)
{
	struct words words;

	*out = (struct net_forward){ 0 };
	if (!strncmp(text, "udp:", 4))
		out->is_udp = true;
	else if (strncmp(text, "tcp:", 4) != 0)
		return refuse(text, "it begins with neither 'tcp:' nor 'udp:'", NULL);
	if (!split(&words, text + 4))
		return refuse(text, two_ports, NULL);
	return parse_ends(out, text, &words);
}
