#!/bin/bash
# Completion in the shells themselves.  Speaks TAP.
# Usage: completion_test.sh PATH-TO-VIREO
set -u

[ $# -eq 1 ] || { echo "usage: $0 PATH-TO-VIREO" >&2; exit 2; }
# shellcheck source=tests/vmm/cli.sh
. "$(dirname "$0")/cli.sh"
mkdir work
PATH=$dir/bin:$PATH
cd work || exit 2
touch disk.img 'with space.img' web.yaml
mkdir disks

# same NAME WANTED GOT : lists of words, in any order
same() {
	printf '%s\n' "wanted:" "$2" "got:" "$3" >out
	if [ "$(sort <<<"$2")" = "$(sort <<<"$3")" ]; then ok "$1"; else not_ok "$1"; fi
}

# An interactive bash cuts the line as this does: words at spaces, and at '=' and ':' in them.
cat >../cut.sh <<'END'
source <(vireo completion bash) || exit
line=$1
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
COMP_LINE=$line COMP_POINT=${#line}
COMP_WORDS=()
read -ra words <<<"$line"
for word in "${words[@]}"; do
	while [ -n "$word" ]; do
		case $word in
		[=:]*) piece=${word%%[!=:]*} ;;
		*) piece=${word%%[=:]*} ;;
		esac
		COMP_WORDS+=("$piece")
		word=${word#"$piece"}
	done
done
case $line in *" ") COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_vireo
printf '%s\n' "${COMPREPLY[@]}"
END
bash_completes() { bash --norc --noprofile ../cut.sh "$1" 2>&1; }

same "bash: a command" "run" "$(bash_completes 'vireo ru')"
same "bash: an option" "--transport" "$(bash_completes 'vireo run --tran')"
same "bash: values of a choice" "mmio
mmio-legacy" "$(bash_completes 'vireo run --transport mm')"
same "bash: they stand behind '=', too" "mmio
mmio-legacy" "$(bash_completes 'vireo run --transport=mm')"
same "bash: an item of a list" "disk.img,engine=" "$(bash_completes 'vireo run --disk disk.img,eng')"
same "bash: its values" "uring" "$(bash_completes 'vireo run --disk disk.img,engine=u')"
same "bash: a second '='" "threads" "$(bash_completes 'vireo run --disk path=disk.img,engine=th')"
same "bash: settings by name" "disks.root.engine=" "$(bash_completes 'vireo run --set disks.root.eng')"
same "bash: VM files" "web.yaml" "$(bash_completes 'vireo run we')"
same "bash: a file as a value" "disk.img
disks/" "$(bash_completes 'vireo run --kernel di')"
same "bash: behind a key" "disk.img
disks/" "$(bash_completes 'vireo run --disk path=di')"
same "bash: a name with a space" 'with\ space.img' "$(bash_completes 'vireo run --kernel wi')"
same "bash: nothing where nothing fits" "" "$(bash_completes 'vireo run --transport x')"
bash --norc --noprofile -c 'source <(vireo completion bash); complete -p vireo' >out 2>&1
if grep -q 'complete -F _vireo vireo' out; then ok "bash: it is the completion of vireo"; else not_ok "bash: it is the completion of vireo"; fi

# shellcheck disable=SC2016  # fish's own
fish_completes() { fish --no-config -c 'vireo completion fish | source; complete -C $argv[1]' "$1" 2>&1 | cut -f 1; }
if command -v fish >/dev/null; then
	export HOME=$dir
	same "fish: an option" "--transport" "$(fish_completes 'vireo run --tran')"
	same "fish: values of a choice" "mmio
mmio-legacy" "$(fish_completes 'vireo run --transport mm')"
	same "fish: items and their values" "disk.img,engine=threads" "$(fish_completes 'vireo run --disk disk.img,engine=th')"
	same "fish: a file as a value" "disk.img
disks/" "$(fish_completes 'vireo run --kernel di')"
	same "fish: behind a key" "path=disk.img
path=disks/" "$(fish_completes 'vireo run --disk path=di')"
else
	skip "fish" "fish is not installed"
fi

# In a terminal of its own, as zsh has no other way: type, press tab, and look at the line.
# shellcheck disable=SC2016,SC2317  # zsh's own; called from another bash
zsh_completes() {
	TERM=dumb zsh -f -c '
		zmodload zsh/zpty
		zpty shell "TERM=dumb PS1= zsh -f -i"
		zpty -w shell "PS1=; stty -echo; autoload -U compinit; compinit -u -D; source <(vireo completion zsh)"
		zpty -w shell "done-now() { print -r -- \"<<\$BUFFER>>\"; BUFFER=; zle accept-line }; zle -N done-now; bindkey ^X done-now; print ready"
		zpty -r shell out "*ready*ready*" 2>/dev/null || zpty -r shell out "*ready*"
		zpty -w -n shell "$1"$'"'\\t\\x18'"'
		zpty -r -m shell out "*<<*>>*"
		print -r -- "$out"
	' zsh "$1" 2>&1 | tr -d '\r' | grep -o '<<.*>>' | tail -n 1
}
if command -v zsh >/dev/null; then
	same "zsh: an option" "<<vireo run --transport >>" "$(timeout 30 bash -c "$(declare -f zsh_completes); zsh_completes 'vireo run --transp'")"
else
	skip "zsh" "zsh is not installed"
fi

echo "1..$n"
exit $failed
