# 'vireo exec': commands in guests that come up for them, with this machine's files as their root.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

# in_guest [OPTION]... -- COMMAND... : in a kernel of our own; 'status', 'out' and 'err' are of it
in_guest() {
	[ -n "${kernel_dir[$kind]-}" ] || skip "$kind kernel: not built; make kernel"
	status=0
	timeout "$limit" "$vireo" exec --kernel "${kernel_dir[$kind]}/vmlinuz" --memory 256M --cpus 1 "$@" \
		>out 2>err || status=$?
}

# With nothing of the host but what is copied.
alone() {
	in_guest --root none --copy "$(command -v busybox)=bin/busybox" "$@"
}

test_exec_alone_passes_on_status_and_both_outputs() {
	kind=own
	alone -- /bin/busybox sh -c 'echo to out; echo to err >&2; exit 42'
	expect_status 42
	[ "$(cat out)" = 'to out' ] || fail "out: $(cat out)"
	[ "$(cat err)" = 'to err' ] || fail "err: $(cat err)"
}

test_exec_alone_reserved_statuses_are_119() {
	kind=own
	alone -- /bin/busybox sh -c 'exit 124'
	expect_status 119
	expect "status is 124" err
}

test_exec_alone_command_that_is_not_there() {
	kind=own
	alone -- /bin/nothing
	expect_status 127
	expect "cannot run '/bin/nothing' in the guest: .*No such file" err
}

test_exec_alone_data_arrive_whole_both_ways() {
	kind=own
	head -c 10485760 /dev/urandom >data
	alone -- /bin/busybox cat <data
	expect_status 0
	cmp data out || fail "they differ"
}

test_exec_alone_slow_reader_loses_nothing() {
	kind=own
	"$vireo" exec --kernel "${kernel_dir[own]}/vmlinuz" --memory 256M --cpus 1 --root none \
		--copy "$(command -v busybox)=bin/busybox" -- /bin/busybox seq 100000 </dev/null 2>err |
		(sleep 6; cat) >out
	seq 100000 | cmp - out || fail "they differ"
}

test_exec_alone_reader_that_goes_ends_the_command() {
	kind=own
	timeout "$limit" "$vireo" exec --kernel "${kernel_dir[own]}/vmlinuz" --memory 256M --cpus 1 --root none \
		--copy "$(command -v busybox)=bin/busybox" -- /bin/busybox yes </dev/null 2>err | head -n 3 >out ||
		true
	[ "${PIPESTATUS[0]}" != 124 ] || fail "it did not end"
	[ "$(wc -l <out)" = 3 ] || fail "$(cat out)"
}

# signalled NAME STATUS: as this signal does to a command that sleeps
signalled() {
	"$vireo" exec --kernel "${kernel_dir[own]}/vmlinuz" --memory 256M --cpus 1 --root none \
		--copy "$(command -v busybox)=bin/busybox" -- \
		/bin/busybox sh -c "$3 echo here; sleep 100 & wait" </dev/null >out 2>err &
	local pid=$! i
	for i in $(seq 300); do
		! grep -q here out || break
		sleep 0.1
	done
	kill "-$1" $pid
	status=0
	wait $pid || status=$?
	expect_status "$2"
}

test_exec_alone_signal_ends_the_command() {
	kind=own
	signalled TERM 143 ''
}

test_exec_alone_signal_can_be_handled() {
	kind=own
	signalled TERM 7 'trap "exit 7" TERM;'
}

test_exec_alone_panic_is_120() {
	kind=own
	alone -- /bin/busybox sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
	expect_status 120
	expect 'panic' err
	expect 'sysrq triggered crash' err
}

test_exec_alone_poweroff_is_no_success() {
	kind=own
	alone -- /bin/busybox sh -c '/bin/busybox poweroff -f; sleep 100'
	expect_status 122
}

test_exec_alone_time_limit() {
	kind=own
	alone --timeout 8s -- /bin/busybox sleep 1000
	expect_status 124
}

