/* How deep JSON is, before a parser that recurses sees it. */
#ifndef VMM_JSON_DEPTH_H
#define VMM_JSON_DEPTH_H

#include "vmm/base/util.h"

/*
 * Are more than 'most' brackets open at once somewhere in 'text' ('len' bytes, which need be no
 * JSON)?  Those in strings do not count.  Any thread.
 */
bool json_is_deeper(const char *text, size_t len, unsigned most);

#endif
