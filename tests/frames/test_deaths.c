// SPDX-License-Identifier: GPL-2.0
/*
 * Hosts die at each store that they make, and others go on at each: all in one process,
 * one after the other, so that nothing is left to luck.
 *
 * The core is built to tell of each store, and to ask before each access.  Who is to die
 * never comes back from that; who is only slow finds, when he does, that others have done
 * things meanwhile.
 */
#include "stop.h"

#define SLOTS 3
#define NR_OWNERS 128
#define WORDS_SIZE 4096

/* Hosts: one that dies; one that goes on; one that takes back. */
enum { DEAD = 1, OTHER, TAKER, HOSTS = TAKER };

/**
 * struct world - hosts that share words
 * @runs:	the hosts; 0 is nobody's
 * @slots:	of each
 * @flight:	how many frames each is getting or putting
 * @entries:	of owners, those of each host
 * @map:	who has each frame
 * @words:	of the allocator
 */
struct world {
	struct run runs[HOSTS + 1];
	struct frames_slot slots[HOSTS + 1][SLOTS];
	uint64_t flight[HOSTS + 1];
	uint64_t entries[HOSTS + 1][NR_OWNERS];
	uint8_t map[16 * FRAMES_PER_CHILD];
	uint8_t words[WORDS_SIZE] __attribute__((aligned(FRAMES_LINE)));
};

static struct world world;

static jmp_buf death;

static void die(void)
{
	longjmp(death, 1);
}

/* Have a host do something, until it has made so many stores; true if it lives. */
static bool lives(void (*what)(struct run *run), struct run *run, uint64_t stores)
{
	bool died = setjmp(death);

	if (!died) {
		at_store = (struct stop){.happens = die, .left = stores};
		what(run);
		at_store.happens = NULL;
	}
	return !died;
}

static void world_new(uint64_t nr_frames, uint64_t stream)
{
	uint32_t host;

	memset(&world, 0, sizeof(world));
	assert_true(frames_words_size(nr_frames) <= WORDS_SIZE && nr_frames <= sizeof(world.map));
	for (host = 1; host <= HOSTS; host++) {
		struct run *run = &world.runs[host];

		run->owners = (struct owners){world.entries[host], NR_OWNERS};
		run->rng = rnd_stream("deaths", stream * (HOSTS + 1) + host);
		run->map = world.map;
		run->flight = &world.flight[host];
		assert_int_equal(frames_init(&run->f, nr_frames, world.words, world.slots[host],
					     SLOTS, host),
				 0);
	}
	frames_clear(&world.runs[OTHER].f, true);
}

static void assert_no_fault(const char *found)
{
	if (found)
		fail_msg("%s", found);
}

static void assert_nobody_failed(void)
{
	uint32_t host;

	for (host = 1; host <= HOSTS; host++)
		assert_no_fault(world.runs[host].failed);
}

/* All is quiet: with the help of owners, nothing is lost, and nobody has what is another's. */
static void assert_recovers(void)
{
	struct owners all = {world.entries[0], (HOSTS + 1) * NR_OWNERS};
	struct frames *f = &world.runs[OTHER].f;
	uint64_t given;

	assert_no_fault(recover_owned(f, &all, &given));
	assert_no_fault(check_owned(f, &all));
	assert_no_fault(check_put(f, &all));
}

static void do_many_things(struct run *run)
{
	do_things(run, 12);
}

static void take_dead_back(struct run *run)
{
	frames_take_back(&run->f, DEAD);
}

/* The living have drained: no claim is left, and of frames no more than were in flight. */
static void assert_little_is_lost(void)
{
	struct owners all = {world.entries[0], (HOSTS + 1) * NR_OWNERS};
	struct frames *f = &world.runs[OTHER].f;
	uint64_t lost;

	frames_drain(f);
	assert_no_fault(check_claims(f));
	assert_no_fault(check_lost(f, &all, &lost));
	if (lost > world.flight[DEAD])
		fail_msg("%" PRIu64 " frames are lost, %" PRIu64 " were in flight", lost,
			 world.flight[DEAD]);
}

