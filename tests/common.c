// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share.
 */
#include "common.h"

#include <dirent.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

int dev = -1;

static pid_t suite_pid;
static const char *running;
static double test_started;
static uint64_t pool_limit;

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

uint32_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

unsigned int kernel_version(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	return KERNEL(major, minor);
}

void need_failed(const char *file, int line, const char *condition)
{
	dprintf(STDERR_FILENO, "# %s:%d: process %d: not so: %s (errno %s)\n", file, line, getpid(),
		condition, strerrorname_np(errno) ?: "?");
	_exit(1);
}

/* From the environment. */

static unsigned int number_from(const char *variable, unsigned int usual)
{
	const char *text = getenv(variable);

	return text ? (unsigned int)atoi(text) : usual;
}

unsigned int rounds_of(unsigned int full)
{
	unsigned int rounds = (uint64_t)full * number_from("MORSEL_ROUNDS", 10) / 100;

	return rounds ?: 1;
}

/*
 * A test that does not end takes its suite along, and says which it was.
 * MORSEL_TEST_SECONDS: for kernels that are slow.
 */
unsigned int test_seconds(void)
{
	return number_from("MORSEL_TEST_SECONDS", 600);
}

/* So long before the end, one can still say what was waited for. */
#define LAST_SECONDS 20

bool time_is_up(void)
{
	return seconds_now() > test_started + test_seconds() - LAST_SECONDS;
}

static void test_hangs(int signal)
{
	dprintf(STDOUT_FILENO, "not ok - %s %s does not end\n", program_invocation_short_name,
		running);
	_exit(128 + signal);
}

static void watch(void)
{
	signal(SIGALRM, test_hangs);
	alarm(test_seconds());
}

/* The module. */

void load_module(void)
{
	const char *path = getenv("MORSEL_KO");
	int fd;

	if (!access(MORSEL_DEVICE, F_OK))
		return;
	if (!path)
		fail_msg("there is no %s, and MORSEL_KO is not set", MORSEL_DEVICE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		fail_msg("cannot load %s: %s", path, strerror(errno));
	close(fd);
}

int unload_module(void)
{
	return syscall(SYS_delete_module, "morsel", O_NONBLOCK) ? -errno : 0;
}

int suite_begin(void **state)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	suite_pid = getpid();
	test_started = seconds_now();
	load_module();
	return 0;
}

int suite_end(void **state)
{
	unload_module();
	return 0;
}

/* Clearing up. */

static void kill_children(void)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file)
		fclose(file);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

static void close_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fds[4096];
	unsigned int count = 0;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(dir) && count < ARRAY_SIZE(fds))
			fds[count++] = fd;
	}
	if (dir)
		closedir(dir);
	while (count)
		close(fds[--count]);
}

static void unmap_morsels(void)
{
	unsigned long start, end;
	char line[512];
	bool found;

	do {
		FILE *file = fopen("/proc/self/maps", "re");

		found = false;
		while (file && !found && fgets(line, sizeof(line), file))
			found = strstr(line, "[morsel:") &&
				sscanf(line, "%lx-%lx", &start, &end) == 2;
		if (file)
			fclose(file);
		if (found && munmap((void *)start, end - start))
			found = false;
	} while (found);
}

static void unlink_all(void)
{
	struct morsel_info info[64];
	uint64_t cursor = 0;
	int count, i;

	while ((count = list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]),
				  ARRAY_SIZE(info))) > 0)
		for (i = 0; i < count; i++)
			if (info[i].flags & MORSEL_INFO_NAMED)
				unlink_morsel(info[i].id, "");
}

static bool pool_first(struct morsel_pool_info *info)
{
	uint64_t cursor = 0;

	return list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(*info), 1) == 1;
}

