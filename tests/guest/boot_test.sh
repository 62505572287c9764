# The stock kernel boots in every shape, finds what it should find, and has nothing to complain about.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# shape CPUS TRANSPORT MEMORY [VIREO OPTION]...
shape() {
	local cpus=$1 transport=$2 memory=$3
	shift 3
	quiet=quiet boot --cpus "$cpus" --transport "$transport" --memory "$memory" "$@" <<-'END'
		sh /report
		status=$?
		dmesg
		exit $status
	END
	expect_status 0
	expect "^kernel: Linux version $(basename "${kernel_dir[$kind]}"/lib/modules/*) "
	expect "^cpus: $cpus"
	expect "^virtio0: .* driver virtio_blk, transport virtio-$transport, features 0x[0-9a-f]*[13579bdf][0-9a-f]{8}\b"
	expect "driver virtio_console, transport virtio-$transport, "
	expect "driver virtio_rng, transport virtio-$transport, "
	expect '^console: hvc0'
	expect '^disk: /dev/vda, 33554432 bytes, mounted as ext4'
	expect "^file: /data/sample, sha256 $(sample_hash)"
	expect_not "$COMPLAINTS"
	local mib=$(($(sed -n 's/^memory: \([0-9]*\) kB.*/\1/p' out) / 1024)) want=${memory%[MG]}
	[ "${memory%G}" = "$memory" ] || want=$((want * 1024))
	if [ "$mib" -gt "$want" ] || [ "$mib" -lt $((want * 9 / 10 - 40)) ]; then
		fail "the guest sees $mib MiB, not $memory"
	fi
}

# Unpacking itself, this kernel needs 68 MiB: the setup header says so, and Vireo heeds it.
test_boot_64M_no_unpack_is_refused() {
	boot --memory 64M --no-unpack <<<'exit 0'
	expect_status 125
	expect 'hint: give the guest at least 68M' err
}

test_boot_ELF_vmlinux() {
	file=vmlinux shape 2 pci 256M
}

# Debian's generic kernel is packed with xz, the cloud kernel with lz4.
test_boot_generic_kernel() {
	kind=generic shape 1 pci 256M
}

test_boot_says_which_payload() {
	boot -v <<<'exit 0'
	expect_status 0
	expect 'lz4' err
}

# fields NAME: how many different values /proc/cpuinfo has for it
distinct() { grep "^$1" out | sort -u | wc -l; }

test_cpu_topology_threads() {
	if grep -q AuthenticAMD /proc/cpuinfo && ! grep -q topoext /proc/cpuinfo; then
		skip "TOPOEXT: this AMD processor does not have it, and Linux needs it to see threads"
	fi
	boot --cpus 4,threads=2 <<<'cat /proc/cpuinfo'
	expect_status 0
	expect '^siblings.*: 4'
	expect '^cpu cores.*: 2'
}

test_clock() {
	boot <<-'END'
		ls /sys/class/rtc
		cat /sys/class/rtc/rtc0/since_epoch
	END
	expect_status 0
	expect '^rtc0'
	local guest
	guest=$(sed -n 's/^\([0-9]\{9,\}\).*/\1/p' out)
	if [ $(($(date +%s) - guest)) -gt 60 ] || [ $((guest - $(date +%s))) -gt 2 ]; then
		fail "the guest's clock says $guest, ours $(date +%s)"
	fi
}
