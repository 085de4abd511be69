// SPDX-License-Identifier: GPL-2.0
/*
 * Debug builds: the frame allocator and the dram pool beside the kernel's
 * alloc_pages(), for bench/run.
 *
 * Reading debugfs' morsel/bench measures.  Each row is a line of JSON, as those of
 * bench/bench.c; lines with '#' are for people.  Each CPU gets frames, waits
 * for the others, and puts them, the two sides in turns.
 *
 * To be loaded with poison=0, and for the rows without clearing in a kernel that
 * runs with init_on_alloc=0: what is said of others tells so.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "debug/debug.h"
#include "frames/frames.h"
#include "pools/pool.h"

/* An odd number, for the median.  One more goes before, to warm everything up. */
#define ROUNDS 31
#define MAX_WORKERS 2
#define MAX_COUNT 4096

/* What the allocator alone hands out frames of: 4 GiB that are not there. */
#define SCRATCH_FRAMES (1UL << 20)

/* Room for all lines: without, they would be measured again. */
#define LINES_SIZE (16 * 1024)

enum side { MORSEL, PEER, SIDES };
enum phase { GET, PUT, BOTH, PHASES };

struct bench;
struct worker;

/**
 * struct way - where frames come from
 * @get:	get frames as the row says; returns how many
 * @put:	put @got frames back; returns 0 or a negative errno
 */
struct way {
	unsigned int (*get)(struct worker *worker);
	int (*put)(struct worker *worker, unsigned int got);
};

/**
 * struct row - what is measured
 * @name:	with more than one CPU, their number is added
 * @peer:	what the peer is
 * @ours:	this side
 * @order:	of the frames
 * @batch:	how many each call gets, and puts
 * @count:	how many each CPU gets before it puts them
 * @gfp:	flags for the peer
 */
struct row {
	const char *name;
	const char *peer;
	const struct way *ours;
	unsigned int order;
	unsigned int batch;
	unsigned int count;
	gfp_t gfp;
};

/**
 * struct worker - a CPU's part
 * @bench:	of this
 * @cpu:	the CPU
 * @task:	its thread, in a round
 * @done:	the round is over
 * @ns:		what GET and PUT took
 * @pages:	the kernel's frames
 * @numbers:	ours
 */
struct worker {
	struct bench *bench;
	unsigned int cpu;
	struct task_struct *task;
	struct completion done;
	u64 ns[BOTH];
	struct page *pages[MAX_COUNT];
	u64 numbers[MAX_COUNT];
};

/**
 * struct bench - all of it
 * @scratch:	the allocator alone
 * @pool:	the nearest pool
 * @row:	what is being measured
 * @way:	the side whose turn it is
 * @nr_cpus:	how many there are for it
 * @nr_workers:	how many of them are at work
 * @arrived:	how often workers have come to where they meet
 * @took:	by round, hundredths of ns for a frame
 * @workers:	a CPU each
 */
struct bench {
	struct frames scratch;
	struct frame_pool *pool;
	const struct row *row;
	const struct way *way;
	unsigned int nr_cpus;
	unsigned int nr_workers;
	atomic_t arrived;
	u64 took[SIDES][PHASES][ROUNDS];
	struct worker workers[MAX_WORKERS];
};

/* One after the other: they would be in each other's way. */
static DEFINE_MUTEX(bench_lock);
static struct dentry *bench_dir;

static unsigned int next_batch(const struct row *row, unsigned int done, unsigned int count)
{
	return min(row->batch, count - done);
}

/* The allocator alone. */

static unsigned int frames_way_get(struct worker *worker)
{
	const struct row *row = worker->bench->row;
	unsigned int got = 0, more;

	for (; got < row->count; got += more) {
		more = frames_get(&worker->bench->scratch, worker->cpu, row->order,
				  next_batch(row, got, row->count), worker->numbers + got);
		if (!more)
			break;
	}
	return got;
}

