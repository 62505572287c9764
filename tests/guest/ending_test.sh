# How a guest can end, and what Vireo makes of it (docs: "EXIT STATUS").
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

test_poweroff_is_0() {
	boot <<<'poweroff -f'
	expect_status 0
}

test_status_of_command_is_passed_on() {
	boot <<<'exit 7'
	expect_status 7
}

test_exit_port_above_119_is_119() {
	boot <<<'exit-status 300'
	expect_status 119
	expect '300' err
}

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

# The ways in which a PC is reset: by ACPI's register, the keyboard controller, port 0xcf9.
reset_is_122() {
	append=reboot=$1 boot --on-reboot fail <<<'reboot -f'
	expect_status 122
}
test_reboot_by_acpi_fail() { reset_is_122 a; }
test_reboot_by_keyboard_controller_fail() { reset_is_122 k; }
test_reboot_by_cf9_fail() { reset_is_122 p; }

test_reboot_default_way_fail() {
	boot --on-reboot fail <<<'reboot -f'
	expect_status 122
}

test_reboot_exit_is_0() {
	boot --on-reboot exit <<<'reboot -f'
	expect_status 0
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

test_halt_exit_is_0() {
	boot --on-halt exit <<<'halt -f'
	expect_status 0
}

test_halt_fail_is_121() {
	boot --on-halt fail --cpus 2 <<<'halt -f'
	expect_status 121
}

test_panic_by_pvpanic_is_120() {
	boot <<<'echo c >/proc/sysrq-trigger'
	expect_status 120
	expect 'Kernel panic' serial
}

test_panic_without_pvpanic_driver_is_120() {
	boot <<<'rmmod pvpanic-mmio; echo c >/proc/sysrq-trigger'
	expect_status 120
}

test_panic_before_init_is_120() {
	append='root=/dev/none' run </dev/null >out
	expect_status 120
	expect 'Kernel panic' serial
}

test_triple_fault_is_121() {
	append=reboot=t boot <<<'reboot -f'
	expect_status 121
	expect 'triple fault' err
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
