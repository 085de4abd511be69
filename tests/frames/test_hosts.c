// SPDX-License-Identifier: GPL-2.0
/*
 * Hosts that share the words: processes, of which one dies while the others go on.
 * A survivor takes back what the dead one had claimed, and may die in the middle of
 * that; frames that the dead one owned are put by a survivor, or left to who comes
 * with its number.
 *
 * Each frame has an entry in a map that all hosts see: nobody gets what somebody has.  What
 * is done derives from the seed, and so does after which of their stores hosts die; how they
 * meet does not.
 */
#include <linux/futex.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "stop.h"

#define HOSTS 3U
#define LOOKER (HOSTS + 1) /* the parent, when all is quiet */
#define SLOTS 8
#define NR_OWNERS 160
#define NR_FRAMES (44 * FRAMES_PER_CHILD + 300)
#define WORDS_SIZE (64 << 10)
#define ROUNDS_TO_RECOVERY 5

enum order { RUN, DIE, TAKE_BACK, TAKE_BACK_AND_DIE, PUT_BACK, PARK };
enum state { NEW, RUNS, TAKES, REPEATS, TOOK, PUTS, DONE, PARKED };

/*
 * Where a host dies: after any of its stores, where it has claimed something, where it has frames in
 * flight; or whenever it is killed from outside.
 */
enum where { ANYWHERE, CLAIMING, IN_FLIGHT, KILLED, NR_WHERE };

/**
 * struct seat - a host
 * @order:	what it is to do
 * @dead:	a bit for each host that it is to take back, or whose frames to put
 * @where:	it is to die, if it is
 * @stores:	how many such it makes before
 * @state:	what it is doing
 * @flight:	frames that it is getting or putting
 * @taken:	trees and children that it has taken back
 * @entries:	what it owns
 */
struct seat {
	uint32_t order, dead, where, stores, state;
	uint64_t flight, taken;
	uint64_t entries[NR_OWNERS];
};

/**
 * struct shared - what outlives a process
 * @seats:	of the hosts; 0 is nobody's
 * @failed:	what went wrong in one of them; else empty
 * @map:	who has each frame; 0: nobody
 * @words:	of the allocator
 */
struct shared {
	struct seat seats[HOSTS + 1];
	char failed[256];
	uint8_t map[NR_FRAMES];
	uint8_t words[WORDS_SIZE] __attribute__((aligned(FRAMES_LINE)));
};

/**
 * struct world - the hosts, as their parent has them
 * @shared:	what they share
 * @pids:	of those that live; 0: dead
 * @rng:	what is random here
 * @kills:	how many died
 * @takers:	of them, how many were within their first taking back
 * @taken:	trees and children that were taken back
 * @lost:	how many deaths since the last recovery have lost a frame at least
 * @flight:	frames that were in flight at the kills since the last recovery
 * @given:	frames that recovery gave back
 */
