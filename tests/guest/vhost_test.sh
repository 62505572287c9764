# Guests whose devices are moved by the vhost of a real kernel: network, vsock, SCSI.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

need_node() { [ -c "$1" ] || skip "this machine has no $1"; }

# --- Network -------------------------------------------------------------------------------------

# make_taps N [OPTION]: taps t0, t1 ... in a network namespace of the test's, whose end of each wire is
# 10.7.I.1; Vireo runs there, too
make_taps() {
	local i
	need_node /dev/net/tun
	ns=vireo-$$-$RANDOM
	ip netns add $ns || skip 'no right to make a network namespace'
	trap 'ip netns pids $ns | xargs -r kill || true; ip netns del $ns || true' EXIT
	enter=(ip netns exec $ns)
	in_ns ip link set lo up
	for i in $(seq 0 $(($1 - 1))); do
		in_ns ip tuntap add dev t$i mode tap vnet_hdr ${2-}
		in_ns ip addr add 10.7.$i.1/24 dev t$i
		in_ns ip link set t$i up
	done
}
in_ns() { ip netns exec $ns "$@"; }

# In the guest: up I; and talk I: a ping, then TCP both ways and UDP.
talk='
	. /load
	up() {
		ip link set lo up
		ip addr add 10.7.$1.2/24 dev eth$1
		ip link set eth$1 up
	}
	talk() {
		ping -q -c 2 -W 5 10.7.$1.1 || exit 11
		iperf3 -c 10.7.$1.1 -t 1 -l 16k >/tmp/log 2>&1 || { cat /tmp/log; exit 12; }
		grep receiver /tmp/log
		iperf3 -c 10.7.$1.1 -t 1 -l 16k -R >/tmp/log 2>&1 || { cat /tmp/log; exit 13; }
		grep receiver /tmp/log
		iperf3 -c 10.7.$1.1 -t 1 -u -b 5M -l 200 >/tmp/log 2>&1 || { cat /tmp/log; exit 14; }
		grep receiver /tmp/log
		echo eth$1 talks
	}
'
serve_iperf() {
	in_ns iperf3 -s >server.log 2>&1 &
}

# What 'vireo run --explain' says of a bit of the device: its line.
explained() { sed -n "/^$1/,/^\$/p" err | grep -E "$2"; }

net_talks() { # VHOST [VIREO OPTION]... ('net': more options of the interface)
	local vhost=$1
	shift
	make_taps 1
	take_modules virtio_net
	take_programs iperf3
	serve_iperf
	boot -v --memory 256M --net "tap,ifname=t0,vhost=$vhost${net-}" "$@" <<-END
		$talk
		up 0
		talk 0
		cat /sys/class/net/eth0/device/features
		dmesg
	END
	expect_status 0
	expect '^eth0 talks'
	expect_not "$COMPLAINTS"
}
test_vhost_net_talks_pci() {
	net_talks require --explain
	expect '/dev/vhost-net' err
}
test_vhost_net_talks_mmio() { net_talks require --transport mmio; }
test_vhost_net_off_talks_in_process() {
	net_talks off --explain
	expect_not 'told to /dev/vhost-net' err
}

# One interface for each offload that is not there; all of them talk.
test_vhost_net_without_each_offload() {
	local i=0 without nets=()
	take_modules virtio_net
	take_programs iperf3
	for without in csum host_tso4 host_tso6 guest_csum guest_tso4 mrg_rxbuf event_idx indirect; do
		nets+=(--net "tap,ifname=t$i,vhost=require,features=-$without")
		i=$((i + 1))
	done
	make_taps $i
	serve_iperf
	boot --memory 256M "${nets[@]}" <<-END
		$talk
		for i in \$(seq 0 $((i - 1))); do up \$i; talk \$i; done
	END
	expect_status 0
	for i in $(seq 0 $((i - 1))); do expect "^eth$i talks"; done
}

