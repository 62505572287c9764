#!/bin/bash
# "vireo export --qemu": QEMU takes what is written, and what it cannot do is named.  Speaks TAP.
# Usage: export_qemu_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"
fails() { status=-; not_ok "$1" "-"; }

# The machine is only made, or runs a few instructions: it need not be KVM's.
export_line() {
	"$vireo" export --qemu "$@" >line.sh 2>out || return 1
	sed -i '/-accel kvm/d' line.sh
}

# accepts NAME OPTION... : QEMU makes this machine and can be asked to quit
accepts() {
	local name=$1
	shift
	if ! $has_qemu; then
		skip "$name" "qemu-system-x86_64 or socat is not installed"
		return
	fi
	rm -f monitor
	if ! export_line "$@"; then
		fails "$name"
		return
	fi
	{ sed '$d' line.sh; printf '%s \\\n\t-S -monitor unix:monitor,server=on,wait=off\n' "$(tail -n 1 line.sh)"; } >paused.sh
	timeout 60 sh paused.sh </dev/null >out 2>&1 &
	local qemu=$! tries=0
	until [ -S monitor ] && echo quit | socat -t 5 - unix-connect:monitor >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ $tries -gt 300 ] || ! kill -0 $qemu 2>/dev/null; then break; fi
		sleep 0.1
	done
	if wait $qemu; then
		ok "$name"
	else
		cat paused.sh >>out
		fails "$name"
	fi
}

# says NAME PATTERN OPTION... : a line of the script matches
says() {
	local name=$1 pattern=$2
	shift 2
	"$vireo" export --qemu "$@" >out 2>&1
	if grep -qE -e "$pattern" out; then ok "$name"; else fails "$name"; fi
}

has_qemu=false
command -v qemu-system-x86_64 >/dev/null && command -v socat >/dev/null && has_qemu=true
truncate -s 1M a.img 'b, c'\''s $.img'
kernel exit7 b8 07 00 00 00 e7 f4 eb fe

accepts "a machine with nothing in it"
# shellcheck disable=SC2016  # $x is the guest's
accepts "a kernel with its command line" --kernel exit7 --append 'a="b c" $x'
accepts "processors in cores and sockets" --cpus 8,cores=2,threads=2 --memory 100M
accepts "prefaulted memory" --memory 16M --prefault
accepts "disks, with any name of a file" --disk a.img,readonly,queues=2,queue_size=64 \
	--disk "path=b,, c's \$.img,ephemeral,serial=x,,y,engine=threads,block_size=512" --cpus 2
accepts "feature bits of all and of one" --features=+packed,-event_idx \
	--disk a.img,features=-indirect,-discard,-config_wce,+event_idx --net user,features=-csum,-mrg_rxbuf
accepts "a network with forwards" --net user,forward=tcp:127.0.0.1:$((20000 + RANDOM)):80,restrict,ipv6=no,mtu=1400,speed=1000,duplex=full \
	--net user,capture=packets,queue_size=512,mac=02:00:00:00:00:01
accepts "transitional and legacy devices" --transport pci-transitional --disk a.img --net user,transport=pci-legacy --balloon 0
accepts "virtio-mmio, told by ACPI" --transport mmio --disk a.img --net user --balloon 16M,reporting=no
accepts "virtio-mmio, told on the command line" --transport mmio --set vm.mmio_discovery=cmdline --disk a.img --kernel exit7
accepts "virtio-mmio, and one device on PCI" --transport mmio --disk a.img --net user,transport=pci
accepts "legacy virtio-mmio" --transport mmio-legacy --disk a.img --net user
accepts "consoles in files and nowhere" --serial file=log --console null
accepts "no console" --serial off --console off --rng off
accepts "devices behind an IOMMU" --disk a.img,iommu --net user,iommu --iommu bypass=no
accepts "credentials" --credential 'a.b=c, d' --credential 'e='
accepts "I/O threads, no sandbox, policies" --io-threads 3 --poll 100 --disk a.img --seccomp off --on-panic restart --on-reboot fail

if $has_qemu; then
	export_line --kernel exit7 --serial null --console off
	timeout 60 sh line.sh </dev/null >out 2>&1
	status=$?
	echo "status $status" >>out
	if [ $status -eq 15 ]; then ok "a guest's status is told by QEMU's exit port"; else fails "a guest's status is told by QEMU's exit port"; fi
else
	skip "a guest's status is told by QEMU's exit port" "qemu-system-x86_64 is not installed"
fi

says "taps have names and scripts are not run" 'tap,id=net0,vhost=off,ifname=vt-x,script=no' --net tap,ifname=vt-x,vhost=off
says "a tap that must have vhost" 'vhost=on,vhostforce=on,fd=7' --net tap,fd=7,vhost=require
says "several queues" 'virtio-net-pci.*,mq=on' --net tap,ifname=x,queues=4
says "sockets" 'vhost-vsock-pci,.*guest-cid=77' --vsock 77
says "SCSI targets" 'vhost-scsi-pci,.*wwpn=naa.0123456789abcdef,num_queues=2' --scsi naa.0123456789abcdef,queues=2
says "shared folders" 'vhost-user-fs-pci,.*chardev=share0,tag=src,num-request-queues=2' --share /usr,name=src,queues=2
says "what serves them is told" "^# shares.src: start this first: virtiofsd --socket-path='./src.sock' --shared-dir='/usr' --readonly" --share /usr,name=src,readonly
says "they need shared memory" 'memory-backend-memfd,id=memory,size=512M,share=on' --share socket=/run/fs.sock
says "a time limit has no equivalent" '^# vm.timeout=90s: ' --timeout 90s
says "which object it is about is said" '^# nets.lan.link=no: ' --net user,name=lan,link=no
says "bits that QEMU cannot switch are named" '^# x: no switch for feature bit \+VIRTIO_F_IN_ORDER' --disk a.img,name=x,features=+in_order
says "a remark is one line" '^# vm.kvm=/dev/a\?b: ' --set vm.kvm=$'/dev/a\nb'
"$vireo" export --memory 1G >out 2>&1
if [ $? -eq 125 ] && grep -q 'for which program' out; then ok "a program has to be named"; else fails "a program has to be named"; fi
says "a mistake is told" 'memory' --memory 1

echo "1..$n"
exit $failed
