# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Making roots, for root and debug-root.  A root is a folder with
#   tree/        a Debian release with a kernel, what builds modules for it, and the compiler
#   vmlinuz      the kernel
#   guest.cpio   what a guest boots into: busybox, users, some of the kernel's modules
# It is made beside its place and moved there when it is whole.

# begin_root ROOT: have ROOT to ourselves, and leave if it is there already;
# $new is the folder to make it in.
begin_root() {
	mkdir -p "$CACHE"
	# Who comes second waits, and finds the root made.  Other roots are not waited
	# for, whatever recipe of the same kernel they are of.
	exec 8>"$1.lock"
	flock 8
	if [ -e "$1" ]; then
		echo "$1"
		exit 0
	fi
	[ "$(id -u)" = 0 ] || die "making the root of kernel $kernel takes root's rights"

	# A root that is not finished is of no use to anybody; those of its lanes may be under way.
	new=$1.new
	trap 'rm -rf "$new"' EXIT
	rm -rf "$new"
	mkdir "$new"
}

# make_tree SUITE [--OPTION...] PACKAGE...: $new/tree, a small Debian with the
# packages; options are mmdebstrap's.  Of backports it has what is asked for as
# PACKAGE/SUITE.
make_tree() {
	local backports=$1 suite=${1%-backports} options=() proxies
	shift
	while [[ $1 == --* ]]; do
		options+=("$1")
		shift
	done
	sources_of "$suite" >"$new/sources"
	[ "$backports" = "$suite" ] || echo "deb $(mirror) $backports main" >>"$new/sources"
	mapfile -t proxies < <(apt-config dump Acquire | grep -iE '^Acquire::[a-z]+::Proxy')

	# sid's release file may be out of date on a mirror that is frozen.  INITRD=No:
	# guests have an initial RAM disk of their own.  A root that a power cut spoils can be
	# made again: dpkg need not wait for the disk.
	if ! INITRD=No mmdebstrap --quiet --mode=root --variant=essential \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' "${proxies[@]/#/--aptopt=}" \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"${options[@]}" --include="$(IFS=,; echo "$*")" \
		"$suite" "$new/tree" "$new/sources" >"$new/log" 2>&1; then
		tail -n 20 "$new/log" >&2
		die "mmdebstrap failed for $suite; are its sources reachable? $(paste -sd, "$new/sources")"
	fi
	rm -rf "$new/sources" "$new/tree/var/cache/apt" "$new/tree/var/lib/apt/lists"
}

# make_guest RELEASE [MODULE...]: $new/guest.cpio, made inside the tree, whose
# kmod reads this kernel's modules.
make_guest() {
	local release=$1 guest=$new/tree/guest link module file
	shift
	mkdir -p "$guest"/{bin,proc,sys,dev,tmp,root,out,scratch,etc,usr/lib/x86_64-linux-gnu,usr/lib64} \
		"$guest/usr/lib/modules/$release"
	for link in sbin:bin lib:usr/lib lib64:usr/lib64 usr/bin:../bin usr/sbin:../bin; do
		ln -s "${link#*:}" "$guest/${link%:*}"
	done
	cp "$new/tree/bin/busybox" "$guest/bin/"
	cat >"$guest/etc/passwd" <<-END
		root:x:0:0:root:/root:/bin/bash
		tester:x:1000:1000::/tmp:/bin/bash
		other:x:1001:1001::/tmp:/bin/bash
	END
	cat >"$guest/etc/group" <<-END
		root:x:0:
		morsel:x:900:tester
		tester:x:1000:
		other:x:1001:
	END
	for module in "$@"; do
		# Prints "insmod FILE" or "builtin NAME", what it depends on first.
		chroot "$new/tree" modprobe -S "$release" --show-depends "$module" || die "no module $module in $release"
	done >"$new/depends"
	sed -n 's/^insmod //p' "$new/depends" | sort -u | while read -r file _; do
		cp "$new/tree$file" "$guest/usr/lib/modules/$release/"
	done
	find "$guest/usr/lib/modules" -name '*.xz' -exec xz -d {} +
	cp "$new/tree/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$guest/usr/lib/modules/$release/"
	chroot "$new/tree" depmod -b /guest "$release"
	(cd "$guest" && find . -print0 | cpio --null --quiet -o -H newc) >"$new/guest.cpio"
	rm -rf "$guest" "$new/depends"
}

# end_root ROOT: it is whole.
end_root() {
	mv -T "$new" "$1"
	echo "$1"
}
