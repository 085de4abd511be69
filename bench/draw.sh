# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What draws sources this.  It sets json, what was measured; target, what of make measures it; and
# plots, the folder that SVGs go to.  Needs gnuplot-nox and jq.

for tool in gnuplot jq; do
	if ! command -v "$tool" >/dev/null; then
		echo "plot: $tool is missing (Debian: gnuplot-nox, jq)" >&2
		exit 1
	fi
done
# shellcheck disable=SC2154 # who sources this sets them
if [ ! -e "$json" ]; then
	echo "plot: ${json#"$PWD"/} is missing: run 'make $target' first" >&2
	exit 1
fi

# What gnuplot reads.
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
# shellcheck disable=SC2154
mkdir -p "$plots"

style='set encoding utf8
set border 3 lc rgb "#555555"
set tics nomirror out textcolor rgb "#333333"
set grid ytics lc rgb "#dddddd" lt 1'

# draw NAME WIDTH HEIGHT: gnuplot's commands come from the standard input.
draw() {
	{
		echo "set terminal svg size $2,$3 font 'sans-serif,13' background '#ffffff' noenhanced"
		echo "set output '$plots/$1.svg'"
		echo "$style"
		cat
	} | (cd "$data" && gnuplot)
}