static void reset_limits(void)
{
	static const uid_t users[] = {0, TESTER, OTHER};
	struct morsel_pool_info info;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(users); i++) {
		struct morsel_limit limit = {
			.size = sizeof(limit), .flags = MORSEL_LIMIT_DEFAULT, .uid = users[i]};

		ioctl(dev, MORSEL_IOC_LIMIT_SET, &limit);
	}
	if (pool_limit && pool_first(&info) && info.limit_bytes != pool_limit) {
		struct morsel_pool pool = {
			.size = sizeof(pool), .id = info.id, .limit_bytes = pool_limit};

		ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool);
	}
}

/* NULL if nothing is in use, else what is. */
static const char *leftovers(void)
{
	static char text[256];
	struct morsel_pool_info info[16];
	uint64_t cursor = 0;
	unsigned int morsels = query().nr_morsels;
	int count, i;

	if (morsels) {
		snprintf(text, sizeof(text), "%u morsels are left", morsels);
		return text;
	}
	count = list_step(dev, MORSEL_IOC_POOL_LIST, &cursor, info, sizeof(info[0]),
			  ARRAY_SIZE(info));
	for (i = 0; i < count; i++) {
		if (!info[i].used_bytes && !info[i].pinned_bytes && !info[i].morsels)
			continue;
		snprintf(text, sizeof(text), "pool %s: %llu bytes in use, %llu pinned, %u morsels",
			 info[i].name, info[i].used_bytes, info[i].pinned_bytes, info[i].morsels);
		return text;
	}
	return NULL;
}

/* What is freed by a worker goes a while later, and @known does not go at all. */
static const char *leftovers_after_a_while(const char *known)
{
	const char *left;

	while ((left = leftovers()) && strcmp(left, known) && !time_is_up())
		sleep_ms(20);
	return left;
}

static void clear_up(void)
{
	kill_children();
	close_descriptors();
	unmap_morsels();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return;
	unlink_all();
	reset_limits();
}

int test_begin(void **state)
{
	cpu_set_t everywhere;
	char text[128];
	int length, fd;

	running = *state;
	test_started = seconds_now();
	if (access(MORSEL_DEVICE, F_OK))
		load_module();
	clear_up();
	if (dev < 0) {
		print_error("# cannot open %s: %s\n", MORSEL_DEVICE, strerror(errno));
		return -1;
	}
	if (!pool_limit) {
		struct morsel_pool_info info;

		if (pool_first(&info))
			pool_limit = info.limit_bytes;
	}
	/* Which test a report of the kernel belongs to. */
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	length = snprintf(text, sizeof(text), "morsel-test: %s %s\n", program_invocation_short_name,
			  (const char *)*state);
	if (fd >= 0) {
		if (write(fd, text, length) < 0)
			print_error("# /dev/kmsg: %s\n", strerror(errno));
		close(fd);
	}
	/* Wherever the last test pinned itself to. */
	memset(&everywhere, 0xff, sizeof(everywhere));
	sched_setaffinity(0, sizeof(everywhere), &everywhere);
	watch();
	return 0;
}

static int nothing_is_left(void)
{
	static char known[256];
	const char *left;

	if (access(MORSEL_DEVICE, F_OK))
		return 0;
	clear_up();
	left = dev < 0 ? "the device is gone" : leftovers_after_a_while(known);
	close(dev);
	dev = -1;
	/* What one test leaked is not held against the next. */
	if (!left || !strcmp(left, known))
		return 0;
	print_error("# after the test: %s\n", left);
	snprintf(known, sizeof(known), "%s", left);
	return -1;
}

int test_end(void **state)
{
	int result;

	/* A child that lost its way. */
	if (getpid() != suite_pid)
		_exit(1);
	alarm(0);
	result = nothing_is_left();
	return result;
}

void module_unloads(void **state)
{
	int err;

	if (query().nr_morsels || leftovers())
		fail_msg("%s", leftovers());
	close(dev);
	dev = -1;
	/* Descriptors passed over sockets are closed by a worker. */
	while ((err = unload_module()) && !time_is_up())
		sleep_ms(20);
	if (err)
		fail_msg("delete_module: %s", strerror(-err));
	assert_int_equal(access(MORSEL_DEVICE, F_OK), -1);
}

