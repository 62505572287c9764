#!/bin/bash
# The files in docs/ci are what they say: they can be parsed, and the commands of 'vireo' in them are
# run as those systems would run them.  Speaks TAP.  Usage: ci_files_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$top/tests/vmm/cli.sh"
PATH=$dir/bin:$PATH
export XDG_CACHE_HOME=$dir/cache
unset "${!SLURM_@}" "${!CI_@}" "${!JOB_COMPLETION@}" CI

kernel vmlinuz 31 c0 e7 f4 eb fe		# xor eax, eax; out 0xf4, eax
mkdir -p tests/boot results
for i in 1 2 3 4 5; do
	echo "  guest-$i: { vm: { boot: { kernel: ../../vmlinuz } }, steps: [ wait: end ], timeout: 60s }"
done | sed '1itests:' >tests/boot/five.yaml
"$vireo" test --list tests/boot >out 2>&1 || status=$?
if grep -q 'built without' out; then
	skip "files for CI systems" "this Vireo has no 'vireo test'"
	echo "1..$n"
	exit 0
fi

# commands FILE EXPRESSION: the lines of shell that a Python expression finds in a YAML file 'y'
commands() {
	python3 - "$top/docs/ci/$1" "$2" <<'PYTHON'
import sys, yaml
y = yaml.safe_load(open(sys.argv[1]))
for line in eval(sys.argv[2]):
    print(line)
PYTHON
}

# in_shares NAME COUNT: the results in shard-* are of five tests that passed, each once
in_shares() {
	status=0
	python3 - "$2" >out 2>&1 <<'PYTHON' || status=$?
import glob, json, sys
found = [test for name in glob.glob("**/shard-*/results.json", recursive=True)
         for test in json.load(open(name))["tests"]]
assert sorted(t["name"] for t in found) == ["guest-%d" % i for i in range(1, 6)], found
assert all(t["verdict"] == "passed" for t in found), found
assert len(glob.glob("**/shard-*/results.json", recursive=True)) == int(sys.argv[1])
PYTHON
	if [ $status -eq 0 ]; then ok "$1"; else not_ok "$1" 0; fi
}
merged() {
	python3 -c 'import json; r = json.load(open("merged/results.json")); assert r["complete"] and len(r["tests"]) == 5' >out 2>&1
	verdict $? "$1"
	rm -rf merged shard-* results/*
}

# shell NAME COMMAND [VARIABLE=VALUE...]: run it as a job would
shell() {
	local name=$1 command=$2
	shift 2
	status=0
	timeout 120 env "$@" bash -ec "$command" </dev/null >out 2>&1 || status=$?
	if [ $status -eq 0 ]; then ok "$name"; else not_ok "$name: $command" 0; fi
}

have_yaml=true
python3 -c 'import yaml' 2>/dev/null || have_yaml=false
for file in kubernetes.yaml gitlab-ci.yml github-workflow.yml; do
	if ! $have_yaml; then
		skip "$file is YAML" "python3-yaml is not installed"
		continue
	fi
	commands "$file" 'y.keys()' >out 2>&1
	verdict $? "$file is YAML"
done
bash -n "$top/docs/ci/slurm.sh" >out 2>&1 && [ -x "$top/docs/ci/slurm.sh" ]
verdict $? "slurm.sh is a script"

if ! $has_kvm || ! $have_yaml; then
	skip "the commands of these files" "/dev/kvm or python3-yaml is missing"
	echo "1..$n"
	exit $failed
fi

# GitLab: four jobs, which know their number.
script=$(commands gitlab-ci.yml 'y["boot-tests"]["script"]' | grep -v doctor)
total=$(commands gitlab-ci.yml '[y["boot-tests"]["parallel"]]')
for i in $(seq "$total"); do shell "GitLab: job $i" "$script" CI_NODE_INDEX="$i" CI_NODE_TOTAL="$total"; done
in_shares "GitLab: each test ran once" "$total"
[ -s "$(echo shard-1/junit.xml)" ]
verdict $? "GitLab: the JUnit report is where it is looked for"
shell "GitLab: report" "$(commands gitlab-ci.yml 'y["boot-tests-report"]["script"]')"
merged "GitLab: one set of results"

# Kubernetes: pods, in whose command the path of the volume is that of a directory here.
job='y["spec"]["template"]["spec"]["containers"][0]'
script=$(commands kubernetes.yaml "[${job}['command'][-1]]" | sed "s, /results/, $dir/results/,g")
total=$(commands kubernetes.yaml "[e['value'] for e in ${job}['env'] if e['name'] == 'JOB_COMPLETIONS']")
status=0
[ "$total" = "$(commands kubernetes.yaml '[y["spec"]["completions"]]')" ]
verdict $? "Kubernetes: pods are told the right number"
for i in $(seq 0 $((total - 1))); do
	shell "Kubernetes: pod $i" "$script" JOB_COMPLETION_INDEX="$i" JOB_COMPLETIONS="$total"
done
in_shares "Kubernetes: each test ran once" "$total"
script=$(sed -n 's/^# *\(vireo test --merge.*\)/\1/p' "$top/docs/ci/kubernetes.yaml")
shell "Kubernetes: report" "$script"
merged "Kubernetes: one set of results"

# GitHub: a matrix whose values are put into the command.
steps='y["jobs"]["boot-tests"]["steps"]'
for i in $(commands github-workflow.yml 'y["jobs"]["boot-tests"]["strategy"]["matrix"]["shard"]'); do
	script=$(commands github-workflow.yml "[s['run'] for s in $steps if s.get('name') == 'Test']" |
		sed "s/\${{ matrix.shard }}/$i/g")
	shell "GitHub: shard $i" "$script"
done
in_shares "GitHub: each test ran once" "$i"
shell "GitHub: report" "$(commands github-workflow.yml \
	'[s["run"] for s in y["jobs"]["report"]["steps"] if s.get("name") == "Merge"]')"
merged "GitHub: one set of results"
commands github-workflow.yml "[s['run'] for s in $steps if 'KVM' in s.get('name', '')]" >kvm.sh
grep -qF 'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"' kvm.sh && bash -n kvm.sh
verdict $? "GitHub: everybody may use /dev/kvm"

# Slurm, without one (slurm_test.sh has a real one).
for i in 1 2 3; do
	shell "Slurm: task $i" "$top/docs/ci/slurm.sh tests/boot" SLURM_ARRAY_JOB_ID=7 \
		SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=3 SLURMD_NODENAME=here
done
in_shares "Slurm: each test ran once" 3
shell "Slurm: report" "$top/docs/ci/slurm.sh --merge boot-tests-7" \
	SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=1
[ -s boot-tests-7/merged/report.html ]
verdict $? "Slurm: one set of results"

echo "1..$n"
exit $failed
