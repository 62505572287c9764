# Sourced by the suite: booting a guest with a script of the test's own, and looking at what it did.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # some variables are the suite's, some are for the tests

SKIPPED=77
skip() {
	echo "$*"
	exit $SKIPPED
}

fail() {
	echo "failed: $*"
	exit 1
}

# Wrong in the kernel's log, whatever the test is about.
COMPLAINTS='ACPI (BIOS )?(Error|Warning)|[Ff]irmware [Bb]ug|WARNING:|BUG:|Call Trace|lockup|I/O error'

# Spares the nested kernel a second of testing itself.
hurry='cryptomgr.notests initcall_blacklist=init_kprobe_trace,crypto_kdf108_init'

# What a test may set in front of 'boot', as in 'append=acpi=off boot':
kind=cloud		# which kernel
file=vmlinuz		# and in which form
append=			# more for the kernel's command line
quiet="quiet $hurry"	# the rest of it
disk=,ephemeral		# options of the root disk
image=			# and its file; empty: the one that build-root made

# Give the test a root disk of its own, which keeps what is written.
disk_copy() {
	image=$PWD/root.img disk=
	cp --sparse=always "${root_dir[$kind]}/root.img" "$image"
}

# boot [VIREO OPTION]... : boot a guest whose first process runs the script on standard input.
# Afterwards 'status' is Vireo's exit status, the file 'out' what came over hvc0, 'serial' what came over
# ttyS0, 'err' what Vireo said.
boot() {
	mkdir -p overlay
	cat >overlay/cmd
	cat "${root_dir[$kind]}/initrd" >initrd
	(cd overlay && echo cmd | cpio --quiet -o -H newc) >>initrd
	run --initrd initrd "$@" </dev/null >out
}

# run [VIREO OPTION]... : as boot, but with the caller's standard input and output, and no script.
run() {
	status=0
	timeout 120 "$vireo" run --kernel "${kernel_dir[$kind]}/$file" \
		--disk "path=${image:-${root_dir[$kind]}/root.img}$disk" \
		--serial file=serial --timeout 90s --append "$quiet $append" "$@" 2>err || status=$?
}

show() {
	local f
	for f in err out serial; do
		if [ -s $f ]; then
			echo "--- $f:"
			tail -n 25 $f
		fi
	done
}

expect_status() {
	[ "$status" = "$1" ] && return
	show
	fail "status $status, expected $1"
}

expect() { # REGEX [FILE]
	grep -qE -- "$1" "${2-out}" && return
	show
	fail "no '$1' in ${2-out}"
}

expect_not() { # REGEX [FILE]
	! grep -nE -- "$1" "${2-out}" && return
	show
	fail "'$1' in ${2-out}"
}

sample_hash() { cat "${root_dir[$kind]}/sample.sha256"; }
