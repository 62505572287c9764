#!/bin/bash
# VM files as people use them: run, explain and check, messages and exit statuses.  Speaks TAP.
# Usage: vm_file_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

kernel exit0 31 c0 e7 f4 eb fe			# xor eax, eax; out 0xf4, eax
kernel hello 66 ba f8 03 b0 48 ee b0 69 ee 31 c0 e7 f4 eb fe	# "Hi" to COM1
truncate -s 1M a.img
truncate -s 1M b.img

: >empty.yaml
if "$vireo" check empty.yaml 2>&1 | grep -q 'built without libyaml'; then
	expect "a build without libyaml says so" 125 "without libyaml and reads no VM files; install" \
		"$vireo" run empty.yaml
	echo "1..$n"
	exit $failed
fi

# said NAME LINE... : these lines, all of them and in this order, are what was said last
said() {
	local name=$1
	shift
	if printf '%s\n' "$@" | diff - out >differences; then
		ok "$name"
	else
		status="$status, diff"
		cp differences out
		not_ok "$name" "other lines"
	fi
}

# --- Running ------------------------------------------------------------------------------------
mkdir vms
cp hello a.img vms
cat >vms/base.yaml <<-'END'
	# what all of ours have
	vm:
	  memory: 64M
	  seccomp: ${SECCOMP:-off}
	console: { to: null }
	disks:
	  root: { path: a.img, readonly: yes }
END
cat >vms/web.yaml <<-'END'
	include: base.yaml
	boot:
	  kernel: hello
END
expect_kvm "a VM file is run, with paths relative to it" 0 '^Hi' "$vireo" run vms/web.yaml
expect_kvm "from standard input, too" 0 '^Hi' sh -c "cd vms && $vireo run - <web.yaml"
expect_kvm "flags override a file that follows them" 0 'guest exited with status 0' \
	"$vireo" run --kernel exit0 vms/web.yaml
cat >web.json <<-'END'
	{"boot": {"kernel": "hello"}, "vm": {"memory": "64M"}, "console": {"to": "null"}}
END
expect_kvm "JSON is run" 0 '^Hi' "$vireo" run web.json
expect_kvm "with the sandbox" 0 '^Hi' env SECCOMP=on "$vireo" run vms/web.yaml
expect "several files are merged" 127 "open kernel 'gone'" \
	sh -c "echo 'boot: { kernel: gone }' | $vireo run vms/web.yaml /dev/fd/0"
expect "a file without a kernel is no VM yet" 125 \
	"vms/base.yaml: boot.kernel: which kernel\?" "$vireo" run vms/base.yaml
expect "explain takes files" 0 '^root: virtio block device' "$vireo" explain vms/base.yaml
expect "explain takes flags with them" 0 '34 RING_PACKED +ring +yes +- +no ' \
	"$vireo" explain vms/base.yaml --set disks.root.features=-packed

# --- Mistakes -----------------------------------------------------------------------------------
cat >wrong.yaml <<-'END'
	include: wrong-too.yaml
	vm:
	  memroy: 1G
	  cpus: many
	disks:
	  root:
	    path: a.img
	    readonly: yes
	    ephemeral: yes
	serial: off
END
printf 'vm: { poll: -1 }\n' >wrong-too.yaml
expect "mistakes end it with 125" 125 "wrong.yaml:4:9: vm.cpus: 'many' is not a whole number" \
	"$vireo" run wrong.yaml
sed -i 's/; allowed: .*/; allowed: .../' out
said "all of them are told, in the order of the file" \
	"vireo: wrong.yaml:3:3: vm.memroy: unknown key; did you mean 'memory'; allowed: ..." \
	"vireo: wrong.yaml:4:9: vm.cpus: 'many' is not a whole number" \
	"vireo: wrong.yaml:9:16: disks.root.ephemeral: 'readonly' and 'ephemeral' exclude each other" \
	"vireo: wrong.yaml:10:9: serial: a map of settings belongs here, as '{ to: off }', not a single value" \
	"vireo: wrong-too.yaml:1:13: vm.poll: '-1' is not a whole number (in wrong-too.yaml, included from wrong.yaml:1:10)"
expect "explain says the same" 125 "wrong.yaml:4:9: vm.cpus" "$vireo" explain wrong.yaml
expect "a missing file is 127" 127 "open 'gone.yaml': No such file or directory" "$vireo" run gone.yaml
expect "an option without its dashes is recognised" 127 "did you mean '--memory=1G'\?" "$vireo" run memory=1G
expect "a VM file is no command" 125 "did you mean 'vireo run web.yaml'\?" "$vireo" web.yaml
expect "a kernel is no VM file" 125 "exit0: this is no text .*'--kernel FILE'" "$vireo" run exit0
expect "a directory is no VM file" 125 "read 'vms': Is a directory" "$vireo" run vms
expect "a file without end is refused" 125 'at most 1 MiB' "$vireo" run /dev/zero
printf 'boot: { append: "\\u001b[2J\\u0007" }\nvm: { poll: "\\e[2J" }\n' >steer.yaml
expect "messages do not steer the terminal" 125 "vm.poll: '\?\[2J'" "$vireo" run steer.yaml

