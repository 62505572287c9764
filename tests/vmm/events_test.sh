#!/bin/bash
# What a run leaves in the event log, from its devices to its exit.  Speaks TAP.
# Usage: events_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
vireo=$(realpath "$1")
dir=$(mktemp -d)
cd "$dir" || exit 2
export XDG_RUNTIME_DIR=$dir
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$dir"' EXIT

n=0
failed=0
verdict() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		failed=1
		echo "not ok $n - $2"
		sed 's/^/    /' run/events.jsonl err 2>/dev/null | head -n 30
	fi
}
# has NAME PATTERN
has() { grep -qE -e "$2" run/events.jsonl; verdict $? "$1"; }

if ! : 2>/dev/null <>/dev/kvm; then
	echo "ok 1 - events # SKIP /dev/kvm does not work here"; echo 1..1; exit 0
fi
if "$vireo" ps 2>&1 | grep -q libjansson; then
	echo "ok 1 - events # SKIP built without libjansson"; echo 1..1; exit 0
fi

# guest CODE: an ELF file with a PVH entry and these bytes of 32-bit code
guest() {
	printf '%b' '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\xc8\0\x10\0\0\0\0\0' \
		'\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x02\0\0\0\0\0\0\0' \
		'\x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0\0\0\0\0' \
		'\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\x04\0\0\0\x04\0\0\0' \
		'\xb0\0\0\0\0\0\0\0\xb0\0\x10\0\0\0\0\0\xb0\0\x10\0\0\0\0\0\x18\0\0\0\0\0\0\0' \
		'\x18\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0' \
		'\xc8\0\x10\0\0\0\0\0' "$1" >guest.elf
	truncate -s 512 guest.elf
}
run() {
	rm -rf run
	timeout 60 "$vireo" run --kernel guest.elf --memory 16M --console off --run-dir run "$@" \
		</dev/null >out 2>err
}

# mov dx, 0x3f8; out dx, al; out dx, al; mov eax, 3; mov dx, 0xf4; out dx, eax; jmp .
guest '\x66\xba\xf8\x03\xee\xee\xb8\x03\0\0\0\x66\xba\xf4\0\xef\xeb\xfe'
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
guest '\xb0\x01\x66\xba\x05\x05\xee\xeb\xfe'
run --serial null
has "a panic" '"kind":"panic"'
tail -n 1 run/events.jsonl | grep -qE '"kind":"exit".*"text":"guest kernel panicked"'
verdict $? "and the exit that follows"

# jmp .
guest '\xeb\xfe'
run --serial null --timeout 300ms
tail -n 1 run/events.jsonl | grep -qE '"kind":"exit","subject":"","value":124,"text":"the time limit passed"'
verdict $? "a time limit"

rm -rf run
"$vireo" run --kernel guest.elf --memory 16M --console off --serial null --timeout 60s --run-dir run \
	</dev/null >out 2>err &
pid=$!
for ((i = 0; i < 100; i++)); do "$vireo" ctl ./run state >/dev/null 2>&1 && break; sleep 0.05; done
"$vireo" ctl ./run reset >/dev/null
"$vireo" ctl ./run pause >/dev/null
"$vireo" ctl ./run quit >/dev/null
wait $pid
pid=
has "a reset of the system" '"kind":"reset"'
has "a pause" '"kind":"state".*"text":"paused"'
tail -n 1 run/events.jsonl | grep -q '"kind":"exit".*"ended through the control socket"'
verdict $? "and an end from outside"
echo "1..$n"
exit $failed
