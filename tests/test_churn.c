// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes of several users that do anything to anything, and are killed at it.
 * Now and then all are stopped, and what users are charged, what pools hold, and what the kernel
 * counts must agree.  After that, nothing may be left.
 *
 * MORSEL_CHURN_SEED sets which way.
 */
#include "kernel.h"

#include <glob.h>
#include <time.h>

#define WORKERS 8
#define NAMES 12
#define MAPPINGS 6

/* Of all workers together; and how many there are from one's death to the next, on average. */
#define STEPS rounds_of(100000)
#define LIFE 300
#define AUDITS 8

/* The last one is of a user namespace of TESTER's, who pays, too. */
#define INSIDE (SUBORDINATE + 5)
static const uid_t users[] = {0, TESTER, OTHER, INSIDE};
#define USERS ARRAY_SIZE(users)
static const uint64_t lengths[] = {HUGE, 4 * HUGE, 3 * HUGE + PAGE, GIB, 2 * GIB + HUGE};

static atomic_uint *steps;

/* Every page that is written says of which morsel and page it is: 0 is right as well. */
static uint64_t mark(uint64_t id, uint64_t page)
{
	return id << 32 | (page + 1);
}

struct mapping {
	char *memory;
	size_t length;
	size_t offset;
	uint64_t id;
	int fd;
	bool writable;
};

struct worker {
	uint64_t seed;
	struct mapping mappings[MAPPINGS];
	/* Pages in it are pinned. */
	int pipe[2];
	unsigned int depth;
};

static void drop(struct mapping *mapping)
{
	if (mapping->length)
		need(!munmap(mapping->memory, mapping->length));
	if (mapping->fd)
		close(mapping->fd);
	*mapping = (struct mapping){};
}

static void obtain(struct worker *worker, struct mapping *mapping)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_AUTO};
	struct morsel_create args = {
		.size = sizeof(args),
		.mode = random_next(&worker->seed) % 2 ? 0666 : 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.length = lengths[random_next(&worker->seed) % ARRAY_SIZE(lengths)],
		.granule = granules[random_next(&worker->seed) % 2],
		.flags = MORSEL_CREATE_CLOEXEC,
	};

	if (random_next(&worker->seed) % 4)
		snprintf(args.name, sizeof(args.name), "churn-%u",
			 random_next(&worker->seed) % NAMES);
	mapping->fd = create_with(&args);
	if (mapping->fd < 0) {
		need(errno == EEXIST || errno == ENOMEM);
		mapping->fd = open_with(0, args.name,
					random_next(&worker->seed) % 4 ? 0 : MORSEL_OPEN_READ_ONLY);
	}
	if (mapping->fd < 0) {
		need(errno == ENOENT || errno == EINVAL || errno == EACCES);
		mapping->fd = 0;
		return;
	}
	mapping->id = id_of(mapping->fd);
}

static void attach(struct worker *worker, struct mapping *mapping)
{
	uint64_t length = (info_of(mapping->fd).length + HUGE - 1) & ~(HUGE - 1);
	bool writable = (fcntl(mapping->fd, F_GETFL) & O_ACCMODE) == O_RDWR &&
			random_next(&worker->seed) % 3;
	int flags = MAP_SHARED |
		    (length <= 4 * HUGE && !(random_next(&worker->seed) % 8) ? MAP_POPULATE : 0);

	if (random_next(&worker->seed) % 2) {
		mapping->offset = random_next(&worker->seed) % (length / HUGE) * HUGE;
		length = (random_next(&worker->seed) % ((length - mapping->offset) / HUGE) + 1) *
			 HUGE;
	}
	mapping->memory = mmap(NULL, length, writable ? RW : PROT_READ, flags, mapping->fd,
			       mapping->offset);
	need(mapping->memory != MAP_FAILED);
	mapping->length = length;
	mapping->writable = writable;
}

static void touch(struct worker *worker, struct mapping *mapping)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		/* Often the same few places, so that processes meet. */
		size_t page = random_next(&worker->seed) % (mapping->length / PAGE);
		volatile char *at;
		uint64_t want;

		if (i % 2)
			page = page / 128 * 128;
		at = mapping->memory + page * PAGE;
		want = mark(mapping->id, mapping->offset / PAGE + page);
		if (probe_read(at, NULL))
			continue;
		/* It may be punched in between: then SIGBUS only if the pool is full. */
		need(*(volatile uint64_t *)at == 0 || *(volatile uint64_t *)at == want);
		if (mapping->writable && !probe_write(at, (unsigned char)want))
			*(volatile uint64_t *)at = want;
	}
}

