#!/bin/bash
# Disks that another process serves (vhost-user), as people meet them: settings that contradict each
# other, back ends that are not there or do not answer, what explain and export say.  Speaks TAP.
# Usage: served_disk_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

# shellcheck disable=SC2086  # words are bytes
kernel exit0 31 c0 e7 f4 eb fe		# xor eax, eax; out 0xf4, eax
run=("$vireo" run --console null --serial null --kernel exit0)
truncate -s 1M image

# --- Mistakes -----------------------------------------------------------------------------------
for key in readonly ephemeral direct engine=threads serial=x block_size=4096; do
	expect "'socket' and '${key%%=*}' exclude each other" 125 \
		"'socket' and '${key%%=*}' exclude each other" "${run[@]}" --disk "socket=s,$key"
done
expect "'socket' and 'path' exclude each other" 125 "'socket' and 'path' exclude each other" \
	"${run[@]}" --disk image,socket=s
expect "a served disk is not behind the IOMMU" 125 "cannot be behind the IOMMU" \
	"${run[@]}" --disk socket=s,iommu=yes
expect "nor in memory that is merged" 125 "cannot be given to another process" \
	"${run[@]}" --merge --disk socket=s

# --- Back ends that are not ---------------------------------------------------------------------
expect "nobody listens there" 126 "because: connect to 'nobody'" "${run[@]}" --disk socket=nobody
expect "and what to do is said" 126 "hint: a vhost-user back end must listen there" \
	"${run[@]}" --disk socket=nobody
expect "check finds it, too" 126 "connect to 'nobody'" \
	"$vireo" check --kernel exit0 --disk socket=nobody
silent="python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.bind(\"silent\"); s.listen(); time.sleep(30)' & p=\$!
until [ -S silent ]; do sleep 0.02; done; \"\$@\"; r=\$?; kill \$p; exit \$r"
expect "one that does not answer is waited for for seconds, not for ever" 125 \
	"did not answer VHOST_USER_GET_FEATURES in time" bash -c "$silent" - "${run[@]}" --disk socket=silent

# --- One that is --------------------------------------------------------------------------------
if command -v qemu-storage-daemon >/dev/null; then
	qemu-storage-daemon --blockdev driver=file,node-name=f,filename=image \
		--export type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=real,writable=on \
		2>daemon.err &
	pids+=($!)
	for _ in $(seq 200); do [ ! -S real ] || break; sleep 0.02; done
	expect "explain shows who moves the buffers" 0 "buffers are moved: vhost-user at real" \
		"$vireo" explain --kernel exit0 --disk socket=real
	expect "and what the back end does not have is not offered" 0 "FLUSH +device +yes +yes" \
		"$vireo" explain --kernel exit0 --disk socket=real
	if grep -qE 'PROTOCOL_FEATURES|LOG_ALL' out; then not_ok "no bits between the two are shown"; else ok "no bits between the two are shown"; fi
	expect "check is content" 0 "" "$vireo" check --kernel exit0 --disk socket=real
	expect "more queues than it has are refused" 125 "the back end has 1 queues, not 4" \
		"${run[@]}" --disk socket=real,queues=4
	expect_kvm "a guest ends as it should, in the sandbox" 0 "" "${run[@]}" --disk socket=real
else
	skip "a real back end" "no qemu-storage-daemon (qemu-system-common)"
fi

# --- Elsewhere ----------------------------------------------------------------------------------
expect "QEMU has such disks, too" 0 "vhost-user-blk" \
	"$vireo" export --qemu --kernel exit0 --disk socket=nobody
expect "and the memory for them" 0 "memory-backend-memfd.*share=on" \
	"$vireo" export --qemu --kernel exit0 --disk socket=nobody
echo "1..$n"
exit $failed
