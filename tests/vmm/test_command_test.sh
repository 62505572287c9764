#!/bin/bash
# "vireo test": which tests run, how many at a time, how often, and what it says of them.  Speaks TAP.
# Usage: test_command_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

echo 'tests: { a: { vm: { boot: { kernel: k } }, steps: [ wait: end ] } }' >probe.yaml
if "$vireo" test --list probe.yaml 2>&1 | grep -q 'built without'; then
	skip "vireo test" "this Vireo has none"
	echo "1..$n"
	exit 0
fi
export XDG_CACHE_HOME=$dir/cache
unset "${!SLURM_@}" "${!CI_@}" "${!JOB_COMPLETION@}" CI

kernel good 31 c0 e7 f4 eb fe			# xor eax, eax; out 0xf4, eax
kernel bad b8 03 00 00 00 e7 f4 eb fe		# mov eax, 3; out 0xf4, eax
kernel endless f3 90 eb fc			# pause; jmp
# rdtsc; shr eax, 12; and eax, 1; out 0xf4, eax
kernel chance 0f 31 c1 e8 0c 83 e0 01 e7 f4 eb fe

cat >good.yaml <<'YAML'
defaults: { timeout: 60s }
tests:
  one: { vm: { boot: { kernel: good } }, steps: [ wait: end ], tags: [quick, odd] }
  two: { vm: { boot: { kernel: good } }, steps: [ wait: end ], tags: [quick] }
  three:
    vm: { boot: { kernel: good } }
    matrix: { vm.cpus: [1, 2], vm.transport: [pci, mmio] }
    steps: [ wait: end ]
YAML
cat >bad.yaml <<'YAML'
defaults: { timeout: 60s }
tests:
  good: { vm: { boot: { kernel: good } }, steps: [ wait: end ] }
  bad: { vm: { boot: { kernel: bad } }, steps: [ wait: end ] }
YAML
cat >slow.yaml <<'YAML'
tests:
  slow-1: { vm: { boot: { kernel: endless } }, steps: [ wait: end ], timeout: 50s }
  slow-2: { vm: { boot: { kernel: endless } }, steps: [ wait: end ], timeout: 50s }
  slow-3: { vm: { boot: { kernel: endless } }, steps: [ wait: end ], timeout: 50s }
YAML
echo 'tests: { c: { vm: { boot: { kernel: chance } }, steps: [ wait: end ], timeout: 60s } }' >chance.yaml

# results EXPRESSION NAME: a Python expression over the results 'r' and their tests 't' holds
results() {
	status=0
	python3 - "$1" >out 2>&1 <<'PYTHON' || status=$?
import json, sys
r = json.load(open("vireo-results/results.json"))
t = r["tests"]
if not eval(sys.argv[1]):
    print(sys.argv[1])
    print(json.dumps(r, indent=1))
    sys.exit(1)
PYTHON
	if [ $status -eq 0 ]; then ok "$2"; else not_ok "$2" 0; fi
}
results_kvm() { if $has_kvm; then results "$@"; else skip "$2" "/dev/kvm does not work here"; fi; }

# --- Without a VM --------------------------------------------------------------------------------

expect "each test is listed with its axes" 0 '^good.yaml: three \[.*vm.transport=mmio.*\]$' \
	"$vireo" test --list good.yaml
verdict $(($(wc -l <out) != 6)) "six of them"
expect "a folder stands for its test files" 0 '^.*/?bad.yaml: bad$' "$vireo" test --list ./
expect "a file that is named twice is read once" 0 . "$vireo" test --list good.yaml good.yaml
verdict $(($(wc -l <out) != 6)) "six of them still"
expect "a glob takes names" 0 'three .*vm.cpus=2' "$vireo" test --list -f 'three*cpus=2*' good.yaml
verdict $(($(wc -l <out) != 2)) "and no others"
expect "tags are taken, and left out" 0 '^good.yaml: two$' \
	"$vireo" test --list --filter tag:quick --filter '!tag:odd' good.yaml
verdict $(($(wc -l <out) != 1)) "and no others"
expect "--print writes the VM of each" 0 '"cpus": 2' "$vireo" test --print good.yaml
python3 -c 'import json; assert len(json.load(open("out"))) == 6' >err 2>&1
verdict $? "as JSON"
expect "--set counts for all" 0 . "$vireo" test --print --set vm.memory=96M --set vm.cpus=3 good.yaml
status=$(grep -c '"cpus": 3' out)
verdict $((status != 6)) "for each of them"
expect "a wrong --set is said once" 125 "unknown key 'cpu'.*'cpus'" \
	"$vireo" test --set vm.cpu=3 good.yaml
