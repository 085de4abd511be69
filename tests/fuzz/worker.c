// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: the table of operations, and the process that does them.
 */
#include "fuzz.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

const struct operation operations[] = {
	{"QUERY", 5, op_query, MORSEL_IOC_QUERY},
	{"CREATE", 50, op_create, 0},
	{"CREATE, no descriptor", 2, op_create, 1},
	{"OPEN", 30, op_open, MORSEL_IOC_OPEN},
	{"UNLINK", 15, op_unlink, MORSEL_IOC_UNLINK},
	{"LIST", 10, op_list, MORSEL_IOC_LIST},
	{"NODES", 5, op_list, MORSEL_IOC_NODES},
	{"LIMIT_GET", 5, op_limit, MORSEL_IOC_LIMIT_GET},
	{"LIMIT_SET", 5, op_limit, MORSEL_IOC_LIMIT_SET},
	{"POOL_LIST", 5, op_list, MORSEL_IOC_POOL_LIST},
	{"POOL_STAT", 5, op_pool_stat, MORSEL_IOC_POOL_STAT},
	{"POOL_ADD", 5, op_pool, MORSEL_IOC_POOL_ADD},
	{"POOL_RESIZE", 5, op_pool, MORSEL_IOC_POOL_RESIZE},
	{"POOL_REMOVE", 3, op_pool, MORSEL_IOC_POOL_REMOVE},
	{"STAT", 10, op_stat, MORSEL_IOC_STAT},
	{"POPULATE", 20, op_range, MORSEL_IOC_POPULATE},
	{"RESERVE", 10, op_range, MORSEL_IOC_RESERVE},
	{"PUNCH", 30, op_range, MORSEL_IOC_PUNCH},
	{"EXTENTS", 15, op_list, MORSEL_IOC_EXTENTS},
	{"TUNE", 10, op_tune, MORSEL_IOC_TUNE},
	{"SEAL", 10, op_seal, MORSEL_IOC_SEAL},
	{"CLONE", 25, op_clone, MORSEL_IOC_CLONE},
	{"ROLLBACK", 10, op_rollback, MORSEL_IOC_ROLLBACK},
	{"GIVE", 10, op_give, MORSEL_IOC_GIVE},
	{"VIEW", 40, op_view, MORSEL_IOC_VIEW},
	{"ACQUIRE", 30, op_acquire, MORSEL_IOC_ACQUIRE},
	{"RELEASE", 10, op_release, MORSEL_IOC_RELEASE},
	{"RESTRICT", 4, op_restrict, MORSEL_IOC_RESTRICT},
	{"DIFF", 10, op_diff, MORSEL_IOC_DIFF},
	{"ioctl", 15, op_ioctl, 0},
	{"read", 15, op_rw, READ},
	{"write", 15, op_rw, WRITE},
	{"pread", 15, op_rw, PREAD},
	{"pwrite", 15, op_rw, PWRITE},
	{"preadv2", 10, op_rw, PREADV},
	{"pwritev2", 10, op_rw, PWRITEV},
	{"lseek", 10, op_lseek, 0},
	{"fallocate", 20, op_fallocate, 0},
	{"ftruncate", 3, op_meta, TRUNCATE},
	{"fstat", 5, op_meta, STAT},
	{"fchmod", 3, op_meta, CHMOD},
	{"fchown", 3, op_meta, CHOWN},
	{"fsync", 3, op_meta, SYNC},
	{"fcntl", 3, op_meta, FLAGS},
	{"futimens", 2, op_meta, TIMES},
	{"splice", 25, op_splice, 0},
	{"sendfile", 10, op_sendfile, 0},
	{"dup", 10, op_dup, 0},
	{"close", 25, op_close, 0},
	{"close all", 2, op_close, 1},
	{"send descriptor", 15, op_pass, 1},
	{"receive descriptor", 15, op_pass, 0},
	{"path open", 30, op_path, PATH_OPEN},
	{"mkdir", 8, op_path, PATH_MKDIR},
	{"mknod", 5, op_path, PATH_MKNOD},
	{"link", 6, op_path, PATH_LINK},
	{"symlink", 4, op_path, PATH_SYMLINK},
	{"rename", 10, op_path, PATH_RENAME},
	{"unlink", 12, op_path, PATH_UNLINK},
	{"getdents", 5, op_path, PATH_LIST},
	{"path change", 8, op_path, PATH_CHANGE},
	{"path tell", 6, op_path, PATH_TELL},
	{"mount", 2, op_mount, 0},
	{"remount", 2, op_mount, 1},
	{"mmap", 90, op_mmap, 0},
	{"touch", 60, op_touch, 0},
	{"copy", 20, op_copy, 0},
	{"munmap", 25, op_munmap, 0},
	{"mremap", 40, op_mremap, 0},
	{"mprotect", 40, op_mprotect, 0},
	{"madvise", 50, op_madvise, 0},
	{"process_vm", 20, op_process_vm, 0},
	{"mlock", 8, op_memory, LOCK},
	{"munlock", 5, op_memory, UNLOCK},
	{"mincore", 5, op_memory, INCORE},
	{"msync", 5, op_memory, FLUSH},
	{"mbind", 5, op_memory, BIND},
	{"set_mempolicy", 3, op_policy, 0},
	{"O_DIRECT", 20, op_direct, 0},
	{"proc", 8, op_proc, 0},
	{"fork", 10, op_fork, 0, true},
	{"thread", 15, op_thread, 0, true},
	{"sweep", 1, op_sweep, 0},
	{"shrink", 1, op_shrink, 0},
	{"timer", 4, op_timer, 0},
	{"signal", 10, op_signal, 0},
	{"poison", 1, op_poison, 0, true},
	{"io_uring", 15, op_ring, 0, true},
	{"die", 1, op_die, 0, true},
};
const unsigned int nr_operations = ARRAY_SIZE(operations);
_Static_assert(ARRAY_SIZE(operations) <= ARRAY_SIZE(shared->counts), "room for the counts");

