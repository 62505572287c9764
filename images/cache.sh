# Sourced: 'cache' is where downloads, kernels and roots are kept.  Services often have no HOME.
# shellcheck shell=sh
: "${HOME:=$(getent passwd "$(id -u)" | cut -d : -f 6)}"
# shellcheck disable=SC2034
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vireo
