/* Forwards as people write them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/net_forward.h"
#include "vmm/base/error.h"

TestSuite(net_forward, .timeout = 10);

/* "127.0.0.1 8080" */
static const char *say(char buf[80], const union net_address *a)
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = a->any.sa_family == AF_INET;
	const void *bytes = v4 ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;

	inet_ntop(a->any.sa_family, bytes, text, sizeof(text));
	snprintf(buf, 80, "%s %u", text, ntohs(v4 ? a->v4.sin_port : a->v6.sin6_port));
	return buf;
}

static void expect(const char *text, bool is_udp, const char *host, const char *guest)
{
	struct net_forward f;
	char buf[80];

	cr_assert_eq(net_forward_parse(&f, text), 0, "%s", text);
	cr_expect_eq(f.is_udp, is_udp, "%s", text);
	cr_expect_str_eq(say(buf, &f.host), host, "%s: %s", text, buf);
	cr_expect_str_eq(say(buf, &f.guest), guest, "%s: %s", text, buf);
	cr_expect_eq(f.len, strchr(host, ':') ? sizeof(f.host.v6) : sizeof(f.host.v4));
}

Test(net_forward, two_ports_are_bound_to_this_host_only)
{
	expect("tcp:8080:80", false, "127.0.0.1 8080", "0.0.0.0 80");
	expect("udp:5353:53", true, "127.0.0.1 5353", "0.0.0.0 53");
	expect("tcp:1:65535", false, "127.0.0.1 1", "0.0.0.0 65535");
}

Test(net_forward, addresses_are_told_from_ports_wherever_they_stand)
{
	expect("tcp:0.0.0.0:8080:80", false, "0.0.0.0 8080", "0.0.0.0 80");
	expect("udp:192.0.2.1:5353:53", true, "192.0.2.1 5353", "0.0.0.0 53");
	expect("tcp:8080:10.0.2.20:80", false, "127.0.0.1 8080", "10.0.2.20 80");
	expect("tcp:127.0.0.2:8080:10.0.2.20:80", false, "127.0.0.2 8080", "10.0.2.20 80");
}

Test(net_forward, one_address_of_ipv6_makes_both_ends_ipv6)
{
	expect("tcp:[::1]:8080:80", false, "::1 8080", ":: 80");
	expect("tcp:[::]:8080:80", false, ":: 8080", ":: 80");
	expect("udp:53:[fec0::15]:53", true, "::1 53", "fec0::15 53");
	expect("tcp:[::1]:22:[fec0::15]:22", false, "::1 22", "fec0::15 22");
}

Test(net_forward, what_is_none_is_refused_and_says_how_to_write_it)
{
	static const char *const wrong[] = {
		"", "tcp", "tcp:", "tcp:8080", "tcp:8080:", "tcp::80", "tcp:0:80", "tcp:80:0",
		"tcp:65536:80", "tcp:8080:65536", "tcp:-1:80", "tcp:+1:80", "tcp:0x50:80",
		"sctp:8080:80", "TCP:8080:80", "8080:80", "tcp:localhost:8080:80",
		"tcp:1.2.3:8080:80", "tcp:1.2.3.4:8080", "tcp:::1:8080:80", "tcp:[::1:8080:80",
		"tcp:[]:8080:80", "tcp:[::1]8080:80", "tcp:[1.2.3.4]:8080:80", "tcp:1:2:3",
		"tcp:1.2.3.4:1:5.6.7.8:2:3", "tcp:[::1]:8080:10.0.2.15:80", "tcp:8080:80 ",
		"tcp:99999999999999999999999:80", "tcp:8080:1.2.3.4:",
		"tcp:[0000000000000000000000000000000000000000000000000000000000000000000000::]:1:2",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct net_forward f;
		struct error_chain chain;

		cr_expect_eq(net_forward_parse(&f, wrong[i]), -EINVAL, "'%s'", wrong[i]);
		error_save(&chain);
		cr_expect(chain.n == 1 && strstr(chain.line[0], wrong[i]), "'%s'", wrong[i]);
		cr_expect(strstr(chain.hint, "tcp:8080:80"), "'%s'", wrong[i]);
		error_clear();
	}
}

Test(net_forward, a_word_alone_is_no_reason_to_read_beyond_it)
{
	struct net_forward f;
	char text[300];

	for (size_t len = 4; len < sizeof(text) - 1; len++) {
		memset(text, ':', len);
		memcpy(text, "tcp:", 4);
		text[len] = '\0';
		cr_expect_lt(net_forward_parse(&f, text), 0);
		memset(text + 4, '7', len - 4);
		cr_expect_lt(net_forward_parse(&f, text), 0);
	}
	error_clear();
}
