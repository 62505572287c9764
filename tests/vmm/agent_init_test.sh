#!/bin/bash
# The agent as the first process, without a kernel of its own: in namespaces of this host, with a root
# file system of three programs.  Prints TAP.
#   tests/vmm/agent_init_test.sh VIREO
set -u
export LC_ALL=C
vireo=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The kernel of a container may forbid one or the other.
enter=(unshare --mount --pid --fork --uts --ipc --net)
[ "$(id -u)" = 0 ] || enter+=(--user --map-root-user)
why=
busybox=$(command -v busybox) || why="busybox-static is not installed"
[ -n "$why" ] || "${enter[@]}" chroot / true 2>/dev/null || why="there are no namespaces to be had"
[ -n "$why" ] || command -v python3 >/dev/null || why="python3 is not installed"
[ -n "$why" ] || "$vireo" agent --output "$work/vireo-agent" 2>/dev/null || why="vireo was built without the agent"
if [ -n "$why" ]; then
	echo "1..1"
	echo "ok 1 - the agent as the first process # SKIP $why"
	exit 0
fi

n=0 failed=0
check() { # NAME STATUS
	n=$((n + 1))
	if [ "$2" = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' "$work/out"
		failed=1
	fi
}

# guest NAME PATTERN SCRIPT : /vireo/boot is standard input; what SCRIPT prints matches the extended
# regular expression (of all lines in one, with '~' in between).
guest() {
	local root=$work/root
	rm -rf "$root"
	mkdir -p "$root"/{bin,vireo,proc,sys,dev,run,tmp} "$root"/lower/{bin,proc,sys,dev,run,tmp}
	cp "$work/vireo-agent" "$root/init"
	cp "$busybox" "$root/bin/busybox"
	cp "$busybox" "$root/lower/bin/busybox"
	for applet in sh cat ls id hostname stat grep sleep readlink ip; do
		ln -s busybox "$root/bin/$applet"
		ln -s busybox "$root/lower/bin/$applet"
	done
	cat >"$root/vireo/boot"
	timeout 30 python3 "$here/agent_peer.py" "$3" "${enter[@]}" chroot "$root" /init --fd 3 quiet ro \
		>"$work/out" 2>&1 </dev/null
	tr '\n' '~' <"$work/out" | grep -qE -- "$2"
	check "$1" $?
}

guest "it mounts what programs expect" \
	'~proc /proc .*~sysfs /sys .*~devpts /dev/pts .*~tmpfs /dev/shm .*~tmpfs /run .*~tmpfs /tmp .*~status 0~' \
	'cat /proc/mounts' <<<''
guest "it is process 1, what it runs is root" '~init=1~.*~uid=0.*~/init~status 0~' 'id; readlink /proc/1/exe' <<<''
guest "lo is on" '~[^~]*<LOOPBACK,UP[^~]*~.*~status 0~' 'ip link show lo' <<<''
guest "a root of layers leaves the lower one alone" '~hello world~b c~drwx------ /a/b~upper only~status 0~' \
	'cat /a/c; hostname; stat -c "%A %n" /a/b; [ ! -e /lower ] && echo upper only' <<'END'
# an empty line and this one are nothing

overlay /lower /new
hostname b\040c
root /new
mkdir /a/b 700
write /a/c hello\040world
END
check "nothing was written below" "$([ -e "$work/root/lower/a" ]; echo $((1 - $?)))"
guest "lines that may fail are not told of" '~trouble=~~ready[^~]*~there~status 0~' 'cat /x' <<'END'
?mount nonsense none /mnt
?nonsense
write /x there
END
guest "what fails is told, and nothing runs" \
	"~trouble=(/vireo/boot: 'mount nonsense none /mnt': No such device)~~ready[^~]*~not started 5 \\1~" 'echo no' <<'END'
mount nonsense none /mnt
END
guest "an order that does not exist is told" "~trouble=/vireo/boot: 'mont x y z': Invalid argument~" 'echo' <<'END'
mont x y z
END
guest "too many words are told" "~trouble=/vireo/boot: 'hostname a b': Invalid argument~" 'echo' <<'END'
hostname a b
END
guest "bind, move, link and mount" '~one~one~/tmp/x~ro~status 0~' \
	'cat /there/f /moved/f; readlink /l; (echo >/there/g) 2>/dev/null || echo ro' <<'END'
mkdir /here
write /here/f one
bind /here /there ro
mount tmpfs none /m mode=700,nosuid
write /m/f one
move /m /moved
link /tmp/x /l
END
guest "orphans are taken in" '~Z=0~status 0~' \
	'for i in 1 2 3 4 5; do sh -c "sleep 0.1 & exit"; done; sleep 0.5
	echo Z=$(grep -l "^State:.Z" /proc/[0-9]*/status | grep -c .)' <<<''
guest "told to power off, it does not wait for what it runs" '~status 0~ended ' \
	'sleep 100 >/dev/null 2>&1 & exit 0' <<<''

echo "1..$n"
exit $failed