verdict $(($(wc -l <out) != 1)) "once"
expect "all mistakes at once: a wrong option" 125 "did you mean '--jobs'" \
	"$vireo" test --jbos 3 --repeat 0 good.yaml
verdict "$(grep -q "'0' is not a number" out; echo $?)" "all mistakes at once: a wrong value"
expect "a file that is not there" 127 'nowhere.yaml' "$vireo" test nowhere.yaml
expect "no test matches" 125 'no test matches' "$vireo" test -f nothing good.yaml
expect "a regular expression that is none" 125 "filter: '/\\(/'" "$vireo" test -f '/(/' good.yaml
expect "no results to go on from" 125 'rerun-failed begins' "$vireo" test --rerun-failed good.yaml

# shares COMMAND...: the lists of all shares together are that of all, and none is in two
shares() {
	local name=$1 i
	shift
	: >all
	for i in 1 2 3 4; do "$vireo" test --list --shard $i/4 "$@" >>all 2>&1; done
	"$vireo" test --list "$@" | sort >wanted
	sort all | cmp -s - wanted
	verdict $? "$name"
}
shares "each test is in one of four shares" good.yaml bad.yaml slow.yaml
cat >durations.json <<'JSON'
{"version": 1, "tests": {"good.yaml: one": {"ms": 9000, "seen": 1}, "good.yaml: two": {"ms": 100, "seen": 1}}}
JSON
shares "also by durations" --durations durations.json good.yaml bad.yaml slow.yaml
expect "a long test has a share of its own" 0 '^good.yaml: one$' \
	"$vireo" test --list --durations durations.json --shard 1/2 good.yaml -f one -f two -f 'three*'
expect "a parallel job of GitLab" 0 . env CI_NODE_INDEX=1 CI_NODE_TOTAL=6 "$vireo" test --list good.yaml
verdict $(($(wc -l <out) != 1)) "lists its share"
expect "a pod that does not know of how many" 125 'JOB_COMPLETIONS' \
	env JOB_COMPLETION_INDEX=1 "$vireo" test --list good.yaml

