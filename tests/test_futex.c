// SPDX-License-Identifier: GPL-2.0
/*
 * Futexes inside a morsel: locks and semaphores that processes share.
 *
 * The kernel knows a shared futex by what its frame says it belongs to.  Where a
 * frame says nothing, waiting and waking fail with EFAULT, and the C library
 * aborts; where it says something else in each process, nobody is woken.
 */
#include "common.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#define LENGTH (8 * MIB)
#define ROUNDS rounds_of(10000)

/* What the two sides of a test share, in the morsel's first page or elsewhere. */
struct shared {
	_Atomic uint32_t word;
	_Atomic uint32_t waiting;
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	pthread_barrier_t barrier;
	sem_t ping;
	sem_t pong;
	uint64_t count;
};

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
	return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* Wait until somebody wakes, whatever interrupts. */
static void wait_for_change(_Atomic uint32_t *word, uint32_t value)
{
	while (*word == value)
		need(!futex(word, FUTEX_WAIT, value) || errno == EAGAIN || errno == EINTR);
}

/* A child that waits until the word changes, at an address of its own. */
static pid_t spawn_waiter(int fd, off_t offset, int prot)
{
	pid_t pid = spawn();

	if (!pid) {
		struct shared *shared =
			(void *)((char *)map_at(NULL, fd, LENGTH, prot, 0) + offset);

		wait_for_change(&shared->word, 0);
		_exit(0);
	}
	return pid;
}

/* Does it sleep, so that only waking gets it on? */
static bool is_asleep(pid_t pid)
{
	char sleeping[16];

	snprintf(sleeping, sizeof(sleeping), "%d ", SYS_futex);
	return !strncmp(read_text("/proc/%d/syscall", pid), sleeping, strlen(sleeping));
}

static void wait_until_asleep(pid_t pid)
{
	siginfo_t gone = {0};

	while (!is_asleep(pid)) {
		assert_done(waitid(P_PID, pid, &gone, WEXITED | WNOHANG | WNOWAIT));
		if (gone.si_pid)
			fail_msg("who was to wait has ended");
		sleep_ms(1);
	}
}

static struct shared *at(char *memory, off_t offset)
{
	return (void *)(memory + offset);
}

/* Change the word and wake: one is woken. */
static void wake_one(struct shared *shared)
{
	shared->word = 1;
	assert_int_equal(futex(&shared->word, FUTEX_WAKE, 1), 1);
}

/* Fails if the frame, or its offset in a huge one, is not the same to both. */
static void another_process_is_woken(void **state)
{
	static const uint32_t granules[] = {MORSEL_GRANULE_4K, MORSEL_GRANULE_2M};
	static const off_t offsets[] = {0, 5 * PAGE, 3 * HUGE + 7 * PAGE + 64};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(granules); i++)
		for (j = 0; j < ARRAY_SIZE(offsets); j++) {
			int fd = create(LENGTH, granules[i]);
			char *memory = map(fd, LENGTH, RW);
			pid_t pid = spawn_waiter(fd, offsets[j], RW);

			wait_until_asleep(pid);
			wake_one(at(memory, offsets[j]));
			assert_child_done(pid);
			munmap(memory, LENGTH);
			close(fd);
		}
}

/* Fails if a read-only mapping's frames say something else. */
static void a_reader_is_woken(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_AUTO);
	char *memory = map(fd, LENGTH, RW);
	pid_t pid;

	memory[0] = 0;
	pid = spawn_waiter(fd, PAGE, PROT_READ);
	wait_until_asleep(pid);
	wake_one(at(memory, PAGE));
	assert_child_done(pid);
}

/* Fails if the same place in two morsels is one futex. */
static void other_morsels_and_places_are_other_futexes(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_2M), other = create(LENGTH, MORSEL_GRANULE_2M);
	char *memory = map(fd, LENGTH, RW), *elsewhere = map(other, LENGTH, RW);
	pid_t pid = spawn_waiter(fd, PAGE, RW);

	wait_until_asleep(pid);
	assert_int_equal(futex(&at(elsewhere, PAGE)->word, FUTEX_WAKE, 1), 0);
	assert_int_equal(futex(&at(memory, 0)->word, FUTEX_WAKE, 1), 0);
	assert_int_equal(futex(&at(memory, HUGE + PAGE)->word, FUTEX_WAKE, 1), 0);
	wake_one(at(memory, PAGE));
	assert_child_done(pid);
}

