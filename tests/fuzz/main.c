// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz [OPTION...]: do to /dev/morsel, to morsels and to address spaces that
 * have them what no sane program does, in several processes at once.
 *
 *	--seed N	what the random operations derive from (default: any; printed)
 *	--seconds N	how long (default: 10)
 *	--ops N		stop each worker after N operations instead
 *	--workers N	processes (default: 4); the odd ones are ordinary users, each second of
 *			these in a user namespace
 *	--only W	run worker W of these alone
 *	--from N	begin with operation N
 *	--trace		tell each operation before doing it, also to the kernel's log
 *	--kcov		tell which of the module's functions were reached; 77: no KCOV
 *
 * Wants root, and the module loaded without a morsel.  0: nothing was left
 * behind; whether the kernel complained, its log says: once a second there is a
 * mark in it with the operation that each worker is at.
 *
 * An operation and its arguments derive from the seed, the worker and the
 * operation's number alone, and stand for themselves: what they refer to are
 * places in tables of descriptors and mappings, which may be empty.  So a worker
 * that died goes on with the next number and empty tables, and
 * --seed S --only W --from N replays what it did then, but for the timing.
 */
#include "fuzz.h"

#include <getopt.h>
#include <inttypes.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>

static uint64_t first, end; /* operations of this round, and of all workers */
static unsigned int running, deaths;
static double worked; /* seconds */
static bool failed;
static volatile sig_atomic_t interrupted;

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	failed = true;
}

static void start(unsigned int worker, uint64_t number)
{
	pid_t pid;

	shared->seats[worker].op = number;
	shared->seats[worker].finished = false;
	pid = fork();
	if (!pid) {
		self = worker;
		work(number, end);
	}
	if (pid < 0) {
		complain("fork: %s\n", strerror(errno));
		return;
	}
	shared->seats[worker].pid = pid;
	running++;
}

/* A worker has ended; most do not do so by themselves. */
static void ended(unsigned int worker, int status)
{
	struct seat *seat = &shared->seats[worker];
	const struct operation *op = &operations[seat->what];

	running--;
	seat->pid = 0;
	if (seat->finished || shared->stop)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
		complain("worker %u cannot begin\n", worker);
		return;
	}
	if (op->function != op_die) {
		deaths++;
		printf("worker %u: %s %d in operation %" PRIu64 " (%s)\n", worker,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), seat->op,
		       op->name);
	}
	start(worker, seat->op + 1);
}

/* Returns false if no process is left; among them are children of workers that died. */
static bool reap(void)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < workers; i++)
			if (shared->seats[i].pid == pid)
				ended(i, status);
	return !pid;
}

/* So that a report of the kernel's can be told whose it is. */
static void mark(void)
{
	char line[1024];
	unsigned int i;
	int used;

	used = snprintf(line, sizeof(line), "morsel-test: fuzz seed=%" PRIu64, seed);
	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			used += snprintf(line + used, sizeof(line) - used,
					 " worker=%u op=%" PRIu64 " (%s)", i, shared->seats[i].op,
					 operations[shared->seats[i].what].name);
	if (write(kmsg, line, used) < 0)
		return;
}

static void supervise(double deadline)
{
	double begin = seconds_now(), marked = 0;

	while (running && !interrupted && (max_ops || seconds_now() < deadline)) {
		if (seconds_now() > marked + 1) {
			mark();
			marked = seconds_now();
		}
		reap();
		sleep_ms(10);
	}
	/* In the middle of whatever they do. */
	shared->stop = true;
	worked += seconds_now() - begin;
}

/* Who has not ended by then, or what is not free, never will. */
static bool never_comes(double begin)
{
	return seconds_now() > begin + test_seconds();
}

static void kill_all(void)
{
	double begin = seconds_now();
	unsigned int i;

	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			kill(-shared->seats[i].pid, SIGKILL);
	while (reap() && !never_comes(begin))
		sleep_ms(10);
	for (i = 0; i < workers; i++)
		if (shared->seats[i].pid)
			complain("worker %u does not end: operation %" PRIu64 " (%s)\n", i,
				 shared->seats[i].op, operations[shared->seats[i].what].name);
	/* Where everybody is, for the kernel's log. */
	if (failed)
		write_text("/proc/sysrq-trigger", "t");
}

/* Things as they were. */
static struct morsel_pool_info pools[64];
static unsigned int nr_pools;
static struct morsel_limit limits[ARRAY_SIZE(users)];

