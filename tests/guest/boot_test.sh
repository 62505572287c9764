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

# The cloud kernel occupies 46 of the 64 MiB (62 with what lies below it), and the dentries of tracefs would
# need most of what is left.
small() { append=initcall_blacklist=tracer_init_tracefs shape "$1" "$2" 64M; }
test_boot_1_cpu_pci_64M() { small 1 pci; }
test_boot_4_cpu_pci_64M() { small 4 pci; }
test_boot_1_cpu_mmio_64M() { small 1 mmio; }
test_boot_4_cpu_mmio_64M() { small 4 mmio; }
test_boot_1_cpu_pci_6G() { shape 1 pci 6G; }
test_boot_4_cpu_pci_6G() { shape 4 pci 6G; }
test_boot_1_cpu_mmio_6G() { shape 1 mmio 6G; }
test_boot_4_cpu_mmio_6G() { shape 4 mmio 6G; }

# Unpacking itself, this kernel needs 68 MiB: the setup header says so, and Vireo heeds it.
test_boot_1_cpu_pci_128M_no_unpack() { shape 1 pci 128M --no-unpack; }
test_boot_4_cpu_mmio_128M_no_unpack() { shape 4 mmio 128M --no-unpack; }
test_boot_1_cpu_mmio_6G_no_unpack() { shape 1 mmio 6G --no-unpack; }
test_boot_4_cpu_pci_6G_no_unpack() { shape 4 pci 6G --no-unpack; }
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

test_boot_16_cpus() {
	boot --cpus 16 <<<'cat /proc/cpuinfo'
	expect_status 0
	[ "$(grep -c ^processor out)" = 16 ] || fail "$(grep -c ^processor out) CPUs"
}

test_boot_says_which_payload() {
	boot -v <<<'exit 0'
	expect_status 0
	expect 'lz4' err
}

# fields NAME: how many different values /proc/cpuinfo has for it
distinct() { grep "^$1" out | sort -u | wc -l; }

test_cpu_topology_flat() {
	boot --cpus 4 <<<'cat /proc/cpuinfo'
	expect_status 0
	[ "$(distinct 'physical id')" = 1 ] || fail "not one socket"
	[ "$(distinct 'core id')" = 4 ] || fail "not four cores"
	expect '^siblings.*: 4'
	expect '^cpu cores.*: 4'
}

test_cpu_topology_threads() {
	if grep -q AuthenticAMD /proc/cpuinfo && ! grep -q topoext /proc/cpuinfo; then
		skip "TOPOEXT: this AMD processor does not have it, and Linux needs it to see threads"
	fi
	boot --cpus 4,threads=2 <<<'cat /proc/cpuinfo'
	expect_status 0
	expect '^siblings.*: 4'
	expect '^cpu cores.*: 2'
}

test_cpu_topology_sockets() {
	boot --cpus 4,cores=2 <<<'cat /proc/cpuinfo'
	expect_status 0
	[ "$(distinct 'physical id')" = 2 ] || fail "not two sockets"
	expect '^siblings.*: 2'
	expect '^cpu cores.*: 2'
}

test_acpi_tables() {
	boot <<-'END'
		ls -1 /sys/firmware/acpi/tables
		grep -E 'PCI (ECAM|MMCONFIG)' /proc/iomem
		cat /proc/interrupts
	END
	expect_status 0
	for table in APIC DSDT FACP MCFG; do
		expect "^$table"
	done
	expect '0-e00fffff : PCI (ECAM|MMCONFIG)'
	expect ' acpi'
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