test_vhost_net_multiqueue() {
	make_taps 1 multi_queue
	take_modules virtio_net
	take_programs iperf3
	serve_iperf
	boot --memory 256M --cpus 2 --net tap,ifname=t0,vhost=require,queues=2 <<-END
		$talk
		up 0
		ls -d /sys/class/net/eth0/queues/*
		talk 0
		iperf3 -c 10.7.0.1 -t 2 -P 4 >/tmp/log 2>&1 || { cat /tmp/log; exit 15; }
		grep virtio /proc/interrupts
	END
	expect_status 0
	expect '^eth0 talks'
	expect '/sys/class/net/eth0/queues/rx-1'
	expect '/sys/class/net/eth0/queues/tx-1'
}

# The ring is given back and taken again: unbind and bind, and a reboot in place.
test_vhost_net_rebind_and_reboot() {
	make_taps 1
	take_modules virtio_net
	disk_copy
	boot --memory 256M --net tap,ifname=t0,vhost=require --on-reboot restart <<-'END'
		. /load
		up() {
			ip addr add 10.7.0.2/24 dev eth0
			ip link set eth0 up
			ping -q -c 2 -W 5 10.7.0.1 || exit 11
		}
		for n in 1 2 3; do
			up
			for dev in /sys/bus/virtio/drivers/virtio_net/virtio*; do d=${dev##*/}; done
			echo $d >/sys/bus/virtio/drivers/virtio_net/unbind
			[ ! -e /sys/class/net/eth0 ] || exit 12
			echo $d >/sys/bus/virtio/drivers/virtio_net/bind
		done
		up
		if [ ! -e /disk/data/second ]; then
			touch /disk/data/second
			umount /disk
			# Under traffic.
			ping -q -i 0.01 -s 1400 10.7.0.1 >/dev/null &
			sleep 1
			reboot -f
		fi
		echo twice
	END
	expect_status 0
	expect '^twice'
}

# The guest is stopped under traffic: no process, thread, descriptor or tap queue stays behind.
test_vhost_net_stop_under_traffic() {
	local i
	make_taps 1
	take_modules virtio_net
	take_programs iperf3
	serve_iperf
	launch --memory 256M --net tap,ifname=t0,vhost=require <<-END
		$talk
		up 0
		iperf3 -c 10.7.0.1 -t 60 >/dev/null &
		sleep 2
		echo running
		sleep 60
	END
	await '^running'
	pkill -TERM -P "$(pgrep -P "$launched" -x timeout)" || fail 'there is no Vireo'
	land
	# A tap with one queue can be opened again at once; the workers of vhost go with their owner.
	for i in $(seq 50); do
		[ -n "$(pgrep '^vhost-')" ] || break
		sleep 0.1
	done
	[ -z "$(pgrep '^vhost-')" ] || fail "a worker stays behind: $(pgrep -l '^vhost-')"
	boot --memory 256M --net tap,ifname=t0,vhost=require <<-'END'
		. /load
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 2 -W 5 10.7.0.1 && echo again
	END
	expect_status 0
	expect '^again'
}

