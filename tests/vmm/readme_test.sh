#!/bin/bash
# The examples of README.md and of the pages in docs/ are run, so that they cannot rot.  Speaks TAP.
# Usage: readme_test.sh PATH-TO-VIREO
#
# Lines that are indented by four spaces are what a reader types.  Those with vireo are run, one after
# the other, in a directory where the files that they name are small ones of the same kind.  A block
# that begins with "# NAME.yaml" is such a file.  Others must be known here; a line that is not known
# fails the test.
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
PATH=$dir:$PATH

# These need something that a host may not have, and say so by this status.
needs_host='tap|vhost|--scsi|--iommu'

# In a network of their own: no port of theirs is taken, and no interface stays.
alone=()
for flags in -n -rn; do
	! unshare $flags ip link set lo up 2>/dev/null || { alone=(unshare "$flags"); break; }
done

# run_example WHERE COMMAND
run_example() {
	local where=$1 begin=$EPOCHSECONDS
	local command=${2%%  *#*}	# without the remark behind it
	if ! $has_kvm && [[ $command == *"vireo run"* ]]; then
		skip "$where: $command" "/dev/kvm does not work here"
		return
	fi
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
}

# A target of make that people are told about has a line in 'make help'.
make_example() {
	local where=$1 target=$2
	case $target in
	"" | install) target=$target ;;
	*) grep -qE "^$target:.*## " "$top/Makefile" || { status=0; : >out; not_ok "$where: make $target" "a target"; return; } ;;
	esac
	ok "$where: make $target"
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
	"vireo "*) run_example "$where" "$line" ;;
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
			[ -z "$line" ] || into=
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

document "$top/README.md"

echo "1..$n"
exit $failed