static unsigned int list_pools(struct morsel_pool_info *info)
{
	uint64_t cursor = 0;
	int count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(*info),
			      ARRAY_SIZE(pools));

	return count < 0 ? 0 : count;
}

static void get_limit(unsigned int user, struct morsel_limit *limit)
{
	*limit = (struct morsel_limit){.size = sizeof(*limit), .uid = users[user]};
	ioctl(dev, MORSEL_IOC_LIMIT_GET, limit);
}

static void pool_call(unsigned long cmd, struct morsel_pool pool)
{
	pool.size = sizeof(pool);
	if (ioctl(dev, cmd, &pool))
		complain("pool %u, node %u: ioctl %#lx: %s\n", pool.id, pool.node, cmd,
			 strerror(errno));
}

static void prepare(void)
{
	unsigned int i;

	for (i = 0; i < workers; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets[i]))
			complain("socketpair: %s\n", strerror(errno));
	nr_pools = list_pools(pools);
	for (i = 0; i < nr_pools; i++)
		if (pools[i].limit_bytes > CEILING)
			pool_call(MORSEL_IOC_POOL_RESIZE,
				  (struct morsel_pool){.id = pools[i].id, .limit_bytes = CEILING});
	for (i = 0; i < ARRAY_SIZE(users); i++)
		get_limit(i, &limits[i]);
	if (!folders_begin())
		complain("mount: %s\n", strerror(errno));
}

/* Is anything in use, though nobody is left to use it?  Tells, if that is wanted. */
static bool in_use(bool tell)
{
	uint32_t morsels = query().nr_morsels;
	struct morsel_pool_info info[ARRAY_SIZE(pools)];
	unsigned int i, count = list_pools(info);
	struct morsel_limit limit;
	bool used = morsels;

	if (tell && morsels)
		complain("leaked: %u morsels\n", morsels);
	for (i = 0; i < count; i++) {
		if (!info[i].used_bytes && !info[i].pinned_bytes && !info[i].morsels)
			continue;
		used = true;
		if (tell)
			complain("leaked: pool %s: %llu bytes used, %llu pinned, %u morsels\n",
				 info[i].name, info[i].used_bytes, info[i].pinned_bytes,
				 info[i].morsels);
	}
	for (i = 0; i < ARRAY_SIZE(users); i++) {
		get_limit(i, &limit);
		if (!limit.used)
			continue;
		used = true;
		if (tell)
			complain("leaked: user %u: %llu bytes\n", users[i], limit.used);
	}
	return used;
}