/* Fails if a futex is its frame's and not the morsel's, whose page gets a new one. */
static void a_waiter_outlives_its_frame(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	char *memory = map(fd, LENGTH, RW);
	pid_t pid = spawn_waiter(fd, PAGE, RW);

	wait_until_asleep(pid);
	assert_done(punch(fd, 0, 0));
	wake_one(at(memory, PAGE));
	assert_child_done(pid);
}

static void *change_and_wake(void *arg)
{
	struct shared *shared = arg;

	/* The page's frame changes while it sleeps. */
	while (!shared->waiting || !is_asleep(getpid()))
		sleep_ms(1);
	need(!madvise(shared, PAGE, MADV_REMOVE));
	shared->word = 1;
	need(futex(&shared->word, FUTEX_WAKE_PRIVATE, 1) >= 0);
	return NULL;
}

/* Fails if a private futex, known by its address alone, is not. */
static void private_futexes_wait_and_wake(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	pid_t pid = spawn();

	if (!pid) {
		struct shared *shared = map(fd, LENGTH, RW);
		pthread_t thread;

		need(!pthread_create(&thread, NULL, change_and_wake, shared));
		shared->waiting = 1;
		while (!shared->word)
			need(!futex(&shared->word, FUTEX_WAIT_PRIVATE, 0) || errno == EAGAIN);
		need(!pthread_join(thread, NULL));
		_exit(0);
	}
	assert_child_done(pid);
}

/*
 * What is inherited is attached by a fault that may be taken again, and for some calls the kernel
 * takes one that may not.  Fails if that is so of others, or for longer.
 */
static void a_child_touches_before_it_locks_a_private_futex(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	_Atomic uint32_t *words = map(fd, LENGTH, RW);
	pid_t pid = spawn();

	if (!pid) {
		need(futex(&words[0], FUTEX_LOCK_PI_PRIVATE, 0) == -1 && errno == EFAULT);
		/* Shared ones are looked up by get_user_pages(), which attaches. */
		need(!futex(&words[1], FUTEX_LOCK_PI, 0));
		need(words[1] == (uint32_t)gettid());
		need(!futex(&words[0], FUTEX_LOCK_PI_PRIVATE, 0));
		need(words[0] == (uint32_t)gettid());
		_exit(0);
	}
	assert_child_done(pid);
}

/* The C library's own, with both sides at it. */

static void init_shared(struct shared *shared)
{
	pthread_barrierattr_t barrier;
	pthread_condattr_t condition;
	pthread_mutexattr_t mutex;

	assert_int_equal(pthread_mutexattr_init(&mutex), 0);
	assert_int_equal(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED), 0);
	assert_int_equal(pthread_mutex_init(&shared->mutex, &mutex), 0);
	assert_int_equal(pthread_condattr_init(&condition), 0);
	assert_int_equal(pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED), 0);
	assert_int_equal(pthread_cond_init(&shared->condition, &condition), 0);
	assert_int_equal(pthread_barrierattr_init(&barrier), 0);
	assert_int_equal(pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED), 0);
	assert_int_equal(pthread_barrier_init(&shared->barrier, &barrier, 2), 0);
	assert_int_equal(sem_init(&shared->ping, 1, 0), 0);
	assert_int_equal(sem_init(&shared->pong, 1, 0), 0);
}

/* Run one side on each processor, each with a mapping of its own. */
static void both_sides(uint32_t granule, void (*side)(struct shared *shared, int which))
{
	int fd = create(LENGTH, granule), which;
	char *memory = map(fd, LENGTH, RW);
	pid_t pids[2];

	init_shared(at(memory, PAGE));
	for (which = 0; which < 2; which++) {
		pids[which] = spawn();
		if (!pids[which]) {
			pin_to_cpu(which);
			side(at(map(fd, LENGTH, RW), PAGE), which);
			_exit(0);
		}
	}
	for (which = 0; which < 2; which++)
		assert_child_done(pids[which]);
	assert_int_equal(at(memory, PAGE)->count, 2 * ROUNDS);
}

static void lock_and_count(struct shared *shared, int which)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		/* Both want it at once. */
		pthread_barrier_wait(&shared->barrier);
		need(!pthread_mutex_lock(&shared->mutex));
		shared->count++;
		need(!pthread_mutex_unlock(&shared->mutex));
	}
}

/* Fails (the C library aborts) as soon as one side has to wait for the other. */
static void a_mutex_is_shared(void **state)
{
	both_sides(MORSEL_GRANULE_4K, lock_and_count);
	both_sides(MORSEL_GRANULE_2M, lock_and_count);
}

