# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The jobs of `check` that boot guests.

# Suites that ask our tools alone: what these need of the kernel passes through the
# ioctls, which other suites look at on every kernel.  They run on one; with check --all
# on each.
#
#   test_ctl	morselctl: what it prints, and its exit codes
#   test_lib	libmorsel: a function for each ioctl
#
# Not test_abi: it comes in by pointers that lead nowhere, and as a program of the other
# word size, which is the kernel's business, too.
ONCE=(test_ctl test_lib)

# lane RUN-ARGUMENT...: what suites in one guest say.
lane() {
	local status=0
	"$QEMU_DIR/run" --mem "${CHECK_MEM:-4G}" --log "$RESULTS/$JOB.console" "$@" || status=$?
	if [ $status -gt 1 ]; then
		echo "not ok - guest of $JOB ended with status $status"
	# What a job says of its own checks has no numbers.
	elif ! grep -q '^ok [0-9]' "$RESULTS/$JOB.tap"; then
		echo "not ok - guest of $JOB ran no test"
	fi
	return $status
}

# suites KERNEL RUN-ARGUMENT... -- RUN-SUITES-ARGUMENT...: with the limits that are
# right for the kernel and for how many rounds there are.  The kernel itself clears no
# memory there: that takes long, and would hide that the module does not.
suites() {
	local kernel=$1 machine=() guest=3600 test=600 rounds=''
	shift
	while [ "$1" != -- ]; do
		machine+=("$1")
		shift
	done
	[[ " ${machine[*]} " == *" --cmdline "* ]] || machine+=(--cmdline init_on_alloc=0)
	[ -z "$(lane_of "$kernel")" ] || guest=7200 test=1800 rounds=3
	rounds=${MORSEL_ROUNDS:-$rounds}
	[ "${rounds:-0}" -le 10 ] || guest=36000 test=7200
	lane --timeout $guest "${machine[@]}" "$kernel" -- env MORSEL_TEST_SECONDS="${MORSEL_TEST_SECONDS:-$test}" \
		${rounds:+MORSEL_ROUNDS=$rounds} /morsel/guest/run-suites "${@:2}"
}

# of_rounds PERCENT COMMAND...: where not all rounds are worth their time.  With check
# --all one kernel has all, and the others, which differ in what kmod/compat hides, find
# with fewer what is theirs; a variant is for what is wrong at once.
of_rounds() {
	local MORSEL_ROUNDS=${MORSEL_ROUNDS:+$((MORSEL_ROUNDS > 100 / $1 ? MORSEL_ROUNDS * $1 / 100 : 1))}
	"${@:2}"
}

# variant KERNEL: what the guest of all suites does not have (two nodes, five levels of
# tables, tables of user space's own, a processor with L1TF and without protection
# keys), for those that it may matter to.
variant() {
	suites "$1" --numa 2 --cpu SandyBridge,vendor=GenuineIntel,la57=on --cmdline 'pti=on init_on_alloc=0' -- \
		/morsel/tests/test_{cpu,map,large,mm,advice,proc,reclaim,nodes}
}

# one_sided KERNEL: two nodes, and memory on one of them only.
one_sided() {
	suites "$1" --numa 2:0 -- /morsel/tests/test_{nodes,map,reclaim}
}

# programs KERNEL: those that were not written for Morsel.
programs() {
	local image
	image=$("$QEMU_DIR/programs-root")/image
	lane --timeout 7200 --disk "$image:ro" "$1" -- env MORSEL_TEST_SECONDS="${MORSEL_TEST_SECONDS:-600}" \
		/morsel/tests/programs/run
}

# generic KERNEL: the flavour that most people run does what is at the core of it all.
generic() {
	build "$1-generic" || return
	suites "$1-generic" -- /morsel/tests/test_{map,life,mm}
}

# fuzz KERNEL: the seed is in the output, to be had again with --seed.
fuzz() {
	local seconds=20 test=600 arguments=''
	case $(lane_of "$1") in
	memory) seconds=600 test=1800 arguments=--kcov ;;
	locking) seconds=120 test=1800 ;;
	esac
	seconds=${FUZZ_SECONDS:-$seconds}
	one "fuzzer, kernel $1" "$QEMU_DIR/run" --mem 3G --numa 2 --timeout $((seconds + 2 * test + 600)) "$1" -- \
		env MORSEL_TEST_SECONDS="${MORSEL_TEST_SECONDS:-$test}" sh -c "insmod \$MORSEL_KO &&
		/morsel/tests/fuzz --seconds $seconds $arguments && rmmod morsel && /morsel/guest/leaks" || return
	grep -E 'reached: |^seed' "$RESULTS/$JOB.output"
}

selftest() {
	one "the rig notices what it is there to notice, kernel $1" "$QEMU_DIR/selftest" "$1"
}