static void change(struct worker *worker, struct mapping *mapping)
{
	size_t spans = mapping->length / HUGE, at = random_next(&worker->seed) % spans * HUGE;
	char *moved;

	switch (random_next(&worker->seed) % 6) {
	case 0: /* a hole in the mapping, filled again */
		need(!munmap(mapping->memory + at, HUGE));
		map_at(mapping->memory + at, mapping->fd, HUGE, mapping->writable ? RW : PROT_READ,
		       mapping->offset + at);
		break;
	case 1:
		if (!mapping->writable)
			break;
		need(!mprotect(mapping->memory + at, HUGE, PROT_READ));
		need(probe_write(mapping->memory + at + 64, 1));
		need(!mprotect(mapping->memory + at, HUGE, RW));
		break;
	case 2:
		need(!madvise(mapping->memory, mapping->length, MADV_DONTNEED));
		break;
	case 3:
		if (!at)
			break;
		need(!munmap(mapping->memory + at, mapping->length - at));
		mapping->length = at;
		break;
	case 4: /* one that has been in pieces is in pieces still, and does not move as one */
		moved = mremap(mapping->memory, mapping->length, mapping->length, MREMAP_MAYMOVE);
		need(moved != MAP_FAILED || errno == EFAULT);
		if (moved != MAP_FAILED)
			mapping->memory = moved;
		break;
	default:
		madvise(mapping->memory, mapping->length, MADV_KEEPONFORK);
		break;
	}
}

static void free_some(struct worker *worker, struct mapping *mapping)
{
	struct morsel_info info = info_of(mapping->fd);
	uint64_t pages = (info.length + PAGE - 1) / PAGE, first, count;

	first = random_next(&worker->seed) % pages;
	count = random_next(&worker->seed) % (pages - first) + 1;
	if ((fcntl(mapping->fd, F_GETFL) & O_ACCMODE) == O_RDWR) {
		need(!punch(mapping->fd, first * PAGE, count * PAGE));
		if (random_next(&worker->seed) % 4 == 0 &&
		    populate(mapping->fd, first * PAGE, (count % 64 + 1) * PAGE))
			need(errno == ENOMEM || errno == EINTR || errno == ERANGE);
	}
}

static void step(struct worker *worker);

/* Have a pipe hold a page, which may be punched meanwhile; or let go of all that it holds. */
static void pin(struct worker *worker, struct mapping *mapping)
{
	struct iovec page = {mapping->memory +
				     random_next(&worker->seed) % (mapping->length / PAGE) * PAGE,
			     PAGE};
	char bytes[PAGE];

	if (random_next(&worker->seed) % 8 == 0)
		while (read(worker->pipe[0], bytes, PAGE) > 0)
			;
	/* The pool, or the pipe, may be full, and the mapping in pieces. */
	else if (vmsplice(worker->pipe[1], &page, 1, SPLICE_F_NONBLOCK) < 0)
		need(errno == EFAULT || errno == EAGAIN);
}

