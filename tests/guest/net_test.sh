# Guests with a network that needs no rights.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2004  # from guest.sh and the suite

# What udhcpc calls: as a distribution does, in short.
dhcp_script() {
	mkdir -p overlay
	cat >overlay/dhcp <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip address add "$ip/$mask" dev "$interface"
		ip route add default via "$router"
		echo "nameserver $dns" >/etc/resolv.conf
		echo "lease $ip/$mask via $router, names from $dns"
	END
	chmod +x overlay/dhcp
	mkdir -p overlay/etc
}

# A network of the host's own that nothing else shares: servers at 127.0.0.1 and ::1, and a name server in
# its resolv.conf.  'outside CMD...' runs there.
make_outside() {
	netns=vireo$$
	ip netns add "$netns" || skip "no network namespaces here"
	trap 'stop_outside' EXIT
	mkdir -p "/etc/netns/$netns" www
	echo nameserver 127.0.0.1 >"/etc/netns/$netns/resolv.conf"
	outside ip link set lo up
	seq 100000 >www/numbers
	serve_outside busybox httpd -f -p 127.0.0.1:8000 -h www
	serve_outside busybox httpd -f -p '[::1]:8000' -h www
	serve_outside socat -t 20 UDP-RECVFROM:53,bind=127.0.0.1,fork "EXEC:$here/net-names.sh"
	# Slow machines take a while to start them.
	for _ in $(seq 100); do
		! outside timeout 5 busybox nslookup -type=a vireo.test 127.0.0.1 >asked 2>&1 || break
		sleep 0.1
	done
	expect '192\.0\.2\.7' asked
	outside cat /etc/resolv.conf >resolv
	expect '127\.0\.0\.1' resolv
}

outside() { ip netns exec "$netns" "$@"; }

# No job of the test, which waits for all of them.
serve_outside() { (outside "$@" </dev/null >>servers 2>&1 &); }

stop_outside() {
	local pid
	for pid in $(ip netns pids "$netns"); do
		kill "$pid" || true
	done
	ip netns delete "$netns" || true
	rm -rf "/etc/netns/${netns:?}"
}

# Vireo as nobody, with nothing but a KVM to open: 'vireo' and what it reads are where nobody may look.
become_nobody() {
	chmod 755 . ..
	cp "$vireo" vireo-copy
	cp --sparse=always "${root_dir[$kind]}/root.img" root.img
	cp "${kernel_dir[$kind]}/$file" vmlinuz-copy
	chmod 644 root.img vmlinuz-copy
	mknod -m 666 kvm c 10 232
	mkdir -m 777 out-of-nobody
	touch serial
	chmod 666 serial
	sh -c 'exec 3<>kvm' || skip "no device nodes here"
	cat >vireo-as-nobody <<-END
		#!/bin/sh
		cd "$PWD"
		exec ip netns exec $netns setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \\
			--no-new-privs ./vireo-copy "\$@"
	END
	chmod +x vireo-as-nobody
	image=root.img vireo=$PWD/vireo-as-nobody
	kernel_dir[$kind]=$PWD file=vmlinuz-copy
}

