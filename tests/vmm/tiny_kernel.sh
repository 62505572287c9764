# shellcheck shell=bash
# Kernels of a few bytes for tests of the program.  To be sourced.

bytes() { local b; for b; do printf '%b' "\\x$b"; done; }

# kernel FILE BYTE... : an ELF file with a PVH entry, whose code (32-bit) these bytes are.
# System V ABI, "Object Files"; Xen, misc/pvh.pandoc
kernel() {
	local file=$1
	shift
	{
		bytes 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 02 00 3e 00 01 00 00 00
		bytes c8 00 10 00 00 00 00 00 40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
		bytes 00 00 00 00 40 00 38 00 02 00 00 00 00 00 00 00
		# PT_LOAD: the whole file, to 1 MiB
		bytes 01 00 00 00 05 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00
		bytes 00 00 10 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00
		bytes 00 10 00 00 00 00 00 00
		# PT_NOTE, and the note: XEN_ELFNOTE_PHYS32_ENTRY
		bytes 04 00 00 00 04 00 00 00 b0 00 00 00 00 00 00 00 b0 00 10 00 00 00 00 00
		bytes b0 00 10 00 00 00 00 00 18 00 00 00 00 00 00 00 18 00 00 00 00 00 00 00
		bytes 04 00 00 00 00 00 00 00
		bytes 04 00 00 00 08 00 00 00 12 00 00 00 58 65 6e 00 c8 00 10 00 00 00 00 00
		bytes "$@"
	} >"$file"
	truncate -s 512 "$file"
}
