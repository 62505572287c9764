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
		# To the disk and back.
		dd if=/dev/urandom of=/disk/big bs=1M count=8 2>/dev/null
		sha256sum </disk/big >/sum
		sync
		echo 3 >/proc/sys/vm/drop_caches
		sha256sum </disk/big | cmp - /sum && echo same
	END
	expect_status 0
	expect '^groups: 3'
	expect "^$(sample_hash)"
	expect '^random'
	expect '^same'
}

test_iommu_pci_strict() {
	served 'iommu.strict=1 iommu.passthrough=0'
	expect '^type: DMA [^F]*$'
}
test_iommu_pci_lazy() {
	served 'iommu.strict=0 iommu.passthrough=0'
	# Deferred where the driver can (Linux 6.9 and later).
	expect '^type: DMA'
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

# --- Networks and sockets behind it --------------------------------------------------------------

# vhost_talks KERNEL_OPTION [VIREO OPTION]... : TCP and UDP through vhost-net while a stream goes through
# vhost-vsock and the disk is read, all behind the IOMMU
vhost_talks() {
	local device
	need_own_kernel
	need_node /dev/vhost-vsock
	append="$append $1"
	shift
	make_taps 1
	take_modules virtio_net vmw_vsock_virtio_transport
	take_programs iperf3 socat
	serve_iperf
	in_ns timeout 100 socat -u VSOCK-LISTEN:7001 CREATE:from-guest 2>listen.log &
	disk=,ephemeral,iommu=yes
	boot --memory 256M --explain --net tap,ifname=t0,vhost=require,iommu=yes \
		--vsock cid=1235,vhost=require,iommu=yes "$@" <<-END
		$look
		$talk
		up 0
		for i in \$(seq 50); do [ -e /dev/vsock ] && break; sleep 0.1; done
		while :; do
			seq 20000
			[ ! -e /tmp/end ] || break
			sleep 0.05
		done | socat -u - VSOCK-CONNECT:2:7001 &
		stream=\$!
		(
			while [ ! -e /tmp/end ]; do
				echo 3 >/proc/sys/vm/drop_caches
				sha256sum </disk/data/sample
			done | sort | uniq -c >/tmp/sums
		) &
		talk 0
		touch /tmp/end
		wait \$stream || exit 15
		wait
		sed 's/^/read: /' /tmp/sums
		dmesg
	END
	expect_status 0
	expect '^groups: 3'
	expect '^eth0 talks'
	expect "^read: +[0-9]+ $(sample_hash)"
	[ "$(grep -c '^read: ' out)" = 1 ] || { show && fail 'the disk was not always read alike'; }
	expect_not "$COMPLAINTS"
	# The kernel translates: both were told bit 33 (N15, N16).  The socket's events are a part of their own.
	for device in net0 vsock; do
		explained $device '^ +33 ACCESS_PLATFORM .* yes +y(es|/y)$' && continue
		explained $device .
		fail "vhost was not told ACCESS_PLATFORM of $device"
	done
	awk '$1 != n % 20000 + 1 { exit 1 } { n++ } END { if (n == 0 || n % 20000) exit 1 }' from-guest ||
		fail "the stream from the guest is damaged: $(wc -l <from-guest) lines"
}
test_iommu_vhost_strict() { vhost_talks 'iommu.strict=1 iommu.passthrough=0'; }
test_iommu_vhost_lazy() { vhost_talks 'iommu.strict=0 iommu.passthrough=0'; }
test_iommu_vhost_passthrough() { vhost_talks 'iommu.passthrough=1'; }
test_iommu_vhost_mmio() { vhost_talks 'iommu.strict=1' --transport mmio; }

# The rings of vhost are mapped anew by each driver that comes.
test_iommu_vhost_rebind_and_reboot() {
	need_own_kernel
	make_taps 1
	disk_copy
	boot --memory 256M --net tap,ifname=t0,vhost=require,iommu=yes --append iommu.strict=1 \
		--on-reboot restart <<-'END'
		for n in 1 2 3; do
			ip addr add 10.7.0.2/24 dev eth0
			ip link set eth0 up
			ping -q -c 2 -W 5 10.7.0.1 || exit 11
			echo talks $n
			for dev in /sys/bus/virtio/drivers/virtio_net/virtio*; do d=${dev##*/}; done
			echo $d >/sys/bus/virtio/drivers/virtio_net/unbind
			echo $d >/sys/bus/virtio/drivers/virtio_net/bind
		done
		[ -e /disk/again ] && echo second time && exit 0
		touch /disk/again
		sync
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -i 0.01 -s 1400 10.7.0.1 >/dev/null &
		sleep 1
		reboot -f
	END
	expect_status 0
	expect '^second time'
	[ "$(grep -c '^talks 3' out)" = 2 ] || { show && fail 'it did not talk three times twice'; }
}

test_iommu_net_tap() {
	need_own_kernel
	append="$append iommu.strict=1"
	net=,iommu=yes net_talks off
}
test_iommu_net_user() {
	need_own_kernel
	append="$append iommu.strict=1"
	net=,iommu=yes user_net
}

# What docs/offload.md shows of an interface behind an IOMMU is what Vireo says.  To renew it, as there.
test_iommu_offload_documentation() {
	need_own_kernel
	make_taps 1
	boot --memory 256M --net tap,ifname=t0,vhost=require,iommu=yes --explain <<-'END'
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 1 -W 5 10.7.0.1 && echo talks
	END
	expect_status 0
	expect '^talks'
	documented explain-iommu '--net tap,ifname=t0,vhost=require,iommu=yes'
}
