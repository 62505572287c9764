#!/bin/bash
# "vireo config": what it writes is whole, and other people's tools read it.  Speaks TAP.
# Usage: config_command_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"
fails() { status=-; not_ok "$1" "-"; }

# Debian's own, which has its packages; another one may be first in PATH.
python=/usr/bin/python3
has_schema_tools() { "$python" -c 'import jsonschema, yaml' 2>/dev/null; }

# judge SCHEMA FILE... : 3 if a file does not fit.  YAML as editors read it: 1.2, where only true and false are booleans.
judge() {
	"$python" - "$@" <<-'END'
	import re, sys, yaml, jsonschema, json
	class Loader(yaml.SafeLoader): yaml_implicit_resolvers = {}
	types = (('bool', 'true|True|TRUE|false|False|FALSE', 'tTfF'),
	         ('int', '[-+]?[0-9]+|0x[0-9a-fA-F]+', '-+0123456789'),
	         ('float', r'[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?', '-+.0123456789'),
	         ('null', '~|null|Null|NULL|', '~nN'))
	for tag, regex, first in types:
	    Loader.add_implicit_resolver('tag:yaml.org,2002:' + tag, re.compile('^(?:%s)$' % regex), list(first) + [''])
	schema = json.load(open(sys.argv[1]))
	judge = jsonschema.Draft202012Validator(schema)
	judge.check_schema(schema)
	bad = [(name, e.json_path, e.message) for name in sys.argv[2:]
	       for e in judge.iter_errors(yaml.load(open(name), Loader))]
	for line in bad:
	    print(*line)
	sys.exit(3 if bad else 0)
	END
}

expect "config writes what differs from the defaults" 0 '^  memory: 2G$' "$vireo" config --memory 2G
expect "run --print writes the same" 0 '^  memory: 2G$' "$vireo" run --print --memory 2G
expect "a run needs a kernel, its description does not" 125 'which kernel' "$vireo" run --memory 2G
if "$vireo" config --json 2>&1 | grep -q 'built without libjansson'; then
	skip "config --json writes JSON" "built without libjansson"
	skip "run --print=json does, too" "likewise"
else
	expect "config --json writes JSON" 0 '"memory": 2147483648' "$vireo" config --json --memory 2G
	expect "run --print=json does, too" 0 '"memory": 2147483648' "$vireo" run --print=json --memory 2G
fi
expect "another form is refused" 125 "'xml' is not one of yaml, json" "$vireo" run --print=xml
expect "config --all explains each setting" 0 '# a number from 1 to ' "$vireo" config --all
expect "a mistake is told, nothing is written" 125 '^vireo: --memory' "$vireo" config --memory 1
expect "bytes that are not UTF-8 are told" 125 '^  hint: a VM file has no way' "$vireo" config --kernel $'\xff'
expect "a full disk is told" 125 'write to standard output' sh -c "'$vireo' config --all >/dev/full"
expect "help tells how to begin" 0 'vireo config --all >web.yaml' "$vireo" config --help
expect "run's --all does not exist" 125 "unknown option '--all'" "$vireo" run --all

# shellcheck disable=SC2054  # the commas are Vireo's
wide=(--memory 0x40000000 --cpus 4 --timeout 1.5h --disk '/a b$,name=x: y,readonly,features=+mq'
	--disk /b,engine=threads,queue_size=64 --net user,forward=tcp:80:80,forward=udp:53:53
	--net tap,ifname=vt-x,mac=02:00:00:00:00:01 --balloon 16M --vsock auto --serial null
	--console file=/log --scsi naa.0123456789abcdef --share '/a b: #,name=src,readonly' --share socket=/s --credential $'a=b\nc' --append 'a: #b'
	--features=+packed,-event_idx --set vm.poll=0)
# What is written, read again, is written the same; flags override it as any file.
"$vireo" config "${wide[@]}" >wide.yaml
if "$vireo" config wide.yaml >again.yaml 2>out; then
	diff wide.yaml again.yaml >out && mkdir -p sub && (cd sub && "$vireo" config ../wide.yaml) | diff wide.yaml - >out
	if [ -s out ]; then fails "a file that was written is written the same"; else ok "a file that was written is written the same"; fi
	"$vireo" config --json wide.yaml >json && "$vireo" config json >again.yaml 2>out && diff wide.yaml again.yaml >out
	if [ -s out ]; then fails "so is one of JSON"; else ok "so is one of JSON"; fi
	expect "flags override it" 0 '^  cpus: 7$' "$vireo" config wide.yaml --cpus 7
	"$vireo" config --all >all.yaml
	expect "all defaults are the defaults" 0 '^{"schema_version":1}$' sh -c "'$vireo' config --json all.yaml | tr -d ' \n'; echo"
elif grep -q 'without libyaml' out; then
	skip "a file that was written is written the same" "built without libyaml"
else
	fails "a file that was written is written the same"
fi

if ! has_schema_tools; then
	skip "files and JSON fit the schema" "python3-jsonschema or python3-yaml is not installed"
	skip "what is wrong does not fit the schema" "likewise"
elif ! "$vireo" config --schema >schema 2>out; then
	skip "files and JSON fit the schema" "$(head -n 1 out)"
	skip "what is wrong does not fit the schema" "likewise"
else
	"$vireo" config --all >all.yaml
	"$vireo" config --all --json >all.json
	"$vireo" config "${wide[@]}" >wide.yaml
	"$vireo" config --json "${wide[@]}" >wide.json
	"$vireo" config --all "${wide[@]}" >wide-all.yaml
	# shellcheck disable=SC2016  # ${MEM} is Vireo's
	printf '%s\n' 'include: base.yaml' 'vm: { memory: "${MEM:-1G}", cpus: 0x2, timeout: 1.5, prefault: on }' \
		'serial: { to: null }' 'nets: { lan: { forward: tcp:1:1 } }' >own.yaml
	if judge schema all.yaml all.json wide.yaml wide.json wide-all.yaml own.yaml >out 2>&1; then
		ok "files and JSON fit the schema"
	else
		fails "files and JSON fit the schema"
	fi
	missed=
	for line in 'vm: { memroy: 1G }' 'vm: { memory: 1X }' 'vm: { cpus: 0 }' 'vm: { cpus: many }' \
		'vm: { prefault: perhaps }' 'vm: { on_halt: explode }' 'disks: { a: { queue_size: 5 } }' \
		'disks: [ a ]' 'sreial: { to: off }' 'serial: { to: file }' 'vm: { features: [ packed ] }' \
		'nets: { "": { backend: user } }' 'vm: 5' 'vm: { timeout: -1 }' 'schema_version: 2'; do
		printf '%s\n' "$line" >wrong.yaml
		judge schema wrong.yaml >>log 2>&1
		[ $? -eq 3 ] || missed="$missed
  $line"
	done
	{ echo "$missed"; cat log; } >out
	if [ -z "$missed" ]; then ok "what is wrong does not fit the schema"; else fails "what is wrong does not fit the schema"; fi
fi

echo "1..$n"
exit $failed
