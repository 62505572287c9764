# Linux' balloon driver gives memory back: what the guest says, and what the host has.  It numbers its
# queues over what it accepted.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# The driver comes with the script, which loads it when the test is ready.
take_driver() {
	mkdir -p overlay
	cp "${kernel_dir[$kind]}"/lib/modules/*/kernel/drivers/virtio/virtio_balloon.ko overlay/ ||
		skip 'the kernel has no virtio_balloon'
}

# use_memory, in the guest: touch 150 MiB, which then are free again.
use_memory='
	total() { sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo; }
	use_memory() {
		mkdir -p /fill
		mount -t tmpfs -o size=90% fill /fill
		dd if=/dev/zero of=/fill/file bs=1M count=150 2>/dev/null || exit 8
	}
	forget_memory() { umount /fill; }
'

# fell BEFORE ATLEAST: wait until the host has that many KiB less than before
fell() {
	local now i
	for i in $(seq 300); do
		now=$(resident)
		if [ $(($1 - now)) -ge "$2" ]; then
			echo "# resident: $1 KiB, then $now KiB, after $((i / 10)) s"
			return 0
		fi
		sleep 0.1
	done
	show
	fail "resident: $1 KiB before, still $now KiB"
}

inflates() {
	local before
	take_driver
	launch --memory 256M --balloon size=128M,reporting=no,deflate_on_oom=no "$@" <<-END
		$use_memory
		use_memory
		forget_memory
		before=\$(total)
		echo used
		read -r go
		insmod /virtio_balloon.ko
		for i in \$(seq 100); do
			[ \$((before - \$(total))) -lt 131072 ] || break
			sleep 0.1
		done
		echo given: \$((before - \$(total)))
		read -r go
		# On removal the driver takes everything back; then it is memory as any other.
		rmmod virtio_balloon
		echo back: \$((before - \$(total)))
		use_memory
		forget_memory
		sha256sum </disk/data/sample
	END
	await '^used'
	before=$(resident)
	say go
	await '^given: '
	expect '^given: 131072'
	# The guest had used most of what it could give, not all.
	fell "$before" $((80 * 1024))
	say go
	land
	expect_status 0
	expect '^back: 0'
	expect "^$(sample_hash)"
}
test_balloon_inflates_pci() { inflates --transport pci; }
test_balloon_inflates_mmio() { inflates --transport mmio; }
test_balloon_inflates_intx() { append=pci=nomsi inflates --transport pci; }
test_balloon_must_tell_host() { inflates --set balloon.must_tell_host=yes; }

# reports [VIREO OPTION]... : with statistics, or without, the reporting queue has another number.
reports() {
	local before
	take_driver
	launch --memory 256M "$@" <<-END
		$use_memory
		insmod /virtio_balloon.ko
		use_memory
		echo used
		read -r go
		forget_memory
		read -r go
		use_memory
		forget_memory
		sha256sum </disk/data/sample
	END
	await '^used'
	before=$(resident)
	say go
	fell "$before" $((100 * 1024))
	say go
	land
	expect_status 0
	expect "^$(sample_hash)"
	expect_not 'needs reset' err
}
test_balloon_reports_free_pages_pci() { reports --transport pci --balloon reporting; }
test_balloon_reports_free_pages_mmio() { reports --transport mmio --balloon reporting; }
test_balloon_reports_beside_statistics() { reports --balloon stats=1s; }
test_balloon_reports_beside_everything() { reports --balloon stats=1s,hinting=yes; }

test_balloon_statistics_and_hinting() {
	take_driver
	boot -v --memory 256M --balloon stats=200ms,hinting=start,reporting=no <<-'END'
		insmod /virtio_balloon.ko
		sleep 3
		sha256sum </disk/data/sample
	END
	expect_status 0
	expect "^$(sample_hash)"
	expect 'balloon: swapped in 0, swapped out 0, .*free [0-9]{8,9}, total [0-9]{9},' err
	expect 'balloon: the guest has named [0-9]+[KM] as free' err
}