# A terminal: script(1) makes one, and what it types is Ctrl-C.
test_exec_alone_terminal() {
	kind=own
	command -v script >/dev/null || skip "no script(1)"
	cat >command <<-END
		stty rows 33 cols 99
		"$vireo" exec --kernel "${kernel_dir[own]}/vmlinuz" --memory 256M --cpus 1 --root none \
			--copy "$(command -v busybox)=bin/busybox" -- \
			/bin/busybox sh -c 'test -t 0 && test -t 1 && test -t 2 && stty size; echo ready; sleep 100'
		echo "status \$?"
		stty -a | grep -o ' icanon'
	END
	mkfifo keys
	script -qec 'bash ./command' /dev/null <keys >out 2>&1 &
	local pid=$! i
	exec 8>keys
	for i in $(seq 300); do
		! grep -q ready out || break
		sleep 0.1
	done
	printf '\003' >&8
	for i in $(seq 100); do
		! grep -q status out || break
		sleep 0.1
	done
	exec 8>&-
	wait $pid || true
	tr -d '\r' <out >clean
	expect '^33 99$' clean
	expect '^(\^C)?status 130$' clean
	expect '^ icanon$' clean
}

# --- With the host's root ------------------------------------------------------------------------

need_virtiofsd() {
	local program
	for program in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
		[ ! -x $program ] || return 0
	done
	skip "no virtiofsd"
}

# usual KIND: what there is to see of the host
usual() {
	need_virtiofsd
	kind=$1
	mkdir -p here
	echo before >here/file
	cd here
	FOO=bar BAZ=no in_guest --env FOO --env NEW='a b' -- \
		sh -c 'uname -r; pwd; cat file; echo "[$FOO][$BAZ][$NEW]"; echo after >file; cat file; cat /etc/debian_version;
			mount | grep -c "^proc on /proc"; echo x >/etc/x && echo written; id -u; exit 3' </dev/null
	expect_status 3
	[ ! -s err ] || fail "err: $(cat err)"
	[ "$(cat file)" = before ] || fail "the host's file was changed"
	[ ! -e /etc/x ] || fail "the host's /etc was changed"
	{
		basename "${kernel_dir[$kind]}"/lib/modules/*
		pwd
		echo before
		echo '[bar][][a b]'
		echo after
		cat /etc/debian_version
		echo 1
		echo written
		echo 0
	} >expected
	diff expected out || fail "not as expected"
}

test_exec_root_own_kernel() { usual own; }
test_exec_root_cloud_kernel() { usual cloud; }

test_exec_root_writable_directories() {
	need_virtiofsd
	kind=own
	mkdir -p w/deep other
	echo before | tee w/file other/file >/dev/null
	in_guest --rw w --rw w/deep -- sh -c 'echo after >w/file; echo after >other/file; mkdir w/new; echo x >w/deep/x' </dev/null
	expect_status 0
	[ "$(cat w/file)" = after ] || fail "w/file"
	[ "$(cat other/file)" = before ] || fail "other/file"
	[ -d w/new ] || fail "w/new"
	[ "$(cat w/deep/x)" = x ] || fail "w/deep/x"
}

test_exec_root_modules_of_the_kernel_are_found() {
	need_virtiofsd
	kind=cloud
	in_guest -- sh -c 'modprobe loop && grep ^loop /proc/modules' </dev/null
	expect_status 0
	expect '^loop ' out
}

test_exec_root_binary_data() {
	need_virtiofsd
	kind=own
	head -c 10485760 /dev/urandom >data
	in_guest --rw . -- sh -c 'sha256sum; cat data >copy; sha256sum <data' <data
	expect_status 0
	cmp data copy || fail "they differ"
	[ "$(sort -u out | wc -l)" = 1 ] || fail "$(cat out)"
	[ "$(head -n 1 out)" = "$(sha256sum <data)" ] || fail "$(cat out)"
}

test_exec_root_other() {
	need_virtiofsd
	kind=own
	mkdir -p root/bin root/proc root/sys root/dev root/tmp
	cp "$(command -v busybox)" root/bin/busybox
	echo 'of the other' >root/file
	in_guest --root root -- /bin/busybox sh -c '/bin/busybox cat /file; pwd' </dev/null
	expect_status 0
	[ "$(cat out)" = $'of the other\n/' ] || fail "$(cat out)"
}
