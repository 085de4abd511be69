// SPDX-License-Identifier: GPL-2.0
/*
 * The conventions that all ioctls share: sizes, flags, reserved fields,
 * pointers, kinds of descriptor.
 */
#include "common.h"

#define NO_FIELD 0xffff

/**
 * struct call - an ioctl as the conventions see it
 * @name:	for messages
 * @call:	its number
 * @size:	of its struct
 * @on:		the descriptor that takes it; NULL: /dev/morsel
 * @writes:	it writes the struct back
 * @reserved:	where the reserved field is
 * @result:	errno of a call that is well-formed
 * @fill:	makes the struct well-formed
 */
struct call {
	const char *name;
	unsigned long call;
	size_t size;
	size_t first;
	const int *on;
	bool writes;
	size_t reserved;
	int result;
	void (*fill)(void *arg);
};

static void fill_nothing(void *arg)
{
	(void)arg;
}

static void fill_create(void *arg)
{
	struct morsel_create *create = arg;

	create->length = HUGE;
	create->pool = MORSEL_ANY;
	create->node = MORSEL_ANY;
	create->mode = 0600;
}

static void fill_open(void *arg)
{
	strcpy(((struct morsel_open *)arg)->name, "nobody");
}

static void fill_unlink(void *arg)
{
	strcpy(((struct morsel_unlink *)arg)->name, "nobody");
}

static struct morsel_info entries[MORSEL_NODES_LEAST];

static void fill_list(void *arg)
{
	struct morsel_list *list = arg;

	list->entries = (uintptr_t)entries;
	list->entry_size = sizeof(entries[0]);
	list->count = ARRAY_SIZE(entries);
}

static void fill_limit_set(void *arg)
{
	struct morsel_limit *limit = arg;

	limit->uid = TESTER;
	limit->bytes = GIB;
}

static void fill_pool_stat(void *arg)
{
	((struct morsel_pool_info *)arg)->id = pool_info().id;
}

static void fill_pool_add(void *arg)
{
	struct morsel_pool *pool = arg;

	pool->kind = MORSEL_POOL_DRAM;
	pool->limit_bytes = 64 * MIB;
}

static void fill_pool_resize(void *arg)
{
	struct morsel_pool *pool = arg;

	pool->id = 9999;
	pool->limit_bytes = 64 * MIB;
}

static void fill_pool_remove(void *arg)
{
	((struct morsel_pool *)arg)->id = 9999;
}

static void fill_tune(void *arg)
{
	((struct morsel_tune *)arg)->fault_around = PAGE;
}

static int morsel;

/* One that is made for views, one of these, and one that is frozen now and then. */
static int viewed, view, frozen;

static void fill_clone(void *arg)
{
	((struct morsel_clone *)arg)->mode = 0600;
}

static void fill_rollback(void *arg)
{
	((struct morsel_rollback *)arg)->from = morsel;
}

static void fill_diff(void *arg)
{
	struct morsel_diff *diff = arg;

	fill_list(&diff->list);
	diff->other = morsel;
}

static void fill_acquire(void *arg)
{
	((struct morsel_acquire *)arg)->length = PAGE;
}

/* What is released is held before, if it is not yet. */
static void fill_release(void *arg)
{
	struct morsel_acquire acquire = {.size = sizeof(acquire), .offset = PAGE, .length = PAGE};
	struct morsel_range *range = arg;

	ioctl(view, MORSEL_IOC_ACQUIRE, &acquire);
	range->offset = PAGE;
	range->length = PAGE;
}

static void fill_restrict(void *arg)
{
	struct morsel_restrict *restriction = arg;

	restriction->flags = MORSEL_RESTRICT_FREEZE;
	restriction->number = frozen;
}

#define CALL(suffix, type) .name = #suffix, .call = MORSEL_IOC_##suffix, .size = sizeof(struct type)
#define RESERVED(type) .reserved = offsetof(struct type, reserved)

