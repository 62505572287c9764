#!/bin/bash
# 'vireo kernel check' on real configurations: those of Debian's kernels and of our own, where they are in
# the cache (images/fetch-kernel, images/build-kernel); and on files made here.  Speaks TAP.
# Usage: kernel_check_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=images/cache.sh
. "$top/images/cache.sh"
own=$("$top/images/build-kernel" --cached) || own=
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"
generic=$cache/kernel-generic
[ -e "$generic/config" ] || generic=
check=("$vireo" kernel check)
printf '%s\n' '# Linux/x86 6.6.1 Kernel Configuration' CONFIG_VIRTIO_PCI=m CONFIG_PCI=y >few

# --- The table, beside real kernels ---------------------------------------------------------------

# What Debian's kernels for x86 do not know, because nothing there turns it on: device trees, and what
# comes with them.  All of it has to stand in our own kernel's settings.
unknown_to_debian='CLK_LGM_CGU COMMON_CLK OF_EARLY_FLATTREE SERIAL_OF_PLATFORM'

"${check[@]}" --fragment --all >all
if [ -n "$generic" ]; then
	grep -oE 'CONFIG_[A-Z0-9_]+' "$generic/config" | sort -u >known
	sed -n 's/=y$//p' all | sort >wanted
	comm -23 wanted known | sed 's/^CONFIG_//' | sort >odd
	tr ' ' '\n' <<<"$unknown_to_debian" | sort >allowed
	comm -23 odd allowed >out
	[ ! -s out ]
	verdict $? "each option is one that Debian's kernel knows, or is listed as not"
else
	skip "each option is one that Debian's kernel knows" "images/fetch-kernel generic did not run here"
fi
if [ -n "$own" ]; then
	missing=0
	for name in $unknown_to_debian; do grep -q "^CONFIG_$name=y" "$own/config" || missing=1; done
	[ $missing -eq 0 ]
	verdict $? "what Debian's does not know is in a kernel of our own"
else
	skip "what Debian's does not know is in a kernel of our own" "images/build-kernel did not run here"
fi

cmp -s all "$top/docs/kernel.config"
verdict $? "docs/kernel.config is what 'vireo kernel check --fragment --all' writes"
expect "the fragment is enough for everything" 0 '^It fits' "${check[@]}" --all all

# --- Debian's kernel ------------------------------------------------------------------------------

if [ -n "$generic" ]; then
	debian="$generic/config"
	expect "Debian's kernel fits a plain VM" 0 '^It fits' "${check[@]}" "$debian"
	expect "its modules are named" 0 '^  VIRTIO_PCI VIRTIO_BLK' "${check[@]}" "$debian"
	expect "it fits 'vireo exec'" 0 '^It fits' "${check[@]}" --exec "$debian"
	expect "without an initrd it does not fit" 123 \
		"CONFIG_VIRTIO_BLK: for disk 'disk0' over pci .*is a module \(=m\), but there is no initrd" \
		"${check[@]}" "$debian" --disk root.img
	expect "with one it does" 0 '^Modules that the initrd has to have' \
		"${check[@]}" "$debian" --disk root.img --initrd initrd
	expect "it has no device tree" 123 'CONFIG_OF: for the device tree' \
		"${check[@]}" "$debian" --transport mmio --set vm.mmio_discovery=dtb
	expect "nor an IOMMU" 123 "CONFIG_VIRTIO_IOMMU: for the IOMMU over pci" \
		"${check[@]}" "$debian" --disk root.img,iommu --initrd initrd
	"${check[@]}" --fragment "$debian" --disk root.img,iommu --initrd initrd >out 2>&1
	[ "$(grep -v '^#' out | grep -c .)" -eq 1 ] && grep -qx CONFIG_VIRTIO_IOMMU=y out
	verdict $? "a fragment for it has that one option"

	# As it is installed, and as it is shown by the kernel that runs.
	mkdir boot
	release=$(basename "$(realpath "$generic"/lib/modules/*)")
	cp "$generic/vmlinuz" "boot/vmlinuz-$release"
	if [ ! -e "/boot/config-$release" ] && [ ! -e "/lib/modules/$release/config" ]; then
		expect "of a kernel without it one is told where to look" 125 "config-$release" \
			"${check[@]}" "boot/vmlinuz-$release"
	else
		skip "of a kernel without it one is told where to look" "this host has the same kernel"
	fi
	ln -s "$debian" "boot/config-$release"
	expect "config-RELEASE beside a kernel is found" 0 "^'boot/config-$release' \(Linux 6" \
		"${check[@]}" "boot/vmlinuz-$release"
	gzip -c "$debian" >config.gz
	expect "a packed one is read, as /proc/config.gz is" 0 '^It fits' "${check[@]}" config.gz
else
	skip "Debian's kernel" "images/fetch-kernel generic did not run here"
fi

# --- Our own, which has its configuration inside --------------------------------------------------