struct world {
	struct shared *shared;
	pid_t pids[HOSTS + 1];
	uint64_t rng;
	uint64_t kills, takers, taken, lost, flight, given;
};

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* Change a word, and wake who waits for that. */
static void tell(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Wait while a word is as it is; some time, if that is long. */
static void wait_while(const uint32_t *word, uint32_t value)
{
	static const struct timespec some = {.tv_nsec = 20000000};

	syscall(SYS_futex, word, FUTEX_WAIT, value, &some, NULL, 0);
}

/* The hosts. */

static void __attribute__((noreturn)) give_up(struct shared *shared, const char *why)
{
	snprintf(shared->failed, sizeof(shared->failed), "%s", why);
	_exit(1);
}

static struct owners owners_of(struct shared *shared, uint32_t host)
{
	return (struct owners){shared->seats[host].entries, NR_OWNERS};
}

static void die_at(const struct seat *seat)
{
	static bool (*const counts[])(const void *at) = {
		[CLAIMING] = claims,
		[IN_FLIGHT] = clears,
		[ANYWHERE] = NULL,
	};

	at_store = (struct stop){die_here, counts[seat->where], seat->stores};
}

/* What a host has taken back is taken: the second time there is nothing. */
static void take_back(struct shared *shared, struct run *run, struct seat *seat, bool die)
{
	uint32_t host;
	int64_t taken;

	__atomic_store_n(&seat->state, TAKES, __ATOMIC_SEQ_CST);
	if (die)
		die_at(seat);
	for (host = 1; host <= HOSTS; host++) {
		taken = seat->dead >> host & 1 ? frames_take_back(&run->f, host) : 0;
		if (taken < 0)
			give_up(shared, "a host cannot be taken back");
		seat->taken += (uint64_t)taken;
	}
	__atomic_store_n(&seat->state, REPEATS, __ATOMIC_SEQ_CST);
	for (host = 1; host <= HOSTS; host++)
		if (seat->dead >> host & 1 && frames_take_back(&run->f, host))
			give_up(shared, "a host was taken back, and had something again");
	tell(&seat->state, TOOK);
	/* Enough stores for those who are to die. */
	while (die && !run->failed)
		do_something(run);
}

static void put_back(struct shared *shared, struct run *run, struct seat *seat)
{
	struct owners owners;
	uint32_t host;

	tell(&seat->state, PUTS);
	for (host = 1; host <= HOSTS; host++) {
		owners = owners_of(shared, host);
		if (seat->dead >> host & 1)
			put_all(run, &owners, host);
	}
	tell(&seat->state, DONE);
}

static void obey(struct shared *shared, struct run *run, struct seat *seat)
{
	uint32_t state = load(&seat->state);

	switch (load(&seat->order)) {
	case DIE:
		if (!at_store.happens)
			die_at(seat);
		do_something(run);
		break;
	case TAKE_BACK_AND_DIE:
		take_back(shared, run, seat, true);
		break;
	case TAKE_BACK:
		if (state != TOOK)
			take_back(shared, run, seat, false);
		do_something(run);
		break;
	case PUT_BACK:
		if (state != DONE)
			put_back(shared, run, seat);
		do_something(run);
		break;
	case PARK:
		if (state != PARKED)
			frames_drain(&run->f);
		tell(&seat->state, PARKED);
		wait_while(&seat->order, PARK);
		break;
	default:
		do_something(run);
		if (state != RUNS)
			tell(&seat->state, RUNS);
	}
}

static void __attribute__((noreturn)) be_host(struct shared *shared, uint32_t host, uint64_t rng)
{
	static struct frames_slot slots[SLOTS];
	struct seat *seat = &shared->seats[host];
	struct run run = {
		.owners = owners_of(shared, host),
		.rng = rng,
		.filling = 50,
		.map = shared->map,
		.flight = &seat->flight,
	};

	oneself = &run;
	frames_init(&run.f, NR_FRAMES, shared->words, slots, SLOTS, host);
	run.f.durable = rng & 1;
	while (!run.failed)
		obey(shared, &run, seat);
	give_up(shared, run.failed);
}

/* Their parent. */

static void start(struct world *world, uint32_t host)
{
	struct seat *seat = &world->shared->seats[host];
	uint64_t rng = rnd(&world->rng);
	pid_t self = getpid(), pid;

	seat->order = RUN;
	seat->state = NEW;
	seat->flight = 0;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* Who is left behind goes, too. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self)
			be_host(world->shared, host, rng);
		_exit(1);
	}
	world->pids[host] = pid;
}

/* A host has ended that should not; if it has not said why, its sanitizer may have. */
static void note_death(struct shared *shared)
{
	if (!*shared->failed)
		snprintf(shared->failed, sizeof(shared->failed), "a host died by itself");
}

/* Wait for a host's death. */
static void bury(struct world *world, uint32_t host)
{
	struct seat *seat = &world->shared->seats[host];
	int status;

	assert_int_equal(waitpid(world->pids[host], &status, 0), world->pids[host]);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		note_death(world->shared);
	world->pids[host] = 0;
	world->kills++;
	world->flight += seat->flight;
	world->taken += seat->taken;
	seat->taken = 0;
}

static void kill_host(struct world *world, uint32_t host)
{
	kill(world->pids[host], SIGKILL);
	bury(world, host);
}

static void world_begin(struct world *world)
{
	struct frames_slot slots[SLOTS];
	struct frames f;
	uint32_t host;

	*world = (struct world){.rng = rnd_stream("hosts", 0)};
	world->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world->shared, MAP_FAILED);
	assert_true(frames_words_size(NR_FRAMES) <= WORDS_SIZE);
	assert_int_equal(frames_init(&f, NR_FRAMES, world->shared->words, slots, SLOTS, LOOKER), 0);
	frames_clear(&f, true);
	for (host = 1; host <= HOSTS; host++)
		start(world, host);
}

static void world_end(struct world *world)
{
	uint32_t host;

	for (host = 1; host <= HOSTS; host++)
		if (world->pids[host])
			kill_host(world, host);
	munmap(world->shared, sizeof(struct shared));
}

static void world_fail(struct world *world, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%s", *world->shared->failed ? world->shared->failed : why);
	world_end(world);
	fail_msg("after kill %" PRIu64 ": %s", world->kills, text);
}

