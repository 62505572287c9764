#!/bin/bash
# The command line as people meet it: bad input, messages, exit statuses.  Speaks TAP.
# Usage: cli_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

loop="eb fe"
set_reset="66 ba f9 0c b0 06 ee"	# mov dx, 0xcf9; mov al, 6; out dx, al
# shellcheck disable=SC2086  # words are bytes
{
	kernel exit0 31 c0 e7 f4 $loop				# xor eax, eax; out 0xf4, eax
	kernel exit7 b8 07 00 00 00 e7 f4 $loop
	kernel exit300 b8 2c 01 00 00 e7 f4 $loop
	kernel poweroff 66 ba 04 06 66 b8 00 34 66 ef $loop	# PM1 control: S5
	kernel reboot $set_reset $loop
	kernel panicked 66 c7 05 72 04 00 00 34 12 $set_reset $loop	# word [0x472] = 0x1234
	kernel panic 66 ba 05 05 b0 01 ee $loop			# pvpanic
	kernel halt fa f4 eb fd
	kernel crash 0f 0b					# ud2, and no IDT
	kernel spin $loop
	kernel hello 66 ba f8 03 b0 48 ee b0 69 ee 31 c0 e7 f4 $loop	# "Hi" to COM1
}

# --- The command line ---------------------------------------------------------------------------
expect "no command explains the program" 125 '^Usage: vireo COMMAND' "$vireo"
expect "an unknown command is corrected" 125 "unknown command 'rnu'; did you mean 'run'" "$vireo" rnu
expect "help is there" 0 '^Usage: vireo COMMAND' "$vireo" --help
expect "help of run has its options" 0 '^  --memory SIZE' "$vireo" run --help
expect "help of doctor" 0 '^Usage: vireo doctor' "$vireo" help doctor
expect "the version is a number" 0 '^vireo [0-9]+\.[0-9]+' "$vireo" version
expect "the manual's parts are scdoc" 0 '^\*vireo run ' "$vireo" help --man commands
expect "another part is refused" 125 "no part 'x'" "$vireo" help --man x
expect "help that cannot be written is a failure" 125 'No space left' sh -c "$vireo help >/dev/full"
expect "an unknown option is corrected" 125 "unknown option '--memroy'; did you mean '--memory'\?" \
	"$vireo" run --memroy 1G
expect "a kernel is needed" 125 "which kernel\?" "$vireo" run
expect "a VM file that is not there is 127" 127 "open 'web.yaml': No such file" "$vireo" run web.yaml
expect "a wrong value names what is allowed" 125 "^vireo: --transport: 'usb' is not one of pci, pci-transitional, pci-legacy, mmio, mmio-legacy" \
	"$vireo" run --transport usb
expect "help of agent" 0 '^Usage: vireo agent' "$vireo" help agent
expect "agent refuses what it does not know" 125 "'agent' does not take '--foo'" "$vireo" agent --foo
expect "agent needs a name of a file" 125 '--output needs' "$vireo" agent --output
expect "agent tells which file it cannot write" 127 "write '/no/such/agent'" "$vireo" agent --output /no/such/agent
expect "agent prints its unit" 0 '^ExecStart=/usr/local/sbin/vireo-agent' "$vireo" agent --unit
expect "agent writes what can be executed" 0 '^same$' sh -c "'$vireo' agent --output=agent-program && test -x agent-program &&
	'$vireo' agent | cmp - agent-program && ./agent-program --help 2>&1 | grep -q ^Usage: && rm agent-program && echo same"
expect "doctor refuses what it does not know" 125 "'doctor' does not take '--foo'" "$vireo" doctor --foo
timeout 10 "$vireo" run --memory lots --cpus 0 --memroy --disk >out 2>&1
status=$?
if [ $status -eq 125 ] && [ "$(grep -c '^vireo: ' out)" -eq 4 ]; then
	ok "all mistakes are told at once"
else
	not_ok "all mistakes are told at once" "125 and 4 lines"
fi

