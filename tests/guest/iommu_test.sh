# Linux' virtio-iommu driver, and devices behind it: what it maps is what they reach.  A kernel of our own.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

# What the guest says of its IOMMU, and a read that goes through it.
look='
	echo groups: $(ls /sys/kernel/iommu_groups | wc -l)
	for g in /sys/kernel/iommu_groups/*; do
		echo type: $(cat $g/type) $(ls $g/devices)
	done
	sha256sum </disk/data/sample
'

behind=(--set console.iommu=yes --set rng.iommu=yes)

served() {
	need_own_kernel
	disk=,ephemeral,iommu=yes
	append="$append $1"
	shift
	boot "${behind[@]}" "$@" <<-END
		$look
		dd if=/dev/hwrng of=/dev/null bs=1k count=16 2>/dev/null && echo random
		# Writes and reads of all sizes, past the page cache.
		dd if=/dev/zero of=/disk/big bs=1M count=24 oflag=direct 2>/dev/null &&
			dd if=/disk/big bs=64k iflag=direct 2>/dev/null | sha256sum
		dmesg | grep -c 'Blocked a Write\|viommu.*fault\|Unhandled' || true
	END
	expect_status 0
	expect '^groups: 3'
	expect "^$(sample_hash)"
	expect '^random'
	expect "^$(head -c 25165824 /dev/zero | sha256sum | cut -c 1-64)"
}

test_iommu_pci_strict() {
	served 'iommu.strict=1 iommu.passthrough=0'
	expect '^type: DMA [^F]*$'
}
test_iommu_pci_lazy() {
	served 'iommu.strict=0 iommu.passthrough=0'
	expect '^type: DMA-FQ'
}
test_iommu_passthrough() {
	served 'iommu.passthrough=1'
	expect '^type: identity'
}
test_iommu_without_bypass() { served 'iommu.strict=1' --iommu bypass=no; }
test_iommu_mmio() { served 'iommu.strict=1' --transport mmio; }
test_iommu_packed() { served 'iommu.strict=1' --features +ring_packed,+in_order; }

# The driver gives everything back and takes it again; then the whole machine starts over.
test_iommu_rebind_and_reboot() {
	need_own_kernel
	disk_copy
	disk=,iommu=yes
	boot "${behind[@]}" --append 'iommu.strict=1' <<-END
		$look
		cd /sys/bus/virtio/drivers/virtio_rng
		for i in 1 2 3; do
			for d in virtio*; do
				echo \$d >unbind
				echo \$d >bind
			done
			dd if=/dev/hwrng of=/dev/null bs=1k count=4 2>/dev/null && echo random \$i
		done
		[ -e /disk/again ] || { touch /disk/again; sync; reboot -f; }
		echo second time
	END
	expect_status 0
	expect '^random 3'
	expect '^second time'
	expect "^$(sample_hash)"
}
