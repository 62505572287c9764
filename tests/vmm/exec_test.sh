#!/bin/bash
# 'vireo exec' as people meet it where no guest comes up: bad input, kernels that end, panic or hang, and
# what is left behind.  Speaks TAP.  Guests that do come up: tests/guest/exec_test.sh.
# Usage: exec_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

loop="eb fe"
set_reset="66 ba f9 0c b0 06 ee"
# shellcheck disable=SC2086  # words are bytes
{
	kernel exit7 b8 07 00 00 00 e7 f4 $loop
	kernel poweroff 66 ba 04 06 66 b8 00 34 66 ef $loop
	kernel reboot $set_reset $loop
	kernel panic 66 ba 05 05 b0 01 ee $loop
	kernel crash 0f 0b
	kernel spin $loop
	kernel hello 66 ba f8 03 b0 48 ee b0 1b ee b0 69 ee $loop	# "H", escape, "i" to COM1
}
mkdir tmp
export TMPDIR=$dir/tmp

expect "exec explains itself" 0 '^Usage: vireo exec ' "$vireo" exec --help
expect "and by help" 0 '^  --rw DIR ' "$vireo" help exec
expect "a command without dashes is told where it goes" 125 "goes behind '--': vireo exec ... -- true" "$vireo" exec true
expect "an unknown option is corrected" 125 "did you mean '--memory'" "$vireo" exec --memroy 1G -- true
expect "a wrong value of the machine's is told" 125 "--cpus: 'many'" "$vireo" exec --cpus many -- true
timeout 10 "$vireo" exec --cpus many --cwd x --env = --memory little -- true >out 2>&1
status=$?
if [ $status -eq 125 ] && [ "$(grep -c '^vireo: ' out)" -eq 4 ]; then
	ok "all mistakes are told at once"
else
	not_ok "all mistakes are told at once" "125 and 4 lines"
fi
expect "what only run does is refused" 125 "are for 'vireo run'" "$vireo" exec --print --kernel exit7 -- true
expect "a missing kernel is 127" 127 "'gone'" "$vireo" exec --kernel gone -- true
expect "a missing directory is 127" 127 "'gone'" "$vireo" exec --rw gone --kernel exit7 -- true
expect "a missing VM file is 127" 127 "'gone.yaml'" "$vireo" exec --vm gone.yaml -- true
expect "the whole root is not given away" 125 'everything on this host' "$vireo" exec --rw / -- true
expect "a text is no kernel" 125 "not|no " "$vireo" exec --kernel /etc/passwd -- true
expect "modules that are none are told" 127 'no modules' "$vireo" exec --kernel exit7 --modules tmp -- true
if ! ls /boot/vmlinuz-* >/dev/null 2>&1; then
	expect "a host without a kernel is told what to do" 127 'hint: .*--kernel' "$vireo" exec -- true
fi
expect "a host without KVM is 126" 126 '/nonexistent' \
	"$vireo" exec --root none --set vm.kvm=/nonexistent --kernel exit7 -- true

none="--root none --kernel"
# shellcheck disable=SC2086  # options and their values
{
	expect_kvm "a guest that ends with a status passes it on" 7 '.' "$vireo" exec $none exit7 -- true
	expect_kvm "one that powers off too early is a failure" 122 'ended before the command' "$vireo" exec $none poweroff -- true
	expect_kvm "a reset is a failure" 122 'reset' "$vireo" exec $none reboot -- true
	expect_kvm "a panic is 120" 120 'panic' "$vireo" exec $none panic -- true
	expect_kvm "a crash is 121" 121 '.' "$vireo" exec $none crash -- true
	expect_kvm "a guest that never comes is 124, with a report" 124 'not ready within 0.5 s' \
		"$vireo" exec --boot-timeout 500ms $none spin -- true
	if $has_kvm && ! grep -q 'cpu 0\|vcpu0\|CPU' out; then not_ok "the report is shown"; else ok "the report is shown"; fi
	expect_kvm "the machine's own time limit is 124" 124 'time limit' \
		"$vireo" exec --timeout 500ms $none spin -- true
	expect_kvm "what the guest said is shown, and cannot steer the terminal" 124 '^  \| H\?i$' \
		"$vireo" exec --boot-timeout 500ms $none hello --serial stdio -- true
	expect_kvm "-v shows it while it runs" 124 '^H\?i' "$vireo" exec -v --boot-timeout 500ms $none hello -- true
}

# A signal before the command runs ends the guest, and the process as that signal does.
if $has_kvm; then
	"$vireo" exec --root none --kernel spin -- true >out 2>&1 &
	pid=$!
	pids+=("$pid")
	for _ in $(seq 100); do
		pgrep -P $pid >/dev/null && break
		sleep 0.1
	done
	child=$(pgrep -P $pid)
	kill -TERM $pid
	wait $pid
	status=$?
	[ $status -eq 143 ] && ! kill -0 "$child" 2>/dev/null
	verdict $? "a signal ends the guest, too"
	"$vireo" exec --root none --kernel spin -- true >out 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		pgrep -P $pid >/dev/null && break
		sleep 0.1
	done
	child=$(pgrep -P $pid)
	kill -KILL $pid
	wait $pid 2>/dev/null
	for _ in $(seq 50); do
		kill -0 "$child" 2>/dev/null || break
		sleep 0.1
	done
	! kill -0 "$child" 2>/dev/null
	verdict $? "so does the sudden death of exec"
	rm -rf tmp/vireo-exec-*
else
	skip "a signal ends the guest, too" "/dev/kvm does not work here"
	skip "so does the sudden death of exec" "likewise"
fi
[ -z "$(ls tmp)" ]
verdict $? "nothing is left behind"

# shellcheck disable=SC2086
expect_kvm "--keep leaves its files" 7 '.' "$vireo" exec --keep kept $none exit7 -- true
if $has_kvm; then
	[ -s kept/vm.json ] && [ -s kept/initrd ]
	verdict $? "a machine that can be run again"
	expect "by vireo run" 7 '.' "$vireo" run kept/vm.json
fi

echo "1..$n"
exit $failed
