// SPDX-License-Identifier: GPL-2.0
/*
 * Ceilings: what users may have of all pools.
 */
#include "kernel.h"

static void ceilings_are_set_and_told(void **state)
{
	struct morsel_limit limit = limit_of(TESTER);

	assert_int_equal(limit.flags, MORSEL_LIMIT_DEFAULT);
	assert_int_equal(limit.used, 0);
	assert_done(limit_set(TESTER, 8 * MIB, 0));
	limit = limit_of(TESTER);
	assert_int_equal(limit.flags, 0);
	assert_int_equal(limit.bytes, 8 * MIB);
	assert_done(limit_set(TESTER, MORSEL_UNLIMITED, 0));
	limit = limit_of(TESTER);
	assert_int_equal(limit.flags, 0);
	assert_true(limit.bytes == MORSEL_UNLIMITED);
	assert_done(limit_set(TESTER, 0, MORSEL_LIMIT_DEFAULT));
	assert_int_equal(limit_of(TESTER).flags, MORSEL_LIMIT_DEFAULT);
	limit = limit_of(0);
	assert_true(limit.bytes == MORSEL_UNLIMITED);
}

static void ceilings_are_the_admin_s(void **state)
{
	pid_t pid = spawn();

	if (!pid) {
		struct morsel_limit limit = {.size = sizeof(limit), .uid = TESTER};

		become(TESTER);
		need(limit_set(TESTER, GIB, 0) == -1 && errno == EPERM);
		need(limit_set(TESTER, 0, MORSEL_LIMIT_DEFAULT) == -1 && errno == EPERM);
		need(!ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit));
		limit = (struct morsel_limit){.size = sizeof(limit), .uid = OTHER};
		need(ioctl(dev, MORSEL_IOC_LIMIT_GET, &limit) == -1 && errno == EPERM);
		_exit(0);
	}
	assert_child_done(pid);
}

static void a_ceiling_holds_in_every_way(void **state)
{
	pid_t pid;

	assert_done(limit_set(TESTER, 8 * MIB, 0));
	pid = spawn();
	if (!pid) {
		struct morsel_create args = populated(16 * MIB, MORSEL_GRANULE_4K);
		char *memory, byte = 1;
		size_t at;
		int fd;

		become(TESTER);
		need(create_with(&args) == -1 && errno == EDQUOT);
		args.granule = MORSEL_GRANULE_2M;
		need(create_with(&args) == -1 && errno == EDQUOT);
		need(!count_morsels());

		fd = create(64 * MIB, MORSEL_GRANULE_4K);
		need(populate(fd, 0, 0) == -1 && errno == EDQUOT);
		need(info_of(fd).frame_bytes <= 8 * MIB && info_of(fd).frame_bytes > 7 * MIB);
		need(!punch(fd, 0, 0));

		memory = map(fd, 64 * MIB, RW);
		for (at = 0; at < 64 * MIB; at += PAGE)
			if (probe_write(memory + at, 1))
				break;
		need(at > 7 * MIB && at <= 8 * MIB);
		need(probe_write(memory + at, 1) == SIGBUS);
		need(pwrite(fd, &byte, 1, 60 * MIB) == -1 && errno == EDQUOT);
		need(fallocate(fd, 0, 60 * MIB, PAGE) == -1 && errno == EDQUOT);
		/* Others are not concerned. */
		_exit(0);
	}
	assert_child_done(pid);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(!populate(create(16 * MIB, MORSEL_GRANULE_4K), 0, 0));
		_exit(0);
	}
	assert_child_done(pid);
	/* Tables are given back a grace period later; the pool's statistics wait for that. */
	pool_info();
	assert_int_equal(limit_of(TESTER).used, 0);
}

static void who_made_it_pays(void **state)
{
	pid_t pid = spawn();
	int fd;

	if (!pid) {
		become(TESTER);
		close(create_named("paid", 16 * MIB, 0666));
		_exit(0);
	}
	assert_child_done(pid);
	assert_done(limit_set(TESTER, 4 * MIB, 0));
	/* Root touches, and the owner's ceiling holds. */
	fd = open_with(0, "paid", 0);
	assert_errno(populate(fd, 0, 0), EDQUOT);
	assert_true(limit_of(TESTER).used > 0);
	assert_true(limit_of(TESTER).used <= 4 * MIB);
	assert_int_equal(limit_of(0).used, 0);
	assert_done(punch(fd, 0, 0));
	assert_true(limit_of(TESTER).used <= 64 * KIB);
}

/*
 * Fails if what the kernel keeps of a morsel is nobody's: then a user with a ceiling has as
 * many as they like.
 */
