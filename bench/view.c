// SPDX-License-Identifier: GPL-2.0
/*
 * What it takes to have memory alone that another has had: page by page, as two processes write to the same ones in
 * turns, and 1 GiB at once.
 *
 * Pages go to and fro by exclusive views; beside them, by what programs do themselves, with memory that both have
 * mapped: by mprotect(), where a signal's handler asks the other process for the page, a thread of which takes its own
 * rights away and answers; and by userfaultfd, where a thread of who faults protects the page with the other and
 * unprotects it.  The latter keeps nobody from reading.  Messages are words with a futex, which takes least.
 *
 * A turn takes PAGES pages, one by one, so that handing it over matters little; and what that takes, with memory
 * that nobody protects, is taken off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PAGES 64
/* Of each of the two, in a run. */
#define TURNS (instructions ? 20 : 50)
#define RW (PROT_READ | PROT_WRITE)

enum way { UNPROTECTED, VIEWS, PROTECTED, GUARDED, WAYS };

static const char *const names[WAYS] = { "handing over", "morsel", "mprotect and SIGSEGV",
					 "userfaultfd" };

/**
 * struct boxes - what two processes tell each other: 0 is nothing
 * @begin:	both are there
 * @go:		the first is to begin a run
 * @turn:	it is its turn
 * @asked:	it is to give this page, and one more, away
 * @answered:	the page is its own
 * @guard:	the other's descriptor of userfaultfd, and one more
 */
struct boxes {
	_Atomic uint32_t begin[2];
	_Atomic uint32_t go;
	_Atomic uint32_t turn[2];
	_Atomic uint32_t asked[2];
	_Atomic uint32_t answered[2];
	_Atomic uint32_t guard[2];
};

/* What a run of the first of them has found. */
struct found {
	uint64_t taken;
	uint64_t faults;
};

/**
 * struct pair - two processes that write to the same pages
 * @way:	how these become a process's own
 * @fd:		what they are of
 * @boxes:	what they tell each other
 * @pids:	these; the first tells what it found by
 * @result:	this pipe
 */
struct pair {
	enum way way;
	int fd;
	struct boxes *boxes;
	pid_t pids[2];
	int result[2];
};

/**
 * struct party - one of them, as it sees itself
 * @pair:	of these
 * @number:	which one
 * @memory:	its first page
 * @stride:	from each to the next
 * @guards:	descriptors of userfaultfd, of each
 */
static struct party {
	struct pair *pair;
	unsigned int number;
	char *memory;
	uint64_t stride;
	int guards[2];
} self;

static void post(_Atomic uint32_t *box, uint32_t value)
{
	atomic_store(box, value);
	syscall(SYS_futex, box, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static uint32_t collect(_Atomic uint32_t *box)
{
	uint32_t value;

	while (!(value = atomic_exchange(box, 0)))
		syscall(SYS_futex, box, FUTEX_WAIT, 0, NULL, NULL, 0);
	return value;
}

static char *page_at(uint64_t page)
{
	return self.memory + page * self.stride;
}

static char *map_all(int fd, uint64_t length)
{
	char *memory = mmap(NULL, length, RW, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		die("cannot map what both have");
	return memory;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL))
		die("no thread");
}

/* By mprotect(). */

static void protect(uint64_t page, int prot)
{
	if (mprotect(page_at(page), PAGE, prot))
		die("mprotect");
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	uint64_t page = (uint64_t)((char *)info->si_addr - self.memory) / self.stride;
	struct boxes *boxes = self.pair->boxes;

	(void)context;
	if (page >= PAGES) {
		signal(number, SIG_DFL);
		return;
	}
	post(&boxes->asked[!self.number], (uint32_t)page + 1);
	collect(&boxes->answered[self.number]);
	protect(page, RW);
}

static void *give_pages(void *unused)
{
	struct boxes *boxes = self.pair->boxes;

	(void)unused;
	for (;;) {
		protect(collect(&boxes->asked[self.number]) - 1, PROT_NONE);
		post(&boxes->answered[!self.number], 1);
	}
	return NULL;
}

/* Each is mapped by itself, so that no mapping is cut, nor joined with another one. */
static void protected_begin(void)
{
	const struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uint64_t page;

	self.stride = 2 * PAGE;
	self.memory = mmap(NULL, PAGES * self.stride, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (self.memory == MAP_FAILED)
		die("no place");
	for (page = 0; page < PAGES; page++) {
		if (mmap(page_at(page), PAGE, RW, MAP_SHARED | MAP_FIXED, self.pair->fd,
			 (off_t)(page * PAGE)) == MAP_FAILED)
			die("cannot map a page");
		*(volatile char *)page_at(page) = 0;
		protect(page, self.number ? PROT_NONE : RW);
	}
	if (sigaction(SIGSEGV, &action, NULL))
		die("sigaction");
	start(give_pages);
}

/* By userfaultfd. */

static int guard_open(void)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
					      UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	close(fd);
	return -1;
}

static bool can_guard(void)
{
	int fd = guard_open();

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void guard(int fd, uint64_t address, uint64_t length, bool on)
{
	struct uffdio_writeprotect args = { .range = { address, length },
					    .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };

	if (ioctl(fd, UFFDIO_WRITEPROTECT, &args))
		die("cannot protect by userfaultfd");
}

/* Both have them at the same address. */
static void *guard_pages(void *unused)
{
	struct uffd_msg message;
	uint64_t page;

	(void)unused;
	for (;;) {
		if (read(self.guards[self.number], &message, sizeof(message)) != sizeof(message) ||
		    message.event != UFFD_EVENT_PAGEFAULT ||
		    !(message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP))
			die("userfaultfd tells of something else");
		page = message.arg.pagefault.address & ~(PAGE - 1);
		guard(self.guards[!self.number], page, PAGE, true);
		guard(self.guards[self.number], page, PAGE, false);
	}
	return NULL;
}

static int descriptor_of(pid_t pid, int fd)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0), got;

	got = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	if (got < 0)
		die("cannot have another process's descriptor");
	close(process);
	return got;
}

