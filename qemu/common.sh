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

# Kernel releases the project supports, oldest first; and those that have their
# suites run by check-all only.
KERNELS=(6.1 6.12 7.2)
MORE_KERNELS=(7.3)
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
	7.3) echo trixie-backports ;;
	*) die "no such kernel: $1 (known: ${KERNELS[*]} ${MORE_KERNELS[*]})" ;;
	esac
}

# What a kernel of our own is there to find; nothing for Debian's kernels.
lane_of() {
	case $1 in
	*-generic) ;;
	*-*) echo "${1#*-}" ;;
	esac
}

# Debian builds a release in several flavours.  Guests run the one for clouds, as
# the smallest, if the kernel's name does not say which.
flavour_of() {
	case $1 in
	*-generic) echo generic ;;
	*) echo cloud ;;
	esac
}

# package_of WHAT FLAVOUR: the package that brings the image or the headers.
package_of() {
	case $2 in
	generic) echo "linux-$1-amd64" ;;
	*) echo "linux-$1-$2-amd64" ;;
	esac
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

# The version of the kernel inside a root, as uname -r says it.  Headers of further
# flavours have a folder beside it, but no modules.
uname_of() {
	basename "$(dirname "$1"/tree/lib/modules/*/modules.order)"
}

# headers_of ROOT [FLAVOUR]: where make finds what a module is built against, in
# the root's tree; for its own kernel, or for another flavour of it.
headers_of() {
	local release flavour=${2:-}
	release=$(uname_of "$1")
	if [ -n "$flavour" ]; then
		release=${release%-amd64}
		release=${release%-cloud}-$flavour-amd64
		release=${release/-generic/}
	fi
	echo "/lib/modules/$release/build"
}

# Run a command inside a root's tree, with /proc: objtool wants it.
inside() {
	local tree=$1
	shift
	unshare --mount --fork sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" env PWD=/ "$@"' "$tree" "$@"
}