static void a_ceiling_bounds_how_many_there_are(void **state)
{
	struct morsel_create args = populated(64 * TIB, MORSEL_GRANULE_4K);
	struct morsel_info *all;
	unsigned int made, i;
	pid_t pid;

	assert_done(limit_set(TESTER, MIB, 0));
	pid = spawn();
	if (!pid) {
		become(TESTER);
		args.flags = 0;
		for (made = 0; made < 2 * MIB / PAGE; made++) {
			snprintf(args.name, sizeof(args.name), "counted-%u", made);
			if (create_with(&args) < 0)
				break;
			close(args.fd);
		}
		need(errno == EDQUOT && made > 0 && made <= MIB / PAGE);
		/* Without a name it is no cheaper. */
		args.name[0] = 0;
		need(create_with(&args) == -1 && errno == EDQUOT);
		/* One less makes room for one more. */
		need(!unlink_morsel(0, "counted-0"));
		need(create_with(&args) >= 0);
		_exit(0);
	}
	assert_child_done(pid);
	all = list_all(&made);
	assert_true(limit_of(TESTER).used >= made * PAGE);
	assert_true(limit_of(TESTER).used <= MIB);
	for (i = 0; i < made; i++)
		assert_done(unlink_morsel(all[i].id, ""));
	free(all);
	assert_int_equal(limit_of(TESTER).used, 0);
}

static void a_ceiling_below_use_stops_growth_only(void **state)
{
	pid_t pid = spawn();
	char *memory;
	int fd;

	if (!pid) {
		become(TESTER);
		fd = create_named("below", 16 * MIB, 0666);
		need(!populate(fd, 0, 8 * MIB));
		_exit(0);
	}
	assert_child_done(pid);
	assert_done(limit_set(TESTER, 2 * MIB, 0));
	fd = open_with(0, "below", 0);
	memory = map(fd, 16 * MIB, RW);
	memory[7 * MIB] = 1;
	assert_int_equal(probe_write(memory + 8 * MIB, 1), SIGBUS);
	assert_int_equal(info_of(fd).frame_bytes, 8 * MIB);
	assert_done(punch(fd, 0, 8 * MIB));
	assert_int_equal(probe_write(memory + 8 * MIB, 1), 0);
}

/* Fails if what a reader makes the kernel keep of a large morsel is nobody's. */
static void the_roots_of_tables_are_charged(void **state)
{
	struct morsel_create args = populated(64 * TIB, MORSEL_GRANULE_4K);
	uint64_t used;
	char *memory;

	args.flags = 0;
	assert_done(limit_set(0, MIB, 0));
	assert_done(create_with(&args));
	used = limit_of(0).used;
	/* It has a bit for each GiB. */
	memory = map(args.fd, HUGE, PROT_READ);
	assert_true(limit_of(0).used >= used + 64 * KIB / 8);
	munmap(memory, HUGE);
	close(args.fd);
	assert_int_equal(limit_of(0).used, 0);
	assert_done(limit_set(0, 0, MORSEL_LIMIT_DEFAULT));
}

/* A ceiling of nothing, and one that is just enough for what makes no use of frames. */
static void root_may_have_a_ceiling_too(void **state)
{
	struct morsel_create args = populated(16 * MIB, MORSEL_GRANULE_4K);
	int empty = create(PAGE, MORSEL_GRANULE_4K);
	uint64_t charged = limit_of(0).used;

	/* A page for itself, and one for the root of its tables; where locks are looked after, more. */
	assert_true(charged >= 2 * PAGE);
	close(empty);
	assert_done(limit_set(0, 4 * MIB, 0));
	assert_errno(create_with(&args), EDQUOT);
	assert_int_equal(count_morsels(), 0);
	assert_done(limit_set(0, 0, 0));
	args.length = PAGE;
	args.flags = 0;
	assert_errno(create_with(&args), EDQUOT);
	assert_done(limit_set(0, charged, 0));
	args.flags = MORSEL_CREATE_POPULATE;
	assert_errno(create_with(&args), EDQUOT);
	assert_int_equal(count_morsels(), 0);
	args.flags = 0;
	assert_done(create_with(&args));
	assert_int_equal(limit_of(0).used, charged);
	assert_int_equal(probe_write(map(args.fd, HUGE, RW), 1), SIGBUS);
	assert_done(limit_set(0, 0, MORSEL_LIMIT_DEFAULT));
	assert_done(populate(args.fd, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ceilings_are_set_and_told),
		TEST(ceilings_are_the_admin_s),
		TEST(a_ceiling_holds_in_every_way),
		TEST(who_made_it_pays),
		TEST(a_ceiling_bounds_how_many_there_are),
		TEST(a_ceiling_below_use_stops_growth_only),
		TEST(the_roots_of_tables_are_charged),
		TEST(root_may_have_a_ceiling_too),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
