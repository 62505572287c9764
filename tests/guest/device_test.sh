# Linux' drivers let go of our devices and take them back; interrupts come in each of their forms.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# The script's output goes over the serial port, as hvc0 comes and goes.
rebind() {
	append="vireo.console=ttyS0 $append" boot --serial stdio --console file=hvc0 "$@" <<-'END'
		set -e
		drivers=/sys/bus/virtio/drivers
		device() { basename $(ls -d $drivers/$1/virtio*); }
		# rebind DRIVER: twice, for what the first one left behind shows in the second
		rebind() {
			for i in 1 2; do
				id=$(device $1)
				echo $id >$drivers/$1/unbind
				[ ! -e $drivers/$1/$id ]
				echo $id >$drivers/$1/bind
				[ -e $drivers/$1/$id ]
			done
		}

		umount /disk
		rebind virtio_blk
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/vda /disk
		sha256sum </disk/data/sample
		echo data >/disk/data/new
		sync
		echo blk fine

		head -c 64 /dev/hwrng | od -An -t x1
		rebind virtio_rng
		cat /sys/class/misc/hw_random/rng_current
		head -c 64 /dev/hwrng | cmp - /dev/zero -n 64 && exit 9
		echo rng fine

		echo before >/dev/hvc0
		rebind virtio_console
		# It may get another number; those without a console cannot be opened.
		for hvc in /dev/hvc*; do
			if (echo after >$hvc) 2>/dev/null; then
				echo console fine: $hvc
			fi
		done
	END
	expect_status 0
	expect "^$(sample_hash)"
	expect '^blk fine'
	expect '^virtio_rng'
	expect '^rng fine'
	expect '^console fine'
	expect '^before' hvc0
	expect '^after' hvc0
}
test_rebind_virtio_drivers_pci() { rebind --transport pci; }
test_rebind_virtio_drivers_mmio() { rebind --transport mmio; }
test_rebind_virtio_drivers_intx() { append=pci=nomsi rebind --transport pci; }

# The same one level below: the transport's driver lets go of the whole device.
test_rebind_transport_drivers() {
	local transport
	for transport in pci:pci/drivers/virtio-pci mmio:platform/drivers/virtio-mmio; do
		boot --transport "${transport%%:*}" <<-END
			set -e
			umount /disk
			dev=\$(basename \$(dirname \$(readlink -f /sys/block/vda/device)))
			cd /sys/bus/${transport#*:}
			echo \$dev >unbind
			[ ! -e /dev/vda ]
			echo \$dev >bind
			mount -t ext4 /dev/vda /disk
			sha256sum </disk/data/sample
		END
		expect_status 0
		expect "^$(sample_hash)"
	done
}
