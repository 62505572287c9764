#!/bin/bash
# The control socket, 'vireo ctl' and 'vireo ps' with a guest that runs.  Speaks TAP.
# Usage: control_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$here/cli.sh"
export XDG_RUNTIME_DIR=$dir

if ! $has_kvm; then
	skip "the control socket" "/dev/kvm does not work here"
	echo "1..$n"
	exit 0
fi
if "$vireo" ps 2>&1 | grep -q libjansson; then
	skip "the control socket" "built without libjansson"
	echo "1..$n"
	exit 0
fi

# It says "begin", and then "tick" again and again, to COM1.
code=(
	66 ba f8 03		# mov dx, 0x3f8
	be e8 00 10 00		# mov esi, begin
	ac 84 c0 74 03 ee eb f8	# next: lodsb; test al, al; jz wait; out dx, al; jmp next
	b9 a0 86 01 00		# wait: mov ecx, 100000
	49 75 fd		# dec ecx; jnz
	be ef 00 10 00 eb e9	# mov esi, tick; jmp next
	62 65 67 69 6e 0a 00	# begin: "begin\n"
	74 69 63 6b 0a 00	# tick: "tick\n"
)
kernel ticks "${code[@]}"

pid=
# start OPTION... : a VM in the background, up to its first words
start() {
	"$vireo" run --kernel ticks --memory 16M --console null --serial null --timeout 300s "$@" \
		</dev/null >vm.out 2>vm.err &
	pid=$!
	pids+=("$pid")
	local i
	for ((i = 0; i < 200; i++)); do
		[ -z "$(ls "$dir"/vireo/*/control "$dir"/run/control 2>/dev/null)" ] ||
			! "$vireo" ctl "${vm:-web}" console 1 2>/dev/null | grep -q tick || return 0
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.05
	done
}
# ended: wait for it; its exit status
ended() { wait $pid; }
printf '#!/bin/sh\nexec "%s" ctl web "$@"\n' "$vireo" >ctl
chmod +x ctl
PATH=$dir:$PATH
# How long the guest has run, in nanoseconds: a console that is fast is full soon
ran() { ctl threads | sed -n 's/^vcpu0 .* //p'; }

# --- A VM with a name and without ------------------------------------------------------------------

"$vireo" run --kernel ticks --memory 16M --serial null --console null --timeout 200ms 2>vm.err
[ ! -e "$dir/vireo" ]
verdict $? "without a name there is no run directory"
expect "ps says that there is none" 0 "no VM with a name" "$vireo" ps
expect "ctl says that there is none" 125 "no VM with a name runs" "$vireo" ctl web state
expect "a name is judged" 125 "a/b.*letters" "$vireo" run --kernel ticks --name a/b

start --name web --balloon reporting
expect "its state is told" 0 '^running$' ctl state
expect "report: what its CPU is at" 0 '^  vcpu0: running, 32-bit|did not come out' ctl report
expect "likewise as JSON" 0 '"rip": "0x100[0-9a-f]{3}"|"state": "inside"' "$vireo" ctl --json web report
expect "ps lists it" 0 "^web +$pid +running .* 1 null" "$vireo" ps
expect "ps --json, too" 0 '"pid": '"$pid" "$vireo" ps --json
[ "$(stat -c %a vireo vireo/web vireo/web/control | tr '\n' ' ')" = "700 700 600 " ]
verdict $? "directory and socket are the user's alone"
grep -q '"schema_version"' vireo/web/config.json && "$vireo" config --json --all vireo/web/config.json >out 2>err &&
	cmp out vireo/web/config.json >err
verdict $? "the run directory has the effective configuration"
expect "a second one of that name is refused" 125 "process $pid has it" \
	"$vireo" run --kernel ticks --name web
expect "and the first has noticed nothing" 0 '^running$' ctl state
expect "a near name is told" 125 "did you mean 'web'" "$vireo" ctl wbe state
expect "an unknown command is told" 125 "did you mean 'state'" ctl stat
expect "an argument too much is told" 125 "does not take 'x'" ctl state x
expect "a missing one is told" 125 "needs 'DEVICE'" ctl queues
expect "one that is too long is told" 125 "this is too long" ctl explain "$(printf '%0600d' 0)"
expect "what the VM refuses is status 1" 1 "there is no device 'disk9'" ctl queues disk9
expect "devices are listed" 0 '^rng .* entropy source ' ctl devices
expect "and explained" 0 'VIRTIO_F_VERSION_1|VERSION_1' ctl explain rng
expect "so are queues" 0 '^0 +[0-9]+ +[0-9]+ +no ' ctl queues rng
expect "the socket's path does as well" 0 '^running$' "$vireo" ctl vireo/web/control state
expect "and the directory's" 0 '^running$' "$vireo" ctl ./vireo/web state
expect "any resource can be had" 0 '^openapi: 3' ctl get /v1/openapi
expect "metrics are text" 0 '^vireo_vm_state\{state="running"\} 1' ctl metrics
expect "the balloon is asked for memory" 0 '^size: 1048576$' ctl balloon 1M
expect "but not for all of it" 1 'guest for 16M' ctl balloon 16M
expect "the power button is pressed" 0 '^running$' ctl power

# --- Pause, console, events ------------------------------------------------------------------------