static void guarded_begin(void)
{
	struct uffdio_register args = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct boxes *boxes = self.pair->boxes;
	int own = guard_open(), theirs;

	if (own < 0)
		die("userfaultfd");
	self.stride = PAGE;
	self.memory = (char *)TIB;
	if (mmap(self.memory, PAGES * PAGE, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, self.pair->fd,
		 0) != self.memory)
		die("cannot map what both have");
	touch_memory(self.memory, PAGES * PAGE, PAGE);
	args.range = (struct uffdio_range){ (uintptr_t)self.memory, PAGES * PAGE };
	if (ioctl(own, UFFDIO_REGISTER, &args))
		die("cannot register with userfaultfd");
	if (self.number)
		guard(own, (uintptr_t)self.memory, PAGES * PAGE, true);
	post(&boxes->guard[!self.number], (uint32_t)own + 1);
	theirs = (int)collect(&boxes->guard[self.number]) - 1;
	self.guards[self.number] = own;
	self.guards[!self.number] =
		descriptor_of(self.number ? self.pair->pids[0] : self.pair->pids[1], theirs);
	start(guard_pages);
}

static void party_begin(void)
{
	self.stride = PAGE;
	switch (self.pair->way) {
	case VIEWS:
		self.memory = map_all(morsel_view(self.pair->fd), HUGE_PAGE);
		break;
	case PROTECTED:
		protected_begin();
		break;
	case GUARDED:
		guarded_begin();
		break;
	default:
		self.memory = map_all(self.pair->fd, PAGES * PAGE);
	}
}

/* What a party has written to a page last. */
static _Atomic uint64_t *written_by(unsigned int number, uint64_t page)
{
	return (_Atomic uint64_t *)page_at(page) + number;
}

/* No more than a store: an emulator may take what reads and writes for two accesses, and so for two faults. */
static void write_all(void)
{
	static uint64_t last;
	uint64_t page;

	last++;
	for (page = 0; page < PAGES; page++)
		atomic_store_explicit(written_by(self.number, page), last, memory_order_relaxed);
}

/* The first of them begins each turn, so the other one has written as often as that. */
static void check_all(void)
{
	uint64_t page;

	for (page = 0; page < PAGES; page++)
		if (atomic_load(written_by(0, page)) != atomic_load(written_by(1, page)))
			die("%s: something that was written is lost", names[self.pair->way]);
}

