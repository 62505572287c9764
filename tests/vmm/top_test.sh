#!/bin/bash
# 'vireo top': as text, and on a terminal of 80x24 that is resized.  Speaks TAP.
# Usage: top_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$here/cli.sh"
export XDG_RUNTIME_DIR=$dir

expect "help" 0 '^Usage: vireo top' "$vireo" top --help
expect "a delay is judged" 125 "'nan' is no delay" "$vireo" top -d nan
expect "a delay is given" 125 "'' is no delay" "$vireo" top -d
expect "rounds are judged" 125 "'-1' is no number" "$vireo" top -n -1
expect "no second VM" 125 'two' "$vireo" top one two
expect "a VM that is not there" 125 "no VM 'web'|no VM with a name" "$vireo" top --batch -n 1 web
expect "without VMs there is a head" 0 '^NAME +STATE' "$vireo" top --batch -n 1 -d 0.1
expect "without a terminal it says so" 125 "'--batch'" "$vireo" top

if ! $has_kvm; then
	skip "of a VM" "/dev/kvm does not work here"
elif "$vireo" ps 2>&1 | grep -q libjansson; then
	skip "of a VM" "built without libjansson"
else
	kernel reader e4 80 eb fc	# in al, 0x80; jmp
	"$vireo" run --kernel reader --memory 16M --console null --serial off --name web \
		--timeout 120s </dev/null >vm.out 2>vm.err &
	pids=($!)
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