a=$(ran)
sleep 0.5
b=$(ran)
[ "$b" -gt "$a" ]
verdict $? "the guest runs ($a, $b)"
expect "it is paused" 0 '^paused$' ctl pause
a=$(ran)
sleep 0.5
b=$(ran)
[ "$a" -eq "$b" ] && [ "$a" -gt 0 ]
verdict $? "then it stands still ($a, $b)"
expect "being paused again is fine" 0 '^paused$' ctl pause
expect "it goes on" 0 '^running$' ctl resume
sleep 0.5
[ "$(ran)" -gt "$b" ]
verdict $? "and runs again"
timeout 2 "$vireo" ctl web console -f 1 >out 2>err
[ "$(grep -c tick out)" -gt 2 ]
verdict $? "its console can be followed"
timeout 2 "$vireo" ctl web events -f >out 2>err &
follower=$!
sleep 0.5
ctl pause >/dev/null && ctl resume >/dev/null
wait $follower
[ "$(grep -c '"kind":"state"' out)" -ge 4 ]
verdict $? "its events, too"
sleep 0.2
cmp -s <(head -n 4 out) <(head -n 4 vireo/web/events.jsonl)
verdict $? "they are in the run directory as well"
grep -q tick vireo/web/console.log
verdict $? "so is what it said"
expect "a reset is carried out" 0 '^(running|ended)$' ctl reset
sleep 0.5
[ "$(cat vireo/web/console.log.1 vireo/web/console.log | grep -c begin)" -eq 2 ]
verdict $? "and the guest begins again"
ctl pause >/dev/null && ctl reset >/dev/null
sleep 0.3
expect "a reset does not end a pause" 0 '^paused$' ctl state
ctl resume >/dev/null

# --- Bad clients ------------------------------------------------------------------------------------

peer() {
	local name=$1 command=$2
	shift 2
	if ! command -v python3 >/dev/null; then
		skip "$name" "python3 is not installed"
	elif [ "$command" = openapi ] && ! python3 -c 'import yaml, jsonschema' 2>/dev/null; then
		skip "$name" "python3-yaml or python3-jsonschema is not installed"
	else
		timeout 120 python3 "$here/control_peer.py" "$dir/vireo/web/control" "$command" "$@" >out 2>err
		verdict $? "$name"
		[ ! -s out ] || sed 's/^/# /' out
	fi
}
peer "each answer is as docs/openapi.yaml says" openapi rng balloon console
peer "answers come soon while the guest is busy" latency 300 50
peer "bodies of 10 MB and many levels are refused" large
peer "half requests hurt nobody" half
peer "1000 silent connections keep nobody out" many
peer "who never reads events loses them" never
peer "who never reads at all is dropped" dropped
expect "the VM is as it was" 0 '^running$' ctl state
ctl memory >out
own=$(sed -n 's/^own: //p' out)
case $(nm -D "$vireo" 2>/dev/null) in
*__asan*) skip "Vireo itself takes 5 MiB at most" "a sanitizer takes more" ;;
*)
	[ "$own" -gt 0 ] && [ "$own" -le $((5 << 20)) ]
	verdict $? "Vireo itself takes 5 MiB at most ($own bytes)"
	;;
esac
if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null || [ ! -x /usr/bin/python3 ]; then
	skip "another user is kept out" "that takes root, setpriv and python3"
	skip "another user is refused where the mode lets him in" "likewise"
else
	cp "$here/control_peer.py" .
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env PATH=/usr/bin:/bin)
	expect "another user is kept out" 1 PermissionError "${nobody[@]}" python3 control_peer.py \
		"$dir/vireo/web/control" alive
	chmod 755 vireo vireo/web && chmod 666 vireo/web/control
	expect "another user is refused where the mode lets him in" 0 '^refused$' "${nobody[@]}" python3 control_peer.py \
		"$dir/vireo/web/control" refused
	chmod 700 vireo vireo/web
fi

# --- The end -----------------------------------------------------------------------------------------

expect "it is told to end" 0 running ctl quit
ended
status=$?
[ $status -eq 143 ] && grep -q "ended through the control socket" vm.err && [ ! -e vireo/web ]
verdict $? "then the run directory goes ($status)"

start --name web
ctl nmi >out 2>err
ended
status=$?
[ $status -eq 121 ] && grep -q "logs of this run are in '$dir/vireo/web'" vm.err && grep -q tick vireo/web/console.log &&
	[ ! -e vireo/web/control ]
verdict $? "after a crash the logs stay ($status)"

start --name web
kill -KILL $pid
wait $pid 2>/dev/null
[ -S vireo/web/control ]
verdict $? "who is killed leaves all of it"
expect "ctl says that it does not run" 125 "no VM with a name runs" ctl state
expect "ps cleans up behind it" 0 "cleaned up behind 'web'" "$vireo" ps
[ ! -e vireo/web/control ] && [ -e vireo/web/console.log ]
verdict $? "but for the logs"

cp ticks kernel
printf 'boot: { kernel: kernel }\n' >web.yaml
"$vireo" run web.yaml --memory 16M --console null --serial null --timeout 800ms </dev/null 2>vm.err &
pid=$!
pids+=("$pid")
sleep 0.3
expect "a VM of a file is called as the file" 0 '^paused$' ctl pause
sleep 1.5
expect "its time limit stands still while it is paused" 0 '^paused$' ctl state
ctl resume >out
ended
[ $? -eq 124 ]
verdict $? "and goes on with it"

mkdir run open
chmod 777 open
ln -s run link
vm=$dir/run start --run-dir run
expect "a run directory can be named" 0 '^running$' "$vireo" ctl run/ state
expect "ctl takes its path" 0 '^run_dir: run$' "$vireo" ctl ./run info
kill $pid
ended
[ -d run ] && [ ! -e run/control ] && grep -q tick run/console.log
verdict $? "it stays, with the logs"
expect "a link is none" 125 "symbolic link" "$vireo" run --kernel ticks --run-dir link
expect "nor is what others may write to" 125 "others may write" "$vireo" run --kernel ticks --run-dir open

echo "1..$n"
exit $failed
