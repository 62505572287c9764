# Who the machine is, what it shall do, and what its CPUs and memory are like, as Linux sees it.
# shellcheck shell=bash
# shellcheck disable=SC2154  # from guest.sh and the suite

test_identity_credentials_and_cloud_init() {
	kind=generic
	take_modules dmi_sysfs isofs
	boot --cpus 2 --memory 512M --numa 192M,cpus=0 --numa 320M,cpus=1 --cpu-features -aes,-x2apic \
		--smbios 'Test Machine,serial=S-42,uuid=01234567-89ab-cdef-0123-456789abcdef' \
		--credential hello=world --set $'cloud_init.user_data=#cloud-config\nseed: yes\n' <<-'END'
		set -e
		. /load
		cat /sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial /sys/class/dmi/id/product_uuid
		strings=/sys/firmware/dmi/entries/11-0/raw
		if [ -e $strings ]; then tr '\0' '\n' <$strings | grep -ao 'io.systemd.*'; else echo no dmi-sysfs; fi
		mkdir /seed
		mount -t iso9660 -o ro /dev/vdb /seed
		cat /seed/user-data /seed/meta-data
		grep -ow -m1 aes /proc/cpuinfo || echo no aes
		cat /sys/devices/system/node/node1/cpulist | sed 's/^/node 1: /'
	END
	expect_status 0
	expect '^Test Machine'
	expect '^S-42'
	expect '^01234567-89ab-cdef-0123-456789abcdef'
	expect '^io.systemd.credential:hello=world'
	expect '^seed: yes'
	expect '^local-hostname: vireo'
	expect '^no aes'
	expect '^node 1: 1'
}
