# Linux' drivers make no mistakes, whatever the transport: else --strict-driver would be of no use to
# those who write drivers.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# Drivers come, work, go, and come again; every kick is looked at.
# strict KIND [OPTION]... : drivers of this kind
strict() {
	local kind_of_driver=$1
	shift
	rebind --strict-driver --explain "$@"
	expect '^vireo: strict driver: no mistakes' err
	# Each device had a session more than once; when Linux powers off it resets them.
	[ "$(grep -cE "driver: none now; shown is the last one, a $kind_of_driver one; session [2-9]" err)" -eq 3 ] ||
		{
			cat err
			fail "not every driver came again as a $kind_of_driver one"
		}
	expect '^ +29 EVENT_IDX +ring +yes +(yes|both) +yes +yes$' err
}

test_strict_driver_pci() { strict modern --transport pci; }
test_strict_driver_pci_transitional() { strict modern --transport pci-transitional; }
test_strict_driver_pci_legacy() { strict legacy --transport pci-legacy; }
test_strict_driver_mmio() { strict modern --transport mmio; }
test_strict_driver_mmio_legacy() { strict legacy --transport mmio-legacy; }

# One of each kind in one guest; the disk's driver does without two bits.
test_every_transport_in_one_guest() {
	disk=,ephemeral,transport=mmio,features=-indirect,-event_idx boot --strict-driver --explain \
		--console stdio,transport=pci-transitional --rng transport=mmio-legacy <<-'END'
		set -e
		sha256sum </disk/data/sample
		head -c 64 /dev/hwrng | od -An -t x1 | head -n 1
	END
	expect_status 0
	expect "^$(sample_hash)"
	expect '^vireo: strict driver: no mistakes' err
	expect 'disk0: virtio block device \(type 2\) over mmio$' err
	expect '^ +28 INDIRECT_DESC +ring +yes +- +no +no +- +switched off by the configuration' err
}
