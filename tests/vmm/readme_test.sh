#!/bin/bash
# The examples of README.md and of the pages in docs/ are run, so that they cannot rot.  Speaks TAP.
# Usage: readme_test.sh PATH-TO-VIREO
#
# Lines that are indented by four spaces are what a reader types.  Those with vireo are run, one after
# the other, in a directory where the files that they name are small ones of the same kind.  A block
# that begins with "# NAME.yaml" is such a file, and must be a right one.  What asks a VM finds one that
# runs.  Other lines must be known here; one that is not known fails the test.
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/vmm/cli.sh
. "$top/tests/vmm/cli.sh"

# What the examples name.  The kernels end at once with status 0.
kernel vmlinuz 31 c0 e7 f4 eb fe		# xor eax, eax; out 0xf4, eax
cp vmlinuz vmlinux
head -c 4096 /dev/zero >initrd.img
truncate -s 1M root.img data.img
export XDG_RUNTIME_DIR=$dir/run
mkdir -m 700 run
PATH=$dir/bin:$PATH

# These need something that a host may not have, and say so by this status.
needs_host='tap|vhost|--scsi|--iommu|--share|(lab|node|build)\.yaml'

kernel endless f3 90 eb fc			# pause; jmp

# In a network of their own: no port of theirs is taken, and no interface stays.
alone=()
for flags in -n -rn; do
	! unshare $flags ip link set lo up 2>/dev/null || { alone=(unshare "$flags"); break; }
done

# have_running NAME: a VM of NAME.yaml runs
running=()
have_running() {
	local pid
	if "$vireo" ctl "$1" state >out 2>&1 || grep -q 'built without' out; then return; fi
	"${alone[@]}" "$vireo" run -q "$1.yaml" --kernel endless --set vm.memory=128M --console null \
		--serial off </dev/null >/dev/null 2>&1 &
	pid=$!
	running+=("$pid")
	for _ in $(seq 100); do
		! "$vireo" ctl "$1" state >/dev/null 2>&1 || return
		sleep 0.1
	done
}
trap 'kill "${running[@]}" 2>/dev/null; wait; rm -rf "$dir"' EXIT

stop_running() {
	[ ${#running[@]} -gt 0 ] || return
	kill "${running[@]}" 2>/dev/null
	wait "${running[@]}"
	running=()
}

# run_example WHERE COMMAND
run_example() {
	local where=$1 begin=$EPOCHSECONDS quits=false
	local command=${2%%  *#*}	# without the remark behind it
	if ! $has_kvm && [[ $command == *"vireo run"* || $command == *"vireo c"[th]* || $command == curl* ]]; then
		skip "$where: $command" "/dev/kvm does not work here"
		return
	fi
	case $command in
	"vireo ctl "*) [[ $command =~ ctl\ (--json\ )?([a-z]+) ]] && have_running "${BASH_REMATCH[2]}" ;;
	curl*/vireo/*) [[ $command =~ /vireo/([a-z]+)/ ]] && have_running "${BASH_REMATCH[1]}" ;;
	*"vireo run"*) stop_running ;;		# it may want the same files
	esac
	[[ $command != *" quit" ]] || quits=true
	timeout 60 "${alone[@]}" bash -c "[ -z '${alone[*]}' ] || ip link set lo up; $command" \
		</dev/null >out 2>&1
	status=$?
	if [ $status -eq 0 ]; then
		ok "$where: $command"
	elif [ $status -eq 126 ] && [[ $command =~ $needs_host || $command == "vireo doctor"* ]]; then
		ok "$where: $command ($(grep -m 1 -oE '(No such|not permitted|Permission|No such device).*' out))"
	elif [ $status -eq 125 ] && grep -q 'built without' out; then
		skip "$where: $command" "$(grep -m 1 -o 'built without.*' out)"
	else
		not_ok "$where: $command ($((EPOCHSECONDS - begin)) s)" 0
	fi
	! $quits || stop_running
}

# A target of make that people are told about has a line in 'make help'.
make_example() {
	local where=$1 target=$2
	status=0
	if grep -E "^$target:.*## " "$top/Makefile" >out; then
		ok "$where: make $target"
	else
		not_ok "$where: make $target" "a target"
	fi
}

# A line for a shell elsewhere: it can be parsed.
shell_example() {
	local where=$1 command=$2
	bash -n -c "$command" >out 2>&1
	status=$?
	if [ $status -eq 0 ]; then ok "$where: $command"; else not_ok "$where: $command" 0; fi
}

# example WHERE LINE
example() {
	local where=$1 line=$2
	case $line in
	"" | "#"*) ;;
	"vireo "* | [A-Z_]*=*" vireo "*) run_example "$where" "$line" ;;
	"curl "*)
		if command -v curl >/dev/null && ! "$vireo" ps 2>&1 | grep -q 'built without'; then
			run_example "$where" "${line/curl -s/curl -sSf}"
		else
			skip "$where: $line" "no curl, or no control socket"
		fi
		;;
	"./configure && make && make install") ok "$where: $line" ;;
	"make "*)
		line=${line%%#*}
		read -r _ line <<<"$line"
		make_example "$where" "$line"
		;;
	"guest\$ "* | "host\$ "*) shell_example "$where" "${line#*\$ }" ;;
	*)
		status=0
		echo "$line" >out
		not_ok "$where: this kind of line is not known to readme_test.sh" "a command"
		;;
	esac
}

# document FILE: its indented lines
document() {
	local file=$1 name=${1##*/} number=0 line into="" whole=""
	while IFS= read -r line; do
		number=$((number + 1))
		if [[ $line != "    "* ]]; then
			[ -z "$into" ] || run_example "$name:$number" "vireo check $into"
			into=
			continue
		fi
		line=${line:4}
		if [[ $line =~ ^"# "([a-z0-9-]+\.yaml)$ ]]; then
			into=${BASH_REMATCH[1]}
			: >"$into"
		fi
		if [ -n "$into" ]; then
			echo "$line" >>"$into"
			continue
		fi
		whole+=$line
		if [[ $whole == *\\ ]]; then
			whole=${whole%\\}
			continue
		fi
		example "$name:$number" "$whole"
		whole=
	done <"$file"
}

for document in README.md docs/vm-files.md docs/control.md docs/service.md; do
	stop_running
	document "$top/$document"
done
stop_running

# The example VMs, for this host; tests/guest/example_test.sh boots them.
cp "$top"/docs/examples/*.yaml .
export VIREO_KERNEL=vmlinuz VIREO_INITRD=initrd.img VIREO_DISK=root.img
for file in "$top"/docs/examples/*.yaml; do
	file=${file##*/}
	run_example docs/examples "vireo check $file"
	case $file in
	lab.yaml) run_example docs/examples "vireo run --print $file" ;;
	*) run_example docs/examples "vireo run $file" ;;
	esac
done

echo "1..$n"
exit $failed