void do_op(uint64_t number)
{
	struct seat *seat = &shared->seats[self];
	const struct operation *op;
	unsigned int total = 0;
	unsigned long took;
	struct count *count;
	uint64_t dice;
	double begin;
	long result;

	for (op = operations; op < operations + ARRAY_SIZE(operations); op++)
		total += op->weight;
	rng = mix(seed + mix(mix(self + 1) + number));
	dice = below(total);
	for (op = operations; dice >= op->weight; op++)
		dice -= op->weight;
	if (in_child && op->alone)
		return;

	op_name = op->name;
	if (!in_child) {
		op_number = number;
		seat->what = op - operations;
		seat->op = number;
	}
	count = &shared->counts[op - operations];
	count->done++;
	begin = seconds_now();
	result = op->function(op->arg);
	took = (seconds_now() - begin) * 1e6;
	if (result == SKIP)
		count->done--;
	if (result >= 0)
		count->succeeded++;
	count->us += took;
	if (took > count->max_us)
		count->max_us = took;
	cover_drain(&covers[in_child]);
}

static void drop_rights(uid_t user)
{
	if (setgroups(0, NULL) || setresgid(GROUP, GROUP, GROUP) || setresuid(user, user, user))
		_exit(3);
	/* Its own files in /proc, and those of its like. */
	prctl(PR_SET_DUMPABLE, 1);
}

static void on_signal(int signal_number)
{
}

_Noreturn void work(uint64_t number, uint64_t end)
{
	const struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
	/* What it cuts short is not begun again. */
	const struct sigaction come = {.sa_handler = on_signal};
	const struct rlimit no_core = {}, files = {MAX_FD, MAX_FD};
	unsigned int i;
	int fd;

	setpgid(0, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGALRM, &come, NULL);
	sigaction(SIGUSR1, &come, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_NOFILE, &files);
	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		_exit(3);
	for (i = 0; covering && i < ARRAY_SIZE(covers); i++)
		if (cover_open(&covers[i]))
			_exit(3);
	for (fd = 0; fd < MAX_FD; fd++)
		essential[fd] = fcntl(fd, F_GETFD) >= 0;
	memset(fds, -1, sizeof(fds));
	pkey = pkey_alloc(0, 0);
	make_buffers();
	if (self % 4 == 3)
		enter_namespace(drop_rights, OTHER);
	else if (self % 2)
		drop_rights(TESTER);
	prctl(PR_SET_PDEATHSIG, SIGKILL);

	cover_begin(&covers[0]);
	for (; number < end && !shared->stop; number++)
		do_op(number);
	shared->seats[self].finished = true;
	_exit(0);
}
