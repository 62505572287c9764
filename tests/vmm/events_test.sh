#!/bin/bash
# What a run leaves in the event log, from its devices to its exit.  Speaks TAP.
# Usage: events_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"
export XDG_RUNTIME_DIR=$dir

# has NAME PATTERN
has() {
	cp run/events.jsonl out
	grep -qE -e "$2" out
	verdict $? "$1"
}

if ! $has_kvm || "$vireo" ps 2>&1 | grep -q libjansson; then
	skip events "/dev/kvm does not work here, or built without libjansson"
	echo "1..$n"
	exit 0
fi

run() {
	rm -rf run
	timeout 60 "$vireo" run --kernel guest.elf --memory 16M --console off --run-dir run "$@" \
		</dev/null >out 2>err
}

# mov dx, 0x3f8; out dx, al; out dx, al; mov eax, 3; mov dx, 0xf4; out dx, eax; jmp .
kernel guest.elf 66 ba f8 03 ee ee b8 03 00 00 00 66 ba f4 00 ef eb fe
run --serial null
[ $? -eq 3 ]
verdict $? "a guest that exits with 3"
has "its devices were created" '"kind":"device-created","subject":"rng"'
has "it ran" '"kind":"state","subject":"","value":0,"text":"running"'
has "its first exit" '"kind":"first-exit"'
has "its first byte" '"kind":"console","subject":"serial"'
[ "$(grep -c '"kind":"console"' run/events.jsonl)" = 1 ]
verdict $? "and no byte after that"
tail -n 1 run/events.jsonl | grep -qE '"kind":"exit","subject":"","value":3,"text":"guest exited with status 3"'
verdict $? "the last one is its exit, with status and reason"

# mov al, 1; mov dx, 0x505; out dx, al; jmp .
kernel guest.elf b0 01 66 ba 05 05 ee eb fe
run --serial null
has "a panic" '"kind":"panic"'
tail -n 1 run/events.jsonl | grep -qE '"kind":"exit".*"text":"guest kernel panicked"'
verdict $? "and the exit that follows"

# jmp .
kernel guest.elf eb fe
run --serial null --timeout 300ms
tail -n 1 run/events.jsonl | grep -qE '"kind":"exit","subject":"","value":124,"text":"the time limit passed"'
verdict $? "a time limit"

rm -rf run
"$vireo" run --kernel guest.elf --memory 16M --console off --serial null --timeout 60s --run-dir run \
	</dev/null >out 2>err &
pid=$!
pids=("$pid")
for ((i = 0; i < 100; i++)); do "$vireo" ctl ./run state >/dev/null 2>&1 && break; sleep 0.05; done
"$vireo" ctl ./run reset >/dev/null
"$vireo" ctl ./run pause >/dev/null
"$vireo" ctl ./run quit >/dev/null
wait $pid
pids=()
has "a reset of the system" '"kind":"reset"'
has "a pause" '"kind":"state".*"text":"paused"'
tail -n 1 run/events.jsonl | grep -q '"kind":"exit".*"ended through the control socket"'
verdict $? "and an end from outside"
echo "1..$n"
exit $failed