static int frames_way_put(struct worker *worker, unsigned int got)
{
	const struct row *row = worker->bench->row;
	unsigned int done, count;
	int err = 0;

	for (done = 0; done < got; done += count) {
		count = next_batch(row, done, got);
		err |= frames_put(&worker->bench->scratch, worker->cpu, row->order, count,
				  worker->numbers + done);
	}
	return err ? -EIO : 0;
}

static const struct way frames_way = {frames_way_get, frames_way_put};

/* The pool, as morsels use it. */

static unsigned int pool_way_get(struct worker *worker)
{
	const struct row *row = worker->bench->row;
	struct frame_pool *pool = worker->bench->pool;
	unsigned int got = 0, more;

	for (; got < row->count; got += more) {
		more = pool->ops->get(pool, TAKE_HARD, row->order, next_batch(row, got, row->count),
				      worker->numbers + got);
		if (!more)
			break;
	}
	return got;
}

static int pool_way_put(struct worker *worker, unsigned int got)
{
	const struct row *row = worker->bench->row;
	struct frame_pool *pool = worker->bench->pool;
	unsigned int done, count;

	for (done = 0; done < got; done += count) {
		count = next_batch(row, done, got);
		pool->ops->put(pool, row->order, count, worker->numbers + done);
	}
	return 0;
}

static const struct way pool_way = {pool_way_get, pool_way_put};

/* The kernel. */

static unsigned int kernel_way_get(struct worker *worker)
{
	const struct row *row = worker->bench->row;
	/* Running out is the reader's to know, and nobody else's. */
	gfp_t gfp = row->gfp | GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	unsigned int got = 0, more;

	for (; got < row->count; got += more) {
		struct page **pages = worker->pages + got;

		if (row->batch > 1) {
			more = alloc_pages_bulk(gfp, next_batch(row, got, row->count), pages);
		} else {
			*pages = alloc_pages(gfp, row->order);
			more = *pages ? 1 : 0;
		}
		if (!more)
			break;
	}
	return got;
}

static int kernel_way_put(struct worker *worker, unsigned int got)
{
	const struct row *row = worker->bench->row;
	unsigned int i;

	for (i = 0; i < got; i++)
		__free_pages(worker->pages[i], row->order);
	return 0;
}

static const struct way kernel_way = {kernel_way_get, kernel_way_put};

static const struct row rows[] = {
	{"frames_4k", "alloc_pages", &frames_way, 0, 1, MAX_COUNT},
	{"frames_4k_batch", "alloc_pages_bulk", &frames_way, 0, 64, MAX_COUNT},
	{"frames_2m", "alloc_pages", &frames_way, HUGE_ORDER, 1, 64},
	{"pool_4k", "alloc_pages + __GFP_ZERO", &pool_way, 0, 1, MAX_COUNT, __GFP_ZERO},
	{"pool_4k_batch", "alloc_pages_bulk + __GFP_ZERO", &pool_way, 0, 64, MAX_COUNT, __GFP_ZERO},
	{"pool_2m", "alloc_pages + __GFP_ZERO", &pool_way, HUGE_ORDER, 1, 64,
	 __GFP_ZERO | __GFP_COMP},
};

/* Rounds. */

/* Wait until all workers are here, for the @nth time in the round. */
static void meet(struct bench *bench, unsigned int nth)
{
	atomic_inc(&bench->arrived);
	while (atomic_read(&bench->arrived) < nth * bench->nr_workers) {
		cpu_relax();
		cond_resched();
	}
}

static int work(void *data)
{
	struct worker *worker = data;
	struct bench *bench = worker->bench;
	unsigned int got;
	u64 start;
	int err;

	meet(bench, 1);
	start = ktime_get_ns();
	got = bench->way->get(worker);
	worker->ns[GET] = ktime_get_ns() - start;

	meet(bench, 2);
	start = ktime_get_ns();
	err = bench->way->put(worker, got);
	worker->ns[PUT] = ktime_get_ns() - start;

	complete(&worker->done);
	return got < bench->row->count ? -ENOMEM : err;
}

