# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The checks of `check` that need no guest: each a function that fails and says
# why, and at the end the jobs made of them.

# Every symbol the module lacks must be exported by the kernel it was built for.
exported_only() {
	local root wanted=$RESULTS/$JOB.wanted exported=$RESULTS/$JOB.exported
	root=$("$QEMU_DIR/root" "$1")
	nm -u "$BUILD/$1/morsel.ko" | awk '{ print $2 }' | sort -u >"$wanted"
	inside "$root/tree" awk '{ print $2 }' "$(headers_of "$root")/Module.symvers" | sort -u >"$exported"
	[ -s "$wanted" ] && [ -s "$exported" ] && ! comm -23 "$wanted" "$exported" | grep .
}

# kallsyms and kprobes reach what is not exported; neither may be used.
no_tricks() {
	! grep -rnE --include='*.[ch]' 'kallsyms|kprobe|ftrace_set' kmod
}

versions_in_compat() {
	! grep -rnE --include='*.[ch]' --exclude-dir=compat 'LINUX_VERSION_CODE|KERNEL_VERSION *\(|COMPAT_HAVE_' kmod include
}

# Debian's headers lack the script by which C=2 asks whether sparse is there (7.2),
# and then do without: this says that it is.
SPARSE=(KBUILD_CHECKSRC=2 CHECK=sparse)

# builds_clean KERNEL [MAKE-ARGUMENT...]: without a word of the compiler's, of modpost's,
# or of sparse's about what is ours.  What is built already is not compiled again, and
# would have nothing to warn of.
builds_clean() {
	local log=$RESULTS/$JOB.build
	"$QEMU_DIR/kmod" --anew "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
	! grep -E 'warning:|error:|WARNING:|ERROR:' "$log" | grep -v '/usr/src/' || return
	[[ " $* " != *" CHECK="* ]] || grep -q '^ *CHECK ' "$log" || { echo "sparse did not run"; return 1; }
}

# rooms_of_build KERNEL: what the linker has seen, too.
rooms_of_build() {
	local root
	root=$("$QEMU_DIR/root" "$1")
	flock "$root/lock" "$QEMU_DIR/rooms" kmod "$root/tree/src/kmod"
}

# A list of paths that names tests nobody runs says nothing.
paths_are_tested() {
	local name missing=0
	for name in $(sed -nE 's/^\|.*\| *([^|]*) *\|$/\1/p' kmod/PATHS.md | grep -oE '`[a-z0-9_A-Z]+`' | tr -d '`' | sort -u); do
		grep -qE "TEST\($name\)" tests/test_*.c || { echo "there is no test $name"; missing=1; }
	done
	return $missing
}

no_generated() {
	! git ls-files | grep -E '\.(o|ko|mod|so|a|img|cpio)$'
}

spdx_everywhere() {
	! git ls-files | grep -vE '^(LICENSES/|tests/frames/corpus/|.*\.svg$|.*\.json$)' | xargs grep -L SPDX-License-Identifier | grep .
}

nothing_left_to_do() {
	! git grep -nwE 'TODO|FIXME|XXX' -- . ':!qemu/checks.sh'
}

no_machine_paths() {
	! git grep -nE '/(home|work)/[a-z]'
}

shell_scripts() {
	git grep -lE '^#!/bin/(ba)?sh' | xargs shellcheck -x -e SC1091,SC2016,SC2034,SC2054,SC2317
}

style() {
	local sources
	mapfile -t sources < <(git ls-files 'kmod/*.[ch]' 'include/*.h')
	"$QEMU_DIR/checkpatch" "${sources[@]}"
}

# What the allocator says of a medium that holds anything.  The corpus of the tree is not added to.
fuzz_medium() {
	local corpus=$RESULTS/corpus
	mkdir -p "$corpus"
	"$BUILD/tests-native/fuzz_medium" -max_total_time="${FUZZ_MEDIUM_SECONDS:-60}" -timeout=60 -print_final_stats=1 \
		-artifact_prefix="$RESULTS/" "$corpus" tests/frames/corpus
}

# What there is to say of the sources.
static() {
	# Without a list of files nothing is wrong with any of them.
	one "the tree is git's" git -C "$TOP" rev-parse HEAD || return
	one "checkpatch" style
	one "no way around exported symbols" no_tricks
	one "kernel versions are asked for in kmod/compat alone" versions_in_compat
	one "every room uses what it may use" "$QEMU_DIR/rooms" kmod
	one "what breaks the rule of rooms is noticed" "$QEMU_DIR/rooms-selftest"
	one "every test that kmod/PATHS.md names exists" paths_are_tested
	one "no generated files in the tree" no_generated
	one "a licence in every file" spdx_everywhere
	one "nothing marked as left to do" nothing_left_to_do
	one "no paths of some machine" no_machine_paths
	one "shellcheck" shell_scripts
	one "clang builds for kernels that it built" "$QEMU_DIR/compiler"
}

# build KERNEL: what its guests need.
build() {
	# Making the root may take minutes, and fail.
	one "has a root, kernel $1" "$QEMU_DIR/root" "$1" || return
	if [ -n "$(lane_of "$1")" ]; then
		one "builds without warnings, kernel $1" builds_clean "$1" || return
		one "every room uses what it may use, kernel $1" rooms_of_build "$1"
		return
	fi
	local sparse=("${SPARSE[@]}")
	# The sparse of that release does not get through its backport's headers.
	[ "$(suite_of "$1")" != trixie-backports ] || sparse=()
	one "builds without warnings, kernel $1" builds_clean "$1" "${sparse[@]}" W=1 || return
	one "every room uses what it may use, kernel $1" rooms_of_build "$1"
	one "needs exported symbols only, kernel $1" exported_only "$1"
}

# flavours KERNEL: those of the release that its root has headers of, beside the one
# that guests boot.
flavours() {
	one "builds for the generic flavour, kernel $1" builds_clean --headers generic "$1" W=1
	one "is not built where it cannot work, kernel $1" "$QEMU_DIR/refusals" "$1"
}

install() {
	one "installs by DKMS, kernel $1" "$QEMU_DIR/dkms" "$1"
}

# What does not depend on the kernel.
install_all() {
	one "installs, and leaves nothing when it goes" "$QEMU_DIR/install" "$1"
}

# The suites that need no guest.
native() {
	local limit=1800
	[ "${MORSEL_ROUNDS:-0}" -le 10 ] || limit=14400
	LD_LIBRARY_PATH=$BUILD/lib MORSEL_SUITE_SECONDS=${MORSEL_SUITE_SECONDS:-$limit} \
		"$QEMU_DIR/guest/run-suites" "$BUILD"/tests-native/test_*
}