# --- Files --------------------------------------------------------------------------------------
expect "a missing kernel is 127 and named" 127 "'nowhere/vmlinuz'" "$vireo" run --kernel nowhere/vmlinuz
expect "a missing initrd is 127 and named" 127 "'initrd.gone'" "$vireo" run --kernel exit0 --initrd initrd.gone
expect "a missing disk is 127 and named" 127 "'gone.img'" "$vireo" run --kernel exit0 --disk gone.img
expect "a directory is no kernel" 125 "'/'" "$vireo" run --kernel /
expect "a console's file in no directory is 127" 127 "'gone/log'" "$vireo" run --kernel exit0 --console file=gone/log
echo "just a text" >text
expect "a text is no kernel" 125 "'text'.*(not|no) " "$vireo" run --kernel text
: >empty
expect "an empty file is no kernel" 125 "'empty'.*empty" "$vireo" run --kernel empty
gzip -c text >text.gz
expect "a gzip file is told as such" 125 "'text.gz'.*gzip" "$vireo" run --kernel text.gz
head -c 100 exit0 >cut.elf
expect "an ELF file that is cut off" 125 "'cut.elf'" "$vireo" run --kernel cut.elf
: >empty.img
expect "an empty disk is refused" 125 "'empty.img'" "$vireo" run --kernel exit0 --disk empty.img
head -c 1000 /dev/zero >cut.img
expect "a disk that is cut off inside a sector is refused" 125 "'cut.img'" "$vireo" run --kernel exit0 --disk cut.img
expect "memory too small for anything" 125 "^vireo: --memory: '64K' is too small" "$vireo" run --kernel exit0 --memory 64K
cp exit0 secret
chmod 0 secret
cp exit0 secret.img
chmod 0 secret.img
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups --"
if [ "$(id -u)" -ne 0 ]; then nobody=; fi
if $nobody "$vireo" version >/dev/null 2>&1; then
	# shellcheck disable=SC2086  # a command and its arguments
	{
		expect "an unreadable kernel is named" 125 "'secret'" $nobody "$vireo" run --kernel secret
		expect "an unreadable disk is named" 125 "'secret.img'" $nobody "$vireo" run --kernel exit0 --disk secret.img
	}
else
	skip "an unreadable kernel is named" "setpriv cannot become another user"
	skip "an unreadable disk is named" "likewise"
fi

# --- Device trees -------------------------------------------------------------------------------
tree=(--transport mmio --set vm.mmio_discovery=dtb --disk a --disk b --memory 6G --cpus "6,cores=3")
dump() { "$vireo" run --kernel gone --set vm.kvm=/nonexistent "${tree[@]}" "$@"; }
if "$vireo" run --kernel gone "${tree[@]}" --dump-dtb x.dtb 2>&1 | grep -q 'no libfdt'; then
	skip "a device tree is written without kernel, disks and KVM" "this build has no libfdt"
	skip "it is one that dtc understands" "likewise"
	skip "a tree that cannot be written is told" "likewise"
else
	expect "a device tree is written without kernel, disks and KVM" 0 '^$' bash -c "$(declare -p vireo tree); $(declare -f dump); dump --dump-dtb x.dtb && echo && test -s x.dtb"
	if command -v dtc >/dev/null; then
		expect "it is one that dtc understands" 0 'virtio_mmio@fe003000' dtc -I dtb -O dts x.dtb
		if grep -q Warning out; then not_ok "dtc has nothing to say about it" "no warning"; else ok "dtc has nothing to say about it"; fi
	else
		skip "it is one that dtc understands" "device-tree-compiler is not installed"
	fi
	expect "a tree that cannot be written is told" 127 "open 'gone/x.dtb'" \
		"$vireo" run --kernel gone "${tree[@]}" --dump-dtb gone/x.dtb
fi
expect "no tree, no dump" 125 "mmio_discovery=dtb" "$vireo" run --kernel exit0 --dump-dtb x.dtb
expect "a tree needs mmio" 125 "'dtb' needs .*--transport mmio" "$vireo" run --kernel exit0 --set vm.mmio_discovery=dtb
expect "a tree needs a kernel that takes one" 125 "'exit0' cannot be given a device tree: .* PVH" \
	"$vireo" run --kernel exit0 --transport mmio --set vm.mmio_discovery=dtb

# --- Explain ------------------------------------------------------------------------------------
explain() { echo "$vireo explain $*"; }
truncate -s 1M e.img
expect "explain needs neither kernel nor KVM" 0 '^disk0: virtio block device \(type 2\) over pci$' \
	"$vireo" explain --disk e.img --set vm.kvm=/nonexistent
expect "explain takes the options of run" 0 '^console: virtio console \(type 3\) over mmio-legacy$' \
	"$vireo" explain --kernel gone --memory 1G -q --console file=gone/log,transport=mmio-legacy --explain
expect "a bit that is switched off says so" 0 '^ +28 INDIRECT_DESC +ring +yes +- +no +switched off by the configuration$' \
	"$vireo" explain --disk path=e.img,features=+suspend,-indirect
