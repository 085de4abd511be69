/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer: what its parts know of each other.  See main.c.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "../common.h"

#define MAX_WORKERS 16
#define FDS 12 /* places for descriptors */
#define MAPS 12 /* places for mappings */
#define IDS 32 /* ids that somebody created lately */
#define MAX_FD 256
/* What a pool may hold while this runs, so that small machines survive it. */
#define CEILING (128 * MIB)
/* What one operation populates at most, mostly. */
#define PORTION (8 * MIB)
#define SCRATCH_LENGTH (8 * MIB)

/* Operations that no worker does in a round, and how long one lasts. */
#define ROUND (1UL << 24)
#define ROUND_SECONDS 15

/*
 * The odd workers are ordinary users, in the group that may use the device: TESTER, and by turns
 * OTHER, who owns the user namespace that the worker is root of: SUBORDINATE.
 */
#define GROUP 900

/* A part of an address space: nobody else's, so fixed mappings go there. */
#define ARENA (16 * TIB)
/* The first address that programs cannot have. */
#define USER_END 0x7ffffffff000UL

/* Of an operation whose place was empty. */
#define SKIP (-2)

struct range {
	char *addr;
	size_t len;
};

/* state.c: options. */
extern uint64_t seed, seconds, max_ops, workers, only, from;
extern bool tracing, covering;

extern int null, kmsg, scratch;
extern int sockets[MAX_WORKERS][2]; /* to receive from, to send to */

/* What all processes share. */
struct shared {
	atomic_bool stop;
	atomic_uint failures; /* of memory */
	_Atomic uint64_t ids[IDS];
	struct seat {
		pid_t pid;
		bool finished;
		_Atomic uint64_t op; /* the one it is at */
		_Atomic unsigned int what; /* its place in the table */
	} seats[MAX_WORKERS];
	struct count {
		atomic_ulong done, succeeded, us, max_us;
	} counts[128];
};

extern struct shared *shared;

/* A worker's own. */
extern unsigned int self;
extern uint64_t op_number;
extern const char *op_name;
extern bool in_child;
extern int fds[FDS];
extern struct range maps[MAPS];
extern int focus; /* the only mapping to choose, or -1 */
extern bool holding; /* what others wait for: nothing is to be touched that they may hold */
extern int pipes[2], exe, pkey;
extern bool essential[MAX_FD]; /* not to be closed */
extern struct range own[2]; /* the program itself; what is above all mappings */

/* state.c: dice. */
extern _Thread_local uint64_t rng;

uint64_t mix(uint64_t z);
uint64_t rnd(void);
uint64_t below(uint64_t limit);
bool chance(unsigned int one_in);
uint64_t interesting(void);
size_t near(size_t len);

#define FIRST(first, ...) (first)
#define PICK(...)                                                                       \
	({                                                                              \
		static __typeof__(FIRST(__VA_ARGS__) + 0) const list[] = {__VA_ARGS__}; \
		list[below(ARRAY_SIZE(list))];                                          \
	})

/* Tell of an operation that is about to be done. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

/* state.c: memory that may not be there. */
extern _Thread_local sigjmp_buf *guard;

extern struct buffers {
	struct range normal; /* what comes after it faults */
	char *page; /* so does what comes after this one */
	char *read_only; /* and this one */
} buffers;

void on_fault(int signal_number);
bool copy(volatile char *to, const volatile char *from, size_t len);
bool ours(const char *addr, size_t len);
void make_buffers(void);
char *buffer(size_t len);
void fill_buffer(char *at, const void *data, size_t len);
size_t amount(const char *at);
loff_t position(void);

/* state.c: descriptors. */
int morsel_fd(void);
int any_fd(void);
void close_ours(int fd);
long keep_fd(int fd);

/* worker.c: the table of operations, and who does them. */
struct operation {
	const char *name;
	unsigned int weight;
	long (*function)(long arg); /* -1: failed; SKIP: there was nothing to do */
	long arg;
	bool alone; /* not for children */
};

extern const struct operation operations[];
extern const unsigned int nr_operations;

void do_op(uint64_t number);
_Noreturn void work(uint64_t number, uint64_t end);

/* calls.c: the ioctls. */
long op_query(long cmd);
long op_create(long starve);
long op_open(long cmd);
long op_unlink(long cmd);
long op_list(long cmd);
long op_limit(long cmd);
long op_pool(long cmd);
long op_pool_stat(long cmd);
long op_stat(long cmd);
long op_range(long cmd);
long op_tune(long cmd);
long op_seal(long cmd);
long op_clone(long cmd);
long op_give(long cmd);
long op_rollback(long cmd);
long op_diff(long cmd);
long op_view(long cmd);
long op_acquire(long cmd);
long op_release(long cmd);
long op_restrict(long cmd);
long op_ioctl(long unused);
long op_sweep(long unused);

/* Who has ceilings. */
#define NR_USERS 6
extern const uint32_t users[NR_USERS];
int object(void);
uint64_t some_length(void);
int unlink_all(void);
void let_all_go(void);

/* files.c: what files are for. */
enum rw { READ, WRITE, PREAD, PWRITE, PREADV, PWRITEV };
enum meta { TRUNCATE, STAT, CHMOD, CHOWN, SYNC, FLAGS, TIMES };

long op_rw(long how);
long op_lseek(long unused);
long op_fallocate(long unused);
long op_meta(long what);
long op_splice(long unused);
long op_sendfile(long unused);
long op_dup(long unused);
long op_close(long all);
long op_pass(long send);

/* folders.c: a mount, and names in it. */
enum path {
	PATH_OPEN,
	PATH_MKDIR,
	PATH_MKNOD,
	PATH_LINK,
	PATH_SYMLINK,
	PATH_RENAME,
	PATH_UNLINK,
	PATH_LIST,
	PATH_CHANGE,
	PATH_TELL
};

long op_path(long what);
long op_mount(long again);
bool folders_begin(void);
bool folders_end(void);

/* spaces.c: address spaces. */
enum memory { LOCK, UNLOCK, INCORE, FLUSH, BIND };

void keep_map(char *addr, size_t len);

long op_mmap(long unused);
long op_touch(long unused);
long op_copy(long unused);
long op_munmap(long unused);
long op_mremap(long unused);
long op_mprotect(long unused);
long op_madvise(long unused);
long op_process_vm(long unused);
long op_memory(long what);
long op_policy(long unused);
long op_direct(long unused);
long op_proc(long unused);
long op_shrink(long unused);

/* processes.c */
long op_fork(long unused);
long op_thread(long unused);
long op_die(long unused);

/* hostile.c: what comes from outside. */
long op_timer(long unused);
long op_signal(long unused);
long op_poison(long unused);
long op_ring(long unused);
void enter_namespace(void (*drop_rights)(uid_t user), uid_t owner);

/* cover.c: which of the module's functions were reached. */
struct cover {
	int fd;
	uint64_t *buffer;
};

/* Of a worker, of its child, of its thread. */
extern struct cover covers[3];

int cover_open(struct cover *cover);
void cover_begin(const struct cover *cover);
void cover_drain(const struct cover *cover);
int cover_prepare(void);
void cover_report(void);
void trace_events(const char *on);

/* main.c */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif /* FUZZ_H */
