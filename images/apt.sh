# Sourced, after cache.sh, by those who download Debian packages: images/fetch-kernel and images/build-kernel.
# shellcheck shell=bash
# shellcheck disable=SC2154  # cache

lists=system

# apt PROGRAM ARGS... : with the system's lists, or with our own: those need no root and leave the
# system as it is.
apt() {
	local program=$1
	shift
	if [ $lists = system ]; then
		set -- "$@" -o APT::Sandbox::User="$(id -un)"
	else
		set -- "$@" -o APT::Sandbox::User="$(id -un)" -o Dir::Cache="$cache/apt/cache" \
			-o Dir::State::Lists="$cache/apt/lists"
		mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
	fi
	"$program" "$@"
}

# apt_retry COMMAND... : if it fails, once more with new lists of our own: there were none, or such old ones
# that the mirror has dropped what they name.
apt_retry() {
	"$@" && return
	echo "${0##*/}: getting package lists" >&2
	lists=private
	apt apt-get update -qq >&2 && "$@"
}