expect "the schema is of no file" 125 'schema: it has no files' "$vireo" test --schema good.yaml
# The schema for editors: YAML as those read it, and the names that the reader knows.
schema() {
	local python=${PYTHON:-/usr/bin/python3}
	if ! "$python" -c 'import yaml, jsonschema' 2>/dev/null; then
		skip "the schema takes what is right" "python3-jsonschema or python3-yaml is not installed"
		return
	fi
	"$vireo" test --schema >schema.json 2>out
	cat >names.yaml <<-'YAML'
		tests: { a: { vm: { boot: { kernel: good } }, stepz: [ ], steps: [ qqq: 1 ] } }
	YAML
	"$vireo" test --list names.yaml >names 2>&1
	"$python" - "$here"/../boot/*.yaml good.yaml bad.yaml >out 2>&1 <<-'PYTHON'
		import json, re, sys, yaml, jsonschema
		schema = json.load(open("schema.json"))
		judge = jsonschema.Draft202012Validator(schema)
		judge.check_schema(schema)
		vm = "vm: { boot: { kernel: k } }"
		right = [open(name).read() for name in sys.argv[1:]] + [
		    "include: [a.yaml]\ndefaults: { timeout: 5, tags: a, env: { A: 1 } }",
		    "tests: { a: { vm: [a.yaml, b.yaml], fail_on: [], steps: [ wait, wait: end, expect: [a, b] ] } }",
		    "tests: { a: { %s, steps: [ { run: [ls, -l], status: 3, timeout: 5s }, pause, reset: ~ ] } }" % vm,
		    "tests: { a: { %s, matrix: { vm.cpus: [1, 2] }, exclude: [ { vm.cpus: 1 } ] } }" % vm]
		wrong = ["tests: []", "test: {}", "tests: { a: { %s, steps: wait } }" % vm,
		    "tests: { a/b: { %s } }" % vm, "tests: { a: { vm: { vm: { cpu: 1 } } } }",
		    "tests: { a: { %s, timeout: soon } }" % vm, "tests: { a: { %s, status: 120 } }" % vm,
		    "tests: { a: { %s, steps: [ { expect: a, send: b } ] } }" % vm,
		    "tests: { a: { %s, steps: [ { send: a, status: 3 } ] } }" % vm,
		    "tests: { a: { %s, steps: [ expect: [] ] } }" % vm,
		    "tests: { a: { %s, steps: [ restart ] } }" % vm,
		    "tests: { a: { %s, matrix: { cpus: [1] } } }" % vm, "tests: { a: { %s, stepz: [] } }" % vm]
		bad = [(t, e.json_path, e.message) for t in right for e in judge.iter_errors(yaml.safe_load(t))]
		bad += [(t, "fits") for t in wrong if judge.is_valid(yaml.safe_load(t))]
		# What the reader allows, by its own messages.
		said = open("names").read()
		for what, have in (("key", set(schema["$defs"]["test"]["properties"])),
		        ("step", {s["required"][0] for s in schema["$defs"]["step"]["anyOf"] if "required" in s})):
		    allowed = re.search("unknown %s; .*?allowed: ([a-z_, ]+)" % what, said)
		    if not allowed or set(allowed[1].split(", ")) != have:
		        bad += [(what, allowed and allowed[1], have)]
		for line in bad:
		    print(*line)
		sys.exit(bool(bad))
	PYTHON
	verdict $? "the schema takes what is right, and nothing else"
}
schema

# --- With VMs ------------------------------------------------------------------------------------

expect_kvm "all pass" 0 '6 passed' "$vireo" test good.yaml
results_kvm 'r["complete"] and len(t) == 6 and all(x["verdict"] == "passed" for x in t)' "and are in the results"
expect_kvm "one that fails" 123 '1 failed' "$vireo" test bad.yaml
results_kvm '[x["verdict"] for x in t] == ["passed", "failed"]' "in the order of the file"
expect_kvm "again only what failed" 123 '1 failed' "$vireo" test --rerun-failed bad.yaml
results_kvm '[x["name"] for x in t] == ["bad"]' "one test"
expect_kvm "nothing failed the last time" 0 'nothing .*went wrong' \
	sh -c "'$vireo' test --progress quiet good.yaml; '$vireo' test --rerun-failed good.yaml"
expect_kvm "a time limit" 124 'timed out' "$vireo" test --timeout 1s -f slow-1 slow.yaml
expect_kvm "one at a time, and stop at the first failure" 123 'failed' \
	"$vireo" test -x -j1 -f bad -f 'slow*' bad.yaml slow.yaml --timeout 3s
results_kvm 'not r["complete"] and any(x["verdict"] == "not_run" for x in t)' "the others were not run"
expect_kvm "--set makes it pass" 0 '1 passed' "$vireo" test --set boot.kernel=good -f bad bad.yaml
expect_kvm "TAP on standard output" 0 '^TAP version 14' "$vireo" test --tap - good.yaml
verdict "$($has_kvm && { "$vireo" test --tap - good.yaml 2>/dev/null | grep -vqE '^(TAP version|1\.\.|ok |#| )'; echo $((! $?)); } || echo 0)" "and nothing else there"
expect_kvm "reports elsewhere" 0 . "$vireo" test --junit j.xml --json r.json --html h.html good.yaml
if $has_kvm; then
	[ -s j.xml ] && [ -s h.html ] && python3 -c 'import json; json.load(open("r.json"))' >out 2>&1
	verdict $? "are written"
	[ ! -e vireo-results.1 ] && "$vireo" test --keep good.yaml >out 2>&1 &&
		[ -e vireo-results.1/results.json ] && [ -e vireo-results/results.json ]
	verdict $? "--keep keeps the results before"
fi
expect_kvm "a report that cannot be written is an error" 125 'nowhere' \
	"$vireo" test --tap nowhere/x.tap good.yaml
expect_kvm "the command that does it again" 123 "vireo run 'it'\\\\''s here/runs/" \
	"$vireo" test --results "it's here" bad.yaml
if $has_kvm; then
	again=$(sed -n 's/^ *reproduce: vireo \(.*\)$/\1/p' out)
	eval "'$vireo' $again" >out 2>&1
	verdict $(($? != 3)) "is for a shell, whatever the folder is called"
fi
expect_kvm "results in a folder of somebody else's" 125 . sh -c "mkdir mine; : >mine/results.json; exec '$vireo' test --results mine good.yaml"

cat >chances.yaml <<YAML
tests:
  c:
    vm: { boot: { kernel: chance } }
    matrix: { vm.memory: [ $(seq -s M, 32 55)M ] }
    steps: [ wait: end ]
    timeout: 60s
YAML
expect_kvm "tried again, what passes at last has passed" 0 '^24 passed, 0 failed, 0 skipped, [0-9]+ flaky' \
	"$vireo" test --retries 60 --tap tap chances.yaml
results_kvm 'any(x.get("retried") for x in t) and all(x["flaky"] for x in t if x.get("retried"))' \
	"and what went wrong before is kept"
results_kvm 'len([x for x in t if not x.get("retried")]) == 24' "beside one result for each"
if $has_kvm; then
	[ "$(grep -cE '^(not )?ok ' tap)" = 24 ] && grep -q '^1\.\.24$' tap && grep -qE '^# c .*, try 1: ' tap
	verdict $? "TAP has a point for each, and comments"
fi
cat >never.yaml <<'YAML'
tests: { n: { vm: { boot: { kernel: bad } }, steps: [ wait: end ], timeout: 60s, retries: 2 } }
YAML
expect_kvm "what never passes fails" 123 '^0 passed, 1 failed' "$vireo" test never.yaml
results_kvm '[x["attempt"] for x in t] == [1, 2, 3] and [x.get("retried", False) for x in t] == [True, True, False]' \
	"after its tries"
expect_kvm "what is repeated is not tried again" 123 '^0 passed, 2 failed' "$vireo" test --repeat 2 never.yaml
expect_kvm "repeated, what does not always pass is named" 123 'flaky' "$vireo" test --repeat 16 chance.yaml
results_kvm 'len(t) == 16 and sorted(x["attempt"] for x in t) == list(range(1, 17))' "sixteen attempts"

# The cache: a hit is a pass, and anything that changes is none.
expect_kvm "a first run with the cache" 0 '2 passed' "$vireo" test --cache -f one -f two good.yaml
expect_kvm "the second needs no VM" 0 '2 passed' "$vireo" test --cache -f one -f two good.yaml
results_kvm 'all("cached" in (x.get("why") or "") for x in t)' "and says so"
if $has_kvm; then cp bad good.new; mv good.new good; fi
expect_kvm "another kernel of that name is another test" 123 '2 failed' "$vireo" test --cache -f one -f two good.yaml
expect_kvm "what failed is not cached" 123 '2 failed' "$vireo" test --cache -f one -f two good.yaml
kernel good 31 c0 e7 f4 eb fe
expect_kvm "without --cache all run" 0 . "$vireo" test -f one good.yaml
results_kvm 'not any("cached" in (x.get("why") or "") for x in t)' "none is cached"

# Shares, and one set of results of them.
if $has_kvm; then
	for i in 1 2; do
		CI_NODE_INDEX=$i CI_NODE_TOTAL=2 "$vireo" test good.yaml bad.yaml >share.$i 2>&1
	done
	grep -q "^vireo: shard 2 of 2 (CI, CI_NODE_INDEX=2): 4 of 8 tests" share.2
	verdict $? "the first line says which share it is"
	cat share.* >out
fi
expect_kvm "merged" 123 '' "$vireo" test --merge vireo-results-1-of-2 vireo-results-2-of-2
results_kvm 'r["complete"] and len(t) == 8' "all are there"
expect_kvm "a share is missing" 125 'missing' "$vireo" test --merge vireo-results-1-of-2
expect_kvm "a name that is none leaves the results alone" 125 'has no results' \
	"$vireo" test --merge . --junit merged.xml
results_kvm 'len(t) == 4' "as they were"
verdict "$([ ! -e merged.xml ]; echo $?)" "and no report is made of them"
expect_kvm "durations of merged shares are kept" 123 '' \
	"$vireo" test --merge --durations d.json vireo-results-1-of-2 vireo-results-2-of-2
if $has_kvm; then
	python3 -c 'import json; assert len(json.load(open("d.json"))["tests"]) == 7' >out 2>&1
	verdict $? "of those that passed"
fi

# Interrupted: VMs end, results are written.
interrupt() {
	local name=$1 again=$2 begin=$SECONDS pid
	shift 2
	rm -rf vireo-results
	"$vireo" test -j3 slow.yaml </dev/null >out 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		[ "$(pgrep -c -P $pid)" -lt 3 ] || break
		sleep 0.1
	done
	kill -"$name" $pid
	! $again || kill -"$name" $pid
	wait $pid
	status=$?
	[ $((SECONDS - begin)) -lt 20 ] && [ $status -eq $((128 + $(kill -l "$name"))) ]
	verdict $? "SIG$name ends it, with the signal's status"
	results "any('SIG$name' in x for x in r['notes'])" "the results say who ended it"
	results 'not r["complete"] and len(t) == 3 and all(x["verdict"] == "not_run" for x in t)' "and the results say so"
	! pgrep -f "$dir/bin/vireo run" >out
	verdict $? "no VM is left behind"
}
if $has_kvm; then
	interrupt TERM false
	interrupt INT true
fi

# Its own files are opened before VMs, and none stays with them.
expect_kvm "its help" 0 'rerun-failed' "$vireo" test --help

echo "1..$n"
exit $failed