if [ -n "$own" ]; then
	for file in vmlinuz vmlinux config; do
		expect "our own kernel fits a plain VM: $file" 0 '^It fits' "${check[@]}" "$own/$file"
	done
	while read -r -a words; do
		expect "our own kernel fits without an initrd: ${words[*]}" 0 '^It fits' \
			"${check[@]}" "$own/vmlinuz" --disk root.img "${words[@]}"
	done <<-'END'
		--net user --cpus 4
		--transport pci-legacy
		--transport mmio
		--transport mmio --set vm.mmio_discovery=cmdline
		--transport mmio --set vm.mmio_discovery=dtb
		--iommu bypass=yes --disk path=x,iommu
		--balloon 64M,reporting
		--vsock cid=5
		--share path=/tmp,name=tmp
		--scsi wwpn=naa.5001405a1b2c3d4e
		--exec
	END
	expect "it was made without NUMA" 123 'CONFIG_NUMA: for NUMA nodes' "${check[@]}" "$own/vmlinuz" \
		--memory 256M --numa name=a,memory=256M,cpus=0
	expect "the kernel of a VM is the one to look at" 0 '^It fits' "${check[@]}" --kernel "$own/vmlinuz"
	printf 'boot:\n  kernel: %s\n' "$own/vmlinuz" >web.yaml
	expect "also that of a VM file" 0 '^It fits' "${check[@]}" web.yaml
	expect "and another one for a VM file" 123 'CONFIG_VIRTIO_PCI' "${check[@]}" few web.yaml
else
	skip "our own kernel" "images/build-kernel did not run here"
fi

# --- Answers --------------------------------------------------------------------------------------

expect "what is missing is told, with what for" 123 "^  CONFIG_VIRTIO_BLK: for disk 'root' over pci" \
	"${check[@]}" few
expect "what is no whole configuration is told" 123 'olddefconfig' "${check[@]}" few
expect "JSON has the same" 123 '"fits": false' "${check[@]}" --json few
"${check[@]}" --json few >out 2>&1
python3 - <<-'END'
	import json
	a = json.load(open('out'))
	rows = {n['option']: n for n in a['needs']}
	assert a['version'] == '6.6.1' and a['options'] == 2 and not a['inside'], a
	assert rows['CONFIG_VIRTIO_PCI']['verdict'] == 'module-for-initrd', rows
	assert rows['CONFIG_VIRTIO_BLK']['verdict'] == 'missing', rows
	assert rows['CONFIG_VIRTIO_BLK']['for'] == ["disk 'root' over pci"], rows
	assert rows['CONFIG_KVM_GUEST']['verdict'] == 'better-with', rows
	assert 'CONFIG_VIRTIO_NET' not in rows
END
verdict $? "and it can be read"
for vm in "" "--disk root.img" "--exec" "--transport mmio --net user"; do
	# shellcheck disable=SC2086
	{ cat few; "${check[@]}" --fragment few $vm; } >whole
	# shellcheck disable=SC2086
	expect "with what its fragment adds a configuration fits: $vm" 0 '^It fits' "${check[@]}" whole $vm
done

# --- Mistakes -------------------------------------------------------------------------------------

expect "a file that is not there" 127 "open kernel or configuration 'gone'" "${check[@]}" gone
echo hello >text
expect "a file that is neither" 125 "'text' is neither a kernel configuration nor a Linux kernel" \
	"${check[@]}" text
expect "a directory" 125 "'bin'" "${check[@]}" bin
expect "no kernel at all" 125 'which kernel\?' "${check[@]}"
expect "a mistake in the description" 125 'unknown option' "${check[@]}" few --dosk x
expect "JSON for kconfig" 125 'reads no JSON' "${check[@]}" --json --fragment few
expect "another word" 125 "did you mean 'vireo kernel check'" "$vireo" kernel chekc
expect "no word" 125 "vireo help kernel" "$vireo" kernel
expect "help" 0 '^Usage: vireo kernel check' "$vireo" kernel --help
expect "help behind the word" 0 '^  --fragment' "${check[@]}" --help
expect "the word is completed" 0 '^check' "$vireo" completion --for kernel ''
expect "and its options" 0 '^--fragment' "$vireo" completion --for kernel check --f

# A bomb: a byte more than 1 GiB.
if command -v zstd >/dev/null; then pack=(zstd -q -1); else pack=(gzip -1); fi
head -c 1073741825 /dev/zero | "${pack[@]}" >bomb
expect "a bomb is bounded" 125 'unpacks to more|built without' "${check[@]}" bomb
truncate -s 100G sparse
expect "a huge file is bounded" 125 "'sparse' is neither" "${check[@]}" sparse
mkfifo pipe
expect "a pipe is not waited for" 125 "'pipe'" "${check[@]}" pipe
printf 'CONFIG_A=y\n' >$'a\033[2Jb'
"${check[@]}" $'a\033[2Jb' >out 2>&1
! grep -q $'\033' out
verdict $? "a name cannot steer a terminal"

echo "1..$n"
exit $failed
