# Named ports of the console device, as Linux has them.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# with_ports OPTION... : a guest in whose script 'port NAME' prints the device of that port; somebody does
# what $peer says at the ends of descriptors 20, 21, ...
with_ports() {
	enter=("$here/../payload/port_peer" "${peer-gone}")
	{
		cat <<-'END'
			port() {
				for p in /sys/class/virtio-ports/*; do
					[ "$(cat "$p/name" 2>/dev/null)" != "$1" ] || echo "/dev/${p##*/}"
				done
			}
		END
		cat
	} >script
	boot "$@" <script
}

# The host sends 200 kB, has it back, and hangs up: for the guest that is the end.
echo_over_port() {
	peer=echo with_ports --port name=vireo.agent,fd=20 "$@" <<-'END'
		device=$(port vireo.agent)
		[ -c "$device" ] || exit 30
		exec 3<>"$device"
		cat <&3 >&3
		echo "the end of $device"
	END
	expect_status 0
	expect '^the end of /dev/vport[0-9]p1'
	expect_not 'port_peer' err
}

test_port_echo_pci() { echo_over_port --transport pci; }
test_port_echo_mmio() { echo_over_port --transport mmio; }
test_port_echo_packed() { echo_over_port --features=+packed; }

test_port_names_of_several() {
	with_ports --port a,to=null --port b.c,to=null --port d_e-f,to=null <<-'END'
		cat /sys/class/virtio-ports/*/name
		for name in a b.c d_e-f; do [ -c "$(port $name)" ] || exit 31; done
		# The console is one still.
		tty
	END
	expect_status 0
	expect '^a.?$'
	expect '^b\.c.?$'
	expect '^d_e-f.?$'
	expect '/dev/hvc0'
}

# What was written before a power-off is there, all of it.
test_port_results_survive_a_poweroff() {
	peer=save with_ports --port results,fd=20 --port copy,to=file=copy <<-'END'
		device=$(port results) copy=$(port copy)
		seq 20000 >"$copy"
		seq 20000 >"$device"
		poweroff -f
	END
	expect_status 0
	seq 20000 | cmp - port.20 || fail "$(wc -c <port.20) bytes came to the descriptor"
	seq 20000 | cmp - copy || fail "$(wc -c <copy) bytes came to the file"
}