# user_net [VIREO OPTION]... ('net': more options of the interface): all that a guest does with a network, in one boot
user_net() {
	make_outside
	take_modules virtio_net af_packet
	take_programs socat
	dhcp_script
	become_nobody
	launch --memory 256M --set vm.kvm=kvm \
		--net "user,forward=tcp:8080:80,forward=udp:5353:53,forward=tcp:[::1]:8081:80,capture=out-of-nobody/net.pcap${net-}" "$@" <<-'END'
		set -e
		. /load
		ip link set lo up
		ip link set eth0 up
		echo offloads: $(cat /sys/class/net/eth0/carrier) $(cat /sys/class/net/eth0/mtu)
		udhcpc -q -n -i eth0 -s /dhcp
		ping -c 2 -w 20 10.0.2.2
		nslookup -timeout=20 -type=a vireo.test 10.0.2.3
		wget -q -O - http://10.0.2.2:8000/numbers | sha256sum | sed 's/^/from the host: /'
		for i in $(seq 100); do
			ip -6 address show dev eth0 | grep -q 'fec0:.*global\|fec0:.*site' && break
			sleep 0.1
		done
		ip -6 address show dev eth0 | grep inet6
		ip -6 route | grep default
		wget -q -O - 'http://[fec0::2]:8000/numbers' | sha256sum | sed 's/^/over IPv6: /'
		mkdir /tmp/www
		seq 50000 >/tmp/www/guest
		httpd -p 80 -h /tmp/www
		socat UDP-RECVFROM:53,fork PIPE &
		echo ready
		read line
		ip link show eth0
		echo "host says $line"
		dmesg
	END
	await '^ready'
	outside timeout 20 busybox wget -q -O - http://127.0.0.1:8080/guest | sha256sum >from-guest
	outside timeout 20 busybox wget -q -O - 'http://[::1]:8081/guest' | sha256sum >from-guest6
	printf 'over udp' | outside timeout 20 socat -t 5 - UDP:127.0.0.1:5353 >udp-echo || true
	grep -E '^(Uid|CapEff|Seccomp):' "/proc/$(pgrep -f '^./vireo-copy run' | head -n 1)/status" >rights
	say "done"
	land
	expect_status 0
	expect '^lease 10.0.2.15/24 via 10.0.2.2, names from 10.0.2.3'
	expect '2 packets transmitted, 2 packets received'
	expect '192\.0\.2\.7'
	expect "^from the host: $(sha256sum <www/numbers | cut -d ' ' -f 1)"
	expect 'inet6 fec0:'
	expect 'default via fe80:'
	expect "^over IPv6: $(sha256sum <www/numbers | cut -d ' ' -f 1)"
	expect '^host says done'
	expect "^$(seq 50000 | sha256sum | cut -d ' ' -f 1)" from-guest
	expect "^$(seq 50000 | sha256sum | cut -d ' ' -f 1)" from-guest6
	expect '^over udp' udp-echo
	expect '^Uid:[[:space:]]65534' rights
	expect '^CapEff:[[:space:]]0000000000000000' rights
	expect '^Seccomp:[[:space:]]2' rights
	expect_not "$COMPLAINTS"
	expect_not '^vireo: (warning|error)' err
	command -v tcpdump >/dev/null || return 0
	tcpdump -nr out-of-nobody/net.pcap 'udp port 67 or udp port 68' >dhcp-seen 2>pcap-said
	expect 'BOOTP/DHCP, Reply' dhcp-seen
	expect_not 'truncated|bogus' pcap-said
}
test_net_user_pci() { user_net; }
test_net_user_mmio() { user_net --transport mmio; }
test_net_user_packed_plain() { net=,features=-mrg_rxbuf,-csum,-ctrl_vq user_net --features +packed; }

# A guest that reboots in place has its network again.
test_net_user_after_reboot() {
	make_outside
	take_modules virtio_net af_packet
	dhcp_script
	vireo_plain=$vireo
	printf '#!/bin/sh\nexec ip netns exec %s %s "$@"\n' "$netns" "$vireo_plain" >in-host
	chmod +x in-host
	vireo=$PWD/in-host
	disk_copy
	boot --memory 256M --on-reboot restart --net user <<-'END'
		set -e
		. /load
		ip link set eth0 up
		udhcpc -q -n -i eth0 -s /dhcp
		wget -q -O - http://10.0.2.2:8000/numbers | wc -l
		[ -e /disk/second ] && exit 0
		touch /disk/second
		umount /disk
		reboot -f
	END
	expect_status 0
	[ "$(grep -c '^100000' out)" = 2 ] || { show && fail "the network was not there twice"; }
}