/* The ioctls. */

int create_with(struct morsel_create *args)
{
	return ioctl(dev, MORSEL_IOC_CREATE, args) ? -1 : args->fd;
}

int open_with(uint64_t id, const char *name, uint32_t flags)
{
	struct morsel_open args = {.size = sizeof(args), .id = id, .flags = flags};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return ioctl(dev, MORSEL_IOC_OPEN, &args) ? -1 : args.fd;
}

int unlink_morsel(uint64_t id, const char *name)
{
	struct morsel_unlink args = {.size = sizeof(args), .id = id};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return ioctl(dev, MORSEL_IOC_UNLINK, &args);
}

int punch(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range range = {.size = sizeof(range), .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_PUNCH, &range);
}

int populate(int fd, uint64_t offset, uint64_t length)
{
	struct morsel_range range = {.size = sizeof(range), .offset = offset, .length = length};

	return ioctl(fd, MORSEL_IOC_POPULATE, &range);
}

int list_step(int fd, unsigned long call, uint64_t *cursor, void *entries, uint32_t entry_size,
	      uint32_t count)
{
	struct morsel_list list = {
		.size = sizeof(list),
		.cursor = *cursor,
		.entries = (uintptr_t)entries,
		.entry_size = entry_size,
		.count = count,
	};

	if (ioctl(fd, call, &list))
		return -1;
	*cursor = list.cursor;
	return list.count;
}

static int create_or_fail(struct morsel_create *args)
{
	int fd = create_with(args);

	if (fd >= 0)
		return fd;
	if (getpid() != suite_pid)
		need(fd >= 0);
	fail_msg("cannot create a morsel of %llu bytes: %s", args->length, strerror(errno));
	return -1;
}

int create(uint64_t length, uint32_t granule)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.granule = granule,
		.mode = 0600,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};

	return create_or_fail(&args);
}

int create_named(const char *name, uint64_t length, uint32_t mode)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.granule = MORSEL_GRANULE_AUTO,
		.mode = mode,
		.pool = pool_info().id,
		.node = MORSEL_ANY,
	};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return create_or_fail(&args);
}

struct morsel_info info_of(int fd)
{
	struct morsel_info info = {.size = sizeof(info)};

	if (ioctl(fd, MORSEL_IOC_STAT, &info)) {
		if (getpid() != suite_pid)
			need(!"STAT");
		fail_msg("STAT: %s", strerror(errno));
	}
	return info;
}

uint64_t id_of(int fd)
{
	return info_of(fd).id;
}

struct morsel_query query(void)
{
	struct morsel_query args = {.size = sizeof(args)};

	if (ioctl(dev, MORSEL_IOC_QUERY, &args)) {
		if (getpid() != suite_pid)
			need(!"QUERY");
		fail_msg("QUERY: %s", strerror(errno));
	}
	return args;
}

unsigned long kib_of(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (!strncmp(text, name, length) && text[length] == ':')
			return strtoul(text + length + 1, NULL, 10);
	fail_msg("there is no %s", name);
	return 0;
}

struct morsel_pool_info pool_info(void)
{
	struct morsel_pool_info info = {};

	if (!pool_first(&info)) {
		if (getpid() != suite_pid)
			need(!"POOL_LIST");
		fail_msg("there is no pool: %s", strerror(errno));
	}
	return info;
}

int resize_pool(uint64_t bytes)
{
	struct morsel_pool pool = {
		.size = sizeof(pool), .id = pool_info().id, .limit_bytes = bytes};

	return ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool);
}

struct morsel_info *list_all(unsigned int *count)
{
	unsigned int room = 256;
	struct morsel_info *all = malloc(room * sizeof(*all));
	uint64_t cursor = 0;
	int filled;

