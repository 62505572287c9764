#!/bin/bash
# Shared folders as people meet them: what is missing, what is wrong, a virtiofsd that dies, hangs and
# prints, and that nothing of it is left behind.  Speaks TAP.  Usage: shares_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

loop="eb fe"

# shellcheck disable=SC2086  # words are bytes
{
	kernel exit0 31 c0 e7 f4 $loop		# xor eax, eax; out 0xf4, eax
	kernel spin $loop
}
mkdir folder
has_virtiofsd=false
for place in /usr/libexec/virtiofsd /usr/lib/virtiofsd /usr/lib/qemu/virtiofsd; do
	[ ! -x $place ] || has_virtiofsd=true
done
expect_virtiofsd() { if $has_virtiofsd; then expect_kvm "$@"; else skip "$1" "no virtiofsd on this host"; fi; }

# stand_in NAME SCRIPT: a program that has the help of QEMU's virtiofsd, and then does SCRIPT
stand_in() {
	printf '%s\n' '#!/bin/sh' "[ \"\$1\" != --help ] || { echo ' -o source=PATH shared'; exit; }" "$2" >"$1"
	chmod 755 "$1"
}
stand_in dies 'echo starting >&2; echo "cannot find my hat" >&2; exit 5'
stand_in hangs 'echo "I am here"; exec sleep 1000'
# shellcheck disable=SC2016  # the stand-in's
stand_in kills_itself 'kill -SEGV $$'
stand_in floods 'exec yes "$(printf "\033[31mred")"'
printf '#!/bin/sh\necho I list files\n' >other
chmod 755 other

run=("$vireo" run --console null --serial null --kernel exit0 --memory 16M)

# --- Mistakes, and what there is not -------------------------------------------------------------
expect "a share needs a folder" 125 "share 'src': which folder\? Give its 'path'" "${run[@]}" --share name=src
expect "a folder that is not there is 127" 127 "share '/nowhere'" "${run[@]}" --share /nowhere
expect "a file is no folder" 127 "share 'exit0'" "${run[@]}" --share exit0
expect "a program that is not there is 127" 127 "start '/nowhere/virtiofsd'" \
	"${run[@]}" --share folder,program=/nowhere/virtiofsd
expect "another program is told" 125 "'./other' is no virtiofsd" "${run[@]}" --share folder,program=./other
expect "a tag has 36 bytes" 125 "by this name, which has 1 to 36 bytes" \
	"${run[@]}" --share folder,name=a234567890123456789012345678901234567
expect "memory that may be merged is not given away" 125 "leave 'merge' away" "${run[@]}" --merge --share folder
expect "nor is a share behind the IOMMU" 125 "a share cannot be behind the IOMMU" \
	"${run[@]}" --iommu --share folder,iommu=on
expect "a socket that is not there is 127" 127 "/nowhere/fs.sock" "${run[@]}" --share socket=/nowhere/fs.sock
# shellcheck disable=SC2016  # the command's
hidden='for f in /usr/libexec/virtiofsd /usr/lib/virtiofsd /usr/lib/qemu/virtiofsd /usr/local/libexec/virtiofsd; do
	[ ! -e $f ] || mount --bind /etc/passwd $f || exit 99; done; PATH=/bin exec "$@"'
alone=(unshare --mount)
if "${alone[@]}" mount -t tmpfs none /mnt 2>/dev/null; then
	expect "no virtiofsd at all is 126" 126 "hint: install it: package virtiofsd \(Debian 12: qemu-system-common\)" \
		"${alone[@]}" bash -c "$hidden" - "${run[@]}" --share folder
else
	skip "no virtiofsd at all is 126" "nothing can be mounted here"
fi

# --- What check and explain say, without starting anything ------------------------------------------
stand_in notices 'touch started; exec sleep 1000'
printf 'boot: { kernel: exit0 }\nshares: { a: { path: /nowhere }, b: { socket: exit0 }, c: { path: folder, program: ./no } }\n' >vm.yaml
"$vireo" check vm.yaml >out 2>&1
status=$?
if grep -q "vm.yaml:2:.*shares.a.path: .*No such file" out && grep -q 'shares.b.socket: .*not a socket\|shares.b.socket: .*non-socket' out &&
	grep -q 'shares.c.program: .*No such file' out; then
	ok "check names the key of each"
elif grep -q 'without libyaml' out; then
	skip "check names the key of each" "built without libyaml"
else
	not_ok "check names the key of each" "a mistake for each"
fi
expect "explain starts no virtiofsd" 0 "file system device" "$vireo" explain --share folder,name=src,program=./notices
if [ ! -e started ]; then ok "so it did not run"; else not_ok "so it did not run"; fi