# Kernel and process take turns (SIGUSR2) under a guest that talks both ways.  A ping is not sent again, so
# each that is lost is missed; TCP is there for full rings and long frames.
test_vhost_net_switches_under_traffic() {
	local pid turns=0
	make_taps 1
	take_modules virtio_net
	take_programs iperf3
	serve_iperf
	launch --memory 256M --net tap,ifname=t0,vhost=auto <<-END
		$talk
		up 0
		ping -q -c 1 -W 5 10.7.0.1 || exit 10
		echo running
		ping -q -i 0.01 -c 500 10.7.0.1 | sed 's/^/from the guest: /'
		iperf3 -c 10.7.0.1 -t 3 -l 16k >/tmp/log 2>&1 || { cat /tmp/log; exit 12; }
		grep receiver /tmp/log
		iperf3 -c 10.7.0.1 -t 3 -l 16k -R >/tmp/log 2>&1 || { cat /tmp/log; exit 13; }
		grep receiver /tmp/log
		ping -q -c 2 -W 5 10.7.0.1 || exit 14
		echo ended
		dmesg
	END
	await '^running'
	in_ns busybox ping -q -i 0.01 -c 400 10.7.0.2 >from-host &
	pid=$(pgrep -P "$(pgrep -P "$launched" -x timeout)")
	while ! grep -q '^ended' out && [ ! -e status ] && [ $turns -lt 200 ]; do
		kill -USR2 "$pid" || break
		turns=$((turns + 1))
		sleep 0.3
	done
	land
	expect_status 0
	expect '^ended'
	expect '^from the guest: 500 packets transmitted, 500 packets received'
	expect '400 packets transmitted, 400 packets received' from-host
	expect_not "$COMPLAINTS"
	expect_not 'WARNING|warning|lost|reset|switch to' err
	[ "$(grep -c 'its buffers are moved by /dev/vhost-net now' err)" -ge 5 ] ||
		{ show; fail "$turns signals, and not 5 ways to the kernel and back"; }
}

# A tap that is deleted under traffic: the device needs a reset, and Vireo goes on.
test_vhost_net_tap_is_deleted() {
	make_taps 1
	take_modules virtio_net
	launch --memory 256M --net tap,ifname=t0,vhost=require <<-'END'
		. /load
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -i 0.05 10.7.0.1 >/dev/null 2>&1 &
		sleep 1
		echo running
		read -r go
		echo still here
	END
	await '^running'
	in_ns ip link del t0
	sleep 1
	say go
	await '^still here'
	land
	expect_status 0
}

# What Vireo holds: its descriptors, its threads, and the kernel's threads that serve it.
held() {
	local pid
	pid=$(pgrep -P "$(pgrep -P "$launched" -x timeout)")
	echo "$(find /proc/"$pid"/fd -mindepth 1 | wc -l) descriptors," \
		"$(find /proc/"$pid"/task -mindepth 1 -maxdepth 1 | wc -l) threads," \
		"$(pgrep -c "^vhost-$pid\$") workers"
}

# The guest's kernel starts another one while frames come from both ends.  It switches bus mastering off
# and shuts nothing down: the next driver finds the device as the last one left it.
test_vhost_net_kexec() {
	local before limit=180
	make_taps 1
	take_modules virtio_net
	take_programs iperf3
	serve_iperf
	launch --memory 256M --net tap,ifname=t0,vhost=require < <(kexec_script "$talk" <<-'END'
		up 0
		[ $kernel = 1 ] || talk 0
		ping -q -c 2 -W 5 10.7.0.1 || exit 16
		echo "kernel $kernel talks"
		if [ $kernel = 1 ]; then
			read -r go
			ping -q -i 0.01 -s 1400 10.7.0.1 >/dev/null &
			sleep 1
			next_kernel
		fi
		read -r go
		dmesg
	END
	)
	await '^kernel 1 talks'
	before=$(held)
	in_ns busybox ping -q -i 0.01 -s 1400 10.7.0.2 >/dev/null &
	say go
	await '^kernel 2 talks'
	[ "$(held)" = "$before" ] || { show; fail "$(held), before: $before"; }
	say go
	land
	expect_status 0
	expect_not "$COMPLAINTS"
	expect_not 'WARNING|warning|reset' err
}

test_vhost_net_missing_node_is_126() {
	make_taps 1
	boot --net tap,ifname=t0,name=n,vhost=require --set nets.n.vhost_path=/dev/vhost-none <<<'true'
	expect_status 126
	expect '/dev/vhost-none' err
	expect 'hint: ' err
}

test_vhost_net_auto_falls_back() {
	make_taps 1
	take_modules virtio_net
	boot -v --memory 256M --net tap,ifname=t0,name=n,vhost=auto --set nets.n.vhost_path=/dev/vhost-none <<-'END'
		. /load
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 2 -W 5 10.7.0.1 && echo talks
	END
	expect_status 0
	expect '^talks'
	expect 'in process' err
}

