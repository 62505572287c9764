# Sourced by those who build an initramfs: images/build-root and tests/bed/run.
# shellcheck shell=bash

# Everything that gets a date gets this one, so that the same sources give the same bytes.
export SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000

# initramfs_stage DIR KERNEL MODULE... : a tree with busybox, exit-status, and the modules (with those
# that they need) listed in /modules/order.  KERNEL is what 'fetch-kernel --modules' printed.
initramfs_stage() {
	local tree=$1 kernel=$2 busybox release module
	busybox=$(command -v busybox)
	shift 2
	mkdir -p "$tree"/{bin,sbin,dev,proc,sys,tmp,modules}
	cp "$busybox" "$tree/bin/busybox"
	"$busybox" --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
	done
	gcc -static -nostdlib -ffreestanding -fno-stack-protector -O2 -s -o "$tree/sbin/exit-status" "${BASH_SOURCE%/*}/guest/exit-status.c"
	release=$(basename "$kernel"/lib/modules/*)
	for module; do
		modprobe --dirname "$kernel" --set-version "$release" --show-depends "$module" ||
			echo "missing $module"
	done >"$tree/modules/order"
	if grep '^missing' "$tree/modules/order" >&2; then return 1; fi
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' "$tree/modules/order" >"$tree/modules/paths"
	while read -r module; do
		cp "$module" "$tree/modules/"
		basename "$module"
	done <"$tree/modules/paths" >"$tree/modules/order"
	rm "$tree/modules/paths"
}

# initramfs_pack DIR FILE: not compressed, for unpacking takes the guest longer than reading.
initramfs_pack() {
	find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
	(cd "$1" && find . -mindepth 1 | sort | cpio --quiet -o -H newc --reproducible -R 0:0) >"$2"
}