expect "a bit that is demanded is offered" 0 '^ +43 SUSPEND +ring +yes +[+] +yes$' \
	"$vireo" explain --disk path=e.img,features=+suspend,-indirect
expect "a bit that cannot be had is told before the run" 125 'because: VIRTIO_F_SR_IOV cannot be had' \
	"$vireo" explain --disk path=e.img,features=+sr_iov
expect "with the transport that lacks it" 125 "^vireo: offer the features of 'disk0' over mmio-legacy" \
	"$vireo" explain --transport mmio-legacy --disk path=e.img,features=+packed
expect "a wrong bit is corrected" 125 "did you mean 'EVENT_IDX'" "$vireo" explain --features +evnt_idx
expect "explain finds a missing disk" 127 "'gone.img'" "$vireo" explain --disk gone.img
expect "explain explains itself" 0 '^Usage: vireo explain' "$vireo" explain --help
expect "too many devices for mmio are told" 125 '128 are the most' sh -c "$(explain --transport mmio) \
	$(for i in $(seq 130); do printf ' --disk e.img'; done)"
: >kept
echo words >kept
expect "explain leaves a console's file alone" 0 '^words' sh -c "$(explain --console file=kept) && cat kept"
chmod 444 e.img
expect "a disk need not be writable to be explained" 0 '^ +13 DISCARD ' "$vireo" explain --disk e.img
chmod 644 e.img
if "$vireo" explain --json >/dev/null 2>&1; then
	expect "explain speaks JSON" 0 '"name": "VIRTIO_BLK_F_FLUSH"' "$vireo" explain --disk e.img --json
	if command -v python3 >/dev/null; then
		expect "and it is JSON" 0 '^disk0 console rng$' sh -c "$(explain --disk e.img --json) | python3 -c '
