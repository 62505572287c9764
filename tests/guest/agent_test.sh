# The agent in a Linux guest, at a port of the virtio console.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

peer=$here/../vmm/agent_peer.py

# agent_overlay PATH: the agent is at PATH of the guest
agent_overlay() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	mkdir -p "overlay/$(dirname "$1")"
	"$vireo" agent --output "overlay/$1" || skip "vireo was built without the agent"
}

# agent_modules: it loads those that the usual initrd has, in their order
agent_modules() {
	mkdir -p overlay/vireo
	gzip -cd "${root_dir[$kind]}/initrd" | cpio -i --quiet --to-stdout modules/order |
		sed 's,^,/modules/,' >overlay/vireo/modules
}

# as_init SCRIPT [OPTION]... : the agent is process 1, /vireo/boot is standard input
as_init() {
	local script=$1
	shift
	agent_overlay init
	agent_modules
	cat >overlay/vireo/boot
	pack </dev/null
	enter=(python3 "$peer" "$script")
	run --initrd initrd --port name=vireo.agent,fd=3 "$@" >out
	tr -d '\r' <out >plain
}

agent_as_init() {
	# shellcheck disable=SC2016
	as_init 'readlink /proc/1/exe; echo pid $$; cat /disk/etc/vireo-root 2>/dev/null; grep -c /disk /proc/mounts
		cat /sys/class/virtio-ports/*/name; hostname; echo err >&2; exit 5' "$@" <<-'END'
			mount ext4 /dev/vda /disk ro
			hostname agent
		END
	expect_status 0
	expect '^init=1$' plain
	expect '^trouble=$' plain
	expect '^/init$' plain
	expect '^1$' plain
	expect '^vireo\.agent$' plain
	expect '^hostname=agent$' plain
	expect '^err$' plain
	expect '^status 5$' plain
	expect '^ended 0$' plain
}

test_agent_as_init_pci() { agent_as_init --transport pci; }
test_agent_as_init_mmio() { agent_as_init --transport mmio; }
test_agent_as_init_own_kernel() {
	need_own_kernel
	agent_as_init
}

# What it cannot do is told to the host, not only to the console.
test_agent_tells_what_boot_could_not_do() {
	as_init 'echo not run' <<-'END'
		mount ext4 /dev/no-such-disk /disk
	END
	expect "^trouble=/vireo/boot: 'mount ext4 /dev/no-such-disk /disk': No such" plain
	expect '^not started 5 /vireo/boot' plain
	expect_not '^not run$' plain
}

# A host that goes away takes the guest with it, as nobody else wants it.
test_agent_as_init_ends_with_its_host() {
	agent_overlay init
	agent_modules
	pack </dev/null
	enter=(python3 "$peer" --leave 'echo here')
	run --initrd initrd --port name=vireo.agent,fd=3 >out
	expect_status 0
	expect '^here'
}

# Started by another init, it serves one host after the other.
test_agent_as_service_for_two_hosts() {
	local i
	agent_overlay bin/vireo-agent
	launch --port name=vireo.agent,socket="$PWD/port" <<-'END'
		vireo-agent &
		while [ ! -e /tmp/enough ]; do sleep 0.2; done
		exit 7
	END
	for i in 1 2; do
		# shellcheck disable=SC2016
		python3 "$peer" --connect "$PWD/port" 'echo "host '$i' $PPID"; cat /tmp/before; touch /tmp/before
			exit 0' >"host-$i" 2>&1 || fail "host $i: $(cat "host-$i")"
		expect '^init=0$' "host-$i"
		expect "^host $i" "host-$i"
	done
	expect 'No such file' host-1
	expect_not 'No such file' host-2
	python3 "$peer" --connect "$PWD/port" 'touch /tmp/enough' >host-3 2>&1
	land
	expect_status 7
}