# --- Checking -----------------------------------------------------------------------------------
cat >fine.yaml <<-'END'
	vm: { memory: 64M }
	boot: { kernel: exit0 }
	disks: { root: { path: a.img } }
	console: { to: file=console.log }
END
expect_kvm "check finds nothing" 0 '^fine.yaml: fine$' "$vireo" check fine.yaml
expect_kvm "check takes flags alone" 0 '^vireo: fine$' "$vireo" check --kernel exit0 --memory 64M
if [ ! -e console.log ]; then ok "check makes no file"; else status=0 not_ok "check makes no file" "none"; fi
expect "check says the mistakes of a file" 125 'wrong.yaml:4:9: vm.cpus' "$vireo" check wrong.yaml
cat >host.yaml <<-'END'
	vm: { memory: 64M, kvm: /dev/gone }
	boot:
	  kernel: exit0
	disks:
	  root: { path: gone.img }
	  data: { path: b.img }
	  dir: { path: vms }
	serial: { to: file=gone/log }
END
expect "check has the status of the first that run meets" 127 \
	"host.yaml:8:15: serial.to: make 'gone/log': No such file or directory" "$vireo" check host.yaml
expect "which is a missing file" 127 "gone/log" "$vireo" run host.yaml
timeout 60 "$vireo" check host.yaml >out 2>&1 </dev/null
status=$?
sed -i -E 's/(No such file or directory|Is a directory);.*/\1; .../' out
said "check tells all that it finds" \
	"vireo: host.yaml:1:25: vm.kvm: open '/dev/gone': No such file or directory; ..." \
	"vireo: host.yaml:5:17: disks.root.path: cannot use disk 'root': open 'gone.img' for reading: No such file or directory; ..." \
	"vireo: host.yaml:7:16: disks.dir.path: cannot use disk 'dir': 'vms' is a directory, not a disk image: Is a directory" \
	"vireo: host.yaml:8:15: serial.to: make 'gone/log': No such file or directory"
expect "a KVM that is not there is 126" 126 "vm.kvm: open '/dev/gone'" \
	"$vireo" check fine.yaml --set vm.kvm=/dev/gone
expect "run says the same" 126 "open '/dev/gone'" "$vireo" run fine.yaml --set vm.kvm=/dev/gone
expect "a missing kernel is 127" 127 "vireo: --kernel: open kernel 'gone'" "$vireo" check fine.yaml --kernel gone
expect "a missing initrd is 127" 127 "vireo: --initrd: open initrd 'gone'" "$vireo" check fine.yaml --initrd gone
expect "a text is no kernel" 125 "kernel: 'fine.yaml' is .*not a kernel" "$vireo" check fine.yaml --kernel fine.yaml
expect "features that cannot be offered are found" 125 "rng" "$vireo" check fine.yaml --set rng.transport=mmio-legacy \
	--set rng.features=+packed
expect_kvm "more memory than there is is a warning" 0 "warning: --memory: 4T is more than this host has" \
	"$vireo" check fine.yaml --memory 4T
if $has_kvm; then
	kernel spin eb fe
	"$vireo" run -q --kernel spin --memory 64M --disk a.img --console off --serial off --seccomp off \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		"$vireo" check fine.yaml >out 2>&1 || break
		sleep 0.1
	done
	expect "a disk that another VM has is found" 125 \
		"fine.yaml:3:24: disks.root.path: 'a.img' is in use by another VM" "$vireo" check fine.yaml
	expect "and may be shared for reading only by readers" 125 "is in use by another VM" \
		"$vireo" check fine.yaml --set disks.root.readonly=yes
	kill $pid
	wait $pid 2>/dev/null
else
	skip "a disk that another VM has is found" "/dev/kvm does not work here"
fi
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 444 a.img
	expect "a disk that cannot be written is found" 125 \
		"fine.yaml:3:24: disks.root.path: open 'a.img' for writing: Permission denied; .*'readonly'" \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$vireo" check fine.yaml
else
	skip "a disk that cannot be written is found" "needs to be another user"
fi

# --- It does not take long ----------------------------------------------------------------------
{
	echo 'disks:'
	for i in $(seq 64); do
		echo "  disk-$i:"
		printf '    %s\n' "path: /nowhere/disk-$i.img" 'readonly: no' 'ephemeral: yes' 'direct: off' \
			'engine: threads' 'queues: 4' 'queue_size: 64' "serial: serial-$i" 'block_size: 512' \
			'features: [ +packed, -indirect ]' 'iommu: no'
	done
} >disks.yaml
# CPU time of ten starts and ends of the process, in ms per one: a quiet host needs 5.
# shellcheck disable=SC2034  # bash reads it
TIMEFORMAT='%3U %3S'
used=$({ time for _ in 1 2 3 4 5 6 7 8 9 10; do "$vireo" run disks.yaml >out 2>&1; done; } 2>&1)
status=$(awk '{ print int(($1 + $2) * 100) }' <<<"$used")
if grep -q __asan_init "$vireo"; then
	skip "64 disks are read in no time" "built with a sanitizer"
elif grep -q 'which kernel' out && [ "$status" -lt 50 ]; then
	ok "64 disks are read in no time ($status ms with start and end)"
else
	not_ok "64 disks are read in no time ($status ms)" "less than 50 ms"
fi

echo "1..$n"
exit $failed