	*count = 0;
	while ((filled = list_step(dev, MORSEL_IOC_LIST, &cursor, all + *count, sizeof(*all),
				   room - *count)) > 0) {
		*count += filled;
		if (*count == room)
			all = realloc(all, (room *= 2) * sizeof(*all));
	}
	if (filled < 0) {
		if (getpid() != suite_pid)
			need(!"LIST");
		fail_msg("LIST: %s", strerror(errno));
	}
	return all;
}

unsigned int count_morsels(void)
{
	unsigned int count;

	free(list_all(&count));
	return count;
}

void *map_at(void *address, int fd, uint64_t length, int prot, uint64_t offset)
{
	void *memory =
		mmap(address, length, prot, MAP_SHARED | (address ? MAP_FIXED : 0), fd, offset);

	if (memory == MAP_FAILED) {
		if (getpid() != suite_pid)
			need(memory != MAP_FAILED);
		fail_msg("mmap of %llu bytes: %s", (unsigned long long)length, strerror(errno));
	}
	return memory;
}

void *map(int fd, uint64_t length, int prot)
{
	return map_at(NULL, fd, length, prot, 0);
}

int reopen_read_only(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return again;
}

void *free_place(size_t length)
{
	char *place = mmap(NULL, length + GIB, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned = (char *)(((uintptr_t)place + GIB - 1) & ~(GIB - 1));

	munmap(place, length + GIB);
	return aligned;
}

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
	if (gettid() == suite_pid && before_probe[signal].sa_handler != SIG_DFL) {
		before_probe[signal].sa_handler(signal);
		return;
	}
	dprintf(STDERR_FILENO, "# process %d: signal %d\n", getpid(), signal);
	_exit(128 + signal);
}