# --- A virtiofsd that is none ----------------------------------------------------------------------
expect "one that dies: its last words are in the error" 125 "virtiofsd of share 'src' ended with status 5: cannot find my hat" \
	"${run[@]}" --share folder,name=src,program=./dies
expect "one that crashes" 125 "virtiofsd of share 'share0' was ended by SIGSEGV" \
	"${run[@]}" --share folder,program=./kills_itself
expect "one that hangs is not waited for, for ever" 125 "virtiofsd of share 'src' does not answer: I am here" \
	timeout 30 "${run[@]}" --share folder,name=src,program=./hangs
expect "one that floods: plain text, once" 125 "virtiofsd of share 'src' does not answer: \?\[31mred" \
	timeout 30 "${run[@]}" --share folder,name=src,program=./floods -v
if [ "$(wc -c <out)" -lt 20000 ]; then ok "and not all of it"; else not_ok "and not all of it"; fi

# --- The real one ------------------------------------------------------------------------------------
expect_virtiofsd "a guest with a share ends as any" 0 "confined by (namespaces|chroot)" "${run[@]}" --share folder -v
expect_virtiofsd "two shares, one read-only" 0 "." "${run[@]}" --share folder,name=a --share folder,name=b,readonly
expect_virtiofsd "the host's root can be shared" 0 "." "${run[@]}" --share /,name=root,readonly
expect_virtiofsd "more queues than it has are a wrong setting" 125 "share 'src'" "${run[@]}" --share folder,name=src,queues=8
if $has_virtiofsd && $has_kvm && command -v setpriv >/dev/null && [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$dir" folder && chmod 644 exit0 && mknod -m 666 kvm c 10 232
	user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	if "${user[@]}" unshare -rmp true 2>/dev/null && "${user[@]}" sh -c ': <>kvm' 2>/dev/null; then
		expect "without rights it is in a user namespace" 0 "confined by namespaces" "${user[@]}" "${run[@]}" \
			--set vm.kvm=kvm --share folder,readonly -v
	else
		skip "without rights it is in a user namespace" "another user has no KVM or no user namespaces here"
	fi
else
	skip "without rights it is in a user namespace" "no KVM, virtiofsd or root"
fi

# left PATTERN: does a process with that in its command line live on, after a moment?
left() {
	for _ in $(seq 50); do
		pgrep -f -- "$1" >/dev/null || return 1
		sleep 0.1
	done
}
if $has_virtiofsd && $has_kvm; then
	mkdir "folder.$$"
	"$vireo" run --console null --serial null --memory 16M --kernel spin --share "folder.$$,name=src" -v >out 2>vm.err &
	pid=$!
	pids+=("$pid")
	for _ in $(seq 100); do ! grep -q 'virtiofsd of' vm.err || break; sleep 0.1; done
	status=$(pgrep -fc "source=$PWD/folder.$$")
	if [ "$status" -ge 1 ]; then ok "it runs beside Vireo"; else not_ok "it runs beside Vireo" "at least 1"; fi
	kill -KILL $pid
	wait $pid 2>/dev/null
	if left "source=$PWD/folder.$$"; then not_ok "nothing outlives a Vireo that was killed"; else ok "nothing outlives a Vireo that was killed"; fi

	# Three times it is started again, and then the device has failed.
	"$vireo" run --console null --serial null --memory 16M --kernel spin --timeout 20s --share "folder.$$,name=src" -v >out 2>vm.err &
	pid=$!
	pids+=("$pid")
	for i in $(seq 4); do
		for _ in $(seq 100); do [ "$(grep -c 'virtiofsd of .*: process' vm.err)" -lt "$i" ] || break; sleep 0.1; done
		sleep 0.2
		helper=$(sed -n "s/.*virtiofsd of share 'src': process \([0-9]*\),.*/\1/p" vm.err | tail -n 1)
		kill -KILL "$helper"
	done
	for _ in $(seq 100); do ! grep -q 'started too often' vm.err || break; sleep 0.1; done
	status=$(grep -c 'another one is started' vm.err)
	if [ "$status" -eq 3 ] && grep -q "virtiofsd of share 'src' was ended by SIGKILL; it has been started too often" vm.err; then
		ok "it is started again, three times"
	else
		not_ok "it is started again, three times" 3
	fi
	kill -TERM $pid
	wait $pid
	status=$?
	if [ $status -eq $((128 + 15)) ] && ! left "source=$PWD/folder.$$"; then ok "and Vireo ends as ever"; else not_ok "and Vireo ends as ever" 143; fi
else
	for name in "it runs beside Vireo" "nothing outlives a Vireo that was killed" "it is started again, three times" \
		"and Vireo ends as ever"; do
		skip "$name" "no KVM or no virtiofsd"
	done
fi

echo "1..$n"
exit $failed
