# Shared folders: the guest mounts them by their tag, and a virtiofsd of the host serves them.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2016  # from guest.sh and the suite; scripts are the guest's

prepare_fs() {
	local place
	for place in /usr/libexec/virtiofsd /usr/lib/virtiofsd /usr/lib/qemu/virtiofsd none; do
		[ ! -x $place ] || break
	done
	[ $place != none ] || skip 'this machine has no virtiofsd'
	take_modules virtiofs
	# What the bed shares with its host has other rules for files.
	shared=$(mktemp -d /tmp/share.XXXXXX)
	trap 'rm -rf "$shared"' EXIT
	mkdir "$shared/sub" "$shared/fixed"
	seq 200000 >"$shared/numbers"
	echo 'hello from the host' >"$shared/sub/hello"
	echo fixed >"$shared/fixed/file"
}

fs_works() { # VIREO OPTION...
	prepare_fs
	boot --memory 256M --share "$shared,name=src" --share "$shared/fixed,name=fixed,readonly" "$@" <<-END
		. /load
		mkdir /src /fixed
		mount -t virtiofs src /src || exit 11
		mount -t virtiofs fixed /fixed || exit 12
		sha256sum </src/numbers | sed 's/^/sum: /'
		cat /src/sub/hello
		echo 'hello from the guest' >/src/sub/answer || exit 13
		seq 100000 >/src/big && mv /src/big /src/moved || exit 14
		mkdir /src/new && ln -s ../numbers /src/new/link && cmp /src/new/link /src/numbers || exit 15
		rm /src/numbers
		cat /fixed/file || exit 16
		! echo x >/fixed/file || exit 17
		! touch /fixed/other || exit 18
		! rm /fixed/file || exit 19
		sync
		umount /src && umount /fixed || exit 20
		mount -t virtiofs src /src && cat /src/sub/answer || exit 21
		! mount -t virtiofs other /fixed || exit 22
		dmesg
	END
	expect_status 0
	expect "^sum: $(seq 200000 | sha256sum | cut -d ' ' -f 1)"
	expect '^hello from the host'
	expect '^fixed'
	expect 'Read-only file system'
	expect_not "$COMPLAINTS"
	[ "$(cat "$shared/sub/answer")" = 'hello from the guest' ] || fail 'what the guest wrote is not there'
	seq 100000 | cmp - "$shared/moved" || fail 'what the guest wrote is damaged'
	[ ! -e "$shared/numbers" ] || fail 'what the guest removed is still there'
	[ "$(cat "$shared/fixed/file")" = fixed ] || fail 'the guest wrote to a read-only share'
}
test_fs_pci() { fs_works; }
test_fs_mmio_strict() { fs_works --transport mmio --strict-driver; }

# The guest reads while its virtiofsd is killed: it is told, and goes on after a new mount.
test_fs_virtiofsd_killed() {
	prepare_fs
	launch -v --memory 256M --share "$shared,name=src" <<-END
		. /load
		mkdir /src
		mount -t virtiofs src /src || exit 11
		(while cat /src/numbers >/dev/null 2>&1; do :; done; echo lost) &
		sleep 1
		echo reading
		wait
		! cat /src/sub/hello || exit 12
		umount /src || exit 13
		mount -t virtiofs src /src || exit 14
		sha256sum </src/numbers | sed 's/^/sum: /'
		dmesg
	END
	await '^reading'
	kill -KILL "$(sed -n "s/.*virtiofsd of share 'src': process \([0-9]*\),.*/\1/p" err | tail -n 1)"
	land
	expect_status 0
	expect '^lost'
	expect "^sum: $(seq 200000 | sha256sum | cut -d ' ' -f 1)"
	expect "virtiofsd of share 'src' was ended by SIGKILL; another one is started" err
	! pgrep -f "source=$shared" || fail 'a virtiofsd is left behind'
}