/* Wait until a host is where it is to be, or one has failed. */
static void wait_for(struct world *world, uint32_t host, enum state state)
{
	uint32_t *at = &world->shared->seats[host].state, now;

	while (now = load(at), now != state && !*world->shared->failed) {
		wait_while(at, now);
		if (waitpid(world->pids[host], NULL, WNOHANG)) {
			world->pids[host] = 0;
			note_death(world->shared);
		}
	}
	if (*world->shared->failed)
		world_fail(world, NULL);
}

static void order_host(struct world *world, uint32_t host, enum order order, uint32_t dead)
{
	world->shared->seats[host].dead = dead;
	tell(&world->shared->seats[host].order, order);
}

static void order_all(struct world *world, enum order order, enum state until)
{
	uint32_t host;

	for (host = 1; host <= HOSTS; host++)
		order_host(world, host, order, 0);
	for (host = 1; host <= HOSTS; host++)
		wait_for(world, host, until);
}

/* Let them be for some microseconds. */
static void wait_a_moment(struct world *world, uint64_t most)
{
	uint64_t rounds = rnd_below(&world->rng, most);

	while (rounds--)
		frames_relax();
}

/* One of those that live. */
static uint32_t pick_host(struct world *world)
{
	uint32_t host;

	do
		host = 1 + (uint32_t)rnd_below(&world->rng, HOSTS);
	while (!world->pids[host]);
	return host;
}

/* What hosts that are dead have claimed; nobody claims for them. */
static uint64_t claims_of_dead(struct world *world, uint32_t dead)
{
	struct frames_slot slots[SLOTS];
	struct frames f;
	uint64_t claims = 0;
	uint32_t host;

	frames_init(&f, NR_FRAMES, world->shared->words, slots, SLOTS, LOOKER);
	for (host = 1; host <= HOSTS; host++)
		claims += dead >> host & 1 ? claims_of(&f, host) : 0;
	return claims;
}

/* A host dies where it is to. */
static void have_die(struct world *world, uint32_t host, enum where where)
{
	struct seat *seat = &world->shared->seats[host];

	wait_a_moment(world, 3000);
	if (where == KILLED) {
		kill_host(world, host);
		return;
	}
	seat->where = where;
	seat->stores = (uint32_t)rnd_below(&world->rng, where == ANYWHERE ? 200 : 20);
	order_host(world, host, DIE, 0);
	bury(world, host);
	if (where == CLAIMING && !claims_of_dead(world, 1U << host))
		world_fail(world, "a host died that had claimed something, and it is nobody's");
	world->lost += where == IN_FLIGHT;
}

/* A host dies while it takes back what others had, or shortly after. */
static void have_taker_die(struct world *world, uint32_t taker, uint32_t dead)
{
	uint64_t claims = claims_of_dead(world, dead);
	struct seat *seat = &world->shared->seats[taker];
	bool taking;

	seat->where = ANYWHERE;
	seat->stores = (uint32_t)rnd_below(&world->rng, 2 * claims + 1);
	order_host(world, taker, TAKE_BACK_AND_DIE, dead);
	bury(world, taker);
	taking = load(&seat->state) == TAKES;
	world->takers += taking;
	/* Each claim takes a store at least. */
	if (!taking && seat->stores < claims)
		world_fail(world, "what a dead host had claimed is not taken back");
	if (*world->shared->failed)
		world_fail(world, NULL);
}

/* All of the living, or one of them, take back what the dead have left. */
static void have_taken_back(struct world *world, uint32_t dead)
{
	uint32_t one = pick_host(world), host;
	bool all = rnd_below(&world->rng, 2);
	bool put = rnd_below(&world->rng, 2);

	for (host = 1; host <= HOSTS; host++)
		if (world->pids[host] && (all || host == one))
			order_host(world, host, TAKE_BACK, dead);
	for (host = 1; host <= HOSTS; host++)
		if (world->pids[host] && (all || host == one))
			wait_for(world, host, TOOK);
	if (claims_of_dead(world, dead))
		world_fail(world, "what dead hosts had claimed is theirs still");
	if (!put)
		return;
	order_host(world, one, PUT_BACK, dead);
	wait_for(world, one, DONE);
}