import json, sys
print(*[d[\"name\"] for d in json.load(sys.stdin)[\"devices\"]])'"
	else
		skip "and it is JSON" "no python3 to read it"
	fi
else
	expect "without Jansson that is said" 125 'libjansson' "$vireo" explain --json
fi

expect "a setting before its disk is told to stand behind it" 125 "two disks have this name .*stands behind" \
	"$vireo" explain --set disks.root.features=+packed --disk e.img,name=root
expect "and there it works" 0 '^ +34 RING_PACKED +ring +yes +[+] +yes$' \
	"$vireo" explain --disk e.img,name=root --set disks.root.features=+packed

# --- KVM ----------------------------------------------------------------------------------------
expect "a missing /dev/kvm is 126" 126 "'/nonexistent'" "$vireo" run --kernel exit0 --set vm.kvm=/nonexistent
expect "a missing /dev/kvm has a fix" 126 "^  hint: " "$vireo" run --kernel exit0 --set vm.kvm=/nonexistent
expect "a node that is not KVM is 126" 126 "'/dev/null'" "$vireo" run --kernel exit0 --set vm.kvm=/dev/null
: >no-kvm
chmod 0 no-kvm
if $nobody "$vireo" version >/dev/null 2>&1; then
	# shellcheck disable=SC2086
	{
		expect "/dev/kvm without permission is 126" 126 "Permission denied" $nobody "$vireo" run --kernel exit0 --set vm.kvm=no-kvm
		expect "/dev/kvm without permission has a fix" 126 "^  hint: .*kvm" $nobody "$vireo" run --kernel exit0 --set vm.kvm=no-kvm
	}
else
	skip "/dev/kvm without permission is 126" "setpriv cannot become another user"
	skip "/dev/kvm without permission has a fix" "likewise"
fi
expect "doctor says no without KVM" 126 "^Linux guests: no" "$vireo" doctor -q --kvm /nonexistent
expect_kvm "doctor finds KVM" 0 "^Linux guests: (yes|too slow here) \([0-9.]+ million instructions/s" "$vireo" doctor
expect "doctor looks at vhost" "$($has_kvm && echo 0 || echo 126)" '/dev/vhost-net' "$vireo" doctor

# --- How a guest ends ---------------------------------------------------------------------------
expect_kvm "a status of 0 is 0" 0 "^vireo: guest exited with status 0" "$vireo" run --kernel exit0
expect_kvm "a guest's status is passed on" 7 "^vireo: guest exited with status 7" "$vireo" run --kernel exit7
expect_kvm "a file that may not grow is a message" 0 \
	"capture packets to 'full.pcap'|user-mode network" bash -c \
	'(ulimit -f 0; exec "$0" run --kernel exit7 --net user,capture=full.pcap) 2>&1 | cat' "$vireo"
expect_kvm "a large status is 119" 119 "status 300, reported as 119" "$vireo" run --kernel exit300
expect_kvm "power off is 0" 0 "guest powered off" "$vireo" run --kernel poweroff
expect_kvm "a panic is 120" 120 "guest kernel panicked" "$vireo" run --kernel panic
expect_kvm "a panic may be fine" 0 "guest kernel panicked" "$vireo" run --kernel panic --on-panic exit
expect_kvm "a triple fault is 121" 121 "triple fault" "$vireo" run --kernel crash
expect_kvm "a halt is 0" 0 "halted" "$vireo" run --kernel halt --timeout 20
expect_kvm "a halt can be a failure" 121 "halted" "$vireo" run --kernel halt --on-halt fail --timeout 20
expect_kvm "a reset can be a failure" 122 "guest reset itself" "$vireo" run --kernel reboot --on-reboot fail
expect_kvm "a reset can be the end" 0 "guest reset itself" "$vireo" run --kernel reboot --on-reboot exit
expect_kvm "a guest that resets for ever meets the limit" 124 "time limit of 1 s" "$vireo" run --kernel reboot --timeout 1
expect_kvm "a reset that Linux marks is a panic" 120 "panicked" "$vireo" run --kernel panicked
expect_kvm "the mark counts only when Linux is told to set it" 122 "reset" \
	"$vireo" run --kernel panicked --cmdline quiet --on-reboot fail
expect_kvm "a guest that hangs meets the limit" 124 "RIP 0x1000c8" "$vireo" run --kernel spin --timeout 0.5
expect_kvm "quiet is quiet" 0 '^$' sh -c "$vireo run -q --kernel exit0; echo"
expect_kvm "quiet still tells a failure" 120 'panicked' "$vireo" run -q --kernel panic
expect_kvm "without the sandbox" 0 'status 0' "$vireo" run --kernel exit0 --seccomp off
expect_kvm "the last words of a console come out" 0 'Hi' "$vireo" run --kernel hello
expect_kvm "the serial port can lead to a file" 0 '^Hi' sh -c "$vireo run -q --kernel hello --serial file=log && cat log; echo"
expect_kvm "a slow reader gets everything" 0 'Hi' sh -c "$vireo run --kernel hello | (sleep 1; cat)"
expect_kvm "a reader that is gone is no failure" 0 'status 0' bash -c "set -o pipefail; $vireo run --kernel hello | true"
expect_kvm "verbose names the kernel" 0 'ELF' "$vireo" run -v --kernel exit0

expect_kvm "a run can be explained at its end" 0 '^  driver: none so far' "$vireo" run --kernel exit0 --explain
expect_kvm "and before its outcome" 0 '^vireo: guest exited with status 0' "$vireo" run --kernel exit0 --explain
if "$vireo" explain --json >/dev/null 2>&1; then
	expect_kvm "also in JSON, which the sandbox allows" 0 '^      "runs": true,' \
		"$vireo" run --kernel exit0 --explain=json
fi
expect_kvm "a strict run says that there was nothing" 0 '^vireo: strict driver: no mistakes' \
	"$vireo" run --kernel exit0 --strict-driver
expect_kvm "unless it is quiet" 0 '^$' sh -c "$vireo run -q --kernel exit0 --strict-driver; echo"

# --- What does not fit ----------------------------------------------------------------------------
head -c 32M /dev/zero >initrd
expect_kvm "an initrd that does not fit is told with sizes" 125 "initrd.*32 MiB" \
	"$vireo" run --kernel exit0 --initrd initrd --memory 16M
expect_kvm "memory too small for the kernel" 125 "kernel|memory" "$vireo" run --kernel exit0 --memory 1M
disks=()
for i in $(seq 64); do truncate -s 1M "d$i.img" && disks+=(--disk "d$i.img"); done
expect_kvm "64 disks on pci" 0 'status 0' "$vireo" run --kernel exit0 "${disks[@]}"
expect_kvm "64 disks on mmio" 0 'status 0' "$vireo" run --kernel exit0 --transport mmio "${disks[@]}"
many=()
for i in $(seq 260); do truncate -s 4K "m$i.img" && many+=(--disk "m$i.img,engine=threads"); done
expect_kvm "260 disks are too many for pci" 125 'PCI' "$vireo" run --kernel exit0 "${many[@]}"
expect_kvm "every kind of transport in one VM" 0 'status 0' "$vireo" run --kernel exit0 \
	--transport mmio --disk d1.img,transport=pci --console null,transport=pci-transitional \
	--rng transport=mmio-legacy "${disks[@]:2}"
expect_kvm "a bit that cannot be had is told with its reason" 125 \
	'because: VIRTIO_F_SR_IOV cannot be had: the transport does not carry it' \
	"$vireo" run --kernel exit0 --disk d1.img,features=+sr_iov
expect_kvm "and with the device" 125 "because: offer the features of 'root'" \
	"$vireo" run --kernel exit0 --disk d1.img,name=root,features=+sr_iov
expect_kvm "a modern device cannot be without VERSION_1" 125 'a legacy transport is without it' \
	"$vireo" run --kernel exit0 --features -version_1
expect_kvm "a legacy one can" 0 'status 0' "$vireo" run --kernel exit0 --features -version_1 --transport pci-legacy
expect_kvm "260 disks are too many for mmio" 125 '128 are the most' "$vireo" run --kernel exit0 --transport mmio "${many[@]}"

# --- Others -------------------------------------------------------------------------------------
# wait_for COMMAND: for up to 10 s
wait_for() { for _ in $(seq 100); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.1; done; }
if $has_kvm; then
	"$vireo" run --kernel spin --disk d1.img --console null --serial null -v 2>first &
	first=$!
	wait_for grep -q 'command line' first
	sleep 0.3
	expect "a disk that another VM uses is refused" 125 "'d1.img'.*(in use|locked)" "$vireo" run --kernel exit0 --disk d1.img
	expect "but can be explained" 0 '^disk0: virtio block device' "$vireo" explain --disk d1.img
	kill -USR1 $first
	wait_for grep -q '^rng: virtio entropy source' first
	kill -USR1 $first
	sleep 0.3
	kill -USR2 $first
	wait_for grep -q 'no device has another datapath' first
	kill -PWR $first
	wait_for grep -q 'presses the power button' first
	kill -TERM $first
	wait $first
	status=$?
	cp first out
	if [ "$(grep -c '^disk0: virtio block device' first)" -ge 1 ]; then
		ok "SIGUSR1 explains a VM that runs, in the sandbox"
	else
		not_ok "SIGUSR1 explains a VM that runs, in the sandbox" 143
	fi
	if grep -q 'no device has another datapath' first; then
		ok "SIGUSR2 says that there is nothing to switch"
	else
		not_ok "SIGUSR2 says that there is nothing to switch" 143
	fi
	if grep -q 'presses the power button' first; then
		ok "SIGPWR presses the power button, in the sandbox"
	else
		not_ok "SIGPWR presses the power button, in the sandbox" 143
	fi
	cp first out
	if [ $status -eq 143 ] && grep -q 'ended by SIGTERM' out; then ok "SIGTERM ends it in order"; else not_ok "SIGTERM ends it in order" 143; fi
	expect "and the disk is free again" 0 'status 0' "$vireo" run --kernel exit0 --disk d1.img
else
	skip "a disk that another VM uses is refused" "/dev/kvm does not work here"
	skip "but can be explained" "likewise"
	skip "SIGUSR1 explains a VM that runs, in the sandbox" "likewise"
	skip "SIGPWR presses the power button, in the sandbox" "likewise"
	skip "SIGUSR2 says that there is nothing to switch" "likewise"
	skip "SIGTERM ends it in order" "likewise"
	skip "and the disk is free again" "likewise"
fi
if $has_kvm && command -v script >/dev/null; then
	# script(1) gives it a terminal.
	{ sleep 1; printf 'abc\001x'; } | timeout 20 script -qefc "$(run --kernel spin)" /dev/null >out 2>&1
	status=$?
	if [ $status -eq 130 ] && grep -q 'Ctrl-A x ends' out; then ok "the escape key ends it"; else not_ok "the escape key ends it" 130; fi
	{ sleep 1; printf '\001h'; sleep 0.3; printf '\001x'; } | timeout 20 script -qefc "$(run --kernel spin)" /dev/null >out 2>&1
	status=$?
	if [ $status -eq 130 ] && grep -q 'power button' out; then ok "the escape key has a help"; else not_ok "the escape key has a help" 130; fi
else
	skip "the escape key ends it" "no /dev/kvm, or no script(1)"
	skip "the escape key has a help" "likewise"
fi

echo "1..$n"
exit $failed
