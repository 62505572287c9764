/*
 * What a split ring tells of a back end that is gone: which requests are in flight?  It keeps the
 * last requests that were offered and the last that were answered, as many as it has entries, and
 * who goes on can be given a place to begin at, not a list.  So it matters whether the requests
 * from the used index on, all of them and no others, are those without an answer.
 */
#ifndef VHOST_RING_HISTORY_H
#define VHOST_RING_HISTORY_H

#include "vmm/base/util.h"

enum { RING_HISTORY_MAX = 1024 };

/*
 * Can one go on from the used index?  'avail' and 'used' are the two areas of a ring of 'size'
 * entries that began at index 'base'; the driver may write to them meanwhile, and anything may be
 * in them.  'at' is the used index.
 *
 * True if a place is found where what was answered is what had been offered until then: when the
 * ring began, if it remembers, else half a ring ago or longer.  What is without an answer is then
 * what is behind the used index, unless a request has been waiting since before.  Any thread.
 */
bool ring_history_goes_on(const uint8_t *avail, const uint8_t *used, unsigned size, uint16_t base,
			  uint16_t *at);

#endif
