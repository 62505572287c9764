#!/bin/bash
# Named ports on the command line and in files: what is wrong about them is said, and nothing is made.
# Usage: ports_test.sh VIREO
set -u
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

kernel exit0 31 c0 ba f4 00 00 00 ef eb fe
run=("$vireo" run --kernel exit0 --serial null --console null)

expect "a port must lead somewhere" 125 "^vireo: port 'x': where does it lead\? Give 'fd', 'socket' or 'to'" "${run[@]}" --port x
expect "to one place" 125 "'fd', 'socket' and 'to' exclude each other" "${run[@]}" --port x,fd=5,to=null
expect "a name is a file's" 125 "the name of a port has letters" "${run[@]}" --port 'a b,to=null'
expect "two have two names" 125 "two ports have this name" "${run[@]}" --port x,to=null --port x,to=null
expect "there must be a console" 125 "ports are of the console device" "${run[@]}" --console off --port x,to=null
expect "'status' is for ports" 125 "'status' is not one of stdio, file=PATH, null, off" "${run[@]}" --console status
expect "a port's targets are listed" 125 "'statsu' is not one of stdio, file=PATH, null, status, off" "${run[@]}" --port x,to=statsu
expect "a descriptor must be open" 125 'nobody has opened descriptor 77 for Vireo' "${run[@]}" --port x,fd=77
expect "not one of Vireo's own" 125 'nobody has opened descriptor [345] for Vireo' "${run[@]}" --port x,fd=3 --port y,fd=4 --port z,fd=5
expect "a file in no directory is 127" 127 "'gone/log'" "${run[@]}" --port x,to=file=gone/log
expect "a socket in no directory is 127" 127 "'gone/socket'" "${run[@]}" --port x,socket=gone/socket
echo text >file
expect "a file is no socket" 125 "'file' is there and is not a socket" "${run[@]}" --port x,socket=file
expect "and it is left alone" 0 text cat file

cat >ports.yaml <<-'EOF'
	boot: { kernel: exit0 }
	console: { to: null }
	serial: { to: null }
	ports:
	  vireo.agent: { socket: agent }
	  log: { to: file=port.log }
	  status: { to: status }
EOF
expect "a file with ports is right" 0 '' "$vireo" check ports.yaml
if [ ! -e agent ] && [ ! -e port.log ]; then ok "check makes nothing"; else not_ok "check makes nothing"; fi
sed -i 's,socket: agent,socket: file,' ports.yaml
expect "check tells what is in the way" 125 "ports.yaml:5:26: ports.vireo.agent.socket: .*is not a socket" "$vireo" check ports.yaml
sed -i 's,socket: file,socket: agent,' ports.yaml
expect "a setting of one is changed" 0 'socket: .*/other$' "$vireo" run ports.yaml --set ports.vireo.agent.socket=other --print
expect "explain tells of MULTIPORT" 0 ' +1 MULTIPORT .* yes' "$vireo" explain ports.yaml
expect "and it is not there without" 0 none sh -c "$vireo explain --console null | grep -E ' +1 MULTIPORT .* yes' || echo none"
expect_kvm "it runs" 0 'status 0' "$vireo" run ports.yaml
if [ ! -e agent ]; then ok "and takes its socket with it"; else not_ok "and takes its socket with it"; fi
echo "1..$n"
exit $failed
