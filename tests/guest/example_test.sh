# The VM files of docs/examples: each boots and does what its comments say.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

# example NAME: this file is the machine that 'boot' and 'launch' run
example() {
	machine=("$here/../../docs/examples/$1.yaml")
	export VIREO_KERNEL=${kernel_dir[$kind]}/$file VIREO_INITRD=$PWD/initrd
	export VIREO_DISK=${image:-${root_dir[$kind]}/root.img}
}

test_example_web() {
	take_modules virtio_net af_packet
	dhcp_script
	disk_copy
	example web
	export VIREO_WEB_PORT=8099
	launch <<-'END'
		set -e
		. /load
		ip link set eth0 up
		udhcpc -q -n -i eth0 -s /dhcp
		echo kept >/disk/kept
		(echo 'this is the guest' | nc -l -p 80) &
		sleep 1
		echo serving
		wait
		umount /disk
	END
	await '^serving'
	for _ in $(seq 20); do
		socat -t 20 -u TCP:127.0.0.1:8099 - >answer 2>/dev/null || true
		[ ! -s answer ] || break
		sleep 1
	done
	expect '^this is the guest' answer
	land
	expect_status 0
	debugfs -R 'cat /kept' "$image" >kept 2>/dev/null
	expect '^kept$' kept
}

test_example_driver_test() {
	example driver-test
	boot <<-'END'
		for disk in vda vdb vdc; do
			echo "$disk: $(dd if=/dev/$disk bs=64k 2>/dev/null | sha256sum | cut -c 1-64)"
			dd if=/dev/zero of=/dev/$disk bs=4k seek=100 count=10 conv=fsync 2>/dev/null || exit 9
		done
		cat /sys/block/vda/device/features /sys/block/vdb/device/features /sys/block/vdc/device/features
		exit 7
	END
	# What the guest said, and nothing of a mistake.
	expect_status 7
	expect '^vireo: strict driver: no mistakes' err
	expect '^vdc: [0-9a-f]{64}'
	# Bits 32 (VERSION_1) and 34 (RING_PACKED) of each disk, from bit 0 on.
	tr -d '\r' <out | grep -xE '[01]{64}' | cut -c 33,35 | sort | tr '\n' ' ' >bits || true
	[ "$(cat bits)" = '00 10 11 ' ] || { show && fail "disks with $(cat bits), not as the file says"; }
}

test_example_lab() {
	make_taps 1
	take_modules virtio_net virtio_balloon vmw_vsock_virtio_transport
	example lab
	export VIREO_TAP=t0 VIREO_VSOCK=/tmp/lab-$$.sock
	boot <<-'END'
		set -e
		free() { sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
		before=$(free)
		. /load
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 2 -W 5 10.7.0.1
		ls /sys/bus/virtio/drivers/vmw_vsock_virtio_transport | grep '^virtio'
		echo "cpus: $(nproc)"
		# With deflate_on_oom the total stays; 64 MiB less are free, give or take the modules.
		for i in $(seq 100); do
			given=$((before - $(free)))
			[ $given -lt 49152 ] || break
			sleep 0.1
		done
		echo "gave back $given kB"
		[ $given -ge 49152 ]
	END
	expect_status 0
	expect '2 packets received'
	expect '^virtio[0-9]'
	expect '^cpus: 2'
	expect '^gave back '
	expect 'vsock: CID [0-9]+' err
}
