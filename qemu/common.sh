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

MORSEL_MIRROR=${MORSEL_MIRROR:-}
MORSEL_MIRROR=${MORSEL_MIRROR%/}
# The tree may be another user's, as in a container; git would have nothing to do with it.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$TOP

# Kernel releases the project supports, oldest first; and those that the module is
# built for, whose suites run when they are asked for by name.
KERNELS=(6.1 6.12 7.2)
MORE_KERNELS=(7.3)
# Kernels of our own that check everything; see debug-root.
DEBUG_KERNELS=(6.12-memory 6.12-locking)

# With MORSEL_SINCE, how many seconds after that it is.
say() {
	echo "${ME:-qemu}: ${MORSEL_SINCE:+$((EPOCHSECONDS - MORSEL_SINCE)) s: }$*" >&2
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

# update_lists APT-OPTION...: apt fails if somebody else is at it.
update_lists() {
	mkdir -p "$CACHE"
	(flock 7 && exec apt-get update "$@") 7>"$CACHE/apt.lock" >&2
}

# Where this machine's apt has Debian's packages from, or with -security its updates.
apt_mirror() {
	# shellcheck disable=SC2016 # apt-get expands these
	{ apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null || true; } |
		awk -v only="^[a-z]+${1:-}\$" '$1 == "Debian" && $2 ~ only && !found++ { print $3 }'
}

# Where everything of Debian's comes from: MORSEL_MIRROR, or what this machine's apt has.
mirror() {
	local found=$MORSEL_MIRROR
	if [ -z "$found" ]; then
		found=$(apt_mirror)
		# It knows what a mirror is of when it has lists from there.
		if [ -z "$found" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			say "updating the lists of packages"
			update_lists -q
			found=$(apt_mirror)
		fi
	fi
	[ -n "$found" ] || die "apt has no mirror of Debian here: name one, as in MORSEL_MIRROR=http://HOST/debian"
	echo "$found"
}

# Where security updates come from; nothing where there are none.
security_mirror() {
	local file
	if [ -z "$MORSEL_MIRROR" ]; then
		apt_mirror -security
		return
	fi
	file=$(mktemp)
	if /usr/lib/apt/apt-helper download-file "$MORSEL_MIRROR-security/dists/$1-security/InRelease" "$file" >/dev/null 2>&1; then
		echo "$MORSEL_MIRROR-security"
	fi
	rm -f "$file"
}

# The lines of a sources.list for a Debian release.
sources_of() {
	local base security=''
	base=$(mirror)
	echo "deb $base $1 main"
	# What is not released has no updates.
	[ "$1" = sid ] || security=$(security_mirror "$1")
	[ -z "$security" ] || echo "deb $security $1-security main"
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

# Where the root of a kernel, or of programs, is, or will be: a changed recipe makes a new one.
root_of() {
	local lane recipe=("$QEMU_DIR/tree.sh")
	lane=$(lane_of "$1")
	if [ "$1" = programs ]; then
		recipe+=("$QEMU_DIR/programs-root")
	elif [ -n "$lane" ]; then
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

# A root's tree to change at will, with the sources in /root/morsel: it is gone when the script
# is.  scratch_tree KERNEL SCRIPT ARGUMENT...: to be called first, with what runs the script;
# sets TREE, and RELEASE to the kernel's version.
scratch_tree() {
	local root
	if [ -z "${SCRATCH:-}" ]; then
		SCRATCH=1 exec unshare --mount --fork "${@:2}"
	fi
	root=$("$QEMU_DIR/root" "$1")
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/morsel-scratch.XXXXXX")
	trap 'umount -l "$scratch"; rmdir "$scratch"' EXIT
	# What changes must lie in a file system that is no overlay itself.
	mount -t tmpfs scratch "$scratch"
	mkdir "$scratch"/{upper,work,tree}
	TREE=$scratch/tree
	# Not every host has overlays.
	mount -t overlay -o "lowerdir=$root/tree,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$TREE" 2>/dev/null ||
		cp -a "$root/tree/." "$TREE"
	mount -t proc proc "$TREE/proc"
	mkdir -p "$TREE/root/morsel"
	# Git knows files that were removed, too.
	(cd "$TOP" && git ls-files -z -co --exclude-standard | tar -c --null --ignore-failed-read --files-from=-) |
		tar -x --no-same-owner -C "$TREE/root/morsel"
	RELEASE=$(uname_of "$root")
}

# Run a command there.
in_scratch() {
	chroot "$TREE" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LC_ALL=C "$@"
}

# make for the root's kernel, as root would on such a machine.
make_there() {
	in_scratch make -s -C /root/morsel KDIR="/lib/modules/$RELEASE/build" "$@"
}

# The files there are, but for those that are nobody's; and folders of the module's.
files_there() {
	(cd "$TREE" && find . -xdev \( -path ./root -o -path './src*' -o -path ./tmp -o -path ./proc -o -path ./var/cache -o \
		-path ./var/log -o -name 'mok.*' \) -prune -o \( ! -type d -o -name '*morsel*' \) -print) | sort
}
