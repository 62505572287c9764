#!/bin/bash
# Networks, sockets and SCSI targets as people meet them: what of the host is missing, what is wrong
# about a setting, what was chosen, and that each of them runs in the sandbox.  Speaks TAP.
# Usage: backends_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

loop="eb fe"

# shellcheck disable=SC2086  # words are bytes
{
	kernel exit0 31 c0 e7 f4 $loop		# xor eax, eax; out 0xf4, eax
	kernel spin $loop
}

# A network of our own, so that taps are nobody else's; without the rights, no taps.
alone=(unshare --net)
"${alone[@]}" true 2>/dev/null || alone=()
has_tap=false
[ ${#alone[@]} -gt 0 ] && : 2>/dev/null <>/dev/net/tun && has_tap=true
expect_tap() { if $has_tap; then expect "$@"; else skip "$1" "no taps can be made here"; fi; }
expect_tap_kvm() { if $has_kvm; then expect_tap "$@"; else skip "$1" "/dev/kvm does not work here"; fi; }

run=("$vireo" run --console null --serial null --kernel exit0)

# --- What the host lacks: 126 -------------------------------------------------------------------
no_tun="mount -t tmpfs none /dev/net && exec \"\$@\""
no_rights="exec setpriv --bounding-set -all --inh-caps -all --reuid 65534 --regid 65534 --clear-groups \"\$@\""
expect_tap "no /dev/net/tun is 126" 126 "open '/dev/net/tun'" \
	"${alone[@]}" --mount bash -c "$no_tun" - "${run[@]}" --net tap
expect_tap "and what to do is said" 126 "hint: .*modprobe tun" \
	"${alone[@]}" --mount bash -c "$no_tun" - "${run[@]}" --net tap
expect_tap "/dev/net/tun of another user is 126" 126 "hint: this user may not use '/dev/net/tun'" \
	"${alone[@]}" --mount bash -c "mount -t tmpfs none /dev/net && mknod -m 600 /dev/net/tun c 10 200 && $no_rights" \
	- "${run[@]}" --net tap
expect_tap "a tap that this user may not make is 126" 126 "ip tuntap add vt-net0 mode tap user NAME" \
	"${alone[@]}" --mount bash -c "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && $no_rights" \
	- "${run[@]}" --net tap
busy="coproc \"$vireo\" run --kernel spin --console null --serial null --net tap,ifname=vt0 2>busy.err
for i in \$(seq 100); do [ -e /sys/class/net/vt0 ] || ip link show vt0 >/dev/null 2>&1 && break; sleep 0.1; done
\"\$@\"; r=\$?; kill \$COPROC_PID; exit \$r"
expect_tap_kvm "a tap that is in use is 126" 126 "tap 'vt0' is in use by another program" \
	"${alone[@]}" bash -c "$busy" - "${run[@]}" --net tap,ifname=vt0
expect_tap "a tap without multi_queue is a wrong setting" 125 "made without multi_queue" \
	"${alone[@]}" bash -c 'ip tuntap add vt1 mode tap && exec "$@"' - "${run[@]}" --net tap,ifname=vt1,queues=2
expect_tap "an interface that is no tap is a wrong setting" 125 "'lo' is not a tap" \
	"${alone[@]}" "${run[@]}" --net tap,ifname=lo
expect_tap "a tun is no tap" 125 "is a tun, which has no Ethernet" \
	"${alone[@]}" bash -c 'ip tuntap add vt2 mode tun && exec "$@"' - "${run[@]}" --net tap,ifname=vt2
expect "a descriptor that is closed is a wrong setting" 125 "descriptor 77 is not an open tap" \
	"${run[@]}" --net tap,fd=77
expect "a descriptor of something else is a wrong setting" 125 "descriptor 9 is not an open tap" \
	bash -c 'exec "$@" 9</dev/null' - "${run[@]}" --net tap,fd=9
expect "descriptor 0 is not no descriptor" 125 "^vireo: --net: fd: '0'" "${run[@]}" --net tap,fd=0

# Nodes of vhost that there are not, or may not be used.
: >node
chmod 0 node
for kind in net:"--net tap,vhost=require" vsock:"--vsock auto" vsock:"--vsock vhost=require" \
		scsi:"--scsi name=s,wwpn=naa.0123456789abcdef"; do
	name=${kind%%:*}
	read -ra options <<<"${kind#*:}"
	at=$name.vhost_path
	[ "$name" != net ] || at=nets.net0.vhost_path
	[ "$name" != scsi ] || at=scsis.s.vhost_path
	again=("${alone[@]}" "${run[@]}" "${options[@]}" --set "$at=/dev/vhost-none")
	check=expect
	[ "$name" != net ] || check=expect_tap
	$check "${options[*]}: no such node is 126" 126 'open /dev/vhost-none: the host does not have it' "${again[@]}"
	$check "${options[*]}: with a fix" 126 'hint: .*modprobe vhost_none' "${again[@]}"
	again=("${alone[@]}" "${run[@]}" "${options[@]}" --set "$at=exit0/node")
	$check "${options[*]}: a path through a file is 126" 126 'exit0/node' "${again[@]}"
done

# --- The doctor says the same -------------------------------------------------------------------
status_of_doctor=126
! $has_kvm || status_of_doctor=0
expect "doctor looks at libslirp" $status_of_doctor '^(ok|no) +libslirp +' "$vireo" doctor
expect_tap "doctor looks at taps" $status_of_doctor 'taps: Vireo makes those that are missing' \
	"${alone[@]}" "$vireo" doctor
expect_tap "doctor tells that there is no tun" $status_of_doctor 'fix: sudo modprobe tun; in a container' \
	"${alone[@]}" --mount bash -c "$no_tun" - "$vireo" doctor
expect_tap "doctor tells who may open tun" 126 'fix: sudo setfacl -m u:\$USER:rw /dev/net/tun' \
	"${alone[@]}" --mount bash -c "mount -t tmpfs none /dev/net && mknod -m 600 /dev/net/tun c 10 200 && $no_rights" \
	- "$vireo" doctor --kvm /nonexistent
expect_tap "doctor tells who may not make taps" 126 'taps: only those made for this user' \
	"${alone[@]}" --mount bash -c "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && $no_rights" \
	- "$vireo" doctor --kvm /nonexistent

# --- What was named and is not there: 127 -------------------------------------------------------
expect "a capture in no directory is 127" 127 "capture packets to 'nowhere/x.pcap'" \
	"${run[@]}" --net user,capture=nowhere/x.pcap
expect "a socket in no directory is 127" 127 "'nowhere/v'" "${run[@]}" --vsock vhost=off,socket=nowhere/v

# --- What is wrong: 125 -------------------------------------------------------------------------
expect "a port that somebody has" 125 "Address already in use" \
	"${run[@]}" --net user,forward=tcp:47311:80,forward=tcp:47311:81
expect "a forward that is none" 125 "begins with neither .*write PROTOCOL" "${run[@]}" --net user,forward=80
echo text >file
mkdir directory
for what in file directory; do
	expect "a $what is not replaced by a socket" 125 "'$what' is there and is not a socket" \
		"${run[@]}" --vsock "vhost=off,socket=$what"
done
mkdir -m 777 open
if command -v socat >/dev/null && [ "$(id -u)" -eq 0 ]; then
	timeout 0.3 socat -u UNIX-LISTEN:open/v,mode=600,unlink-close=0 /dev/null
	expect "another user's socket is not said to be in use" 125 "'open/v' is there, a socket of another user" \
		setpriv --reuid 65534 --regid 65534 --clear-groups "${run[@]}" --vsock vhost=off,socket=open/v
	expect_kvm "one that was left behind is replaced" 0 . "${run[@]}" --vsock vhost=off,socket=open/v
else
	skip "another user's socket is not said to be in use" "needs root and socat"
	skip "one that was left behind is replaced" "likewise"
fi
if [ -f file ] && [ -d directory ]; then ok "and stays"; else status=0; not_ok "and stays" 0; fi

# --- What was chosen ----------------------------------------------------------------------------
no_vhost=(--set vsock.vhost_path=/dev/vhost-none)
expect_kvm "who has vsock is told" 0 "^vireo: vsock: CID 3, in process: 'v' leads to the guest" \
	"${run[@]}" --vsock socket=v "${no_vhost[@]}"
expect_kvm "and why not the kernel" 0 "^vireo: vsock: not by the host's kernel: open /dev/vhost-none" \
	"${run[@]}" --vsock socket=v "${no_vhost[@]}"
expect_kvm "unless it is quiet" 0 '^done$' bash -c '[ -z "$("$@" 2>&1)" ] && echo done' - \
	"${run[@]}" -q --vsock socket=v "${no_vhost[@]}"
expect_tap_kvm "who moves frames is told" 0 "^vireo: net0: frames are moved in process: open /dev/vhost-none" \
	"${alone[@]}" "${run[@]}" --net tap --set nets.net0.vhost_path=/dev/vhost-none
expect_tap_kvm "unless it is quiet" 0 '^done$' "${alone[@]}" bash -c '[ -z "$("$@" 2>&1)" ] && echo done' - \
	"${run[@]}" -q --net tap --set nets.net0.vhost_path=/dev/vhost-none
expect "explain tells it, too" 0 "^vireo: vsock: not by the host's kernel" \
	"$vireo" explain --vsock socket=v "${no_vhost[@]}"
expect "unless it is quiet" 0 '^done$' bash -c '"$@" 2>&1 >/dev/null | grep -q . || echo done' - \
	"$vireo" explain -q --vsock socket=v "${no_vhost[@]}"

# --- In the sandbox -----------------------------------------------------------------------------
spin=("$vireo" run --kernel spin --console null --serial null --timeout 0.5)
for options in "--net user" "--net user,forward=tcp:47312:80,forward=udp:47312:80,capture=x.pcap" \
		"--net user,restrict,iommu" "--vsock vhost=off,socket=v" \
		"--vsock vhost=off,socket=v,iommu --net user" "--balloon 1M,iommu --iommu bypass=no" \
		"--net user,transport=mmio,iommu --rng transport=mmio,iommu"; do
	read -ra words <<<"$options"
	expect_kvm "$options: runs in the sandbox" 124 'time limit' "${spin[@]}" "${words[@]}"
	rm -f x.pcap
done
expect_kvm "its sockets go with it" 0 'nothing is left' \
	bash -c '[ ! -e v ] && [ ! -e v.seqpacket ] && echo "nothing is left"'
for options in "--net tap" "--net tap,queues=2,capture=x.pcap" "--net tap,iommu --vsock vhost=off,socket=v"; do
	read -ra words <<<"$options"
	expect_tap_kvm "$options: runs in the sandbox" 124 'time limit' "${alone[@]}" "${spin[@]}" "${words[@]}"
	rm -f x.pcap
done

echo "1..$n"
exit $failed