/* One dies, or two, of which the second is about to take back what the first had. */
static void die_and_come_back(struct world *world, enum where where)
{
	uint32_t host = pick_host(world), dead = 1U << host;

	have_die(world, host, where);
	if (rnd_below(&world->rng, 2)) {
		host = pick_host(world);
		have_taker_die(world, host, dead);
		dead |= 1U << host;
	}
	have_taken_back(world, dead);
	for (host = 1; host <= HOSTS; host++) {
		if (world->pids[host])
			continue;
		start(world, host);
		wait_for(world, host, RUNS);
	}
	wait_a_moment(world, 3000);
}

static struct owners all_owners(struct shared *shared, uint64_t *entries)
{
	uint32_t host;

	for (host = 1; host <= HOSTS; host++)
		memcpy(entries + (host - 1) * NR_OWNERS, shared->seats[host].entries,
		       sizeof(shared->seats[host].entries));
	return (struct owners){entries, HOSTS * NR_OWNERS};
}

/* What is owned is in use, and its owner's in the map. */
static const char *check_owners(const struct frames *f, const struct shared *shared,
				const struct owners *owners)
{
	uint64_t frame, end, host;
	size_t i;

	for (i = 0; i < owners->nr; i++) {
		host = 1 + i / NR_OWNERS;
		frame = owned_frame(owners->entries[i]);
		end = owners->entries[i] ? frame + (1ULL << owned_order(owners->entries[i])) : 0;
		for (; frame < end; frame++)
			if (!frames_in_use(f, frame) || shared->map[frame] != host)
				return fault("frame %" PRIu64 " of host %" PRIu64 " is lost", frame,
					     host);
	}
	return NULL;
}

static const char *check_quiet(struct world *world, struct frames *f)
{
	uint64_t entries[HOSTS * NR_OWNERS], lost = 0;
	struct owners owners = all_owners(world->shared, entries);
	const char *found = check_claims(f);

	if (!found)
		found = check_owners(f, world->shared, &owners);
	if (!found)
		found = check_lost(f, &owners, &lost);
	if (!found && lost > world->flight)
		found = fault("%" PRIu64 " frames are lost, %" PRIu64 " were in flight", lost,
			      world->flight);
	return found;
}

/* The map, of what is owned: that of frames that were in flight at kills is gone. */
static void map_again(struct shared *shared)
{
	uint64_t frame, end, entry;
	uint32_t host, i;

	memset(shared->map, 0, sizeof(shared->map));
	for (host = 1; host <= HOSTS; host++) {
		for (i = 0; i < NR_OWNERS; i++) {
			entry = shared->seats[host].entries[i];
			end = entry ? owned_frame(entry) + (1ULL << owned_order(entry)) : 0;
			for (frame = owned_frame(entry); frame < end; frame++)
				shared->map[frame] = (uint8_t)host;
		}
	}
}

/* With the owners' help, what was in flight is found, and nothing at all is lost. */
static const char *recover_quiet(struct world *world, struct frames *f)
{
	uint64_t entries[HOSTS * NR_OWNERS], given;
	struct owners owners = all_owners(world->shared, entries);
	const char *found = recover_owned(f, &owners, &given);

	if (!found)
		found = check_owned(f, &owners);
	if (!found && given < world->lost)
		found = fault("%" PRIu64 " frames were given back of %" PRIu64 " at least", given,
			      world->lost);
	world->given += given;
	world->lost = 0;
	world->flight = 0;
	map_again(world->shared);
	return found;
}

static void look(struct world *world, bool recovers)
{
	struct frames_slot slots[SLOTS];
	struct frames f;
	const char *found;

	frames_init(&f, NR_FRAMES, world->shared->words, slots, SLOTS, LOOKER);
	found = check_quiet(world, &f);
	if (!found && recovers)
		found = recover_quiet(world, &f);
	if (found)
		world_fail(world, found);
}

/*
 * Fails if a claim outlives its host, if a survivor's is taken, if a frame is handed out
 * twice, or if more is lost than was in flight.
 */
static void hosts_die_and_come_back_while_others_go_on(void **state)
{
	uint32_t nr = rounds_of(400), round;
	struct world world;

	world_begin(&world);
	for (round = 1; round <= nr; round++) {
		order_all(&world, RUN, RUNS);
		die_and_come_back(&world, round % NR_WHERE);
		order_all(&world, PARK, PARKED);
		look(&world, round % ROUNDS_TO_RECOVERY == 0 || round == nr);
	}
	world_end(&world);
	print_message("# %" PRIu32 " rounds, %" PRIu64 " deaths, %" PRIu64
		      " of these within taking back\n",
		      nr, world.kills, world.takers);
	print_message("# %" PRIu64 " claims were taken back, %" PRIu64 " frames were given back\n",
		      world.taken, world.given);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_die_and_come_back_while_others_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
