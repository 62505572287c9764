#include "vmm/json_depth.h"

bool json_is_deeper(const char *text, size_t len, unsigned most)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len && depth <= most; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return depth > most;
}
