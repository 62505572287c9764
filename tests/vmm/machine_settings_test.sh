#!/bin/bash
# Settings of CPUs and memory, and what becomes of them on the host.  Speaks TAP.
# Usage: machine_settings_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

kernel exit0 31 c0 e7 f4 eb fe			# xor eax, eax; out 0xf4, eax
kernel loop fa eb fe				# cli; jmp .

# while_running OPTION... : a VM that loops; $pid, and it is in the guest
while_running() {
	"$vireo" run --kernel loop --memory 64M --console null --serial null "$@" </dev/null >out 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		grep -qs '^vcpu0' /proc/$pid/task/*/comm && return
		sleep 0.1
	done
}
end() { kill $pid; wait $pid; status=$?; } 2>/dev/null

# cpus_of THREAD: where it may run, as the kernel says
cpus_of() {
	local comm
	for comm in /proc/$pid/task/*/comm; do
		[ "$(cat "$comm")" = "$1" ] && awk '/^Cpus_allowed_list/ { print $2 }' "${comm%comm}status"
	done
}

# flags: VmFlags of the guest's memory
flags() { awk '/guest-ram/ { here = 1 } here && /^VmFlags/ { print; exit }' /proc/$pid/smaps; }

# is NAME FOUND WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else status="'$2'"; not_ok "$1" "'$3'"; fi; }

run=("$vireo" run --kernel exit0 --memory 64M)

expect "a feature must have a sign" 125 "cpu-features: 'aes' begins with neither '\+' nor '-'" \
	"${run[@]}" --cpu-features aes
expect "a feature must have a name that is known" 125 "did you mean 'avx2'" "${run[@]}" --cpu-features -avx22
expect_kvm "a feature that the host has not cannot be demanded" 126 "'tbm' is demanded" \
	"${run[@]}" --cpu-features +tbm
expect_kvm "features can be hidden" 0 "status 0" "${run[@]}" --cpu-features -aes,-avx512f
expect "CPUs are numbers" 125 "vcpu-affinity: 'a' is neither CPUs of the host" "${run[@]}" --vcpu-affinity a
expect "a vCPU that is pinned must be there" 125 "there is no number 1" "${run[@]}" --vcpu-affinity 1:0
expect_kvm "a CPU of the host must be there" 125 "CPU 1023 is none that Vireo may run on" \
	"${run[@]}" --vcpu-affinity 1023
expect "likewise for I/O threads" 125 "CPU 1023 is none that Vireo may run on" "${run[@]}" --io-affinity 0:1023
expect "memory of huge pages is a multiple of them" 125 "65M is not a multiple of 2M" \
	"${run[@]}" --memory 65M --hugepages 2M
expect "huge pages are not merged" 125 "exclude each other" "${run[@]}" --hugepages 2M --merge
expect "huge pages are not transparent" 125 "'hugepages' gives others" "${run[@]}" --hugepages 2M --thp yes
expect_kvm "a pool that is too small is told with what to do" 126 "takes 2097152 huge pages of 2M, and the host has [0-9]+ free" \
	"${run[@]}" --memory 4T --hugepages 2M

expect_kvm "check looks at the pool, too" 126 "hugepages: guest memory takes 2097152 huge pages" \
	"$vireo" check "${run[@]:2}" --memory 4T --hugepages 2M
expect_kvm "check looks for nodes of the host" 126 "this host has no node 999" \
	"$vireo" check "${run[@]:2}" --memory 64M --numa name=n,memory=64M,cpus=0,host_node=999

if $has_kvm; then
	first=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)
	first=${first%%[-,]*}
	while_running --vcpu-affinity "$first" --io-affinity "0:$first" --io-threads 2
	is "a vCPU's thread runs where it shall" "$(cpus_of vcpu0)" "$first"
	is "so does an I/O thread" "$(cpus_of io0)" "$first"
	is "and the others run anywhere" "$(cpus_of io1)" "$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)"
	end
	while_running --thp yes
	is "transparent huge pages are asked for" "$(flags | grep -ow hg)" hg
	is "and memory is shared" "$(flags | grep -ow sh)" sh
	end
	while_running --thp no
	is "or refused" "$(flags | grep -ow nh)" nh
	end
	if [ -e /sys/kernel/mm/ksm ]; then
		while_running --merge
		is "pages may be merged" "$(flags | grep -ow mg)" mg
		end
	else
		skip "pages may be merged" "the host's kernel has no KSM"
	fi
fi

echo "1..$n"
exit $failed
