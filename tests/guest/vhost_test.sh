# Guests whose devices are moved by the vhost of a real kernel: network, vsock, SCSI.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # from guest.sh and the suite

need_node() { [ -c "$1" ] || skip "this machine has no $1"; }

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
