# How a guest can end, and what Vireo makes of it (docs: "EXIT STATUS").
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

test_output_before_the_exit_port_is_not_lost() {
	boot <<<'seq 1 3000; exit-status 3'
	expect_status 3
	expect '^3000'
}

test_on_poweroff_restart() {
	disk_copy
	boot --on-poweroff restart <<-'END'
		[ -e /disk/data/second ] && exit 9
		touch /disk/data/second
		umount /disk
		poweroff -f
	END
	expect_status 9
}

# The second boot sees what the first one wrote, and its own devices work as those of the first.
reboots() {
	disk_copy
	boot --on-reboot restart "$@" <<-'END'
		if [ -e /disk/data/second ]; then
			sh /report
			exit
		fi
		echo first
		touch /disk/data/second
		umount /disk
		reboot -f
	END
	expect_status 0
	expect '^first'
	expect "^file: /data/sample, sha256 $(sample_hash)"
	expect '^hwrng: +[0-9a-f]'
}
test_reboot_restart_pci() { reboots --transport pci; }
test_reboot_restart_mmio_4_cpus() { reboots --transport mmio --cpus 4; }

test_panic_before_init_is_120() {
	append='root=/dev/none' run </dev/null >out
	expect_status 120
	expect 'Kernel panic' serial
}

test_timeout_is_124() {
	boot --timeout 12s <<<'echo up; sleep 100'
	expect_status 124
	expect '^up'
}

# Busy CPUs have to be fetched out of the guest.
test_timeout_of_a_busy_guest() {
	boot --timeout 15s --cpus 2 <<<'echo up; (while :; do :; done) & while :; do :; done'
	expect_status 124
	expect '^up'
}

# The kernel's own memory is in the core: its banner, and what the panic said.  KASLR is in the note that
# tools find it by (VMCOREINFO is in memory).
test_panic_leaves_a_core() {
	boot --on-panic dump --dump-to core --append panic=-1 --cpus 2 --memory 128M <<-'END'
		echo c >/proc/sysrq-trigger
	END
	expect_status 120
	expect "the guest's memory and CPUs are in 'core'" err
	readelf -n core >notes 2>&1 || fail "no ELF core"
	[ "$(grep -c NT_PRSTATUS notes)" = 2 ] || fail "the notes of 2 CPUs are missing"
	expect_not Warning notes
	grep -aq 'OSRELEASE=6\.' core || fail "VMCOREINFO is not in it"
	grep -aq "Linux version $(basename "${kernel_dir[$kind]}"/lib/modules/*)" core || fail "no banner in it"
}