static void probe_prepare(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL};
	struct sigaction action = {.sa_sigaction = probe_caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
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
	if (pid < 0) {
		if (getpid() != suite_pid)
			need(pid >= 0);
		fail_msg("fork: %s", strerror(errno));
	}
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

/* Contents. */

static uint64_t pattern_word(unsigned int seed, size_t index)
{
	return (seed + 1) * 0x9e3779b97f4a7c15ULL + index * 0xbf58476d1ce4e5b9ULL;
}

void fill_pattern(void *memory, size_t length, unsigned int seed)
{
	uint64_t *words = memory;
	size_t i;

	for (i = 0; i < length / sizeof(*words); i++)
		words[i] = pattern_word(seed, i);
}

bool has_pattern(const void *memory, size_t length, unsigned int seed)
{
	const uint64_t *words = memory;
	size_t i;

	for (i = 0; i < length / sizeof(*words); i++)
		if (words[i] != pattern_word(seed, i))
			return false;
	return true;
}

bool is_zero(const void *memory, size_t length)
{
	const unsigned char *bytes = memory;

	return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

/* Scenes. */

const uint64_t scene_places[SCENE_PLACES] = {0, HUGE + PAGE, GIB - HUGE, GIB,
					     GIB + 2 * HUGE + 5 * PAGE};

/* Beside the text at the first place: what the witness counts. */
#define COUNTER (PAGE - sizeof(uint64_t))

bool scene_reads(const char *memory)
{
	unsigned int i;

	for (i = 0; i < SCENE_PLACES; i++)
		if (!has_pattern(memory + scene_places[i], COUNTER, i))
			return false;
	return true;
}

uint64_t frame_at(int fd, uint64_t offset)
{
	uint64_t cursor = offset & ~(PAGE - 1);
	struct morsel_extent extent;

	if (list_step(fd, MORSEL_IOC_EXTENTS, &cursor, &extent, sizeof(extent), 1) != 1)
		return 0;
	if (extent.level != MORSEL_LEVEL_4K && extent.level != MORSEL_LEVEL_2M)
		return 0;
	return extent.frame + (offset - extent.offset) / PAGE;
}

static _Noreturn void witness_main(int fd, int talk)
{
	char *memory = map(fd, SCENE_LENGTH, RW);
	volatile uint64_t *counter = (uint64_t *)(memory + COUNTER);
	uint64_t said;

	while (read(talk, &said, sizeof(said)) == sizeof(said)) {
		said = scene_reads(memory) ? ++*counter : 0;
		need(write(talk, &said, sizeof(said)) == sizeof(said));
	}
	_exit(0);
}

void scene_begin(struct scene *scene, uint32_t granule)
{
	unsigned int i;
	int talk[2];

	*scene = (struct scene){.fd = create(SCENE_LENGTH, granule)};
	scene->memory = map(scene->fd, SCENE_LENGTH, RW);
	for (i = 0; i < SCENE_PLACES; i++) {
		fill_pattern(scene->memory + scene_places[i], COUNTER, i);
		scene->frames[i] = frame_at(scene->fd, scene_places[i]);
	}
	scene->frame_bytes = info_of(scene->fd).frame_bytes;
	assert_done(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk));
	scene->witness = spawn();
	if (!scene->witness) {
		munmap(scene->memory, SCENE_LENGTH);
		close(talk[0]);
		witness_main(scene->fd, talk[1]);
	}
	close(talk[1]);
	scene->talk = talk[0];
	/* It has mapped when it answers. */
	assert_scene_intact(scene, 1);
}

void assert_scene_intact(struct scene *scene, unsigned int others)
{
	uint64_t said = 0, seen = 0;
	unsigned int i;

	assert_int_equal(send(scene->talk, &said, sizeof(said), MSG_NOSIGNAL), sizeof(said));
	assert_int_equal(read(scene->talk, &said, sizeof(said)), sizeof(said));
	assert_int_not_equal(said, 0);
	assert_int_equal(pread(scene->fd, &seen, sizeof(seen), COUNTER), sizeof(seen));
	assert_int_equal(seen, said);
	for (i = 0; i < SCENE_PLACES; i++)
		assert_int_equal(frame_at(scene->fd, scene_places[i]), scene->frames[i]);
	assert_int_equal(info_of(scene->fd).frame_bytes, scene->frame_bytes);
	assert_int_equal(info_of(scene->fd).attachments, 1 + others);
}

/* Files. */

const char *read_text(const char *path, ...)
{
	static char text[1 << 17];
	char full[256];
	ssize_t got;
	size_t length = 0;
	va_list args;
	int fd;

	va_start(args, path);
	vsnprintf(full, sizeof(full), path, args);
	va_end(args);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += got;
	if (fd >= 0)
		close(fd);
	text[length] = 0;
	return text;
}

bool cpu_has(const char *flag)
{
	const char *flags = strstr(read_text("/proc/cpuinfo"), "\nflags"), *found;
	size_t length = strlen(flag);

	for (found = flags; found && (found = strstr(found, flag)); found += length)
		if (found[-1] == ' ' && strchr(" \n", found[length]))
			return true;
	return false;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = strlen(text);
	bool done = fd >= 0 && write(fd, text, length) == length;

	if (fd >= 0)
		close(fd);
	return done;
}

const char *maps_line(pid_t pid, const void *address)
{
	unsigned long at = (uintptr_t)address, start, end;
	const char *text = pid ? read_text("/proc/%d/maps", pid) : read_text("/proc/self/maps");
	static char line[512];

	for (; *text; text = strchr(text, '\n') + 1) {
		if (sscanf(text, "%lx-%lx", &start, &end) != 2 || at < start || at >= end)
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		return line;
	}
	return "";
}

int scratch_file(size_t length)
{
	const char *folder = getenv("MORSEL_SCRATCH") ?: "/scratch";
	int fd = open(folder, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, length)) {
		close(fd);
		return -1;
	}
	return fd;
}
