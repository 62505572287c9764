# Linux' own driver on our disk: what is written is there, and on the host's side, too.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

host_hash() { sha256sum <"$1" | cut -d ' ' -f 1; }

# New data survives a remount with empty caches; the host then finds a sound file system with the file.
write_and_remount() { # DISK-OPTIONS [VIREO OPTION]...
	local options=$1
	shift
	disk_copy
	disk=$options boot "$@" <<-'END'
		set -e
		seq 300000 | head -c 2097152 >/tmp/new
		dd if=/tmp/new of=/disk/data/new bs=64k conv=fsync
		umount /disk
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/vda /disk
		cmp /tmp/new /disk/data/new
		sha256sum </disk/data/sample
		sha256sum </tmp/new
	END
	expect_status 0
	expect "^$(sample_hash)"
	e2fsck -fn "$image" || fail "the file system is damaged"
	debugfs -R 'dump data/new new' "$image"
	expect "^$(host_hash new)"
}
test_disk_write_and_remount_pci() { write_and_remount '' --transport pci; }
test_disk_write_and_remount_mmio() { write_and_remount '' --transport mmio; }
test_disk_write_and_remount_threads() { write_and_remount ,engine=threads; }

# On a file system that knows O_DIRECT, which the one for temporary files may not.
test_disk_write_and_remount_direct() {
	truncate -s 1G store
	mkfs.ext4 -q store
	mkdir direct
	mount -o loop store direct || skip "no file can be mounted here"
	# shellcheck disable=SC2064  # as it is now
	trap "umount -l '$PWD/direct'" EXIT
	cd direct
	write_and_remount ,direct
}

test_disk_ephemeral_leaves_the_image_alone() {
	local before
	disk_copy
	before=$(host_hash "$image")
	disk=,ephemeral boot <<-'END'
		set -e
		echo hello >/disk/data/new
		umount /disk
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/vda /disk
		cat /disk/data/new
	END
	expect_status 0
	expect '^hello'
	[ "$(host_hash "$image")" = "$before" ] || fail "the image has changed"
}

test_disk_readonly() {
	local before
	disk_copy
	before=$(host_hash "$image")
	disk=,readonly boot <<-'END'
		cat /sys/block/vda/ro
		sha256sum </disk/data/sample
		if dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync; then exit 9; fi
	END
	expect_status 0
	expect '^1'
	expect "^$(sample_hash)"
	[ "$(host_hash "$image")" = "$before" ] || fail "the image has changed"
}

# What is trimmed is given back to the host, and reads as zeros.
test_disk_discard() {
	dd if=/dev/urandom of=disk1 bs=1M count=4 status=none
	boot --disk path=disk1 <<-'END'
		cat /sys/block/vdb/queue/discard_max_bytes
		mount -o remount,discard /disk
		blkdiscard /dev/vdb || exit 9
		cmp -n 4194304 /dev/vdb /dev/zero
	END
	expect_status 0
	[ "$(stat -c %b disk1)" -lt 100 ] || fail "the host still has $(stat -c %b disk1) sectors"
}
