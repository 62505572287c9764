# Linux' drivers over each transport: how devices are found, which face is driven.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# Feature bits.
VERSION_1=32

# device_io [VIREO OPTION]... : each device does some work; /report says what they are
device_io() {
	boot "$@" <<-'END'
		set -e
		sh /report
		seq 100000 | head -c 262144 >/tmp/new
		dd if=/tmp/new of=/disk/data/new bs=32k conv=fsync
		umount /disk
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/vda /disk
		cmp /tmp/new /disk/data/new
		head -c 64 /dev/hwrng >/tmp/random
		[ $(wc -c </tmp/random) = 64 ]
		seq 500
		echo devices work
		ls -d /sys/bus/platform/devices/*
		dmesg
	END
	expect_status 0
	expect '^devices work'
	[ "$(tr -d '\r' <out | grep -cxE '[1-9][0-9]{0,2}')" -ge 500 ] || fail "lines of the console are missing"
	expect "^file: /data/sample, sha256 $(sample_hash)"
	expect_not "$COMPLAINTS"
}

# --- How devices on virtio-mmio are found --------------------------------------------------------

by_mmio() { # DISCOVERY [VIREO OPTION]...
	need_own_kernel
	device_io --transport mmio --set "vm.mmio_discovery=$1" "${@:2}"
	expect '^virtio0: .* driver virtio_blk, transport virtio-mmio'
	expect '^virtio1: .* driver virtio_console, transport virtio-mmio'
	expect '^virtio2: .* driver virtio_rng, transport virtio-mmio'
	expect_bit virtio_blk $VERSION_1 1
}

test_mmio_discovery_by_acpi() {
	by_mmio acpi
	expect '^/sys/bus/platform/devices/LNRO0005:00'
}

test_mmio_discovery_by_command_line() {
	by_mmio cmdline
	expect '^/sys/bus/platform/devices/virtio-mmio.0'
	expect_not 'LNRO0005'
}

test_mmio_discovery_by_device_tree() {
	by_mmio dtb
	expect '^/sys/bus/platform/devices/fe000000.virtio_mmio'
}

# The kernel is given what --dump-dtb shows, and ACPI is not missed.
test_device_tree_is_the_one_that_is_dumped() {
	need_own_kernel
	boot --transport mmio --set vm.mmio_discovery=dtb --cpus 2 --memory 256M <<-'END'
		sha256sum </sys/firmware/fdt
		ls -d /sys/firmware/acpi
		ls -1 /sys/firmware/devicetree/base
		grep -c ^processor /proc/cpuinfo
		cat /proc/interrupts
		dmesg
	END
	expect_status 0
	"${ran[@]}" --dump-dtb tree || fail "the tree cannot be dumped"
	expect "^$(sha256sum <tree | cut -d ' ' -f 1) "
	expect_not '^/sys/firmware/acpi'
	expect '^virtio_mmio@fe002000'
	expect "^2"
	expect 'IO-APIC +5-edge +virtio0'
	expect 'IO-APIC +6-edge +virtio1'
	expect 'rtc_cmos 70.rtc: registered as rtc0'
}

test_device_tree_for_an_ELF_vmlinux() {
	need_own_kernel
	file=vmlinux device_io --transport mmio --set vm.mmio_discovery=dtb -v
	expect 'entered at 64 bits' err
}

test_device_tree_when_the_kernel_unpacks_itself() {
	by_mmio dtb --no-unpack
}

# There are fewer interrupts than devices: some share one.
test_device_tree_of_16_devices() {
	need_own_kernel
	local args=() i
	for i in $(seq 13); do
		truncate -s ${i}M "disk$i"
		args+=(--disk "path=disk$i")
	done
	boot --transport mmio --set vm.mmio_discovery=dtb "${args[@]}" <<-'END'
		for d in b c d e f g h i j k l m n; do
			dd if=/dev/zero of=/dev/vd$d bs=64k count=4 conv=fsync || exit 9
			echo "vd$d $(cat /sys/block/vd$d/size)"
		done
		cat /proc/interrupts
	END
	expect_status 0
	expect '^vdb 2048'
	expect '^vdn 26624'
	expect 'virtio0, virtio12'
}

test_device_tree_after_a_reboot() {
	need_own_kernel
	disk_copy
	boot --transport mmio --set vm.mmio_discovery=dtb --on-reboot restart <<-'END'
		if [ -e /disk/data/second ]; then sh /report; exit; fi
		touch /disk/data/second
		umount /disk
		reboot -f
	END
	expect_status 0
	expect "^file: /data/sample, sha256 $(sample_hash)"
}

test_device_tree_and_a_panic_is_120() {
	need_own_kernel
	boot --transport mmio --set vm.mmio_discovery=dtb <<<'echo c >/proc/sysrq-trigger'
	expect_status 120
}

# --- Transports ----------------------------------------------------------------------------------

# on TRANSPORT DRIVER VERSION_1 [VIREO OPTION]...
on() {
	local transport=$1 driver=$2 version_1=$3 model
	shift 3
	device_io --transport "$transport" "$@"
	for model in blk console rng; do
		expect "driver virtio_$model, transport virtio-$driver"
		expect_bit virtio_$model $VERSION_1 "$version_1"
	done
}

test_transport_pci_transitional_legacy_face() { append=virtio_pci.force_legacy=1 on pci-transitional pci 0; }
test_transport_pci_transitional_legacy_face_intx() {
	append='virtio_pci.force_legacy=1 pci=nomsi' on pci-transitional pci 0
	expect_not 'PCI-MSI'
}
test_transport_pci_transitional_generic_kernel() { kind=generic on pci-transitional pci 1 --memory 256M; }
test_transport_pci_legacy_intx() { append=pci=nomsi on pci-legacy pci 0; }
test_transport_mmio_legacy_6G() { on mmio-legacy mmio 0 --memory 6G; }
test_transport_pci_legacy_6G() { on pci-legacy pci 0 --memory 6G; }

by_mmio_legacy() {
	need_own_kernel
	on mmio-legacy mmio 0 --set "vm.mmio_discovery=$1"
}
test_transport_mmio_legacy_by_command_line() { by_mmio_legacy cmdline; }
test_transport_mmio_legacy_by_device_tree() { by_mmio_legacy dtb; }

# A driver takes the legacy face after another one had the modern face, and the other way round.  The
# console stays: it is not on PCI.
test_transport_pci_transitional_rebind() {
	boot --transport pci-transitional --console stdio,transport=mmio <<-'END'
		set -e
		umount /disk
		for legacy in 1 0 1; do
			rmmod virtio_pci
			[ ! -e /dev/vda ]
			insmod /modules/virtio_pci.ko force_legacy=$legacy
			mount -t ext4 /dev/vda /disk
			sha256sum </disk/data/sample
			echo "legacy $legacy: $(cut -c 33 /sys/block/vda/device/features)"
			umount /disk
		done
	END
	expect_status 0
	expect '^legacy 1: 0'
	expect '^legacy 0: 1'
	[ "$(grep -c "^$(sample_hash)" out)" = 3 ] || fail "the disk does not work each time"
}