/* The child goes on with what it inherited for a while, and ends in one way or another. */
static void fork_one(struct worker *worker)
{
	pid_t pid;
	int status;

	if (worker->depth >= 2)
		return;
	pid = spawn();
	if (!pid) {
		unsigned int i, steps = random_next(&worker->seed) % 30;

		worker->depth++;
		for (i = 0; i < steps; i++)
			step(worker);
		switch (random_next(&worker->seed) % 3) {
		case 0:
			kill(getpid(), SIGKILL);
			break;
		case 1:
			execl("/bin/true", "true", NULL);
			break;
		}
		_exit(0);
	}
	if (random_next(&worker->seed) % 3 == 0) {
		usleep(random_next(&worker->seed) % 5000);
		kill(pid, SIGKILL);
	}
	worker->seed++;
	need(waitpid(pid, &status, 0) == pid);
	need(!WIFEXITED(status) || !WEXITSTATUS(status));
	need(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
}

static void step(struct worker *worker)
{
	struct mapping *mapping = &worker->mappings[random_next(&worker->seed) % MAPPINGS];
	unsigned int what = random_next(&worker->seed) % 32;
	char name[32];

	atomic_fetch_add(steps, 1);
	if (what == 0) {
		fork_one(worker);
	} else if (what == 1) {
		snprintf(name, sizeof(name), "churn-%u", random_next(&worker->seed) % NAMES);
		need(!unlink_morsel(0, name) || errno == ENOENT || errno == EPERM);
	} else if (what == 2) {
		count_morsels();
		pool_info();
	} else if (what == 3) {
		drop(mapping);
	} else if (what == 4) {
		write_text("/proc/sys/vm/drop_caches", "2");
	} else if (!mapping->fd) {
		obtain(worker, mapping);
	} else if (!mapping->length) {
		attach(worker, mapping);
	} else if (what == 5 || what == 6) {
		free_some(worker, mapping);
	} else if (what < 10) {
		change(worker, mapping);
	} else if (what < 12) {
		pin(worker, mapping);
	} else {
		touch(worker, mapping);
	}
}

static void work(uint64_t seed)
{
	struct worker worker = {.seed = seed};
	unsigned int i;

	need(!pipe2(worker.pipe, O_NONBLOCK | O_CLOEXEC));
	for (i = 0; i < 4; i++)
		random_next(&worker.seed);
	for (;;)
		step(&worker);
}

static pid_t begin_worker(unsigned int which, uint64_t seed)
{
	uid_t user = users[which % USERS];
	pid_t pid = user == INSIDE ? spawn_in_user_namespace(INSIDE - SUBORDINATE) : spawn();

	if (!pid) {
		/* With all that come of it, to be stopped and killed together. */
		need(!setpgid(0, 0));
		if (user && user != INSIDE)
			become(user);
		work(seed);
	}
	setpgid(pid, pid);
	return pid;
}

/* Is each process of a worker's group stopped, or gone? */
static bool is_stopped(pid_t group)
{
	glob_t all;
	bool stopped = true;
	size_t i;

	assert_int_equal(glob("/proc/[0-9]*/stat", GLOB_NOSORT, NULL, &all), 0);
	for (i = 0; i < all.gl_pathc && stopped; i++) {
		FILE *file = fopen(all.gl_pathv[i], "re");
		char state;
		int of;

		if (!file)
			continue;
		if (fscanf(file, "%*d (%*[^)]) %c %*d %d", &state, &of) == 2 && of == group)
			stopped = strchr("TZX", state);
		fclose(file);
	}
	globfree(&all);
	return stopped;
}

static void stop_all(const pid_t *pids)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		/* Who is being forked meanwhile is not reached. */
		do {
			kill(-pids[i], SIGSTOP);
			sleep_ms(1);
		} while (!is_stopped(pids[i]) && !time_is_up());
	}
}

/* What the users were charged when nobody made anything, and what of a morsel is no pool's memory. */
static uint64_t charged(unsigned int user)
{
	return limit_of(users[user]).used;
}

/* By length: what a morsel is charged beside frames and tables, and what for tables of other rights. */
static uint64_t own_bytes[ARRAY_SIZE(lengths)], others_bytes[ARRAY_SIZE(lengths)];

static uint64_t charged_beside(void)
{
	return charged(0) - pool_info().used_bytes;
}

static bool nobody_is_charged(void)
{
	unsigned int i;

	for (i = 0; i < USERS; i++)
		if (charged(i))
			return false;
	return true;
}

/*
 * Pages that the module has of the kernel, but for those of the slabs and the like; -1: this kernel
 * does not tell.
 */
static long kernel_pages(void)
{
	FILE *file = fopen("/sys/kernel/debug/page_owner_stacks/show_stacks", "re");
	bool ours = false, others = false;
	long pages = 0, count;
	char line[256];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		ours |= !!strstr(line, "[morsel]");
		others |= strstr(line, "slab") || strstr(line, "stack_depot") ||
			  strstr(line, "kasan_populate") || strstr(line, "__vmalloc_node_range") ||
			  strstr(line, "kmemleak");
		if (sscanf(line, "nr_base_pages: %ld", &count) != 1)
			continue;
		if (ours && !others)
			pages += count;
		ours = others = false;
	}
	fclose(file);
	return pages;
}