/* After the deaths, nothing that the dead had claimed is left, and others go on. */
static void live_on(bool taker_lives)
{
	struct run *dead = &world.runs[DEAD], *other = &world.runs[OTHER],
		   *taker = &world.runs[TAKER];
	uint64_t claimed;

	frames_drain(&taker->f);
	claimed = claims_of(&other->f, DEAD);
	assert_int_equal(frames_take_back(&other->f, DEAD), claimed);
	assert_int_equal(claims_of(&other->f, DEAD), 0);
	assert_little_is_lost();
	put_all(other, &dead->owners, DEAD);
	do_many_things(other);
	if (taker_lives)
		do_many_things(taker);
	frames_drain(&taker->f);
	frames_drain(&other->f);
	assert_nobody_failed();
	assert_recovers();
}

/*
 * One dies after so many stores, who takes back after some others; false if the first had
 * no more to make, and lives.
 */
static bool die_both(uint64_t stream, uint64_t stores, uint64_t taker_stores, bool *taker_lives)
{
	struct run *other = &world.runs[OTHER], *taker = &world.runs[TAKER];
	uint64_t claimed;

	world_new(9 * FRAMES_PER_CHILD + 3, stream);
	do_many_things(other);
	do_many_things(taker);
	if (lives(do_many_things, &world.runs[DEAD], stores))
		return false;
	claimed = claims_of(&other->f, DEAD);
	*taker_lives = lives(take_dead_back, taker, taker_stores);
	/* Each claim takes a store at least. */
	assert_true(!*taker_lives || taker_stores >= claimed);
	if (!*taker_lives) {
		/* What a dead host had in its own memory is gone. */
		memset(world.slots[TAKER], 0, sizeof(world.slots[TAKER]));
		frames_take_back(&other->f, TAKER);
	}
	live_on(*taker_lives);
	return true;
}

/* Returns how many stores there were; @nr counts the deaths. */
static uint64_t die_at_each_store(uint64_t stream, uint64_t *nr)
{
	uint64_t stores = 0, taker_stores = 0;
	bool taker_lives = false;

	while (die_both(stream, stores, taker_stores, &taker_lives)) {
		*nr += 1 + !taker_lives;
		if (taker_lives)
			stores++;
		taker_stores = taker_lives ? 0 : taker_stores + 1;
	}
	return stores;
}

/* Fails if a claim, or more than was in flight, is lost by a death at some store. */
static void a_host_can_die_at_any_store_and_so_can_who_takes_back(void **state)
{
	uint64_t stores = 0, nr = 0, stream;

	for (stream = 0; stream < rounds_of(100); stream++)
		stores += die_at_each_store(stream, &nr);
	print_message("# %" PRIu64 " stores, %" PRIu64 " deaths\n", stores, nr);
	/* Or else nobody tells. */
	assert_true(stores);
}

/* From here on, a host is slow while the dead one is taken back. */

static void get_huge(struct run *run)
{
	if (get_at(run, 0, FRAMES_HUGE_ORDER))
		put_all(run, &run->owners, run->f.host);
}

/* All that others may do meanwhile; the huge frame is kept, if it can be had. */
static void take_all(void)
{
	struct run *taker = &world.runs[TAKER];

	take_dead_back(taker);
	put_all(taker, &world.runs[DEAD].owners, DEAD);
	get_at(taker, 0, FRAMES_HUGE_ORDER);
}

static void take_back_only(void)
{
	take_dead_back(&world.runs[TAKER]);
}

static void get_one(struct run *run)
{
	uint64_t frame;

	if (frames_get(&run->f, 0, 0, 1, &frame))
		own(run, 0, 1, &frame, 0, 0);
}

static void get_several(struct run *run)
{
	uint64_t frames[6];
	uint32_t nr = frames_get(&run->f, 0, 0, 6, frames);

	own(run, 0, nr, frames, 0, 0);
}

static void get_run(struct run *run)
{
	uint64_t frame;

	if (frames_get(&run->f, 0, 2, 1, &frame))
		own(run, 0, 1, &frame, 2, 0);
}

static void get_first(struct run *run)
{
	uint64_t frame = 0;

	if (!frames_get_at(&run->f, frame, 0))
		own(run, 0, 1, &frame, 0, 0);
}

static void put_own(struct run *run)
{
	put_all(run, &run->owners, run->f.host);
}

static void drain(struct run *run)
{
	frames_drain(&run->f);
}