# documented MARK OPTIONS: is what docs/offload.md shows between its marks what 'vireo run --explain' said of net0?
documented() {
	{
		echo '```text'
		echo '$ vireo run --kernel vmlinuz ... --explain \'
		echo "        $2"
		# The thread's number is another one each time.
		sed -n '/^net0/,/^$/p' err | sed -e '/^$/d' -Ee 's/(serve it: )[0-9]+/\1N/'
		echo '```'
	} >new
	sed -n "/^<!-- $1:begin -->$/,/^<!-- $1:end -->$/{/^<!-- /!p}" "$here/../../docs/offload.md" | diff - new && return
	cat new
	fail 'docs/offload.md shows something else'
}

# To renew it: what this test prints goes between its marks.
test_vhost_offload_documentation() {
	make_taps 1
	take_modules virtio_net
	boot --memory 256M --net tap,ifname=t0,vhost=require,features=+access_platform --explain <<-'END'
		. /load
		ip addr add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		ping -q -c 1 -W 5 10.7.0.1 && echo talks
	END
	expect_status 0
	expect '^talks'
	documented explain '--net tap,ifname=t0,vhost=require,features=+access_platform'
}

# --- vsock ---------------------------------------------------------------------------------------

# The CID that Vireo's log or the guest tells.
kernel_vsock_talks() { # VIREO OPTION...
	need_node /dev/vhost-vsock
	take_modules vmw_vsock_virtio_transport
	take_programs socat
	take_compiled seqpacket
	trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
	timeout 100 socat -u VSOCK-LISTEN:7001 CREATE:from-guest 2>listen.log &
	timeout 100 overlay/sbin/seqpacket listen 7002 >messages &
	launch --memory 256M "$@" <<-'END'
		. /load
		for i in $(seq 50); do [ -e /dev/vsock ] && break; sleep 0.1; done
		seq 30000 | socat -u - VSOCK-CONNECT:2:7001 || exit 11
		seqpacket send 2 7002 READY=1 'STATUS=half way' X || exit 12
		socat -u VSOCK-LISTEN:7003 CREATE:/from-host 2>/dev/null &
		seqpacket listen 7004 >/messages &
		sleep 1
		echo listening
		wait
		cat /messages
		sha256sum </from-host
		dmesg
	END
	await '^listening'
	seq 40000 | timeout 30 socat -u - "VSOCK-CONNECT:$(guest_cid):7003" || fail 'the host cannot connect'
	timeout 30 overlay/sbin/seqpacket send "$(guest_cid)" 7004 one 'two, longer' three || fail 'no SEQPACKET to the guest'
	land
	expect_status 0
	expect '^message of 11: two, longer'
	expect "^$(seq 40000 | sha256sum | cut -d ' ' -f 1)"
	expect_not "$COMPLAINTS"
	seq 30000 | cmp - from-guest || fail 'the stream from the guest is damaged'
	expect '^message of 15: STATUS=half way' messages
	expect '^message of 1: X' messages
}
guest_cid() { echo "${cid:-3}"; }
test_vhost_vsock_talks() { cid=1234 kernel_vsock_talks --vsock cid=1234,vhost=require; }
test_vhost_vsock_talks_mmio() { cid=77 kernel_vsock_talks --vsock cid=77,vhost=require --transport mmio; }

