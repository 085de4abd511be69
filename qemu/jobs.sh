# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Running the jobs of `check` several at once.  A job is a command, mostly a
# function of checks.sh or lanes.sh, that says TAP lines.  What it says is kept
# in $RESULTS/NAME.tap and shown as a whole when it ends: outputs do not mix.

RESULTS=$BUILD/check
# In a job: its name.
JOB=''

queue=()
declare -A after=() commands=() state=() began=() job_of=()

# job NAME AFTER COMMAND...: to be run when the job AFTER ('': none) is done.
# A job's status says whether those that come after it make sense; what failed
# is said by TAP lines alone.
job() {
	queue+=("$1")
	after[$1]=$2
	commands[$1]=$(printf '%q ' "${@:3}")
}

# one NAME COMMAND...: in a job, a check that is one test; what it printed is
# shown if it fails.
one() {
	local name=$1 output=$RESULTS/$JOB.output
	shift
	if "$@" >"$output" 2>&1; then
		echo "ok - $name"
	else
		cat "$output"
		echo "not ok - $name"
		return 1
	fi
}

# A guest's two processors wait now and then, so that two guests make more of two
# processors than one.  Each may take 5 GiB, of what is free and of what a container has.
at_once() {
	local processors memory
	processors=$(nproc)
	memory=$({ cat /proc/meminfo /sys/fs/cgroup/memory.max 2>/dev/null || true; } | awk '
		/^MemAvailable:/ { bytes = $2 * 1024 }
		/^[0-9]+$/ && $1 + 0 < bytes { bytes = $1 }
		END { print int(bytes / (5 * 1024 * 1024 * 1024)) }')
	echo $((memory < 1 ? 1 : memory < processors ? memory : processors))
}

# The next job that may begin, if there is one.
next_job() {
	local name
	for name in "${queue[@]}"; do
		if [ -z "${state[$name]:-}" ] && [ "${state[${after[$name]:-none}]:-}" = passed ]; then
			echo "$name"
			return
		fi
	done
}

start_job() {
	JOB=$1
	state[$JOB]=running
	began[$JOB]=$SECONDS
	say "$JOB begins"
	# In a process group of its own, so that all of it can be ended.
	set -m
	{ set +e; eval "${commands[$JOB]}"; } </dev/null >"$RESULTS/$JOB.tap" 2>&1 &
	set +m
	job_of[$!]=$JOB
}

# end_job NAME STATUS
end_job() {
	local tap=$RESULTS/$1.tap
	state[$1]=passed
	if [ "$2" -ne 0 ]; then
		state[$1]=failed
		# cmocka says "not ok" of a skipped test, too.
		awk '/^not ok/ && !/# SKIP/ { found = 1 } END { exit !found }' "$tap" ||
			echo "not ok - $1 ended with status $2" >>"$tap"
	fi
	say "$1 took $((SECONDS - began[$1])) s"
	cat "$tap"
}

end_all() {
	local pid
	for pid in "${!job_of[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
	wait
}

# A job whose process is gone, if there is one.
gone_job() {
	local pid
	for pid in "${!job_of[@]}"; do
		if ! kill -0 "$pid" 2>/dev/null; then
			echo "$pid"
			return
		fi
	done
}

# Run all jobs, in the order of the queue.
run_jobs() {
	local limit=${CHECK_AT_ONCE:-$(at_once)} name pid status
	state[none]=passed
	trap end_all EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	while :; do
		name=$(next_job)
		if [ -n "$name" ] && [ ${#job_of[@]} -lt "$limit" ]; then
			start_job "$name"
			continue
		fi
		[ ${#job_of[@]} -gt 0 ] || break
		status=0
		wait -n -p pid "${!job_of[@]}" || status=$?
		if [ -z "${pid:-}" ]; then
			# Of what ended while bash waited for something else, it knows the status alone.
			pid=$(gone_job)
			[ -n "$pid" ] || continue
			status=0
			wait "$pid" 2>/dev/null || status=$?
		fi
		name=${job_of[$pid]}
		unset "job_of[$pid]"
		end_job "$name" $status
	done
	for name in "${queue[@]}"; do
		[ -n "${state[$name]:-}" ] ||
			echo "not ok - $name was not run, for ${after[$name]} failed" | tee "$RESULTS/$name.tap"
	done
}