/* Its thread is not under way yet. */
static int worker_make(struct worker *worker)
{
	struct task_struct *task;

	init_completion(&worker->done);
	/* What the kernel gets many of at once goes where there is none yet. */
	memset(worker->pages, 0, sizeof(worker->pages));
	task = kthread_create(work, worker, "morsel-bench/%u", worker->cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	/* It ends by itself, and is asked for its result afterwards. */
	worker->task = get_task_struct(task);
	kthread_bind(task, worker->cpu);
	return 0;
}

static int worker_end(struct worker *worker)
{
	int err = kthread_stop(worker->task);

	put_task_struct(worker->task);
	return err;
}

/* One side's turn. */
static int run_once(struct bench *bench, const struct way *way)
{
	unsigned int made, i;
	int err = 0, ended;

	bench->way = way;
	atomic_set(&bench->arrived, 0);
	for (made = 0; made < bench->nr_workers; made++) {
		err = worker_make(&bench->workers[made]);
		if (err)
			break;
	}
	if (!err) {
		for (i = 0; i < made; i++)
			wake_up_process(bench->workers[i].task);
		for (i = 0; i < made; i++)
			wait_for_completion(&bench->workers[i].done);
	}
	while (made--) {
		ended = worker_end(&bench->workers[made]);
		err = err ?: ended;
	}
	return err;
}

static void note(struct bench *bench, enum side side, unsigned int round)
{
	u64 frames = bench->nr_workers * bench->row->count, ns[BOTH] = {};
	unsigned int i;

	for (i = 0; i < bench->nr_workers; i++) {
		ns[GET] += bench->workers[i].ns[GET];
		ns[PUT] += bench->workers[i].ns[PUT];
	}
	bench->took[side][GET][round] = ns[GET] * 100 / frames;
	bench->took[side][PUT][round] = ns[PUT] * 100 / frames;
	bench->took[side][BOTH][round] = (ns[GET] + ns[PUT]) * 100 / frames;
}

static int run_rounds(struct bench *bench)
{
	const struct way *ways[SIDES] = {bench->row->ours, &kernel_way};
	enum side side;
	int round, err;

	for (round = -1; round < ROUNDS; round++) {
		for (side = MORSEL; side < SIDES; side++) {
			if (fatal_signal_pending(current))
				return -EINTR;
			err = run_once(bench, ways[side]);
			if (err)
				return err;
			if (round >= 0)
				note(bench, side, round);
		}
	}
	return 0;
}

/* What comes of it. */

static int by_value(const void *left, const void *right)
{
	u64 a = *(const u64 *)left, b = *(const u64 *)right;

	return (a > b) - (a < b);
}

static void show_hundredths(struct seq_file *m, const char *before, u64 value)
{
	seq_printf(m, "%s%llu.%02llu", before, value / 100, value % 100);
}

static void show_name(struct seq_file *m, const char *before, const struct bench *bench)
{
	seq_printf(m, "%s%s", before, bench->row->name);
	if (bench->nr_workers > 1)
		seq_printf(m, "_%ucpus", bench->nr_workers);
}

static void report(struct seq_file *m, struct bench *bench)
{
	u64 median[SIDES][PHASES], ratio;
	enum phase phase;
	enum side side;

	for (side = MORSEL; side < SIDES; side++) {
		for (phase = GET; phase < PHASES; phase++) {
			u64 *values = bench->took[side][phase];

			sort(values, ROUNDS, sizeof(*values), by_value, NULL);
			median[side][phase] = values[ROUNDS / 2];
		}
	}
	ratio = median[PEER][BOTH] * 100 / max(median[MORSEL][BOTH], 1ULL);

	show_name(m, "{\"name\": \"", bench);
	show_hundredths(m, "\", \"unit\": \"ns\", \"morsel\": ", median[MORSEL][BOTH]);
	show_hundredths(m, ", \"peer\": ", median[PEER][BOTH]);
	seq_printf(m, ", \"peer_name\": \"%s\"", bench->row->peer);
	show_hundredths(m, ", \"ratio\": ", ratio);
	seq_printf(m, ", \"runs\": %u}\n", ROUNDS);

	show_name(m, "# ", bench);
	show_hundredths(m, ": get ", median[MORSEL][GET]);
	show_hundredths(m, ", put ", median[MORSEL][PUT]);
	show_hundredths(m, "; peer: get ", median[PEER][GET]);
	show_hundredths(m, ", put ", median[PEER][PUT]);
	seq_putc(m, '\n');
}

static int bench_rows(struct seq_file *m, struct bench *bench)
{
	unsigned int i;
	int err;

	if (morsel_poisons)
		seq_puts(m, "# the module poisons free frames: load it with poison=0\n");
	if (want_init_on_alloc(GFP_KERNEL))
		seq_puts(m, "# the kernel clears all frames: boot it with init_on_alloc=0\n");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bench->row = &rows[i];
		for (bench->nr_workers = 1; bench->nr_workers <= bench->nr_cpus;
		     bench->nr_workers++) {
			err = run_rounds(bench);
			if (err == -EINTR)
				return err;
			if (err)
				seq_printf(m, "# %s: error %d\n", rows[i].name, err);
			else
				report(m, bench);
		}
	}
	return 0;
}