static const struct call calls[] = {
	{CALL(QUERY, morsel_query), .writes = true, .reserved = NO_FIELD, .fill = fill_nothing},
	{CALL(CREATE, morsel_create), .first = 304, .writes = true, .reserved = NO_FIELD,
	 .fill = fill_create},
	{CALL(OPEN, morsel_open), .writes = true, RESERVED(morsel_open), .result = ENOENT,
	 .fill = fill_open},
	{CALL(UNLINK, morsel_unlink), .reserved = NO_FIELD, .result = ENOENT, .fill = fill_unlink},
	{CALL(LIST, morsel_list), .writes = true, .reserved = NO_FIELD, .fill = fill_list},
	{CALL(NODES, morsel_list), .writes = true, .reserved = NO_FIELD, .fill = fill_list},
	{CALL(LIMIT_GET, morsel_limit), .writes = true, RESERVED(morsel_limit),
	 .fill = fill_nothing},
	{CALL(LIMIT_SET, morsel_limit), RESERVED(morsel_limit), .fill = fill_limit_set},
	{CALL(POOL_LIST, morsel_list), .writes = true, .reserved = NO_FIELD, .fill = fill_list},
	{CALL(POOL_STAT, morsel_pool_info), .writes = true, .reserved = NO_FIELD,
	 .fill = fill_pool_stat},
	{CALL(POOL_ADD, morsel_pool), .writes = true, RESERVED(morsel_pool), .result = EEXIST,
	 .fill = fill_pool_add},
	{CALL(POOL_RESIZE, morsel_pool), RESERVED(morsel_pool), .result = ENOENT,
	 .fill = fill_pool_resize},
	{CALL(POOL_REMOVE, morsel_pool), RESERVED(morsel_pool), .result = ENOENT,
	 .fill = fill_pool_remove},
	{CALL(STAT, morsel_info), .first = 344, .on = &morsel, .writes = true, .reserved = NO_FIELD,
	 .fill = fill_nothing},
	{CALL(POPULATE, morsel_range), .on = &morsel, .reserved = NO_FIELD, .fill = fill_nothing},
	/* Before something is reserved, which would forbid it. */
	{CALL(ROLLBACK, morsel_rollback), .on = &morsel, RESERVED(morsel_rollback),
	 .fill = fill_rollback},
	{CALL(RESERVE, morsel_range), .on = &morsel, .reserved = NO_FIELD, .fill = fill_nothing},
	{CALL(PUNCH, morsel_range), .on = &morsel, .reserved = NO_FIELD, .fill = fill_nothing},
	{CALL(EXTENTS, morsel_list), .on = &morsel, .writes = true, .reserved = NO_FIELD,
	 .fill = fill_list},
	{CALL(TUNE, morsel_tune), .on = &morsel, RESERVED(morsel_tune), .fill = fill_tune},
	{CALL(SEAL, morsel_seal), .on = &morsel, .writes = true, RESERVED(morsel_seal),
	 .fill = fill_nothing},
	{CALL(CLONE, morsel_clone), .on = &morsel, .writes = true, .reserved = NO_FIELD,
	 .fill = fill_clone},
	{CALL(GIVE, morsel_give), .on = &morsel, .writes = true, RESERVED(morsel_give),
	 .fill = fill_nothing},
	{CALL(DIFF, morsel_diff), .on = &morsel, .writes = true, RESERVED(morsel_diff),
	 .fill = fill_diff},
	{CALL(VIEW, morsel_view), .on = &viewed, .writes = true, .reserved = NO_FIELD,
	 .fill = fill_nothing},
	{CALL(RESTRICT, morsel_restrict), .on = &viewed, RESERVED(morsel_restrict),
	 .fill = fill_restrict},
	{CALL(ACQUIRE, morsel_acquire), .on = &view, .reserved = NO_FIELD, .fill = fill_acquire},
	{CALL(RELEASE, morsel_range), .on = &view, .reserved = NO_FIELD, .fill = fill_release},
};

#define BUFFER (2 * PAGE)
static unsigned char buffer[BUFFER] __attribute__((aligned(4096)));