static void take_turns(struct shared *shared, int which)
{
	unsigned int i;

	need(!pthread_mutex_lock(&shared->mutex));
	for (i = 0; i < ROUNDS; i++) {
		while (shared->count % 2 != (unsigned int)which)
			need(!pthread_cond_wait(&shared->condition, &shared->mutex));
		shared->count++;
		need(!pthread_cond_broadcast(&shared->condition));
	}
	need(!pthread_mutex_unlock(&shared->mutex));
}

/* Fails if one wake is lost: both then sleep for ever. */
static void a_condition_is_shared(void **state)
{
	both_sides(MORSEL_GRANULE_4K, take_turns);
}

static void post_and_wait(struct shared *shared, int which)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (which) {
			need(!sem_wait(&shared->ping));
			shared->count++;
			need(!sem_post(&shared->pong));
		} else {
			shared->count++;
			need(!sem_post(&shared->ping));
			need(!sem_wait(&shared->pong));
		}
	}
}

/* Fails if a post wakes nobody: both then wait for ever. */
static void a_semaphore_is_shared(void **state)
{
	both_sides(MORSEL_GRANULE_2M, post_and_wait);
}

static void meet_and_count(struct shared *shared, int which)
{
	unsigned int i;
	int met;

	for (i = 0; i < ROUNDS; i++) {
		met = pthread_barrier_wait(&shared->barrier);
		need(!met || met == PTHREAD_BARRIER_SERIAL_THREAD);
		if (met)
			shared->count += 2;
	}
}

/* Fails if who came first is not woken by who came last: it then waits for ever. */
static void a_barrier_is_shared(void **state)
{
	both_sides(MORSEL_GRANULE_4K, meet_and_count);
}

