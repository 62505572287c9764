#!/bin/bash
# docs/ci/slurm.sh on a real Slurm: a controller, two nodes and munge, all on this machine's loopback
# and below a temporary directory.  Speaks TAP.  Usage: slurm_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$top/tests/vmm/cli.sh"

none() {
	skip "an array job of Slurm" "$1"
	echo "1..$n"
	exit 0
}
for program in munged slurmctld slurmd sbatch sinfo; do
	PATH=$PATH:/usr/sbin command -v $program >/dev/null || none "$program is not installed"
done
[ "$(id -u)" -eq 0 ] || none "daemons of Slurm need root"
$has_kvm || none "/dev/kvm does not work here"
! "$vireo" test --list x.yaml 2>&1 | grep -q 'built without' || none "this Vireo has no 'vireo test'"
PATH=$dir/bin:$PATH:/usr/sbin

daemons=()
end_daemons() {
	local i
	# Nodes before the controller, munge at last.
	for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
		kill "${daemons[i]}" 2>/dev/null && wait "${daemons[i]}"
	done
	daemons=()
}
trap 'end_daemons; rm -rf "$dir"' EXIT
# start NAME COMMAND...: a daemon in the foreground, whose words are kept
start() {
	local name=$1
	shift
	"$@" </dev/null >"$name.out" 2>&1 &
	daemons+=($!)
}

# Three ports in a row that nobody listens at.
is_free() { ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for port in $(shuf -i 20000-32000 -n 50) 0; do
	! { is_free "$port" && is_free $((port + 1)) && is_free $((port + 2)); } || break
done

cat >slurm.conf <<CONF
ClusterName=vireo
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 RealMemory=1100
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 RealMemory=1100
PartitionName=test Nodes=node1,node2 Default=YES State=UP
CONF
mkdir state spool-node1 spool-node2
export SLURM_CONF=$dir/slurm.conf
(umask 077 && head -c 1024 /dev/urandom >munge.key)

start munged munged --foreground --key-file="$dir/munge.key" --socket="$dir/munge.sock" \
	--log-file="$dir/munged.log" --pid-file="$dir/munged.pid" --seed-file="$dir/munged.seed"
for _ in $(seq 50); do [ ! -S munge.sock ] || break; sleep 0.1; done
start slurmctld slurmctld -D -c -i -f slurm.conf
start node1 slurmd -D -N node1 -f slurm.conf
start node2 slurmd -D -N node2 -f slurm.conf

# Two idle nodes, or it does not work here.
for _ in $(seq 150); do
	idle=$(timeout 5 sinfo -h -t idle -o %D 2>/dev/null)
	[ "$idle" != 2 ] || break
	sleep 0.2
done
if [ "$idle" != 2 ]; then
	status=$idle
	cat ./*.out slurm*.log >out
	not_ok "Slurm has two nodes" 2
	echo "1..$n"
	exit 1
fi

# Eight guests that end with status 0, one of which should not.
kernel vmlinuz 31 c0 e7 f4 eb fe		# xor eax, eax; out 0xf4, eax
kernel broken b8 03 00 00 00 e7 f4 eb fe	# mov eax, 3; out 0xf4, eax
{
	echo 'defaults: { timeout: 60s }'
	echo 'tests:'
	for i in 1 2 3 4 5 6 7; do
		echo "  guest-$i: { vm: { boot: { kernel: vmlinuz } }, steps: [ wait: end ] }"
	done
	echo '  broken: { vm: { boot: { kernel: broken } }, steps: [ wait: end ] }'
} >tests.yaml

# submit LOG ARGUMENT...: a job of the script, to its end; sets id and status
submit() {
	status=0
	timeout 180 sbatch --parsable --wait "$@" >id 2>out || status=$?
	id=$(cat id)
}
cp "$top/docs/ci/slurm.sh" .

submit --array=1-2 slurm.sh tests.yaml
first=$id
cat boot-tests-"$first"_*.log >out
verdict $((status != 123)) "the array job ends with the status of its worst task"
grep -q 'on node1' out && grep -q 'on node2' out
verdict $? "each node has a task"
grep -q 'shard 1 of 2 (Slurm, SLURM_ARRAY_TASK_ID=1): 4 of 8 tests' out &&
	grep -q 'shard 2 of 2 (Slurm, SLURM_ARRAY_TASK_ID=2): 4 of 8 tests' out
verdict $? "each task says which share it has"

submit --array=1 slurm.sh --merge "boot-tests-$first"
cat boot-tests-"$id"_*.log >out
verdict $((status != 123)) "the merged results say that one failed"
python3 - "boot-tests-$first/merged/results.json" >out 2>&1 <<'PYTHON'
import json, sys
results = json.load(open(sys.argv[1]))
assert results["complete"], "complete"
found = sorted((test["name"], test["verdict"]) for test in results["tests"])
wanted = [("broken", "failed")] + [("guest-%d" % i, "passed") for i in range(1, 8)]
assert found == wanted, found
PYTHON
verdict $? "each test is in the merged results once"

# A task that is missing is not overlooked.
rm -r "boot-tests-$first/shard-2"
submit --array=1 slurm.sh --merge "boot-tests-$first"
cat boot-tests-"$id"_*.log >out
verdict $((status != 125)) "a task without results is not overlooked"

submit --array=1-2 slurm.sh tests.yaml --filter 'guest-*'
cat boot-tests-"$id"_*.log >out
verdict "$status" "tests that pass make the job succeed"

echo "1..$n"
exit $failed