/* The struct of a call, well-formed, in the zeroed buffer. */
static void *prepare(const struct call *call)
{
	uint32_t size = call->size;

	memset(buffer, 0, sizeof(buffer));
	memcpy(buffer, &size, sizeof(size));
	call->fill(buffer);
	return buffer;
}

static void set_u32(size_t offset, uint32_t value)
{
	memcpy(buffer + offset, &value, sizeof(value));
}

static int run(const struct call *call, void *arg)
{
	int err = ioctl(call->on ? *call->on : dev, call->call, arg) ? errno : 0;

	/* A descriptor that came is of no further use. */
	if (!err && call->call == MORSEL_IOC_CREATE)
		close(((struct morsel_create *)arg)->fd);
	if (!err && call->call == MORSEL_IOC_CLONE)
		close(((struct morsel_clone *)arg)->fd);
	/* That one is of no further use. */
	if (!err && call->call == MORSEL_IOC_GIVE) {
		close(morsel);
		morsel = ((struct morsel_give *)arg)->fd;
	}
	if (!err && call->call == MORSEL_IOC_VIEW)
		close(((struct morsel_view *)arg)->fd);
	/* It is not acquired twice. */
	if (!err && call->call == MORSEL_IOC_ACQUIRE)
		assert_done(ioctl(view, MORSEL_IOC_RELEASE,
				  &(struct morsel_range){.size = sizeof(struct morsel_range),
							 .length = PAGE}));
	return err;
}

/* Compare and go on, so that one run tells of all calls that are wrong. */
static unsigned int wrong;

static void expect(const struct call *call, const char *what, int got, int want)
{
	if (got == want)
		return;
	wrong++;
	print_error("# %s, %s: %s instead of %s\n", call->name, what,
		    got ? strerrorname_np(got) : "success",
		    want ? strerrorname_np(want) : "success");
}

static int make_view(uint32_t *number)
{
	struct morsel_view args = {.size = sizeof(args)};

	assert_done(ioctl(viewed, MORSEL_IOC_VIEW, &args));
	*number = args.number;
	return args.fd;
}

static void begin(void)
{
	struct morsel_create args = {.size = sizeof(args), .flags = MORSEL_CREATE_VIEWS};
	uint32_t number;

	morsel = create(HUGE, MORSEL_GRANULE_4K);
	fill_create(&args);
	viewed = create_with(&args);
	assert_done(viewed);
	view = make_view(&number);
	make_view(&number);
	frozen = number;
	wrong = 0;
}

#define for_each_call(call) for (call = calls; call < calls + ARRAY_SIZE(calls); call++)

static void a_well_formed_call_is_taken(void **state)
{
	const struct call *call;

	begin();
	for_each_call(call) expect(call, "well-formed", run(call, prepare(call)), call->result);
	assert_int_equal(wrong, 0);
}

static void a_size_too_small_is_refused(void **state)
{
	const struct call *call;
	unsigned int size;

	begin();
	for_each_call(call) for (size = 0; size < 8; size++)
	{
		prepare(call);
		set_u32(0, size);
		expect(call, "tiny size", run(call, buffer), EINVAL);
	}
	assert_int_equal(wrong, 0);
}

static void a_longer_struct_with_a_zero_tail_is_taken(void **state)
{
	const struct call *call;

	begin();
	for_each_call(call)
	{
		prepare(call);
		set_u32(0, call->size + 8);
		expect(call, "8 bytes longer", run(call, buffer), call->result);
		prepare(call);
		set_u32(0, PAGE);
		expect(call, "a page long", run(call, buffer), call->result);
	}
	assert_int_equal(wrong, 0);
}