/* Those beside what pools hold. */
static long pages_beside;

static void learn_charges(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int fd = create(lengths[i], MORSEL_GRANULE_4K);
		char *memory;

		own_bytes[i] = charged_beside();
		memory = map(fd, HUGE, PROT_READ);
		assert_int_equal(probe_read(memory, NULL), 0);
		assert_true(info_of(fd).flags & MORSEL_INFO_TABLESETS);
		others_bytes[i] = charged_beside() - own_bytes[i];
		munmap(memory, HUGE);
		close(fd);
		assert_soon(nobody_is_charged());
	}
	pages_beside = kernel_pages() - (long)(pool_info().held_bytes / PAGE);
}

#define SLAB "/sys/kernel/slab/morsel/"

/* What all morsels are, by what they say themselves. */
struct sums {
	unsigned int count;
	bool named;
	uint64_t frames;
	uint64_t tables;
	/* By who made them. */
	uint64_t charges[USERS];
};

static void add_up(struct sums *sums)
{
	struct morsel_info *all = list_all(&sums->count);
	unsigned int i, j, user;

	for (i = 0; i < sums->count; i++) {
		uint64_t charge = all[i].frame_bytes + all[i].table_bytes;

		sums->named |= all[i].flags & MORSEL_INFO_NAMED;
		for (j = 0; j < ARRAY_SIZE(lengths) && lengths[j] != all[i].length; j++)
			;
		assert_true(j < ARRAY_SIZE(lengths));
		for (user = 0; user < USERS && users[user] != all[i].uid; user++)
			;
		assert_true(user < USERS);
		charge += own_bytes[j];
		if (all[i].flags & MORSEL_INFO_TABLESETS)
			charge += others_bytes[j];
		sums->charges[user] += charge;
		if (users[user] == INSIDE)
			sums->charges[1] += charge;
		sums->frames += all[i].frame_bytes;
		sums->tables += all[i].table_bytes;
	}
	free(all);
}

