# What the tests of the command line share; to be sourced with the path of vireo as $1.  The current
# directory is an empty one afterwards but for bin/vireo, a copy: $vireo.
# shellcheck shell=bash disable=SC2034
dir=$(mktemp -d)
chmod 755 "$dir"
pids=()		# to be ended with the test
trap '[ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
# A copy that other users can run, too.
mkdir "$dir/bin"
cp "$1" "$dir/bin/vireo" || exit 2
vireo=$dir/bin/vireo
cd "$dir" || exit 2

n=0
failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
not_ok() {
	n=$((n + 1))
	failed=1
	echo "not ok $n - $1"
	[ $# -lt 2 ] || echo "  status $status, expected $2; it said:"
	for f in out err vm.err; do [ ! -s $f ] || sed "s/^/    /" $f | head -n 40; done
}
# verdict STATUS NAME: as a test on the line before had it
verdict() { if [ "$1" -eq 0 ]; then ok "$2"; else not_ok "$2"; fi; }

# expect NAME STATUS PATTERN COMMAND... : the status, and a line that matches
expect() {
	local name=$1 wanted=$2 pattern=$3
	shift 3
	timeout 60 "$@" </dev/null >out 2>&1
	status=$?
	if [ "$status" -eq "$wanted" ] && grep -qE -e "$pattern" out; then ok "$name"; else not_ok "$name" "$wanted /$pattern/"; fi
}

# expect_kvm: the same for what needs a machine
expect_kvm() { if $has_kvm; then expect "$@"; else skip "$1" "/dev/kvm does not work here"; fi; }

bytes() { local b; for b; do printf '%b' "\\x$b"; done; }

# kernel FILE BYTE... : an ELF file with a PVH entry, whose code (32-bit) these bytes
# are: at most 56.
# System V ABI, "Object Files"; Xen, misc/pvh.pandoc
kernel() {
	local file=$1
	shift
	{
		bytes 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 02 00 3e 00 01 00 00 00
		bytes c8 00 10 00 00 00 00 00 40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
		bytes 00 00 00 00 40 00 38 00 02 00 00 00 00 00 00 00
		# PT_LOAD: the whole file, to 1 MiB
		bytes 01 00 00 00 05 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00
		bytes 00 00 10 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
		bytes 00 10 00 00 00 00 00 00
		# PT_NOTE, and the note: XEN_ELFNOTE_PHYS32_ENTRY
		bytes 04 00 00 00 04 00 00 00 b0 00 00 00 00 00 00 00 b0 00 10 00 00 00 00 00
		bytes b0 00 10 00 00 00 00 00 18 00 00 00 00 00 00 00 18 00 00 00 00 00 00 00
		bytes 04 00 00 00 00 00 00 00
		bytes 04 00 00 00 08 00 00 00 12 00 00 00 58 65 6e 00 c8 00 10 00 00 00 00 00
		bytes "$@"
	} >"$file"
	truncate -s 512 "$file"
}

has_kvm=true
timeout 60 "$vireo" doctor -q >/dev/null 2>&1 || has_kvm=false
run() { echo "$vireo run $*"; }
