#!/bin/bash
# What Vireo says of a guest that hangs, and of how long its start took.  Usage: report_test.sh VIREO
# shellcheck source=tests/vmm/cli.sh disable=SC2154
. "$(dirname "$0")/cli.sh" "$1"
run() { echo "$vireo run --console off --rng off $*"; }

# "Hello", an order for a terminal, and a loop with interrupts off.
# shellcheck disable=SC2046
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
	# shellcheck disable=SC2046,SC2091
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

# "vireo: ready", and status 0.
# shellcheck disable=SC2046
kernel ready 66 ba f8 03 $(for c in 76 69 72 65 6f 3a 20 72 65 61 64 79 0a; do printf 'b0 %s ee ' "$c"; done) \
	b8 00 00 00 00 66 ba f4 00 ef eb fe

# Kept in the run directory: after a time limit, a panic, and when somebody asked by a signal.
# kept DIR TEXT NAME
kept() {
	if ! $has_kvm; then
		skip "$3" "/dev/kvm does not work here"
	elif grep -q "^vireo: state report ($2)" "$1/report.txt" && grep -q '^  vcpu0: ' "$1/report.txt"; then
		ok "$3"
	else
		status=- not_ok "$3" "$(cat "$1/report.txt" 2>&1)"
	fi
}
mkdir -m 700 run-hang run-panic
# shellcheck disable=SC2046
expect_kvm "a run directory and a time limit" 124 . $(run --kernel hang --timeout 300ms --run-dir run-hang)
kept run-hang 'time limit' "keeps the report of a guest that hangs"
kernel panics b0 01 66 ba 05 05 ee f4 eb fd
# shellcheck disable=SC2046
expect_kvm "a run directory and a panic" 120 'panicked' $(run --kernel panics --run-dir run-panic)
kept run-panic '.*panicked.*' "keeps that of one that panicked"

# 'vireo check' looks at the same files.
expect "check: symbols" 125 "nomap" "$vireo" check --kernel hang --symbols nomap
expect "check: where a core file cannot be" 127 "no/core" \
	"$vireo" check --kernel hang --on-panic dump --dump-to no/core

# A core file: panic by pvpanic, with something in memory that can be found again.
kernel panic c7 05 00 00 20 00 ef be ad de b0 01 66 ba 05 05 ee f4 eb fd
kernel triple 0f 0b
# shellcheck disable=SC2046
expect "dump: to where?" 125 "--on-panic: 'dump' needs a file" $(run --kernel panic --on-panic dump)
# shellcheck disable=SC2046
expect "dump: into a folder that is not there" 127 "open 'no/core'" \
	$(run --kernel panic --on-panic dump --dump-to no/core)
# shellcheck disable=SC2046
expect "dump: to no regular file" 125 "no regular file" \
	$(run --kernel panic --on-panic dump --dump-to /dev/null)
echo old >core
# shellcheck disable=SC2046
expect_kvm "dump: a good end leaves an older file alone" 0 "reset itself|status 0|powered off" \
	$(run --kernel ready --on-panic dump --dump-to core)
if $has_kvm && [ "$(cat core)" != old ]; then status=- not_ok "dump: the file is as it was" -; else ok "dump: the file is as it was"; fi
# shellcheck disable=SC2046
expect_kvm "dump: on a panic" 120 "guest's memory and CPUs are in 'core'" \
	$(run --kernel panic --cpus 2 --memory 64M --on-panic dump --dump-to core)
if ! $has_kvm; then
	skip "dump: an ELF core" "/dev/kvm does not work here"
elif readelf -hnl core >out 2>&1 && grep -q 'CORE (Core file)' out && ! grep -qi warning out &&
		[ "$(grep -c NT_PRSTATUS out)" -eq 2 ] && [ "$(stat -c %s core)" -gt 67108864 ] &&
		[ "$(stat -c %b core)" -lt 2048 ]; then
	ok "dump: an ELF core"
else
	status=- not_ok "dump: an ELF core" -
fi
if ! $has_kvm || ! command -v gdb >/dev/null; then
	skip "dump: gdb reads it" "no gdb, or no KVM"
elif gdb -nx -batch -ex 'info threads' -ex 'x/wx 0x200000' -ex "x/i \$pc" panic core >out 2>&1 &&
		grep -q 'Thread 2\|LWP 2\|process 2' out && grep -q '^0x200000:.*0xdeadbeef' out &&
		grep -qE '^=> 0x1000d[0-9a-c]:' out; then
	ok "dump: gdb reads it"
else
	status=- not_ok "dump: gdb reads it" -
fi
# shellcheck disable=SC2046
expect_kvm "dump: on a triple fault" 121 "guest's memory and CPUs are in 'core'" \
	$(run --kernel triple --on-crash dump --dump-to core)

# The boot timeline.
# shellcheck disable=SC2046
expect_kvm "--timing prints the phases" 0 '^ +[0-9.]+ +[0-9.]+  exec$' \
	$(run --kernel ready --timing --trace trace.json)
cp out report
for phase in configuration files devices KVM memory 'interrupts and CPUs' buses kernel sandbox guest; do
	has "phase: $phase" "^ +[0-9.]+ +[0-9.]+  $phase\$"
done
for mark in 'first exit' '(serial: |console: )?first console byte' ready end; do
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
if ! $has_kvm || ! grep -q traceEvents trace.json; then
	skip "timeline draws it" "no trace"
elif "$vireo" timeline trace.json >boot.svg 2>out && python3 - boot.svg >out 2>&1 <<'PYTHON'
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
ns = "{http://www.w3.org/2000/svg}"
assert root.tag == ns + "svg"
texts = [t for t in root.iter(ns + "text")]
words = [t.text for t in texts]
for name in ("exec", "configuration", "memory", "kernel", "guest", "first exit", "ready", "end"):
    assert name in words, name
# Texts of one line do not overlap, and all is inside of the picture.
width = float(root.get("width"))
lines = {}
for t in texts:
    size = 6.2 if t.get("class") == "s" else 7.5 if not t.get("class") else 10
    w = size * len(t.text)
    x = float(t.get("x")) - (w / 2 if t.get("text-anchor") == "middle" else 0)
    assert x >= 0 and x + w <= width, (t.text, x, w)
    lines.setdefault(t.get("y"), []).append((x, x + w, t.text))
for line in lines.values():
    line.sort()
    for a, b in zip(line, line[1:]):
        assert a[1] <= b[0], (a, b)
PYTHON
then
	ok "timeline draws it"
elif grep -q 'without libjansson' out; then
	skip "timeline draws it" "built without libjansson"
else
	status=- not_ok "timeline draws it" -
fi
expect "timeline of nothing" 125 "timeline of which trace" "$vireo" timeline
expect "timeline of no file" 127 "open 'none'" "$vireo" timeline none
expect "timeline of what is no trace" 125 "read the trace 'hang'|without libjansson" "$vireo" timeline hang
# shellcheck disable=SC2046
expect "a trace that cannot be written" 127 "open 'no/trace' for the trace" \
	$(run --kernel ready --trace no/trace)

echo "1..$n"
exit $failed