# A connection is open when the guest's kernel starts another one: the host's end hears of it, and the next
# kernel has sockets again.
test_vhost_vsock_kexec() {
	local before limit=180
	need_node /dev/vhost-vsock
	take_modules vmw_vsock_virtio_transport
	take_programs socat
	trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
	timeout 100 socat -u VSOCK-LISTEN:7011,fork OPEN:heard,creat,append 2>listen.log &
	launch --memory 256M --vsock cid=45,vhost=require < <(kexec_script <<-'END'
		for i in $(seq 50); do [ -e /dev/vsock ] && break; sleep 0.1; done
		seq 30000 | socat -u - VSOCK-CONNECT:2:7011 || exit 11
		socat -u VSOCK-LISTEN:7012 CREATE:/from-host 2>/dev/null &
		sleep 1
		echo "kernel $kernel talks"
		if [ $kernel = 1 ]; then
			read -r go
			next_kernel
		fi
		wait
		sha256sum </from-host
		read -r go
		dmesg
	END
	)
	await '^kernel 1 talks'
	before=$(held)
	{ seq 1000; sleep 60; } | timeout 60 socat - VSOCK-CONNECT:45:7012 >/dev/null 2>&1 &
	local open=$!
	sleep 1
	say go
	await '^kernel 2 talks'
	wait $open || true
	[ "$(held)" = "$before" ] || { show; fail "$(held), before: $before"; }
	seq 40000 | timeout 30 socat -u - VSOCK-CONNECT:45:7012 || fail 'the host cannot connect'
	await "^$(seq 40000 | sha256sum | cut -d ' ' -f 1)"
	say go
	land
	expect_status 0
	expect_not "$COMPLAINTS"
	{ seq 30000; seq 30000; } | cmp - heard || fail 'the streams from the guest are damaged'
}

# Two guests at once, each with a CID of its own.
test_vhost_vsock_auto_twice() {
	local n
	need_node /dev/vhost-vsock
	take_modules vmw_vsock_virtio_transport
	take_programs socat
	trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
	timeout 200 socat -u VSOCK-LISTEN:7005,fork OPEN:both,creat,append 2>/dev/null &
	for n in 1 2; do
		mkdir $n
		cp -r overlay $n/
	done
	local pid=()
	for n in 1 2; do
		(
			cd $n
			boot --memory 128M --vsock cid=auto,vhost=require <<-END
				. /load
				for i in \$(seq 50); do [ -e /dev/vsock ] && break; sleep 0.1; done
				echo guest $n | socat -u - VSOCK-CONNECT:2:7005 || exit 11
				sleep 4
			END
			echo "$status" >status
			cp err ../err$n
		) &
		pid+=($!)
	done
	wait "${pid[@]}" || true
	[ "$(cat 1/status)$(cat 2/status)" = 00 ] || { tail -n 5 err1 err2; fail 'one of the guests failed'; }
	[ "$(sort both | tr '\n' ' ')" = 'guest 1 guest 2 ' ] || fail "they said: $(cat both)"
}

test_vhost_vsock_missing_node_is_126() {
	boot --vsock cid=auto,vhost=require --set vsock.vhost_path=/dev/vhost-none <<<'true'
	expect_status 126
	expect '/dev/vhost-none' err
}

# --- SCSI ----------------------------------------------------------------------------------------

target=$here/../bed/scsi-target

# make_target LUN...: a target of 48 MiB disks, gone with the test; its name is 'wwpn'
make_target() {
	local lun
	need_node /dev/vhost-scsi
	wwpn=naa.5001405$(printf '%09x' $$$RANDOM)
	wwpn=${wwpn:0:20}
	for lun; do
		truncate -s 48M "lun$lun"
		"$target" add "$wwpn" "$lun" "lun$lun" || fail "no target can be made"
	done
	trap '"$target" remove "$wwpn" || true' EXIT
}