/* Take all away, see that nothing is left, and make things what they were. */
static void clear_up(void)
{
	struct morsel_pool_info info[ARRAY_SIZE(pools)];
	unsigned int i, count;
	double begin = seconds_now();
	bool ended;

	for (i = 0; i < workers; i++) {
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	while (!(ended = folders_end()) && !never_comes(begin))
		sleep_ms(10);
	if (!ended)
		complain("a mount is in use\n");
	begin = seconds_now();
	unlink_all();
	/* Freeing takes its time. */
	while (in_use(false) && !never_comes(begin))
		sleep_ms(10);
	in_use(true);

	count = list_pools(info);
	for (i = 0; i < count; i++)
		pool_call(MORSEL_IOC_POOL_REMOVE, (struct morsel_pool){.id = info[i].id});
	for (i = 0; i < nr_pools; i++)
		pool_call(MORSEL_IOC_POOL_ADD,
			  (struct morsel_pool){.kind = pools[i].kind,
					       .node = pools[i].node,
					       .limit_bytes = pools[i].limit_bytes});
	for (i = 0; i < ARRAY_SIZE(users); i++)
		if (users[i] != UINT32_MAX) {
			limits[i].flags &= MORSEL_LIMIT_DEFAULT;
			ioctl(dev, MORSEL_IOC_LIMIT_SET, &limits[i]);
		}
}

/*
 * A run is in rounds.  After each nothing must be left behind, and each begins
 * where it would if it were the only one, so that it can be had again alone.
 */
static void play(double deadline)
{
	unsigned int i;

	prepare();
	shared->stop = false;
	end = first + (max_ops ? max_ops : ROUND);
	for (i = 0; i < workers; i++)
		if (only == UINT64_MAX || i == only)
			start(i, first);
	supervise(deadline);
	kill_all();
	/* Room for what clearing up reaches. */
	cover_drain(&covers[0]);
	clear_up();
	cover_drain(&covers[0]);
	if (failed)
		for (i = 0; i < workers; i++)
			printf("worker %u: operations %" PRIu64 " to %" PRIu64 "\n", i, first,
			       shared->seats[i].op);
}

static void summarize(void)
{
	unsigned long done = 0;
	unsigned int i;

	printf("%-24s %10s %10s %10s %10s\n", "operation", "done", "succeeded", "us", "longest");
	for (i = 0; i < nr_operations; i++) {
		const struct count *count = &shared->counts[i];

		printf("%-24s %10lu %10lu %10lu %10lu\n", operations[i].name, count->done,
		       count->succeeded, count->us / (count->done ?: 1), count->max_us);
		done += count->done;
	}
	printf("%lu operations in %.1f s (%.0f a second), %u workers died and were replaced\n",
	       done, worked, done / worked, deaths);
}

static void on_signal(int number)
{
	interrupted = number;
}

/* The same addresses each time, so that a replay has them, too. */
static void fix_addresses(char **argv)
{
	int persona = personality(0xffffffff);

	if (persona == -1 || persona & ADDR_NO_RANDOMIZE ||
	    personality(persona | ADDR_NO_RANDOMIZE) == -1)
		return;
	execv("/proc/self/exe", argv);
}

/* What all share, from the kernel and among each other. */
static int open_all(void)
{
	int fd;

	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (dev < 0 || geteuid()) {
		fprintf(stderr, "fuzz: %s: %s\n", MORSEL_DEVICE,
			dev < 0 ? strerror(errno) : "only root");
		return -1;
	}
	if (query().nr_morsels) {
		fprintf(stderr, "fuzz: there are morsels, and none would survive\n");
		return -1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	scratch = open("/scratch", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	if (scratch >= 0 && fallocate(scratch, 0, 0, SCRATCH_LENGTH)) {
		close(scratch);
		scratch = -1;
	}
	/* Be silent of dropped caches from here on. */
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "4", 1) == 1)
		close(fd);
	/* Let each operation that is told be in the log. */
	fd = tracing ? open("/proc/sys/kernel/printk_devkmsg", O_WRONLY | O_CLOEXEC) : -1;
	if (fd >= 0 && write(fd, "on", 2) == 2)
		close(fd);
	return 0;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 0},
		{"seconds", required_argument, NULL, 1},
		{"ops", required_argument, NULL, 2},
		{"workers", required_argument, NULL, 3},
		{"only", required_argument, NULL, 4},
		{"from", required_argument, NULL, 5},
		{"trace", no_argument, NULL, 6},
		{"kcov", no_argument, NULL, 7},
		{},
	};
	uint64_t *const values[] = {&seed, &seconds, &max_ops, &workers, &only, &from};
	bool wrong = getrandom(&seed, sizeof(seed), 0) != sizeof(seed);
	int option;
	char *end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?') {
			wrong = true;
		} else if (option < 6) {
			*values[option] = strtoull(optarg, &end, 0);
			wrong |= *end || end == optarg;
		} else {
			*(option == 6 ? &tracing : &covering) = true;
		}
	}
	if (wrong || optind < argc || !workers || workers > MAX_WORKERS ||
	    (only != UINT64_MAX && only >= workers)) {
		fprintf(stderr, "fuzz: wrong arguments; see the head of fuzz/main.c\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	double begin;

	fix_addresses(argv);
	prctl(PR_SET_NAME, "fuzz");
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	printf("seed %" PRIu64 "\n", seed);
	if (open_all())
		return 2;
	if (covering && cover_prepare())
		return 77;
	if (covering)
		trace_events("1");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	/* What workers send each other, also to those that are just beginning. */
	signal(SIGUSR1, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (covering && !cover_open(&covers[0]))
		cover_begin(&covers[0]);

	begin = seconds_now();
	for (first = from; !failed && !interrupted; first += ROUND) {
		double left = begin + seconds - seconds_now();

		if (first > from && (max_ops || left < 1))
			break;
		play(seconds_now() + (left < 2 * ROUND_SECONDS ? left : ROUND_SECONDS));
	}
	summarize();
	if (covering) {
		trace_events("0");
		cover_report();
	}
	printf("%s\n", failed ? "FAILED" : "nothing was left behind");
	return failed;
}