static void a_longer_struct_with_more_in_its_tail_is_refused(void **state)
{
	const struct call *call;

	begin();
	for_each_call(call)
	{
		prepare(call);
		set_u32(0, call->size + 8);
		buffer[call->size] = 1;
		expect(call, "first byte of the tail", run(call, buffer), E2BIG);
		prepare(call);
		set_u32(0, call->size + 8);
		buffer[call->size + 7] = 1;
		expect(call, "last byte of the tail", run(call, buffer), E2BIG);
		prepare(call);
		set_u32(0, PAGE + 8);
		expect(call, "more than a page", run(call, buffer), E2BIG);
		prepare(call);
		set_u32(0, UINT32_MAX);
		expect(call, "size of 4 GiB", run(call, buffer), E2BIG);
	}
	assert_int_equal(wrong, 0);
}

static void a_struct_shorter_than_at_first_is_refused(void **state)
{
	const struct call *call;
	unsigned int size;

	begin();
	for_each_call(call) for (size = 8; size < (call->first ?: call->size); size += 4)
	{
		prepare(call);
		set_u32(0, size);
		expect(call, "part of a struct", run(call, buffer), EINVAL);
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(count_morsels(), 2);
}

/* Zero for what a range lacks would mean all of the morsel. */
static void half_a_range_punches_nothing(void **state)
{
	struct morsel_range range = {.offset = PAGE, .length = PAGE};

	begin();
	assert_done(populate(morsel, 0, HUGE));
	for (range.size = 8; range.size < sizeof(range); range.size++)
		assert_errno(ioctl(morsel, MORSEL_IOC_PUNCH, &range), EINVAL);
	assert_int_equal(info_of(morsel).frame_bytes, HUGE);
	assert_done(ioctl(morsel, MORSEL_IOC_PUNCH, &range));
	assert_int_equal(info_of(morsel).frame_bytes, HUGE - PAGE);
}

/* A struct of an array is none of a call's: each program has them as it was compiled. */
static void entries_of_lists_may_be_shorter(void **state)
{
	struct morsel_info *info = (void *)buffer;
	uint64_t cursor = 0;

	begin();
	memset(buffer, 0xaa, sizeof(buffer));
	assert_int_equal(list_step(dev, MORSEL_IOC_LIST, &cursor, info, 16, 1), 1);
	assert_int_equal(info->size, 16);
	assert_int_equal(info->id, id_of(morsel));
	/* Nothing is written beyond what the caller knows. */
	assert_int_equal(info->length, 0xaaaaaaaaaaaaaaaaULL);
}

static void unknown_flags_are_refused(void **state)
{
	const struct call *call;
	unsigned int bit;

	begin();
	for_each_call(call) for (bit = 2; bit < 32; bit++)
	{
		/* The two calls that know more than two. */
		if (call->call == MORSEL_IOC_CREATE &&
		    1U << bit & (MORSEL_CREATE_SEALABLE | MORSEL_CREATE_DUMP |
				 MORSEL_CREATE_RESERVE | MORSEL_CREATE_VIEWS))
			continue;
		if (call->call == MORSEL_IOC_CLONE && 1U << bit == MORSEL_CLONE_SEALABLE)
			continue;
		prepare(call);
		set_u32(4, 1U << bit);
		expect(call, "unknown flag", run(call, buffer), EINVAL);
	}
	assert_int_equal(wrong, 0);
}

static void reserved_fields_must_be_zero(void **state)
{
	const struct call *call;

	begin();
	for_each_call(call)
	{
		if (call->reserved == NO_FIELD)
			continue;
		prepare(call);
		set_u32(call->reserved, 1);
		expect(call, "reserved field", run(call, buffer), EINVAL);
	}
	assert_int_equal(wrong, 0);
}

static void pool_calls_refuse_fields_they_do_not_take(void **state)
{
	struct morsel_pool pool = {.size = sizeof(pool),
				   .id = 9999,
				   .kind = MORSEL_POOL_DRAM,
				   .limit_bytes = 64 * MIB};

	assert_errno(ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool), EINVAL);
	pool.kind = 0;
	pool.node = 1;
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_RESIZE, &pool), EINVAL);
	pool.node = 0;
	assert_errno(ioctl(dev, MORSEL_IOC_POOL_REMOVE, &pool), EINVAL);
}

