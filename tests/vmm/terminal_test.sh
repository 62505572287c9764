#!/bin/bash
# The terminal as somebody at it sees it, in tmux: raw while the guest has it, the escape key, a window
# that changes its size, and as it was before after every kind of end.  Speaks TAP.
# Usage: terminal_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"

why=
$has_kvm || why="/dev/kvm does not work here"
command -v tmux >/dev/null || why="no tmux"
if [ -n "$why" ]; then
	skip "the terminal" "$why"
	echo "1..$n"
	exit 0
fi

# A guest that sends back what is typed, says P when its power button is pressed, and at 'q' ends with
# the number of its console's columns as status.
#		mov $0x3fc, %dx; mov $3, %al; out %al, (%dx)	DTR and RTS: somebody reads
#	poll:	mov $0x600, %dx; in (%dx), %ax			PM1 status
#		test $1, %ah; jz serial				power button
#		out %ax, (%dx); mov $0x3f8, %dx; mov $'P', %al; jmp say
#	serial:	mov $0x3fd, %dx; in (%dx), %al; test $1, %al; jz poll
#		mov $0xf8, %dl; in (%dx), %al; cmp $'q', %al; je quit
#	say:	out %al, (%dx); jmp poll
#	quit:	movzwl 0xfe000100, %eax; out %eax, $0xf4	virtio-mmio: columns of the console
kernel guest 66 ba fc 03 b0 03 ee 66 ba 00 06 66 ed f6 c4 01 74 0a 66 ef 66 ba f8 03 b0 50 eb 10 66 \
	ba fd 03 ec a8 01 74 e2 b2 f8 ec 3c 71 74 03 ee eb d8 0f b7 05 00 01 00 fe e7 f4

# What is started in the terminal: the settings before and after (but for its
# size), and the exit status, in files.
cat >session <<END
#!/bin/bash
stty -a | tail -n +2 >before
$vireo run --kernel guest --memory 16M --transport mmio --rng off
echo \$? >status
stty -a | tail -n +2 >after
touch over
sleep 1000
END
chmod +x session

# A server of its own, without anybody's settings.
unset TMUX
term() { tmux -S "$dir/tmux" -f /dev/null "$@"; }
# It would end with the last session, and a new one meet it there.
term new-session -d -s keep 'sleep 10000'
trap 'term kill-server 2>/dev/null; rm -rf "$dir"' EXIT

# within COMMAND...: does it succeed before 20 s have passed?
within() {
	local i
	for ((i = 0; i < 200; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	return 1
}
screen() { term capture-pane -p -t vireo; }
shows() { screen | grep -qE -e "$1"; }
settings() { stty -a -F "$tty"; }
is_raw() { settings | grep -q -- '-icanon' && settings | grep -q -- '-isig' && settings | grep -q -- ' -echo '; }
is_cooked() { settings | grep -qE '(^| )icanon'; }
keys() { term send-keys -t vireo "$@"; }
# Vireo is the session's child that is called so.
vireo_pid() { pgrep -x -P "$session" vireo; }

begin() {
	rm -f status over before after
	term new-session -d -s vireo -x 80 -y 24 ./session
	tty=$(term display-message -p -t vireo '#{pane_tty}')
	session=$(term display-message -p -t vireo '#{pane_pid}')
	within is_raw
}

finish() {
	term kill-session -t vireo 2>/dev/null
}

# ended NAME STATUS: it has, with it (or any); and the terminal is as before
ended() {
	local name=$1 wanted=$2
	within test -e over
	status=$(cat status 2>/dev/null || echo none)
	{ screen; diff before after; } >out 2>&1
	[ "$wanted" != any ] || wanted=$status
	if [ "$status" = "$wanted" ] && cmp -s before after; then ok "$name"; else not_ok "$name" "$wanted and the terminal as before"; fi
	finish
}

# check NAME COMMAND...: it succeeds in time
check() {
	local name=$1
	shift
	if within "$@"; then
		ok "$name"
	else
		{ screen; settings; } >out 2>&1
		status=none
		not_ok "$name" "$*"
	fi
}

begin
check "the terminal is raw while the guest has it" is_raw
check "it says how to leave" shows '^vireo: Ctrl-A x ends the guest, Ctrl-A h lists the other keys$'
keys a b c
check "what is typed reaches the guest" shows '^abc'
keys C-a h
check "Ctrl-A h lists the keys" shows '^Ctrl-A p       press the guest.s power button$'
keys C-a p
check "Ctrl-A p presses the power button" shows '^P$'
# What the shell would take are bytes for the guest: an end of file, an interrupt, a stop.
keys C-d C-c C-z x y z
check "no other key is Vireo's" shows 'xyz'
keys C-a C-a 1 2 3
check "Ctrl-A Ctrl-A is not a command" shows '123'
keys C-a x
ended "Ctrl-A x ends it, and the terminal is as before" 130

begin
keys q
ended "the guest knows the terminal's width" 80
begin
term resize-window -t vireo -x 97 -y 30
sleep 0.5
keys q
ended "and a new one, when the window changes" 97

for signal in TERM HUP QUIT INT; do
	begin
	kill -s $signal "$(vireo_pid)"
	ended "the terminal is as before after SIG$signal" $((128 + $(kill -l $signal)))
done

# Crashes.  A sanitizer that looks into some of them ends the process in its own way.
reported=
! grep -qE '__(asan|ubsan|tsan)_' "$vireo" || reported=any
for signal in SEGV ABRT BUS ILL FPE; do
	begin
	kill -s $signal "$(vireo_pid)"
	ended "and after a crash by SIG$signal" "${reported:-$((128 + $(kill -l $signal)))}"
done

begin
vireo=$(vireo_pid)
kill -s TSTP "$vireo"
check "a stopped Vireo gives the terminal back" is_cooked
kill -s CONT "$vireo"
check "and takes it again when it goes on" is_raw
keys C-a x
ended "to give it back at the end" 130

echo "1..$n"
exit $failed