/* A mutex that tells of its owner's death, or lends its waiter's priority. */
static void init_mutex(pthread_mutex_t *mutex, int protocol)
{
	pthread_mutexattr_t attributes;

	assert_int_equal(pthread_mutexattr_init(&attributes), 0);
	assert_int_equal(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
	assert_int_equal(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	assert_int_equal(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
	assert_int_equal(pthread_mutex_init(mutex, &attributes), 0);
}

/*
 * An owner is killed while we wait.  Fails if the kernel, which goes through the
 * list of a dying thread's locks, cannot wake us: then this never ends.
 */
static void death_is_told(int protocol)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), i;
	struct shared *shared = at(map(fd, LENGTH, RW), 3 * PAGE);

	init_mutex(&shared->mutex, protocol);
	for (i = 0; i < 20; i++) {
		pid_t owner, waiter;

		shared->word = 0;
		owner = spawn();
		if (!owner) {
			struct shared *own = at(map(fd, LENGTH, RW), 3 * PAGE);

			need(!pthread_mutex_lock(&own->mutex));
			own->word = 1;
			need(futex(&own->word, FUTEX_WAKE, 1) >= 0);
			for (;;)
				pause();
		}
		wait_for_change(&shared->word, 0);
		waiter = spawn();
		if (!waiter) {
			struct shared *own = at(map(fd, LENGTH, RW), 3 * PAGE);

			need(pthread_mutex_lock(&own->mutex) == EOWNERDEAD);
			need(!pthread_mutex_consistent(&own->mutex));
			need(!pthread_mutex_unlock(&own->mutex));
			_exit(0);
		}
		wait_until_asleep(waiter);
		kill(owner, SIGKILL);
		assert_child_killed(owner, SIGKILL);
		assert_child_done(waiter);
	}
}

static void a_robust_mutex_tells_of_its_owners_death(void **state)
{
	death_is_told(PTHREAD_PRIO_NONE);
}

static void so_does_one_that_inherits_priority(void **state)
{
	death_is_told(PTHREAD_PRIO_INHERIT);
}

static int end_at_once(void *unused)
{
	return 0;
}

/*
 * Fails if the kernel's own write and wake at a thread's end, which is what
 * joining a thread rests on, do not reach the morsel.
 */
static void the_end_of_a_thread_is_told(void **state)
{
	static _Alignas(16) char stack[1 << 16];
	int fd = create(LENGTH, MORSEL_GRANULE_4K);
	struct shared *shared = map(fd, LENGTH, RW);
	unsigned int i;

	for (i = 0; i < ROUNDS / 10; i++) {
		pid_t pid;

		shared->word = 1;
		pid = clone(end_at_once, stack + sizeof(stack),
			    CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL,
			    &shared->word);
		assert_done(pid);
		wait_for_change(&shared->word, 1);
		assert_int_equal(shared->word, 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

/*
 * Waiting and waking against a punch of the page.  Fails if a lookup meets a
 * frame that is just leaving and takes something from it that is gone; EFAULT,
 * for a hole that is just made, is what a memfd gives, too.
 */
static void punch_for_long(struct shared *shared, int which)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (which) {
			need(!madvise((void *)((uintptr_t)shared & ~(PAGE - 1)), PAGE,
				      MADV_REMOVE));
			continue;
		}
		need(futex(&shared->word, FUTEX_WAIT, 1) == -1 &&
		     (errno == EAGAIN || errno == EFAULT));
		need(futex(&shared->word, FUTEX_WAKE, 1) == 0 || errno == EFAULT);
	}
	__atomic_fetch_add(&shared[1].count, ROUNDS, __ATOMIC_RELAXED);
}

static void futexes_against_punch(void **state)
{
	int fd = create(LENGTH, MORSEL_GRANULE_4K), which;
	char *memory = map(fd, LENGTH, RW);
	pid_t pids[2];

	for (which = 0; which < 2; which++) {
		pids[which] = spawn();
		if (!pids[which]) {
			pin_to_cpu(which);
			punch_for_long(at(map(fd, LENGTH, RW), HUGE - sizeof(struct shared)),
				       which);
			_exit(0);
		}
	}
	for (which = 0; which < 2; which++)
		assert_child_done(pids[which]);
	assert_int_equal(at(memory, HUGE)->count, 2 * ROUNDS);
}

/* Semaphores beside the morsel, called with arguments that are in it. */

#define TURNS rounds_of(20000)

struct beside {
	unsigned int counters[2];
	struct sembuf take[2];
};

/* One of two that take turns by one semaphore, and meet by another. */
static void call_in_turns(char *memory, int set_id, sem_t *named, unsigned int side)
{
	struct beside *beside = (struct beside *)memory;
	/* Half of it in another span. */
	struct sembuf *give = (struct sembuf *)(memory + (side + 1) * HUGE - 3);
	unsigned int i;

	beside->take[side] = (struct sembuf){.sem_num = side, .sem_op = -1};
	*give = (struct sembuf){.sem_num = !side, .sem_op = 1};
	for (i = 0; i < TURNS; i++) {
		need(!semop(set_id, &beside->take[side], 1));
		beside->counters[0]++;
		need(!semop(set_id, give, 1));
		need(!sem_wait(named));
		beside->counters[1]++;
		need(!sem_post(named));
	}
	_exit(0);
}

/* If a call could not read or write its arguments in a morsel, it would say EFAULT. */
static void semaphores_work_beside_a_morsel(void **state)
{
	int fd = create(GIB, MORSEL_GRANULE_4K), set_id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
	char *memory = map(fd, GIB, RW);
	struct beside *beside = (struct beside *)memory;
	struct sembuf *first = (struct sembuf *)(memory + 5 * PAGE);
	unsigned short *values = (unsigned short *)(memory + GIB - 2 * sizeof(*values));
	unsigned int side;
	pid_t pids[2];
	sem_t *named;

	if (set_id < 0)
		skip_because("no System V semaphores here: %s", strerror(errno));
	named = sem_open("/morsel-test", O_CREAT | O_EXCL, 0600, 1);
	assert_ptr_not_equal(named, SEM_FAILED);
	*first = (struct sembuf){.sem_op = 1};
	assert_done(semop(set_id, first, 1));
	for (side = 0; side < 2; side++) {
		pids[side] = spawn();
		if (!pids[side])
			call_in_turns(memory, set_id, named, side);
	}
	assert_child_done(pids[0]);
	assert_child_done(pids[1]);
	assert_int_equal(beside->counters[0], 2 * TURNS);
	assert_int_equal(beside->counters[1], 2 * TURNS);
	/* Into a hole. */
	assert_done(semctl(set_id, 0, GETALL, values));
	assert_int_equal(values[0], 1);
	assert_int_equal(values[1], 0);
	assert_done(semctl(set_id, 0, IPC_RMID));
	sem_close(named);
	assert_done(sem_unlink("/morsel-test"));
	assert_int_equal(info_of(fd).attachments, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(another_process_is_woken),
		TEST(a_reader_is_woken),
		TEST(other_morsels_and_places_are_other_futexes),
		TEST(a_waiter_outlives_its_frame),
		TEST(private_futexes_wait_and_wake),
		TEST(a_child_touches_before_it_locks_a_private_futex),
		TEST(a_mutex_is_shared),
		TEST(a_condition_is_shared),
		TEST(a_semaphore_is_shared),
		TEST(a_barrier_is_shared),
		TEST(a_robust_mutex_tells_of_its_owners_death),
		TEST(so_does_one_that_inherits_priority),
		TEST(the_end_of_a_thread_is_told),
		TEST(futexes_against_punch),
		TEST(semaphores_work_beside_a_morsel),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