_Noreturn static void run_first(void)
{
	struct boxes *boxes = self.pair->boxes;
	struct found found;
	uint64_t start_ns = 0;
	int turn;

	for (;;) {
		collect(&boxes->go);
		/* Once, so that all that there is to make is made. */
		for (turn = -1; turn < TURNS; turn++) {
			if (!turn) {
				found.faults = faults_taken();
				start_ns = now_ns();
			}
			write_all();
			post(&boxes->turn[1], 1);
			collect(&boxes->turn[0]);
		}
		found.taken = now_ns() - start_ns;
		found.faults = faults_taken() - found.faults;
		check_all();
		if (write(self.pair->result[1], &found, sizeof(found)) != sizeof(found))
			die("cannot tell what was found");
	}
}

_Noreturn static void run_second(void)
{
	struct boxes *boxes = self.pair->boxes;

	for (;;) {
		collect(&boxes->turn[1]);
		write_all();
		post(&boxes->turn[0], 1);
	}
}

_Noreturn static void run_party(struct pair *pair, unsigned int number)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* At once, where there are two. */
	stay_on(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? number : 0);
	self.pair = pair;
	self.number = number;
	/* Then both numbers are known. */
	collect(&pair->boxes->begin[number]);
	party_begin();
	if (number)
		run_second();
	run_first();
}