/*
 * There is one child, which the dead one has claimed, and in which the other owns
 * @nr frames, after he has put some.
 */
static void share_child(uint32_t nr)
{
	struct run *dead = &world.runs[DEAD], *other = &world.runs[OTHER];
	uint64_t frames[40];

	world_new(FRAMES_PER_CHILD, 0);
	assert_int_equal(frames_get(&dead->f, 0, 0, 40, frames), 40);
	own(other, 0, 20, frames, 0, 0);
	own(dead, 0, 20, frames + 20, 0, 0);
	put_from(other, &other->owners, OTHER, 0, 20 - nr);
	assert_int_equal(dead->f.children[0], DEAD << CHILD_HOST_SHIFT | (20 - nr));
}

/* What a host does. */
static void (*const acts[])(struct run *run) = {
	get_one, get_several, get_run, get_first, put_own, drain,
};

/* How many frames it owns of what it was to share. */
static const uint32_t owns[] = {0, 1, 12};

/* A host does something; before one of its accesses others do theirs.  False: there are fewer. */
static bool be_slow(void (*what)(struct run *run), uint32_t nr, void (*meanwhile)(void),
		    uint64_t accesses)
{
	struct run *other = &world.runs[OTHER], *taker = &world.runs[TAKER];
	size_t i;

	share_child(nr);
	at_access = (struct stop){.happens = meanwhile, .left = accesses};
	what(other);
	if (at_access.happens) {
		at_access.happens = NULL;
		return false;
	}
	put_own(taker);
	put_all(taker, &world.runs[DEAD].owners, DEAD);
	/* As ever less is in use, nobody must think that nothing is. */
	for (i = 0; i < NR_OWNERS; i++) {
		frames_drain(&other->f);
		get_huge(taker);
		if (other->owners.entries[i])
			put_from(other, &other->owners, OTHER, i, 1);
	}
	get_huge(taker);
	assert_nobody_failed();
	assert_recovers();
	return true;
}

/*
 * What is being got and put while the child is counted is counted wrongly.  Fails if
 * anybody believes so much of it that a frame has two owners.
 */
static void a_host_can_be_slow_at_any_access_while_another_is_taken_back(void **state)
{
	static void (*const meanwhile[])(void) = {take_back_only, take_all};
	uint64_t accesses, nr = 0;
	size_t i, j, k;

	for (i = 0; i < ARRAY_SIZE(acts); i++)
		for (j = 0; j < ARRAY_SIZE(owns); j++)
			for (k = 0; k < ARRAY_SIZE(meanwhile); k++) {
				accesses = 0;
				while (be_slow(acts[i], owns[j], meanwhile[k], accesses))
					accesses++;
				/* Who has nothing to put need not look. */
				assert_true(accesses || acts[i] == put_own);
				nr += accesses;
			}
	print_message("# %" PRIu64 " ways to be slow\n", nr);
}

static void (*others_act)(struct run *run);

static void have_other_act(void)
{
	others_act(&world.runs[OTHER]);
}

/* The same where who takes back is slow. */
static bool take_back_slowly(void (*what)(struct run *run), uint32_t nr, uint64_t accesses)
{
	bool acted;

	share_child(nr);
	others_act = what;
	at_access = (struct stop){.happens = have_other_act, .left = accesses};
	take_dead_back(&world.runs[TAKER]);
	acted = !at_access.happens;
	at_access.happens = NULL;
	/* Nothing was in flight, so nothing at all is lost. */
	assert_little_is_lost();
	assert_nobody_failed();
	assert_recovers();
	return acted;
}

/* Fails if what is put or got while the dead one's frames are counted is lost, or counted twice. */
static void who_takes_back_can_be_slow_at_any_access(void **state)
{
	uint64_t accesses, nr = 0;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(acts); i++)
		for (j = 0; j < ARRAY_SIZE(owns); j++) {
			accesses = 0;
			while (take_back_slowly(acts[i], owns[j], accesses))
				accesses++;
			assert_true(accesses);
			nr += accesses;
		}
	print_message("# %" PRIu64 " ways to be slow\n", nr);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_can_die_at_any_store_and_so_can_who_takes_back),
		cmocka_unit_test(a_host_can_be_slow_at_any_access_while_another_is_taken_back),
		cmocka_unit_test(who_takes_back_can_be_slow_at_any_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