static __attribute__((format(printf, 1, 2))) const char *say(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

/* What users are charged for what they made, and for what is pinned; NULL: it is right. */
static const char *wrong_charge(const struct sums *sums, uint64_t pinned)
{
	uint64_t beyond[USERS], all = 0;
	unsigned int i;

	for (i = 0; i < USERS; i++) {
		uint64_t is = charged(i);

		beyond[i] = is - sums->charges[i];
		if (is < sums->charges[i] || beyond[i] > pinned)
			return say("user %u is charged %lu, and has %lu", users[i], is,
				   sums->charges[i]);
		/* What is pinned inside is TESTER's, too. */
		if (users[i] != INSIDE)
			all += beyond[i];
	}
	if (all != pinned || beyond[USERS - 1] > beyond[1])
		return say("beyond what they have, users are charged %lu, and %lu are pinned", all,
			   pinned);
	return NULL;
}

/* What is wrong, as text; NULL: all agree. */
static const char *disagreement(void)
{
	struct morsel_pool_info pool;
	struct sums sums = {};
	unsigned long inodes;
	const char *wrong;
	long pages;

	add_up(&sums);
	pool = pool_info();
	if (pool.used_bytes != sums.frames + sums.tables)
		return say("%u morsels have %lu of frames and %lu of tables; %lu are used",
			   sums.count, sums.frames, sums.tables, (uint64_t)pool.used_bytes);
	wrong = wrong_charge(&sums, pool.pinned_bytes);
	if (wrong)
		return wrong;
	pages = kernel_pages();
	if (pages >= 0 && pages - pages_beside != (long)(pool.held_bytes / PAGE))
		return say(
			"the kernel counts %ld pages, %ld of them beside the pool, which holds %lu",
			pages, pages_beside, (uint64_t)pool.held_bytes / PAGE);
	/* The root of what they are inodes of is one, too, and two folders where there are names. */
	inodes = sums.count + (sums.named ? 3 : 1);
	if (write_text(SLAB "shrink", "1") && number_in(SLAB "objects") != inodes)
		return say("the kernel counts %lu inodes of %u morsels", number_in(SLAB "objects"),
			   sums.count);
	return NULL;
}

/* With nobody at it: tables are freed a grace period later, and so are inodes. */
static void audit(void)
{
	const char *wrong = disagreement();

	while (wrong && !time_is_up()) {
		sleep_ms(10);
		wrong = disagreement();
	}
	if (wrong)
		fail_msg("%s", wrong);
}

static void audit_all(const pid_t *pids)
{
	unsigned int i;

	stop_all(pids);
	audit();
	for (i = 0; i < WORKERS; i++)
		kill(-pids[i], SIGCONT);
}

/* Fails if the audit agrees to what is not so: somebody else's charges, a page too many. */
static void the_audit_sees_what_does_not_agree(void **state)
{
	struct iovec page;
	int fd, pipes[2];

	learn_charges();
	fd = create(lengths[1], MORSEL_GRANULE_4K);
	page = (struct iovec){map(fd, lengths[1], RW), PAGE};
	assert_done(pipe(pipes));
	assert_int_equal(vmsplice(pipes[1], &page, 1, 0), PAGE);
	assert_int_equal(pwrite(fd, "x", 1, HUGE), 1);
	audit();
	assert_done(punch(fd, 0, PAGE));
	assert_int_equal(pool_info().pinned_bytes, PAGE);
	audit();
	own_bytes[1] += PAGE;
	assert_non_null(disagreement());
	own_bytes[1] -= PAGE;
	/* Who made it pays. */
	assert_done(fchown(fd, TESTER, -1));
	assert_non_null(disagreement());
	assert_done(fchown(fd, 0, -1));
	audit();
	pages_beside++;
	assert_true(kernel_pages() < 0 || disagreement());
	pages_beside--;
	audit();
}

static void end_worker(pid_t pid)
{
	kill(-pid, SIGKILL);
	assert_child_killed(pid, SIGKILL);
}

static void churn(uint64_t random)
{
	unsigned int i, death = LIFE, audits = 1;
	pid_t pids[WORKERS];

	for (i = 0; i < WORKERS; i++)
		pids[i] = begin_worker(i, random_next(&random));
	while (*steps < STEPS) {
		int status;

		for (i = 0; i < WORKERS; i++)
			if (waitpid(pids[i], &status, WNOHANG) == pids[i])
				fail_msg("a worker ended by itself, with %#x", status);
		if (*steps >= audits * STEPS / (AUDITS + 1)) {
			audit_all(pids);
			audits++;
		}
		if (*steps < death) {
			sleep_ms(1);
			continue;
		}
		i = random_next(&random) % WORKERS;
		end_worker(pids[i]);
		pids[i] = begin_worker(i, random_next(&random));
		death += random_next(&random) % (2 * LIFE);
	}
	for (i = 0; i < WORKERS; i++)
		end_worker(pids[i]);
}

/* Workers' children are killed with them, a moment later. */
static bool nothing_is_left(void)
{
	unsigned int i;

	for (i = 0; i < NAMES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "churn-%u", i);
		unlink_morsel(0, name);
	}
	return !count_morsels() && !pool_info().used_bytes;
}

static void anything_at_once_leaves_nothing(void **state)
{
	const char *number = getenv("MORSEL_CHURN_SEED");
	uint64_t seed = number ? strtoull(number, NULL, 0) : (uint64_t)time(NULL) * 2654435761U;

	print_message("# MORSEL_CHURN_SEED=%llu\n", (unsigned long long)seed);
	/* Small enough that it is full now and then. */
	assert_done(resize_pool(256 * MIB));
	steps = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	learn_charges();
	churn(seed);
	assert_true(pool_info().borrows > 0);
	while (!nothing_is_left() && !time_is_up())
		sleep_ms(10);
	assert_int_equal(count_morsels(), 0);
	assert_int_equal(pool_info().used_bytes, 0);
	assert_int_equal(pool_info().pinned_bytes, 0);
	assert_true(nobody_is_charged());
	audit();
	/* And what it borrowed goes back. */
	while (pool_info().held_bytes && !time_is_up())
		write_text("/proc/sys/vm/drop_caches", "2");
	assert_int_equal(pool_info().held_bytes, 0);
	/* Of what went back page by page, the rest goes once no processor has claimed it. */
	while (pool_info().borrows != pool_info().returns && !time_is_up())
		sleep_ms(10);
	assert_int_equal(pool_info().borrows, pool_info().returns);
	munmap(steps, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_audit_sees_what_does_not_agree),
		TEST(anything_at_once_leaves_nothing),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