static void *shared_pages(uint64_t length)
{
	void *memory = mmap(NULL, length, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory");
	return memory;
}

static struct pair *pair_begin(enum way way)
{
	struct pair *pair = shared_pages(sizeof(*pair));
	unsigned int number;
	pid_t pid;

	pair->way = way;
	pair->boxes = shared_pages(sizeof(*pair->boxes));
	if (way == VIEWS)
		pair->fd = morsel_for_views(HUGE_PAGE, MORSEL_GRANULE_AUTO);
	else
		pair->fd = memfd_create("pages", MFD_CLOEXEC);
	if (pair->fd < 0 || (way != VIEWS && ftruncate(pair->fd, PAGES * PAGE)) ||
	    pipe(pair->result))
		die("cannot make what both have");
	fflush(stdout);
	for (number = 0; number < 2; number++) {
		pid = fork();
		if (pid < 0)
			die("cannot fork");
		if (!pid)
			run_party(pair, number);
		pair->pids[number] = pid;
	}
	close(pair->result[1]);
	for (number = 0; number < 2; number++)
		post(&pair->boxes->begin[number], 1);
	/* After a tenth of a second it is known who else looks at what these have mapped. */
	usleep(500000);
	return pair;
}

static void pair_end(struct pair *pair)
{
	unsigned int number;

	for (number = 0; number < 2; number++) {
		kill(pair->pids[number], SIGKILL);
		waitpid(pair->pids[number], NULL, 0);
	}
	close(pair->result[0]);
	close(pair->fd);
	munmap(pair->boxes, sizeof(*pair->boxes));
	munmap(pair, sizeof(*pair));
}

static uint64_t time_turns(struct pair *pair, uint64_t *faults)
{
	struct pollfd result = { .fd = pair->result[0], .events = POLLIN };
	struct found found;

	post(&pair->boxes->go, 1);
	if (poll(&result, 1, 120000) != 1 ||
	    read(pair->result[0], &found, sizeof(found)) != sizeof(found))
		die("%s: no answer", names[pair->way]);
	*faults = found.faults;
	return found.taken;
}

/* Each of the two takes every page in each turn. */
static double per_take(uint64_t taken)
{
	return (double)taken / (2 * TURNS * PAGES);
}

static void report_pages(uint64_t found[WAYS][RUNS_MAX], const uint64_t *faults, bool guarded,
			 unsigned int runs)
{
	double takes[WAYS] = { 0 }, over = per_take(median(found[UNPROTECTED], runs));
	int way, best = PROTECTED;

	for (way = VIEWS; way < WAYS; way++) {
		if (way == GUARDED && !guarded)
			continue;
		takes[way] = per_take(median(found[way], runs)) - over;
		say("a page taken by %s: %.0f %s, in %.2f faults; handing the turn over: %.0f more",
		    names[way], takes[way], instructions ? "instructions" : "ns",
		    (double)faults[way] / (TURNS * PAGES), over);
	}
	if (guarded && takes[GUARDED] < takes[PROTECTED])
		best = GUARDED;
	report("view_page", "ns", takes[VIEWS], takes[best], names[best], runs);
	report("view_page_mprotect", "ns", takes[VIEWS], takes[PROTECTED], names[PROTECTED], runs);
	if (guarded)
		report("view_page_uffd", "ns", takes[VIEWS], takes[GUARDED], names[GUARDED], runs);
}

/* view_page, beside the better one of view_page_mprotect and view_page_uffd. */
static void bench_pages(void)
{
	uint64_t found[WAYS][RUNS_MAX], faults[WAYS];
	unsigned int runs = runs_of(9), run;
	struct pair *pairs[WAYS];
	int ways = can_guard() ? WAYS : GUARDED, way;

	if (ways == GUARDED)
		say("no userfaultfd that protects memfds, or it may not be used");
	for (way = 0; way < ways; way++)
		pairs[way] = pair_begin(way);
	for (run = 0; run < runs; run++)
		for (way = 0; way < ways; way++)
			found[way][run] = time_turns(pairs[way], &faults[way]);
	for (way = 0; way < ways; way++)
		pair_end(pairs[way]);
	report_pages(found, faults, ways == WAYS, runs);
}

/* Of 1 GiB, so much is taken page by page, and counts for all: more would take minutes. */
#define PART (64 * MIB)
#define PARTS_OF_GIB (GIB / PART)

static uint64_t time_acquire(int view, uint64_t length)
{
	struct morsel_acquire args = { .size = sizeof(args),
				       .flags = MORSEL_ACQUIRE_WRITE,
				       .length = length,
				       .timeout = MORSEL_NO_TIMEOUT };
	uint64_t start_ns = now_ns();

	if (ioctl(view, MORSEL_IOC_ACQUIRE, &args))
		die("cannot acquire %llu MiB", length / MIB);
	return now_ns() - start_ns;
}

static void release_all(int view)
{
	struct morsel_range args = { .size = sizeof(args), .length = GIB };

	if (ioctl(view, MORSEL_IOC_RELEASE, &args))
		die("cannot release 1 GiB");
}

/**
 * struct acquired - what it took to have 1 GiB that another view had
 * @whole:	by one call
 * @split:	by one call, where each page was had by itself
 * @faulted:	by a fault for each page
 * @written:	after the first of these, to write to each page
 * @faults:	in doing that
 */
struct acquired {
	uint64_t whole[RUNS_MAX];
	uint64_t split[RUNS_MAX];
	uint64_t faulted[RUNS_MAX];
	uint64_t written;
	uint64_t faults;
};

/* One takes it from the other, which takes a part back page by page, which one takes again. */
static void acquire_once(uint32_t granule, struct acquired *acquired, unsigned int run)
{
	int fd = morsel_for_views(GIB, granule), one = morsel_view(fd), other = morsel_view(fd);
	char *here = map_all(one, GIB), *there = map_all(other, GIB);

	touch_memory(there, GIB, PAGE);
	acquired->whole[run] = time_acquire(one, GIB);
	acquired->faults = faults_taken();
	acquired->written = touch_memory(here, GIB, PAGE);
	acquired->faults = faults_taken() - acquired->faults;
	release_all(one);
	acquired->faulted[run] = touch_memory(there, PART, PAGE) * PARTS_OF_GIB;
	acquired->split[run] = time_acquire(one, PART) * PARTS_OF_GIB;
	munmap(here, GIB);
	munmap(there, GIB);
	close(one);
	close(other);
	close(fd);
}

static void acquire_row(const char *name, uint32_t granule)
{
	unsigned int runs = runs_of(5), run;
	struct acquired acquired;
	char split[64];

	for (run = 0; run < runs; run++)
		acquire_once(granule, &acquired, run);
	say("%s: then writing to each page: %.0f %s, %llu faults", name,
	    (double)acquired.written / (instructions ? 1 : 1000),
	    instructions ? "instructions" : "us", (unsigned long long)acquired.faults);
	snprintf(split, sizeof(split), "%s_split", name);
	report_time(name, acquired.whole, acquired.faulted, "faults", runs);
	report_time(split, acquired.split, acquired.faulted, "faults", runs);
}

/*
 * view_page; view_acquire_1g, which another view has written: beside taking it by a fault for each page; and the same
 * of small frames, and where each page was taken by itself before.
 */
void bench_view(void)
{
	morsel_pools_make_room(GIB + 64 * MIB);
	bench_pages();
	acquire_row("view_acquire_1g", MORSEL_GRANULE_AUTO);
	acquire_row("view_acquire_1g_small", MORSEL_GRANULE_4K);
	morsel_pools_drain();
}
