#!/bin/bash
# 'vireo top': as text, and on a terminal of 80x24 that is resized.  Speaks TAP.
# Usage: top_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
vireo=$(realpath "$1")
dir=$(mktemp -d)
cd "$dir" || exit 2
export XDG_RUNTIME_DIR=$dir
pid=
trap 'kill -KILL $pid 2>/dev/null; rm -rf "$dir"' EXIT

n=0
failed=0
verdict() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failed=1
		echo "not ok $n - $2"
		sed 's/^/    /' out err 2>/dev/null | head -n 30
	fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
# expect NAME STATUS PATTERN COMMAND...
expect() {
	local name=$1 wanted=$2 pattern=$3 status
	shift 3
	timeout 30 "$@" </dev/null >out 2>err
	status=$?
	[ $status -eq "$wanted" ] && cat out err | grep -qE -e "$pattern"
	verdict $? "$name"
}

expect "help" 0 '^Usage: vireo top' "$vireo" top --help
expect "a delay is judged" 125 "'nan' is no delay" "$vireo" top -d nan
expect "a delay is given" 125 "'' is no delay" "$vireo" top -d
expect "rounds are judged" 125 "'-1' is no number" "$vireo" top -n -1
expect "no second VM" 125 'two' "$vireo" top one two
expect "a VM that is not there" 125 "no VM 'web'|no VM with a name" "$vireo" top --batch -n 1 web
expect "without VMs there is a head" 0 '^NAME +STATE' "$vireo" top --batch -n 1 -d 0.1
expect "without a terminal it says so" 125 "'--batch'" "$vireo" top

if ! : 2>/dev/null <>/dev/kvm; then
	skip "of a VM" "/dev/kvm does not work here"
elif "$vireo" ps 2>&1 | grep -q libjansson; then
	skip "of a VM" "built without libjansson"
else
	# An ELF file with a PVH entry: in al, 0x80 again and again.
	printf '%b' '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\xc8\0\x10\0\0\0\0\0' \
		'\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x02\0\0\0\0\0\0\0' \
		'\x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0\0\0\0\0' \
		'\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\x04\0\0\0\x04\0\0\0' \
		'\xb0\0\0\0\0\0\0\0\xb0\0\x10\0\0\0\0\0\xb0\0\x10\0\0\0\0\0\x18\0\0\0\0\0\0\0' \
		'\x18\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0' \
		'\xc8\0\x10\0\0\0\0\0\xe4\x80\xeb\xfc' >reader
	truncate -s 512 reader
	"$vireo" run --kernel reader --memory 16M --console null --serial off --name web \
		--timeout 120s </dev/null >vm.out 2>vm.err &
	pid=$!
	for ((i = 0; i < 100; i++)); do "$vireo" ctl web state >/dev/null 2>&1 && break; sleep 0.05; done
	expect "all VMs" 0 '^web +running +[0-9.]+ +[0-9.]+k? ' "$vireo" top --batch -n 1 -d 0.3
	expect "exits by kind" 0 '^vcpu0 +[0-9.]+ +[0-9.]+k? +0 +0 +0 ' "$vireo" top -b -n 1 -d 0.3 web
	"$vireo" top -b -n 3 -d 0.2 web >out 2>err
	[ "$(grep -c '^web: running' out)" = 3 ]
	verdict $? "as many rounds as were wanted"
	# A reader that goes ends it.
	timeout 20 "$vireo" top -b -d 0.1 web | head -n 1 >out
	[ "${PIPESTATUS[0]}" != 124 ]
	verdict $? "a pipe that is closed ends it"
	if "$vireo" top web </dev/null 2>&1 | grep -q 'without ncurses'; then
		skip "on a terminal" "built without ncurses"
	else
		python3 "$here/top_terminal.py" "$vireo" >out 2>err
		verdict $? "on a terminal: 80x24, resized, ended by q and by Ctrl-C"
	fi
fi
echo "1..$n"
exit $failed
