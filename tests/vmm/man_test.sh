#!/bin/bash
# The manual pages can be made, and man has nothing to say against them.  Speaks TAP.
# Usage: man_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
docs=$(cd "$(dirname "$0")/../../docs/man" && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

# page NAME PATTERN... : what must be in it
page() {
	local name=$1 pattern
	shift
	if ! command -v scdoc >/dev/null; then
		skip "$name" "scdoc is not installed"
		return
	fi
	status=0
	"$docs/compose" "$vireo" "$docs/$name.scd" >whole 2>out && scdoc <whole >page 2>>out || status=$?
	if command -v man >/dev/null; then
		LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l page >text 2>>out || status=$?
	else
		cp page text
	fi
	[ $status -eq 0 ] && [ -s out ] && status="with warnings"
	grep -q '@' whole && echo "a part is missing" >>out && grep '^@' whole >>out && status=part
	for pattern; do
		grep -qE -e "$pattern" text || { echo "no line matches '$pattern'" >>out; status=pattern; }
	done
	if [ "$status" = 0 ]; then ok "$name"; else not_ok "$name" 0; fi
}

page vireo.1 '^ *vireo run \[FILE' '^ *vireo config --schema$' '--kernel FILE' '--\[no-\]prefault' '\(vireo config\)' '^ *120$'
page vireo.yaml.5 '^ *disks: ' '^ *queue_size:' 'a number from 1 to ' '\$\{NAME:-DEFAULT\}'
page vireo-test.1 'vireo test \[OPTION\]' '--rerun-failed' 'SLURM_ARRAY_TASK_ID'
page vireo-ctl.1 'vireo ctl \[--json\] VM COMMAND'

echo "1..$n"
exit $failed
