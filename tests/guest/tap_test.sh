# Guests on a tap whose frames this process moves.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

# The host's end of the cable: a tap with an address, and a server behind it.
make_tap() { # [TAP-OPTION]...
	tap=vt$$
	[ -c /dev/net/tun ] || modprobe tun 2>/dev/null || skip "this machine has no /dev/net/tun"
	ip tuntap add "$tap" mode tap "$@" || skip "no tap can be made"
	trap 'kill $server; ip link del "$tap"' EXIT
	ip address add 10.9.0.1/24 dev "$tap"
	ip link set "$tap" up
	mkdir -p www
	seq 300000 >www/numbers
	busybox httpd -f -p 10.9.0.1:8000 -h www >/dev/null 2>&1 &
	server=$!
}

# What the guest does first: its address, and how its driver sees the device.
guest_up='
	. /load
	for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
	ip address add 10.9.0.2/24 dev eth0
	ip link set eth0 up
'

# Small and large, both ways; the driver off and on again in between.
test_tap_traffic() {
	make_tap
	take_modules virtio_net
	boot --net "tap,ifname=$tap,vhost=off,mac=52:54:00:00:00:09,mtu=1400,speed=1000,duplex=full" <<-END
		$guest_up
		cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu /sys/class/net/eth0/speed
		for n in 1 2; do
			ping -c 3 -W 5 -s 1300 10.9.0.1 | grep received
			wget -q -O - http://10.9.0.1:8000/numbers | sha256sum
			ip link set eth0 down
			for dev in /sys/bus/virtio/drivers/virtio_net/virtio*; do d=\${dev##*/}; done
			echo \$d >/sys/bus/virtio/drivers/virtio_net/unbind
			echo \$d >/sys/bus/virtio/drivers/virtio_net/bind
			$guest_up
		done
		wget -q -O - http://10.9.0.1:8000/numbers | sha256sum
		dmesg
	END
	expect_status 0
	expect '^52:54:00:00:00:09'
	expect '^1400'
	expect '^1000'
	expect '3 packets received'
	[ "$(grep -c "$(sha256sum <www/numbers | cut -d ' ' -f 1)" out)" = 3 ] || { show && fail "downloads differ"; }
	expect_not "$COMPLAINTS"
}

# All pairs at work, over a machine whose driver asks for them.
test_tap_multiqueue() {
	make_tap multi_queue
	take_modules virtio_net
	boot --cpus 2 --net "tap,ifname=$tap,vhost=off,queues=2" --set vm.io_threads=2 <<-END
		$guest_up
		ls -d /sys/class/net/eth0/queues/*
		for n in 1 2 3 4; do
			wget -q -O - http://10.9.0.1:8000/numbers | sha256sum &
		done
		wait
		dmesg
	END
	expect_status 0
	expect 'rx-1'
	expect 'tx-1'
	[ "$(grep -c "$(sha256sum <www/numbers | cut -d ' ' -f 1)" out)" = 4 ] || { show && fail "downloads differ"; }
	expect_not "$COMPLAINTS"
}
