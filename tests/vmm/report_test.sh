#!/bin/bash
# What Vireo says of a guest that hangs, and of how long its start took.  Usage: report_test.sh VIREO
# shellcheck source=tests/vmm/cli.sh disable=SC2154
. "$(dirname "$0")/cli.sh" "$1"
run() { echo "$vireo run --console off --rng off $*"; }

# "Hello", an order for a terminal, and a loop with interrupts off.
kernel hang $(printf '%s' '66 ba f8 03'
	for c in 48 65 6c 6c 6f 1b 5b 32 4a 0a; do printf ' b0 %s ee' "$c"; done) \
	fa 90 eb fe
printf '%s\n' '0000000000100000 T _stext' '00000000001000c8 T hang_here' \
	'00000000001000ea T loop_here' '0000000000101000 T _etext' >map
printf '%s\n' 'not a map' >nomap

# shellcheck disable=SC2046
expect_kvm "time limit: reports the state" 124 '^vireo: state report \(time limit\)' \
	$(run --kernel hang --timeout 500ms --symbols map)
has() {
	if ! $has_kvm; then
		skip "$1" "/dev/kvm does not work here"
	elif grep -qE -e "$2" report; then
		ok "$1"
	else
		status=- not_ok "$1" "/$2/"
	fi
}
cp out report
has "registers, mode and interrupts" '^  vcpu0: running, 32-bit, CPL 0, interrupts off;'
has "the symbol of RIP" '^    RIP 00000000001000[0-9a-f]{2} .* loop_here\+0x[0-9a-f]+/'
has "the bytes at RIP" '^    code: .*fa 90 <eb> fe'
has "last words, without orders for a terminal" '^  \| Hello\\x1b\[2J$'
has "events of the start" '^ +[0-9.]+  phase: memory$'
has "the first exit" '^ +[0-9.]+  first-exit$'
has "threads" '^  vcpu0 +[0-9.]+$'

# shellcheck disable=SC2046
expect_kvm "quiet: only where it was" 124 '^vcpu0: RIP 0x1000' \
	$(run --kernel hang --timeout 500ms -q)
cp out report
if $has_kvm && grep -q 'state report' report; then status=- not_ok "-q: no report" -; else ok "-q: no report"; fi

# A guest without memory where its stack and its page tables should be.
kernel lost bc 00 00 00 f0 fa eb fe
# shellcheck disable=SC2046
expect_kvm "a stack outside of memory is no harm" 124 '^    code: .*<eb> fe' \
	$(run --kernel lost --timeout 300ms --symbols map)

# shellcheck disable=SC2046
expect "symbols that are none" 125 "read symbols from 'nomap'.*" $(run --kernel hang --symbols nomap)
# shellcheck disable=SC2046
expect "symbols that are missing" 127 "'nothing'" $(run --kernel hang --symbols nothing)

# Asked while it runs: the guest goes on, and can be asked again.
if $has_kvm; then
	# shellcheck disable=SC2046
	$(run --kernel hang --symbols map) </dev/null >out 2>&1 &
	pid=$!
	for _ in $(seq 100); do grep -q Hello out && break; sleep 0.05; done
	for times in 1 2; do
		kill -USR1 $pid
		for _ in $(seq 100); do
			[ "$(grep -c '^End of the state report' out)" -ge $times ] && break
			sleep 0.05
		done
	done
	kill $pid
	wait $pid
	status=$?
	if [ "$(grep -c '^vireo: state report (SIGUSR1)' out)" -eq 2 ] && [ $status -eq 143 ]; then
		ok "SIGUSR1 reports, and the guest goes on"
	else
		not_ok "SIGUSR1 reports, and the guest goes on" 143
	fi
else
	skip "SIGUSR1 reports, and the guest goes on" "/dev/kvm does not work here"
fi

# The boot timeline.
kernel ready 66 ba f8 03 $(for c in 76 69 72 65 6f 3a 20 72 65 61 64 79 0a; do printf 'b0 %s ee ' "$c"; done) \
	b8 00 00 00 00 66 ba f4 00 ef eb fe
# shellcheck disable=SC2046
expect_kvm "--timing prints the phases" 0 '^ +[0-9.]+ +[0-9.]+  exec$' \
	$(run --kernel ready --timing --trace trace.json)
cp out report
for phase in configuration files devices KVM memory 'interrupts and CPUs' buses kernel sandbox guest; do
	has "phase: $phase" "^ +[0-9.]+ +[0-9.]+  $phase\$"
done
for mark in 'first exit' 'first console byte' ready end; do
	has "moment: $mark" "^ +[0-9.]+  +$mark\$"
done
if ! $has_kvm; then
	skip "--trace writes Trace Event JSON" "/dev/kvm does not work here"
elif python3 - trace.json >out 2>&1 <<'PYTHON'
import json, sys
trace = json.load(open(sys.argv[1]))
events = trace["traceEvents"]
for e in events:
    assert e["ph"] in "XiM", e
    assert isinstance(e["ts"], (int, float)) and isinstance(e["pid"], int) and isinstance(e["tid"], int), e
    assert e["ph"] != "X" or e["dur"] >= 0, e
names = [e["name"] for e in events]
for name in ("exec", "memory", "kernel", "first exit", "ready", "end"):
    assert name in names, name
threads = [e["args"]["name"] for e in events if e["name"] == "thread_name"]
assert "boot" in threads and "vcpu0" in threads, threads
PYTHON
then
	ok "--trace writes Trace Event JSON"
else
	status=- not_ok "--trace writes Trace Event JSON" -
fi
# shellcheck disable=SC2046
expect "a trace that cannot be written" 127 "open 'no/trace' for the trace" \
	$(run --kernel ready --trace no/trace)

echo "1..$n"
exit $failed
