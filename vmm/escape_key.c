#include "vmm/escape_key.h"

size_t escape_key_filter(void *arg, uint8_t *buf, size_t len)
{
	struct escape_key *key = arg;
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = buf[i];
		if (!key->pending) {
			if (c == ESCAPE_KEY)
				key->pending = true;
			else
				buf[kept++] = c;
			continue;
		}
		key->pending = false;
		/* People hold Ctrl down a little longer: Ctrl-A Ctrl-X is Ctrl-A x. */
		if (c == ESCAPE_KEY)
			buf[kept++] = c;
		else
			key->command(key->arg, (char)(c > 0 && c < ' ' ? c + '`' : c));
	}
	return kept;
}
