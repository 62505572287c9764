#!/bin/bash
# Vireo as a service: what it tells a service manager and when, and its unit file.  Speaks TAP.
# Usage: service_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$top/tests/vmm/cli.sh"

kernel exit3 b8 03 00 00 00 e7 f4 eb fe		# mov $3, %eax; out %eax, $0xf4
kernel spin eb fe

# --- What it tells ------------------------------------------------------------------------------
# manager: one that writes down what it is told, in 'told'
manager() {
	rm -f socket
	: >told
	socat -u UNIX-RECV:socket - >told 2>/dev/null &
	manager=$!
	for _ in $(seq 100); do
		[ ! -S socket ] || break
		sleep 0.1
	done
	export NOTIFY_SOCKET=$dir/socket
}
# dismiss: when it has heard a line that matches
dismiss() {
	heard "$1"
	kill $manager
	wait $manager 2>/dev/null
	unset NOTIFY_SOCKET
}
heard() {
	for _ in $(seq 100); do
		! grep -qE "$1" told || return 0
		sleep 0.1
	done
	return 1
}
# told NAME LINE...: these lines and no others
told() {
	local name=$1
	shift
	if printf '%s\n' "$@" | diff - told >out; then ok "$name"; else not_ok "$name" "other lines"; fi
}

if ! $has_kvm || ! command -v socat >/dev/null; then
	skip "a service manager is told" "/dev/kvm does not work here, or there is no socat"
else
	manager
	timeout 60 "$vireo" run -q --kernel exit3 --memory 16M </dev/null >out 2>&1
	status=$?
	dismiss 'STATUS=.*3'
	told "ready, then stopping, and how it ended" "READY=1" "STATUS=the guest runs" "STOPPING=1" \
		"STATUS=ending" "STATUS=guest exited with status 3"

	manager
	timeout 60 "$vireo" run -q --kernel gone </dev/null >out 2>&1
	status=$?
	dismiss 'STATUS=.*127'
	told "never ready if it cannot start" "STOPPING=1" "STATUS=ending" "STATUS=ended with status 127"

	# While the guest runs; no sooner than there is a vCPU that does.
	manager
	"$vireo" run -q --kernel spin --memory 16M </dev/null >out 2>&1 &
	pid=$!
	heard READY=1
	status=$?
	name="ready while the guest runs"
	if [ $status -eq 0 ] && grep -qx vcpu0 /proc/$pid/task/*/comm; then ok "$name"; else not_ok "$name" 0; fi
	kill $pid
	wait $pid
	status=$?
	dismiss 'STATUS=.*143'
	told "a signal is an end, too" "READY=1" "STATUS=the guest runs" "STOPPING=1" "STATUS=ending" \
		"STATUS=ended with status 143"

	NOTIFY_SOCKET=$dir/gone expect "a manager that is not there is no reason not to run" 3 \
		"warning: tell a service manager at '$dir/gone': .*ENOENT" \
		"$vireo" run --kernel exit3 --memory 16M
fi

# --- The unit file ------------------------------------------------------------------------------
# Its command lines, as systemd would run them.
unit_lines() { # KEY
	sed -n "s,^$1=-\{0\,1\},,p" "$top/systemd/vireo@.service" |
		sed -e "s,@bindir@,$dir/bin,g" -e "s,%t,$dir/run,g" -e "s,%E,$dir/etc,g" -e 's,%i,web,g'
}
# A guest that ends with 0 when its power button is pressed.
#	poll:	mov $0x600, %dx; in (%dx), %ax; test $1, %ah; jz poll; xor %eax, %eax; out %eax, $0xf4
kernel button 66 ba 00 06 66 ed f6 c4 01 74 f5 31 c0 e7 f4
mkdir -p run/vireo etc/vireo
cat >etc/vireo/web.yaml <<-END
	vm: { memory: 16M }
	boot: { kernel: $dir/button }
END
if ! $has_kvm || ! command -v socat >/dev/null || "$vireo" check etc/vireo/web.yaml 2>&1 | grep -q 'built without' ||
	"$vireo" ps 2>&1 | grep -q 'built without'; then
	skip "its commands start a VM and end it in order" "no KVM, no socat, no libyaml or no control socket"
else
	manager
	bash -c "exec $(unit_lines ExecStart)" </dev/null >out 2>&1 &
	pid=$!
	heard READY=1
	unit_lines ExecStop >stop
	# The second finds nobody if the guest was quick; systemd is told not to mind.
	timeout 60 bash stop </dev/null >stopped 2>&1
	wait $pid
	status=$?
	dismiss 'status 0'
	cat stopped told >>out
	name="its commands start a VM and end it in order"
	if [ $status -eq 0 ] && grep -qx 'STATUS=guest exited with status 0' told; then
		ok "$name"
	else
		not_ok "$name" 0
	fi
fi
if ! command -v systemd-analyze >/dev/null; then
	skip "the unit file is right" "no systemd-analyze"
	skip "its sandbox is tight" "likewise"
else
	sed "s,@bindir@,$dir/bin,g" "$top/systemd/vireo@.service" >vireo@.service
	cp vireo@.service vireo@web.service
	systemd-analyze verify --man=no "$dir/vireo@web.service" >out 2>&1
	status=$?
	name="the unit file is right"
	if [ $status -eq 0 ] && ! grep -q vireo@ out; then ok "$name"; else not_ok "$name" 0; fi
	# 0 is a service that can do nothing, 10 one that may do all.
	systemd-analyze security --offline=yes --no-pager --threshold=25 "$dir/vireo@web.service" >out 2>&1
	status=$?
	if [ $status -eq 0 ]; then ok "its sandbox is tight"; else not_ok "its sandbox is tight" 0; fi
fi

echo "1..$n"
exit $failed
