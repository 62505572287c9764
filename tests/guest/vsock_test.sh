# vsock in this process: programs of the guest and of the host reach each other over Unix sockets.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2016  # from guest.sh and the suite; scripts are the guest's

prepare_vsock() {
	take_modules vmw_vsock_virtio_transport
	take_programs socat
	mkdir -p overlay/sbin
	gcc -static -O1 -o overlay/sbin/seqpacket "$here/seqpacket.c"
	# The bed shares this directory with its host in a way that knows no sockets.
	sockets=$(mktemp -d /tmp/vsock.XXXXXX)
	trap 'rm -rf "$sockets"' EXIT
}

wait_for_vsock='. /load; for i in $(seq 50); do [ -e /dev/vsock ] && break; sleep 0.1; done'

# to_guest PORT: what comes from standard input goes there, what the guest answers comes out
to_guest() {
	{ echo "CONNECT $1" && cat; } | socat -t 30 - "UNIX-CONNECT:$sockets/s" |
		{ read -r line && [ "${line%% *}" = OK ] && cat; }
}

# Both directions, both types, half-close, sums; at the end the socket is gone.
vsock_talks() { # VIREO OPTION...
	prepare_vsock
	socat -u "UNIX-LISTEN:$sockets/s_7001" CREATE:from-guest &
	overlay/sbin/seqpacket unix-listen "$sockets/s_7002" >messages &
	# Reads all, then answers: the guest has ended its half by then.
	socat "UNIX-LISTEN:$sockets/s_7005" "SYSTEM:sha256sum" &
	launch -v --memory 256M --vsock "socket=$sockets/s,vhost=off" "$@" <<-END
		$wait_for_vsock
		seq 30000 | socat -u - VSOCK-CONNECT:2:7001 || exit 11
		seqpacket send 2 7002 READY=1 'STATUS=half way' X || exit 12
		seq 50000 | socat -t 30 - VSOCK-CONNECT:2:7005 | sed 's/^/answer: /'
		! socat -u VSOCK-CONNECT:2:7999 - 2>/dev/null || exit 13
		socat VSOCK-LISTEN:7003 SYSTEM:sha256sum 2>/dev/null &
		seqpacket listen 7004 >/messages &
		sleep 1
		echo listening
		wait
		cat /messages
		dmesg
	END
	await '^listening'
	seq 40000 | to_guest 7003 >answer || fail 'the host cannot connect'
	overlay/sbin/seqpacket unix-send "$sockets/s.seqpacket" 7004 one 'two, longer' three ||
		fail 'no SEQPACKET to the guest'
	[ -z "$(echo x | to_guest 7998)" ] || fail 'somebody listens at 7998'
	land
	expect_status 0
	expect "^answer: $(seq 50000 | sha256sum | cut -d ' ' -f 1)"
	expect "^$(seq 40000 | sha256sum | cut -d ' ' -f 1)" answer
	expect '^message of 11: two, longer'
	expect_not "$COMPLAINTS"
	seq 30000 | cmp - from-guest || fail 'the stream from the guest is damaged'
	expect '^message of 15: STATUS=half way' messages
	expect '^message of 1: X' messages
	expect 'vsock: CID 3, in process' err
	[ ! -e "$sockets/s" ] && [ ! -e "$sockets/s.seqpacket" ] || fail 'sockets are left behind'
}
test_vsock_talks_pci() { vsock_talks; }
test_vsock_talks_mmio_strict() { vsock_talks --transport mmio --strict-driver; }
test_vsock_talks_packed() { vsock_talks --features +ring_packed,+in_order; }

# 40 connections at once, of which each has something of its own to say; and megabytes.
test_vsock_many_connections() {
	prepare_vsock
	socat "UNIX-LISTEN:$sockets/s_9,fork" SYSTEM:cat &
	socat -u "UNIX-LISTEN:$sockets/s_10" - 2>/dev/null | sha256sum >sum &
	boot --memory 256M --vsock "socket=$sockets/s,vhost=off" <<-END
		$wait_for_vsock
		for i in \$(seq 40); do
			(seq \$i 3000 | socat -t 30 - VSOCK-CONNECT:2:9 | cmp - /dev/fd/3 3<<-E || echo bad \$i
			\$(seq \$i 3000)
			E
			) &
		done
		wait
		head -c 20000000 /dev/zero | socat -u - VSOCK-CONNECT:2:10 || exit 11
		echo all there
	END
	kill %1
	expect_status 0
	expect '^all there'
	expect_not '^bad'
	wait %2 || true
	expect "^$(head -c 20000000 /dev/zero | sha256sum | cut -d ' ' -f 1)" sum
}

# A reboot in place and a driver that comes anew find the sockets as they were.
test_vsock_rebind_and_reboot() {
	prepare_vsock
	disk_copy
	socat "UNIX-LISTEN:$sockets/s_9,fork" SYSTEM:cat &
	boot --memory 256M --vsock "socket=$sockets/s,vhost=off" --on-reboot restart <<-END
		$wait_for_vsock
		talk() { [ "\$(echo hello | socat -t 30 - VSOCK-CONNECT:2:9)" = hello ] || exit 11; }
		talk
		for dev in /sys/bus/virtio/drivers/vmw_vsock_virtio_transport/virtio*; do d=\${dev##*/}; done
		echo \$d >/sys/bus/virtio/drivers/vmw_vsock_virtio_transport/unbind
		echo \$d >/sys/bus/virtio/drivers/vmw_vsock_virtio_transport/bind
		talk
		if [ ! -e /disk/data/second ]; then
			touch /disk/data/second
			umount /disk
			reboot -f
		fi
		echo twice
	END
	kill %1
	expect_status 0
	expect '^twice'
}
