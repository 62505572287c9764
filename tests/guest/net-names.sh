#!/bin/bash
# A name server for one question: whatever name is asked for has the address 192.0.2.7 and no other.
# socat starts it for each datagram.
set -eu
export LC_ALL=C

# The question comes in one read; as hexadecimal digits it can be cut.
query=$(dd bs=512 count=1 2>/dev/null | od -An -v -tx1 | tr -d ' \n')
name=${query:24}
end=0
while [ "${name:$end:2}" != 00 ]; do
	end=$((end + 2 + 2 * 0x${name:$end:2}))
done
question=${name:0:$((end + 10))}
type=${question: -8:4}
answer=${query:0:4}81800001000100000000$question
if [ "$type" = 0001 ]; then
	answer+=c00c000100010000003c0004c0000207
else
	answer=${query:0:4}81800001000000000000$question
fi
# shellcheck disable=SC2059
printf "$(printf %s "$answer" | sed 's/../\\x&/g')"