static int scratch_make(struct frames *scratch)
{
	size_t slots_size = nr_cpu_ids * sizeof(struct frames_slot);

	scratch->bits = morsel_lines_alloc(frames_words_size(SCRATCH_FRAMES), NUMA_NO_NODE);
	scratch->slots = morsel_lines_alloc(slots_size, NUMA_NO_NODE);
	if (!scratch->bits || !scratch->slots)
		return -ENOMEM;
	if (frames_init(scratch, SCRATCH_FRAMES, scratch->bits, scratch->slots, nr_cpu_ids, 1))
		return -EINVAL;
	frames_clear(scratch, true);
	return 0;
}

static void bench_free(struct bench *bench)
{
	kvfree(bench->scratch.bits);
	kvfree(bench->scratch.slots);
	kvfree(bench);
}

static struct bench *bench_make(void)
{
	struct bench *bench = kvzalloc(sizeof(*bench), GFP_KERNEL);
	int cpu = -1;

	if (!bench)
		return NULL;
	if (scratch_make(&bench->scratch)) {
		bench_free(bench);
		return NULL;
	}
	while (bench->nr_cpus < MAX_WORKERS) {
		struct worker *worker = &bench->workers[bench->nr_cpus];

		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			break;
		worker->bench = bench;
		worker->cpu = cpu;
		bench->nr_cpus++;
	}
	return bench;
}

static int bench_measure(struct seq_file *m)
{
	struct bench *bench = bench_make();
	int err;

	if (!bench)
		return -ENOMEM;
	/* Counted as a morsel, so that the pool stays. */
	bench->pool = morsel_pool_choose(MORSEL_ANY, MORSEL_ANY, NULL);
	if (IS_ERR(bench->pool)) {
		err = PTR_ERR(bench->pool);
	} else {
		err = bench_rows(m, bench);
		morsel_pool_release(bench->pool);
	}
	bench_free(bench);
	return err;
}

static int bench_show(struct seq_file *m, void *unused)
{
	int err = mutex_lock_killable(&bench_lock);

	if (err)
		return err;
	err = bench_measure(m);
	mutex_unlock(&bench_lock);
	return err;
}

static int bench_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, bench_show, NULL, LINES_SIZE);
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.open = bench_open,
	.read = seq_read,
	.release = single_release,
};

/**
 * morsel_bench_init() - offer the benchmark; who has no debugfs goes without
 */
void morsel_bench_init(void)
{
	bench_dir = debugfs_create_dir("morsel", NULL);
	debugfs_create_file("bench", 0400, bench_dir, NULL, &bench_fops);
}

/**
 * morsel_bench_exit() - wait for who is in it, and offer it no more
 */
void morsel_bench_exit(void)
{
	debugfs_remove(bench_dir);
}