static void bad_pointers_are_noticed(void **state)
{
	const struct call *call;
	/* Nothing, what nobody mapped, and the kernel's. */
	void *bad[] = {NULL, (void *)8, free_place(HUGE), (void *)-8UL, (void *)(1UL << 63)};
	unsigned int i;

	begin();
	for_each_call(call) for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(call, "bad pointer", run(call, bad[i]), EFAULT);
	assert_int_equal(wrong, 0);
}

/* A struct whose end is not there. */
static void a_struct_cut_off_is_noticed(void **state)
{
	unsigned char *pages = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct call *call;

	begin();
	munmap(pages + PAGE, PAGE);
	for_each_call(call)
	{
		prepare(call);
		memcpy(pages + PAGE - 8, buffer, 8);
		expect(call, "cut off", run(call, pages + PAGE - 8), EFAULT);
		/* To the last byte of the page is not too far. */
		memcpy(pages + PAGE - call->size, buffer, call->size);
		expect(call, "at the end", run(call, pages + PAGE - call->size), call->result);
	}
	assert_int_equal(wrong, 0);
}

static void a_result_that_cannot_be_written_leaves_nothing(void **state)
{
	unsigned char *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct call *call;
	struct morsel_create *create;
	int fd;

	begin();
	for_each_call(call)
	{
		if (!call->writes || call->result)
			continue;
		mprotect(page, PAGE, RW);
		memcpy(page, prepare(call), PAGE);
		mprotect(page, PAGE, PROT_READ);
		expect(call, "read-only struct", run(call, page), EFAULT);
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(count_morsels(), 2);

	mprotect(page, PAGE, RW);
	create = memcpy(page, prepare(&calls[1]), PAGE);
	strcpy(create->name, "unwritten");
	mprotect(page, PAGE, PROT_READ);
	assert_errno(ioctl(dev, MORSEL_IOC_CREATE, create), EFAULT);
	assert_int_equal(count_morsels(), 2);
	/* The name is free, and so is the descriptor. */
	fd = dup(dev);
	close(fd);
	assert_int_equal(create_named("unwritten", HUGE, 0600), fd);
}

static void calls_want_their_kind_of_descriptor(void **state)
{
	int null = open("/dev/null", O_RDWR);
	const struct call *call;

	begin();
	for_each_call(call)
	{
		int other = call->on ? dev : morsel;

		expect(call, "wrong descriptor",
		       ioctl(other, call->call, prepare(call)) ? errno : 0, ENOTTY);
		other = call->on == &view ? viewed : view;
		/* Those three, a view takes, too. */
		if (call->call != MORSEL_IOC_STAT && call->call != MORSEL_IOC_RESTRICT &&
		    call->call != MORSEL_IOC_POPULATE)
			expect(call, "a view, or none",
			       ioctl(other, call->call, prepare(call)) ? errno : 0, ENOTTY);
		expect(call, "/dev/null", ioctl(null, call->call, prepare(call)) ? errno : 0,
		       ENOTTY);
	}
	assert_int_equal(wrong, 0);
}

static void unknown_calls_are_refused(void **state)
{
	static const unsigned long unknown[] = {
		_IOWR(MORSEL_IOC_MAGIC, 0x08, struct morsel_query),
		_IOWR(MORSEL_IOC_MAGIC, 0x15, struct morsel_pool),
		_IOWR(MORSEL_IOC_MAGIC, 0x24, struct morsel_range),
		_IOWR(MORSEL_IOC_MAGIC, 0xff, struct morsel_query),
		_IOWR('x', 0x00, struct morsel_query),
		_IO(0, 0),
	};
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		memset(buffer, 0, sizeof(buffer));
		set_u32(0, 88);
		assert_errno(ioctl(dev, unknown[i], buffer), ENOTTY);
		assert_errno(ioctl(morsel, unknown[i], buffer), ENOTTY);
		assert_errno(ioctl(view, unknown[i], buffer), ENOTTY);
	}
}

