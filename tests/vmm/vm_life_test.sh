#!/bin/bash
# A VM from a file, from its start to its end: run directory, configuration, exit status.
# Speaks TAP.  Usage: vm_life_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

kernel endless f3 90 eb fc			# pause; jmp
kernel crash 0f 0b				# ud2, without a table of interrupts
kernel exit7 b8 07 00 00 00 e7 f4 eb fe		# mov $7, %eax; out %eax, $0xf4
export XDG_RUNTIME_DIR=$dir/run
mkdir -m 700 run
rd=run/vireo/web
cat >web.yaml <<-'END'
	vm: { memory: 16M, timeout: "${LIMIT:-60s}" }
	boot: { kernel: "${KERNEL:-endless}" }
	console: { to: null }
END
if ! $has_kvm || "$vireo" check web.yaml 2>&1 | grep -q 'built without' ||
	"$vireo" ps 2>&1 | grep -q 'built without'; then
	skip "a VM from a file" "no KVM, no libyaml or no control socket"
	echo "1..$n"
	exit 0
fi

# start: in the background; returns when it answers
start() {
	"$vireo" run -q web.yaml </dev/null >said 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		! "$vireo" ctl web state >/dev/null 2>&1 || return 0
		sleep 0.1
	done
}
# ended NAME STATUS
ended() {
	wait $pid
	status=$?
	cp said out
	if [ $status -eq "$2" ]; then ok "$1"; else not_ok "$1" "$2"; fi
}

# there NAME FILE, gone NAME FILE
there() { if [ -e "$2" ]; then ok "$1"; else status=none; ls -lR run >out; not_ok "$1" "$2"; fi; }
gone() { if [ ! -e "$2" ]; then ok "$1"; else status=none; ls -lR run >out; not_ok "$1" "no $2"; fi; }

start
expect "its name is that of the file" 0 '^web ' "$vireo" ps
for file in control config.json console.log events.jsonl; do
	there "the run directory has $file" $rd/$file
done
expect "nobody else may look into it" 0 '^700$' stat -c %a $rd
cp $rd/config.json again.json
expect "a second one of that name is refused" 125 'process .* has it' "$vireo" run web.yaml
kill $pid
ended "SIGTERM ends it with 143" 143
gone "and the run directory is gone" $rd
expect "its configuration can be run again" 124 'time limit' "$vireo" run again.json --timeout 300ms

LIMIT=300ms expect "the time limit is 124" 124 'time limit of 0.3 s' "$vireo" run web.yaml
there "after a failure the logs stay" $rd/events.jsonl
gone "but no socket" $rd/control
KERNEL=exit7 expect "the guest's status is passed on" 7 'status 7' "$vireo" run web.yaml
gone "and what stayed is gone" $rd
KERNEL=gone expect "a kernel that is not there is 127" 127 "open kernel '.*gone'" "$vireo" run web.yaml
start
"$vireo" ctl web quit >/dev/null 2>&1
ended "the socket ends it, too" 143

expect_kvm "a crash is a crash" 121 'triple fault' "$vireo" run --kernel crash --report-to report.txt
if $has_kvm; then
	cp report.txt out
	verdict "$(grep -q 'state report (guest crashed' out && grep -q 'RIP ' out; echo $?)" \
		"and its state is in the file of --report-to"
	echo old >report.txt
	"$vireo" run --kernel exit7 --report-to report.txt >out 2>&1
	verdict "$([ ! -s report.txt ]; echo $?)" "where an end in order leaves none"
fi
expect "a report that cannot be written is told before" 127 'nowhere/r.txt' \
	"$vireo" run --kernel exit7 --report-to nowhere/r.txt

echo "1..$n"
exit $failed
