// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share: faults that are looked at, processes and threads.
 */
#include "common.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Faults. */

static _Thread_local sigjmp_buf probe_back;
static _Thread_local volatile sig_atomic_t probing;
static struct sigaction before_probe[NSIG];

static void probe_caught(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (probing)
		siglongjmp(probe_back, signal);
	/* Not ours: cmocka's, in the thread and process that it knows. */
	if (in_test() && gettid() == getpid() && before_probe[signal].sa_handler != SIG_DFL) {
		before_probe[signal].sa_handler(signal);
		return;
	}
	dprintf(STDERR_FILENO, "# process %d: signal %d\n", getpid(), signal);
	_exit(128 + signal);
}

static void probe_prepare(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL};
	struct sigaction action = {.sa_sigaction = probe_caught,
				   .sa_flags = SA_SIGINFO | SA_NODEFER};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction old;

		sigaction(signals[i], NULL, &old);
		if (old.sa_sigaction == probe_caught)
			continue;
		before_probe[signals[i]] = old;
		sigaction(signals[i], &action, NULL);
	}
}

int probe_read(const volatile void *address, unsigned char *value)
{
	unsigned char byte;
	int signal;

	probe_prepare();
	signal = sigsetjmp(probe_back, 0);
	if (!signal) {
		probing = 1;
		byte = *(const volatile unsigned char *)address;
		if (value)
			*value = byte;
	}
	probing = 0;
	return signal;
}

int probe_write(volatile void *address, unsigned char value)
{
	int signal;

	probe_prepare();
	signal = sigsetjmp(probe_back, 0);
	if (!signal) {
		probing = 1;
		*(volatile unsigned char *)address = value;
	}
	probing = 0;
	return signal;
}

int probe_call(void (*function)(void))
{
	int signal;

	probe_prepare();
	signal = sigsetjmp(probe_back, 0);
	if (!signal) {
		probing = 1;
		function();
	}
	probing = 0;
	return signal;
}

/* Processes and threads. */

pid_t spawn(void)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	must(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* A fault that nobody expects: say so, and do not go where cmocka would. */
		probe_prepare();
	}
	return pid;
}

int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (time_is_up()) {
			print_error("# process %d does not end\n", pid);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return 255;
		}
		usleep(500);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void assert_child_done(pid_t pid)
{
	int status = wait_child(pid);

	if (status)
		fail_msg("the child ended with %d", status);
}

void assert_child_killed(pid_t pid, int signal)
{
	assert_int_equal(wait_child(pid), 128 + signal);
}

void assert_race(void (*race)(void))
{
	pid_t pid = spawn();

	if (!pid) {
		race();
		_exit(0);
	}
	assert_child_done(pid);
}

void become(uid_t uid)
{
	need(!setgroups(0, NULL));
	need(!setresgid(uid, uid, uid));
	need(!setresuid(uid, uid, uid));
}

void pin_to_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void relax(unsigned int *tries)
{
	/* An emulator that is short of processors needs this one to get on with the other. */
	if (++*tries > 1000)
		usleep(20);
	else
		asm volatile("pause");
}

struct thread_start {
	void *(*function)(void *);
	void *arg;
	unsigned int cpu;
	pthread_barrier_t *barrier;
};

static void *thread_main(void *arg)
{
	struct thread_start *start = arg;

	pin_to_cpu(start->cpu);
	pthread_barrier_wait(start->barrier);
	return start->function(start->arg);
}

void run_threads(unsigned int count, void *(*function)(void *), void *args, size_t arg_size)
{
	struct thread_start starts[64];
	pthread_t threads[64];
	pthread_barrier_t barrier;
	unsigned int i;

	need(count <= ARRAY_SIZE(threads));
	need(!pthread_barrier_init(&barrier, NULL, count));
	for (i = 0; i < count; i++) {
		starts[i] = (struct thread_start){
			.function = function,
			.arg = (char *)args + i * arg_size,
			.cpu = i,
			.barrier = &barrier,
		};
		need(!pthread_create(&threads[i], NULL, thread_main, &starts[i]));
	}
	for (i = 0; i < count; i++)
		need(!pthread_join(threads[i], NULL));
	pthread_barrier_destroy(&barrier);
}

atomic_uint *turns;

void turns_begin(void)
{
	turns = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(turns != MAP_FAILED, "no memory for the turns of races");
}

void took_turn(unsigned int self)
{
	atomic_fetch_add(&turns[self], 1);
}

void wait_for_turn_of(pid_t child, unsigned int who)
{
	unsigned int before = turns[who], tries = 0;

	while (turns[who] - before < 2) {
		need(!child || !waitpid(child, NULL, WNOHANG));
		relax(&tries);
	}
}

void wait_for_turn(unsigned int who)
{
	wait_for_turn_of(0, who);
}

long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}
