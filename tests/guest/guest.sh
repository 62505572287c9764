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

# This test is about the kernel that 'make kernel' builds.
need_own_kernel() {
	[ -n "${kernel_dir[own]-}" ] || skip "own kernel: not built; make kernel"
	kind=own
}

# Wrong in the kernel's log, whatever the test is about.
COMPLAINTS='ACPI (BIOS )?(Error|Warning)|[Ff]irmware [Bb]ug|WARNING:|BUG:|Call Trace|lockup|I/O error'

# Spares the nested kernel a second of testing itself.
hurry='cryptomgr.notests initcall_blacklist=init_kprobe_trace,crypto_kdf108_init'

# What a test may set in front of 'boot', as in 'append=acpi=off boot':
kind=cloud		# which kernel: cloud, generic, own
file=vmlinuz		# and in which form
append=			# more for the kernel's command line
quiet="quiet $hurry"	# the rest of it
disk=,ephemeral		# options of the root disk
image=			# and its file; empty: the one that build-root made
limit=90		# seconds that the guest may take
enter=()		# command before Vireo: 'ip netns exec NAME'

# Give the test a root disk of its own, which keeps what is written.
disk_copy() {
	image=$PWD/root.img disk=
	cp --sparse=always "${root_dir[$kind]}/root.img" "$image"
}

# boot [VIREO OPTION]... : boot a guest whose first process runs the script on standard input.
# Afterwards 'status' is Vireo's exit status, the file 'out' what came over hvc0, 'serial' what came over
# ttyS0, 'err' what Vireo said.
boot() {
	pack
	run --initrd initrd "$@" </dev/null >out
}

# pack: make the file 'initrd', whose init runs the script on standard input.  What a test has put into
# the directory 'overlay' comes with it.
pack() {
	mkdir -p overlay
	cat >overlay/cmd
	cat "${root_dir[$kind]}/initrd" >initrd
	(cd overlay && find . -mindepth 1 | cpio --quiet -o -H newc) >>initrd
}

# take_modules MODULE... : the guest's script loads them, with what they need, by '. /load'.  Nothing to do
# where they are built in.
take_modules() {
	local dir=${kernel_dir[$kind]} module
	mkdir -p overlay/late
	: >overlay/load
	[ "$kind" != own ] || return 0
	for module; do
		modprobe --dirname "$dir" --set-version "$(basename "$dir"/lib/modules/*)" --show-depends "$module" ||
			skip "the kernel has no $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >order
	while read -r module; do
		cp "$module" overlay/late/
		# Some are in the initrd already, and loaded.
		echo "insmod /late/$(basename "$module") 2>/dev/null || true" >>overlay/load
	done <order
}

# take_programs NAME... : those of this machine, with their libraries; the guest has them in its path
take_programs() {
	local name file
	for name; do
		file=$(command -v "$name") || skip "this machine has no $name"
		mkdir -p overlay/sbin
		cp -L "$file" overlay/sbin/
		ldd "$file" | grep -oE '/[^ ]+' | while read -r file; do
			mkdir -p "overlay${file%/*}"
			cp -L "$file" "overlay$file"
		done
	done
}

# take_compiled NAME: what 'tests/guest/run' has made of NAME.c
take_compiled() {
	# shellcheck source=images/cache.sh
	. "$images/cache.sh"
	mkdir -p overlay/sbin
	cp "$cache/$1-$(cksum <"$here/$1.c" | tr ' ' -)" "overlay/sbin/$1"
}

# kexec_script [PRELUDE]: a script for a guest that starts a second kernel: what is on standard input runs in
# both, with $kernel set to 1 and 2, the modules loaded, and 'next_kernel' to go there.  After the overlay is
# complete.
kexec_script() {
	take_compiled kexec
	{
		printf '. /load\n%s\n' "${1-}"
		cat <<-'END'
			kernel=1
			! grep -qw second /proc/cmdline || kernel=2
			next_kernel() { kexec /vmlinuz /initrd "$(cat /proc/cmdline) second" || exit 21; }
		END
		cat
	} >script
	# The second's initrd is what the first has but for what it would start.
	pack <script
	cp initrd overlay/initrd
	cp "${kernel_dir[$kind]}/vmlinuz" overlay/vmlinuz
	cat script
}

# Or in pieces, for a test that looks at Vireo while it runs: 'launch' as 'boot', but in the background and
# with the guest's console input at 'say'; 'await' a line of its output; 'land' when it ends by itself.
launch() {
	pack
	mkfifo input
	: >out
	(
		run --initrd initrd "$@" <input >out
		echo "$status" >status
	) &
	launched=$!
	exec 9>input
}

say() { echo "$*" >&9; }

await() { # REGEX: at most a minute
	local i
	for i in $(seq 600); do
		! grep -qE -- "$1" out || return 0
		[ ! -e status ] || break
		sleep 0.1
	done
	show
	fail "no '$1' in out, after $((i / 10)) s"
}

land() {
	exec 9>&-
	# Not for what else the test has in the background.
	wait "$launched" || true
	status=$(cat status)
}

# The KiB of guest memory that the host has given to the Vireo that was launched.
resident() {
	local vireo_pid
	vireo_pid=$(pgrep -P "$(pgrep -P "$launched" -x timeout)")
	sed -n 's/^RssShmem:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$vireo_pid/status"
}

# run [VIREO OPTION]... : as boot, but with the caller's standard input and output, and no script.
run() {
	status=0
	ran=("${enter[@]}" "$vireo" run --kernel "${kernel_dir[$kind]}/$file"
		--disk "path=${image:-${root_dir[$kind]}/root.img}$disk"
		--serial file=serial --timeout "${limit}s" --append "$quiet $append" "$@")
	timeout $((limit + 30)) "${ran[@]}" 2>err || status=$?
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

# expect_bit DRIVER BIT 0|1: did the driver accept this feature?  From what /report printed.
expect_bit() {
	local hex
	hex=$(tr -d '\r' <out | sed -n "s/^virtio[0-9]*: .* driver $1, .* features 0x\([0-9a-f]*\)$/\1/p" | head -n 1)
	[ -n "$hex" ] || { show && fail "no features of $1"; }
	[ $((0x$hex >> $2 & 1)) = "$3" ] && return
	show
	fail "$1 has 0x$hex: bit $2 is not $3"
}

sample_hash() { cat "${root_dir[$kind]}/sample.sha256"; }