static void lists_check_their_entries(void **state)
{
	static const unsigned long lists[] = {MORSEL_IOC_LIST, MORSEL_IOC_POOL_LIST,
					      MORSEL_IOC_EXTENTS};
	unsigned int i;

	/* One alone. */
	morsel = create(HUGE, MORSEL_GRANULE_4K);
	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		int fd = lists[i] == MORSEL_IOC_EXTENTS ? morsel : dev;
		uint64_t cursor = 0;

		assert_errno(list_step(fd, lists[i], &cursor, entries, 0, 1), EINVAL);
		assert_errno(list_step(fd, lists[i], &cursor, free_place(HUGE), sizeof(entries[0]), 1), EFAULT);
		/* No room is no error. */
		assert_int_equal(list_step(fd, lists[i], &cursor, NULL, sizeof(entries[0]), 0), 0);
		assert_int_equal(cursor, 0);
		/* A huge count is cut to what a call may fill. */
		memset(buffer, 0xaa, sizeof(buffer));
		assert_int_equal(list_step(fd, lists[i], &cursor, buffer, PAGE, UINT32_MAX), 1);
		/* What an entry has more than the module knows is zero. */
		assert_true(is_zero(buffer + sizeof(entries[0]), PAGE - sizeof(entries[0])));
		assert_int_equal(buffer[PAGE], 0xaa);
	}
}

static void query_says_what_there_is(void **state)
{
	struct morsel_query now;

	now = query();
	assert_int_equal(now.size, sizeof(now));
	assert_int_equal(now.flags, 0);
	assert_int_equal(now.abi, MORSEL_ABI_VERSION);
	assert_int_equal(now.abi_oldest, MORSEL_ABI_OLDEST);
	assert_true(now.features & MORSEL_FEATURE_SPLICE_1G);
	assert_true(now.features & MORSEL_FEATURE_SPLICE_2M);
	assert_true(now.features & MORSEL_FEATURE_TABLESETS);
	assert_true(now.features & MORSEL_FEATURE_LIMITS);
	assert_true(now.features & MORSEL_FEATURE_TUNE);
	assert_true(now.features & MORSEL_FEATURE_HUGE);
	assert_true(now.max_length >= 4 * TIB);
	assert_true(now.nr_pools >= 1);
	assert_int_equal(now.nr_morsels, 0);
	assert_int_equal(now.attach_unit, HUGE);
	assert_int_equal(now.splice_unit, GIB);
	assert_true(now.version[0] && memchr(now.version, 0, sizeof(now.version)));
	create(HUGE, MORSEL_GRANULE_AUTO);
	assert_int_equal(query().nr_morsels, 1);
}

static void a_32_bit_program_works(void **state)
{
	char path[256] = "";
	int status;
	pid_t pid;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		fail();
	strcpy(strrchr(path, '/') + 1, "program32");
	if (access(path, X_OK))
		skip_because("there is no %s", path);
	pid = spawn();
	if (!pid) {
		execl(path, path, NULL);
		_exit(errno == ENOEXEC ? 77 : 78);
	}
	status = wait_child(pid);
	if (status == 77)
		skip_because("this kernel runs no 32-bit programs");
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(query_says_what_there_is),
		TEST(a_well_formed_call_is_taken),
		TEST(a_size_too_small_is_refused),
		TEST(a_longer_struct_with_a_zero_tail_is_taken),
		TEST(a_longer_struct_with_more_in_its_tail_is_refused),
		TEST(a_struct_shorter_than_at_first_is_refused),
		TEST(half_a_range_punches_nothing),
		TEST(entries_of_lists_may_be_shorter),
		TEST(unknown_flags_are_refused),
		TEST(reserved_fields_must_be_zero),
		TEST(pool_calls_refuse_fields_they_do_not_take),
		TEST(bad_pointers_are_noticed),
		TEST(a_struct_cut_off_is_noticed),
		TEST(a_result_that_cannot_be_written_leaves_nothing),
		TEST(calls_want_their_kind_of_descriptor),
		TEST(unknown_calls_are_refused),
		TEST(lists_check_their_entries),
		TEST(a_32_bit_program_works),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
