# Talking to the guest over its consoles.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# talk [VIREO OPTION]... : the shell on the console, with a person's pauses
talk() {
	mkfifo in
	exec 3<>in
	run --initrd "${root_dir[$kind]}/initrd" "$@" <in >out &
	until grep -q 'ends it' out; do
		jobs %% >/dev/null 2>&1 || break
		sleep 0.2
	done
	# shellcheck disable=SC2016
	echo 'echo reply-$((6 * 7)); tty' >&3
	sleep 1
	echo exit >&3
	wait
	expect 'reply-42'
	expect_not 'vireo:.*status [1-9]' err
}

test_console_shell_over_hvc0_pci() {
	talk --transport pci
	expect '/dev/hvc0'
}

test_console_shell_over_hvc0_mmio() {
	talk --transport mmio
	expect '/dev/hvc0'
}

test_console_shell_over_serial_port() {
	talk --console off --serial stdio
	expect '/dev/ttyS0'
}

# Nothing is lost, doubled or in the wrong place.  Linux gives hvc0 16 bytes at a time.
test_console_bulk_output() {
	boot <<-'END'
		stty raw
		seq 2000
	END
	expect_status 0
	seq 2000 | cmp - out || fail "$(wc -c <out) bytes, not those that were sent"
}

test_console_null_does_not_block() {
	boot --console null <<-'END'
		seq 2000
		exit 5
	END
	expect_status 5
}

test_serial_port_carries_the_kernel_log() {
	quiet='' boot <<<'exit 0'
	expect_status 0
	expect 'Linux version' serial
	expect_not "$COMPLAINTS" serial
}

test_early_prints() {
	quiet=earlyprintk=ttyS0 boot <<<'exit 0'
	expect_status 0
	expect 'printk: (boot)?console \[earlyser0\] enabled' serial
}
