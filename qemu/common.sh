# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the rig's scripts share: names, places, messages.

set -euo pipefail

QEMU_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(dirname "$QEMU_DIR")
BUILD=${OUT:-$TOP/build}
# Roots take minutes to make and do not belong to the tree.
CACHE=${MORSEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/morsel}
MIRROR=${MORSEL_MIRROR:-http://deb.debian.org}

# Kernel releases the project supports, oldest first.
KERNELS=(6.1 6.12 7.2)
# Kernels of our own that check everything; see debug-root.
DEBUG_KERNELS=(6.12-memory 6.12-locking)

say() {
	echo "qemu: $*" >&2
}

die() {
	say "$*"
	exit 2
}

# The Debian release that ships a kernel.
suite_of() {
	case ${1%-*} in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	7.2) echo sid ;;
	*) die "no such kernel: $1 (known: ${KERNELS[*]})" ;;
	esac
}

# What a kernel of our own is there to find; nothing for Debian's kernels.
lane_of() {
	[ "${1%-*}" = "$1" ] || echo "${1#*-}"
}

# Where the root of a kernel is, or will be: a changed recipe makes a new one.
root_of() {
	local lane recipe=("$QEMU_DIR/tree.sh")
	lane=$(lane_of "$1")
	if [ -n "$lane" ]; then
		recipe+=("$QEMU_DIR/debug-root" "$QEMU_DIR/config/guest" "$QEMU_DIR/config/$lane")
	else
		recipe+=("$QEMU_DIR/root")
	fi
	echo "$CACHE/$1-$(cat "${recipe[@]}" | sha256sum | cut -c1-12)"
}

# The kernel version inside a root, as uname -r says it.
uname_of() {
	basename "$1"/tree/lib/modules/*
}

# Run a command inside a root's tree, with /proc: objtool wants it.
inside() {
	local tree=$1
	shift
	unshare --mount --fork sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" env PWD=/ "$@"' "$tree" "$@"
}