# scsi_disk [VIREO OPTION]... ('scsi': more options of the SCSI host): mkfs, files, a second mount, and a check of what is left on the host
scsi_disk() {
	make_target 0
	take_modules virtio_scsi sd_mod ext4
	take_programs mkfs.ext4 e2fsck
	boot --memory 256M --scsi "wwpn=$wwpn${scsi-}" "$@" <<-'END'
		set -e
		. /load
		for i in $(seq 50); do [ -b /dev/sda ] && break; sleep 0.1; done
		cat /sys/block/sda/device/vendor /sys/block/sda/size
		mkfs.ext4 -q -F /dev/sda
		mkdir /mnt
		mount -t ext4 /dev/sda /mnt
		seq 400000 >/mnt/numbers
		for i in $(seq 50); do echo $i >/mnt/file$i; done
		umount /mnt
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/sda /mnt
		sha256sum </mnt/numbers
		umount /mnt
		e2fsck -fn /dev/sda
		echo scsi works
		cat /sys/class/scsi_host/host*/proc_name
		dmesg
	END
	expect_status 0
	expect '^LIO-ORG'
	expect '^98304'
	expect "^$(seq 400000 | sha256sum | cut -d ' ' -f 1)"
	expect '^scsi works'
	expect_not "$COMPLAINTS"
	e2fsck -fn lun0 >/dev/null || fail "the disk's file is damaged"
}
test_vhost_scsi_disk() { scsi_disk; }
test_vhost_scsi_disk_mmio() { scsi_disk --transport mmio; }
test_vhost_scsi_disk_4_queues() { scsi=,queues=4 scsi_disk --cpus 4; }

# A LUN that is added, and one that is taken away, while the guest runs: it is told to look.
test_vhost_scsi_hotplug() {
	make_target 0
	truncate -s 32M lun3
	take_modules virtio_scsi sd_mod
	launch --memory 256M --scsi "wwpn=$wwpn" <<-'END'
		. /load
		for i in $(seq 50); do [ -b /dev/sda ] && break; sleep 0.1; done
		echo first $(cat /sys/block/sda/size)
		for i in $(seq 200); do [ -b /dev/sdb ] && break; sleep 0.1; done
		echo second $(cat /sys/block/sdb/size)
		read -r go
		for i in $(seq 200); do [ -e /sys/block/sdb ] || break; sleep 0.1; done
		[ -e /sys/block/sdb ] || echo gone
	END
	await '^first 98304'
	"$target" add "$wwpn" 3 lun3
	await '^second 65536'
	"$target" remove "$wwpn" 3
	say go
	await '^gone'
	land
	expect_status 0
}

# The guest restarts in place, unbinds and binds: the target is given back and taken again.
test_vhost_scsi_reboot_and_rebind() {
	make_target 0
	take_modules virtio_scsi sd_mod
	disk_copy
	boot --memory 256M --scsi "wwpn=$wwpn" --on-reboot restart <<-'END'
		. /load
		sd() { for i in $(seq 100); do [ -b /dev/sda ] && return; sleep 0.1; done; echo no disk; exit 9; }
		sd
		if [ ! -e /disk/data/second ]; then
			touch /disk/data/second
			umount /disk
			dd if=/dev/zero of=/dev/sda bs=64k count=16 conv=fsync
			reboot -f
		fi
		for n in 1 2 3; do
			for dev in /sys/bus/virtio/drivers/virtio_scsi/virtio*; do d=${dev##*/}; done
			echo $d >/sys/bus/virtio/drivers/virtio_scsi/unbind
			[ ! -b /dev/sda ] || sleep 1
			echo $d >/sys/bus/virtio/drivers/virtio_scsi/bind
			sd
			dd if=/dev/sda of=/dev/null bs=64k count=16 || exit 8
			echo bound $n
		done
	END
	expect_status 0
	expect '^bound 3'
}

test_vhost_scsi_missing_target() {
	need_node /dev/vhost-scsi
	boot --scsi wwpn=naa.500140500000dead <<<'true'
	expect_status 126
	expect "no vhost-scsi target is called 'naa.500140500000dead'" err
	expect 'hint: .*targetcli' err
}

test_vhost_scsi_missing_node() {
	boot --scsi wwpn=naa.500140500000dead,name=s --set scsis.s.vhost_path=/dev/vhost-none <<<'true'
	expect_status 126
	expect '/dev/vhost-none' err
}
