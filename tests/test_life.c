// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a morsel: creating, naming, opening, listing, unlinking, and what
 * keeps it and the module alive.
 */
#include "kernel.h"

#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

static struct morsel_create request(const char *name, uint64_t length)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = length,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.mode = 0600,
	};

	memcpy(args.name, name, strnlen(name, sizeof(args.name)));
	return args;
}

static bool is_listed(uint64_t id)
{
	unsigned int count, i;
	struct morsel_info *all = list_all(&count);
	bool found = false;

	for (i = 0; i < count; i++)
		found |= all[i].id == id;
	free(all);
	return found;
}

static void the_device_is_not_for_everybody(void **state)
{
	struct stat st;
	pid_t pid;

	assert_done(stat(MORSEL_DEVICE, &st));
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open(MORSEL_DEVICE, O_RDWR) == -1 && errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
}

static void an_unnamed_one_goes_at_its_last_close(void **state)
{
	int fd, other;
	uint64_t id;

	fd = create(HUGE, MORSEL_GRANULE_AUTO);
	other = dup(fd);
	id = id_of(fd);
	assert_true(is_listed(id));
	close(fd);
	assert_true(is_listed(id));
	close(other);
	assert_false(is_listed(id));
	assert_errno(open_with(id, "", 0), ENOENT);
}

static void a_mapping_keeps_an_unnamed_one(void **state)
{
	char *memory;
	uint64_t id;
	int fd;

	fd = create(4 * MIB, MORSEL_GRANULE_4K);
	id = id_of(fd);
	memory = map(fd, 4 * MIB, RW);
	fill_pattern(memory, PAGE, 1);
	close(fd);
	assert_true(is_listed(id));
	assert_true(has_pattern(memory, PAGE, 1));
	memory[2 * MIB] = 1;
	/* Who may see it may open it again. */
	fd = open_with(id, "", 0);
	assert_true(fd >= 0);
	assert_int_equal(info_of(fd).frame_bytes, 2 * PAGE);
	close(fd);
	munmap(memory, 2 * MIB);
	assert_true(is_listed(id));
	munmap(memory + 2 * MIB, 2 * MIB);
	assert_false(is_listed(id));
}

static void a_named_one_outlives_its_descriptors(void **state)
{
	char *memory;
	uint64_t id;
	int fd;

	fd = create_named("stays", HUGE, 0600);
	id = id_of(fd);
	memory = map(fd, HUGE, RW);
	fill_pattern(memory, HUGE, 2);
	munmap(memory, HUGE);
	close(fd);
	assert_true(is_listed(id));
	fd = open_with(0, "stays", 0);
	assert_true(fd >= 0);
	assert_int_equal(id_of(fd), id);
	memory = map(fd, HUGE, PROT_READ);
	assert_true(has_pattern(memory, HUGE, 2));
}

static void an_unlinked_one_goes_at_its_last_close(void **state)
{
	uint64_t id;
	int fd;

	fd = create_named("leaves", HUGE, 0600);
	id = id_of(fd);
	assert_int_equal(info_of(fd).flags & MORSEL_INFO_NAMED, MORSEL_INFO_NAMED);
	assert_done(unlink_morsel(0, "leaves"));
	assert_int_equal(info_of(fd).flags & MORSEL_INFO_NAMED, 0);
	assert_errno(open_with(0, "leaves", 0), ENOENT);
	assert_errno(unlink_morsel(0, "leaves"), ENOENT);
	assert_errno(unlink_morsel(id, ""), ENOENT);
	assert_true(is_listed(id));
	close(fd);
	assert_false(is_listed(id));
}

static void an_unlinked_one_without_users_goes_at_once(void **state)
{
	uint64_t id;
	int fd;

	fd = create_named("alone", HUGE, 0600);
	id = id_of(fd);
	assert_done(populate(fd, 0, 0));
	close(fd);
	assert_done(unlink_morsel(id, ""));
	assert_int_equal(count_morsels(), 0);
	assert_int_equal(pool_info().used_bytes, 0);
}

static void a_name_is_free_again_after_unlink(void **state)
{
	int first, second;

	first = create_named("again", HUGE, 0600);
	assert_done(unlink_morsel(0, "again"));
	second = create_named("again", HUGE, 0600);
	assert_true(id_of(first) != id_of(second));
	assert_int_equal(id_of(open_with(0, "again", 0)), id_of(second));
}

static void a_taken_name_is_refused(void **state)
{
	struct morsel_create args = request("taken", HUGE);

	create_named("taken", HUGE, 0600);
	assert_errno(create_with(&args), EEXIST);
	args = request("taken", HUGE);
	args.flags = MORSEL_CREATE_POPULATE;
	assert_errno(create_with(&args), EEXIST);
	assert_int_equal(count_morsels(), 1);
}

static void assert_no_name(const char *name)
{
	struct morsel_create args = request(name, HUGE);

	assert_errno(create_with(&args), EINVAL);
	assert_errno(open_with(0, name, 0), EINVAL);
	assert_errno(unlink_morsel(0, name), EINVAL);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = {
		".", "..", "a/b", "/", "\n", "a\tb", "\x7f", "\x01",
	};
	struct morsel_create args;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_no_name(bad[i]);
	/* No terminating zero. */
	args = request("", HUGE);
	memset(args.name, 'x', sizeof(args.name));
	assert_errno(create_with(&args), EINVAL);
	assert_int_equal(count_morsels(), 0);
}

/* What the module says of a name when it is asked for a morsel of it, of which there is none. */
static int error_of_name(const char *name)
{
	errno = 0;
	assert_int_equal(open_with(0, name, 0), -1);
	return errno;
}

static void names_are_utf_8_without_control_characters(void **state)
{
	static const char *const bad[] = {
		/* No UTF-8: alone, cut off, longer than need be, surrogates, beyond Unicode. */
		"\x80", "\xff", "\xfe", "a\xe9", "\xc3", "\xc3z", "\xe2\x82", "\xf0\x9f\x90",
		"\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		/* Control characters: CSI as a byte, and all that C1 begins and ends with. */
		"\x9b" "31m", "\xc2\x9b" "31m", "\xc2\x80", "a\xc2\x85z", "\xc2\x9f",
		"\x1b", "\x1f", "z\x7f",
	};
	struct morsel_create args;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_no_name(bad[i]);
	/* The last byte there is room for begins a character. */
	args = request("", HUGE);
	memset(args.name, 'x', MORSEL_NAME_MAX - 1);
	args.name[MORSEL_NAME_MAX - 2] = '\xc3';
	assert_errno(create_with(&args), EINVAL);
	assert_int_equal(count_morsels(), 0);
}

/* As UTF-8 has it. */
static void put_character(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = c;
	} else if (c < 0x800) {
		*to++ = 0xc0 | c >> 6;
	} else {
		if (c < 0x10000) {
			*to++ = 0xe0 | c >> 12;
		} else {
			*to++ = 0xf0 | c >> 18;
			*to++ = 0x80 | (c >> 12 & 0x3f);
		}
		*to++ = 0x80 | (c >> 6 & 0x3f);
	}
	if (c >= 0x80)
		*to++ = 0x80 | (c & 0x3f);
	*to = 0;
}

static void assert_character(uint32_t c, bool good)
{
	char name[8] = "a";
	int err;

	put_character(name + 1, c);
	err = error_of_name(name);
	if (err != (good ? ENOENT : EINVAL))
		fail_msg("U+%04X in a name: %s", c, strerror(err));
}

static bool was_good(uint32_t c)
{
	return c >= ' ' && c != '/' && c != 0x7f;
}

static void what_was_good_in_names_and_is_utf_8_stays_so(void **state)
{
	/* On both sides of where an encoding, or a part of it, begins. */
	static const uint32_t edges[] = {
		0x800, 0x1000, 0xd000, 0xd800, 0xe000, 0xfeff, 0x10000, 0x40000, 0x100000, 0x110000,
	};
	unsigned int i;
	uint32_t c;

	for (c = 1; c < 0x800; c++)
		assert_character(c, was_good(c) && !(c >= 0x80 && c < 0xa0));
	/* Of the rest some, at a distance that is no multiple of anything. */
	for (c = 0x800; c < 0x110000; c += 211)
		assert_character(c, c < 0xd800 || c >= 0xe000);
	for (i = 0; i < ARRAY_SIZE(edges); i++)
		for (c = edges[i] - 1; c <= edges[i]; c++)
			assert_character(c, c < 0xd800 || (c >= 0xe000 && c < 0x110000));
}

static void names_may_be_long_and_odd(void **state)
{
	static const char *const good[] = {
		"a",
		"...",
		"model-7b.q4_K_M",
		"\xc3\xa4\xe2\x82\xac",
		"%s%n",
		"[x]",
		"#1",
		"with blanks, and one more at the end ",
	};
	char longest[MORSEL_NAME_MAX];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		int fd = create_named(good[i], HUGE, 0600), again;

		assert_string_equal(info_of(fd).name, good[i]);
		again = open_with(0, good[i], 0);
		assert_true(again >= 0);
		assert_int_equal(id_of(again), id_of(fd));
	}
	assert_errno(open_with(0, "b", 0), ENOENT);
	memset(longest, 'n', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_string_equal(info_of(create_named(longest, HUGE, 0600)).name, longest);
	assert_done(unlink_morsel(0, longest));
}

static void open_wants_an_id_or_a_name(void **state)
{
	uint64_t id;

	id = id_of(create_named("both", HUGE, 0600));
	assert_errno(open_with(0, "", 0), EINVAL);
	assert_errno(open_with(id, "both", 0), EINVAL);
	assert_errno(unlink_morsel(0, ""), EINVAL);
	assert_errno(unlink_morsel(id, "both"), EINVAL);
	assert_errno(open_with(id + 1000, "", 0), ENOENT);
	assert_errno(open_with(UINT64_MAX, "", 0), ENOENT);
	assert_true(open_with(id, "", 0) >= 0);
}

static void open_tells_the_id(void **state)
{
	struct morsel_open args = {.size = sizeof(args), .name = "told"};
	uint64_t id;

	id = id_of(create_named("told", HUGE, 0600));
	assert_done(ioctl(dev, MORSEL_IOC_OPEN, &args));
	assert_int_equal(args.id, id);
	assert_int_equal(id_of(args.fd), id);
}

static void lengths_are_checked(void **state)
{
	uint64_t most = query().max_length;
	struct morsel_create args;

	args = request("", 0);
	assert_done(create_with(&args));
	assert_int_equal(info_of(args.fd).length, 0);
	args = request("", most + 1);
	assert_errno(create_with(&args), EFBIG);
	args = request("", UINT64_MAX);
	assert_errno(create_with(&args), EFBIG);
	args = request("", most);
	assert_done(create_with(&args));
	args = request("", 1);
	assert_done(create_with(&args));
	assert_int_equal(info_of(args.fd).length, 1);
}

static void granules_are_checked(void **state)
{
	struct morsel_create args;
	unsigned int granule;

	for (granule = 0; granule < 64; granule++) {
		bool good = granule == MORSEL_GRANULE_AUTO || granule == MORSEL_GRANULE_4K ||
			    granule == MORSEL_GRANULE_2M;

		args = request("", HUGE);
		args.granule = granule;
		if (good)
			assert_done(create_with(&args));
		else
			assert_errno(create_with(&args), EINVAL);
	}
	args = request("", HUGE + PAGE);
	args.granule = MORSEL_GRANULE_2M;
	assert_done(create_with(&args));
	assert_int_equal(info_of(args.fd).length, HUGE + PAGE);
}

static void pools_and_nodes_are_checked(void **state)
{
	struct morsel_create args;

	args = request("", HUGE);
	args.pool = 9999;
	assert_errno(create_with(&args), ENOENT);
	args = request("", HUGE);
	args.node = 9999;
	assert_errno(create_with(&args), ENODEV);
	args = request("", HUGE);
	args.mode = 01000;
	assert_errno(create_with(&args), EINVAL);
	args = request("", HUGE);
	args.pool = pool_info().id;
	args.node = pool_info().node;
	assert_done(create_with(&args));
	assert_int_equal(info_of(args.fd).pool, args.pool);
	assert_int_equal(info_of(args.fd).node, args.node);
	assert_int_equal(pool_info().morsels, 1);
}

static void on_alarm(int number)
{
}

/* A signal that does not kill is no reason to undo it all. */
static void creating_goes_on_after_signals(void **state)
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {};
	const struct sigaction action = {.sa_handler = on_alarm}, none = {.sa_handler = SIG_DFL};
	struct morsel_create args = request("", 64 * MIB);
	unsigned int i;

	args.flags = MORSEL_CREATE_POPULATE;
	args.granule = MORSEL_GRANULE_4K;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 0; i < 3; i++) {
		int fd = create_with(&args);

		setitimer(ITIMER_REAL, fd < 0 || i == 2 ? &never : &often, NULL);
		assert_done(fd);
		assert_int_equal(info_of(fd).frame_bytes, 64 * MIB);
		close(fd);
	}
	sigaction(SIGALRM, &none, NULL);
}

static void ids_are_never_used_twice(void **state)
{
	uint64_t last = 0;
	int i;

	for (i = 0; i < 20; i++) {
		int fd = create(HUGE, MORSEL_GRANULE_AUTO);
		uint64_t id = id_of(fd);

		assert_true(id > last);
		last = id;
		close(fd);
	}
}

static void stat_describes(void **state)
{
	struct morsel_info info;
	char *memory;
	int fd;

	fd = create_named("described", 6 * MIB + PAGE, 0640);
	info = info_of(fd);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.flags, MORSEL_INFO_NAMED);
	assert_int_equal(info.length, 6 * MIB + PAGE);
	assert_int_equal(info.frame_bytes, 0);
	assert_int_equal(info.huge_bytes, 0);
	assert_int_equal(info.faults, 0);
	assert_int_equal(info.granule, MORSEL_GRANULE_AUTO);
	assert_int_equal(info.mode, 0640);
	assert_int_equal(info.uid, 0);
	assert_int_equal(info.gid, 0);
	assert_int_equal(info.attachments, 0);
	assert_int_equal(info.fault_around, 64 * KIB);
	assert_string_equal(info.name, "described");

	memory = map(fd, 8 * MIB, RW);
	memory[0] = 1;
	memory[6 * MIB] = 1;
	info = info_of(fd);
	assert_int_equal(info.attachments, 1);
	assert_int_equal(info.frame_bytes, HUGE + PAGE);
	assert_int_equal(info.huge_bytes, HUGE);
	assert_true(info.faults >= 1 && info.faults <= 4);
	assert_true(info.table_bytes >= 2 * PAGE);
	munmap(memory, 8 * MIB);
	assert_int_equal(info_of(fd).attachments, 0);
}

static void the_creator_owns_it(void **state)
{
	pid_t pid;

	pid = spawn();
	if (!pid) {
		struct morsel_info info;

		become(TESTER);
		info = info_of(create_named("mine", HUGE, 0640));
		need(info.uid == TESTER && info.gid == TESTER && info.mode == 0640);
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(info_of(open_with(0, "mine", 0)).uid, TESTER);
}

/* What a stranger gets, by the morsel's mode. */
static void modes_decide_who_may_open(void **state)
{
	static const struct {
		uint32_t mode;
		int read;
		int write;
	} cases[] = {
		{0600, ENOENT, ENOENT}, {0660, ENOENT, ENOENT}, {0640, ENOENT, ENOENT},
		{0604, 0, EACCES},	{0606, 0, 0},		{0602, ENOENT, ENOENT},
		{0666, 0, 0},		{0000, ENOENT, ENOENT},
	};
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		snprintf(name, sizeof(name), "mode%o", cases[i].mode);
		close(create_named(name, HUGE, cases[i].mode));
	}
	pid = spawn();
	if (!pid) {
		become(OTHER);
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			char name[16];
			int fd;

			snprintf(name, sizeof(name), "mode%o", cases[i].mode);
			errno = 0;
			fd = open_with(0, name, MORSEL_OPEN_READ_ONLY);
			need((fd >= 0) == !cases[i].read && errno == cases[i].read);
			errno = 0;
			fd = open_with(0, name, 0);
			need((fd >= 0) == !cases[i].write && errno == cases[i].write);
		}
		_exit(0);
	}
	assert_child_done(pid);
	/* Root may, whatever the mode. */
	assert_true(open_with(0, "mode0", 0) >= 0);
}

static void the_group_counts(void **state)
{
	pid_t pid;

	assert_done(fchown(create_named("group", HUGE, 0640), 0, OTHER));
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open_with(0, "group", MORSEL_OPEN_READ_ONLY) >= 0);
		need(open_with(0, "group", 0) == -1 && errno == EACCES);
		_exit(0);
	}
	assert_child_done(pid);
	pid = spawn();
	if (!pid) {
		become(TESTER);
		need(open_with(0, "group", MORSEL_OPEN_READ_ONLY) == -1 && errno == ENOENT);
		_exit(0);
	}
	assert_child_done(pid);
}

static void open_by_name(void *name)
{
	need(open_with(0, name, 0) >= 0);
}

/* Fails if security modules are not asked, as they are of each file that is opened by a path. */
static void security_modules_are_asked_who_opens(void **state)
{
	create_named("guarded", HUGE, 0600);
	assert_true(calls_of("security_inode_permission", open_by_name, "guarded") > 0);
}

static void fchmod_changes_who_may_open(void **state)
{
	int fd;
	pid_t pid;

	fd = create_named("chmod", HUGE, 0600);
	assert_done(fchmod(fd, 0604));
	assert_int_equal(info_of(fd).mode, 0604);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(open_with(0, "chmod", MORSEL_OPEN_READ_ONLY) >= 0);
		need(fchmod(fd, 0666) == -1 && errno == EPERM);
		_exit(0);
	}
	assert_child_done(pid);
}

static void only_the_owner_unlinks(void **state)
{
	pid_t pid;

	create_named("seen", HUGE, 0666);
	create_named("unseen", HUGE, 0600);
	pid = spawn();
	if (!pid) {
		become(OTHER);
		need(unlink_morsel(0, "seen") == -1 && errno == EPERM);
		need(unlink_morsel(0, "unseen") == -1 && errno == ENOENT);
		create_named("own", HUGE, 0600);
		need(!unlink_morsel(0, "own"));
		/* One's own, even if one may not look into it. */
		create_named("shut", HUGE, 0);
		need(open_with(0, "shut", MORSEL_OPEN_READ_ONLY) == -1 && errno == ENOENT);
		need(!unlink_morsel(0, "shut"));
		create_named("left", HUGE, 0600);
		_exit(0);
	}
	assert_child_done(pid);
	assert_true(open_with(0, "seen", 0) >= 0);
	assert_true(open_with(0, "unseen", 0) >= 0);
	/* CAP_FOWNER */
	assert_done(unlink_morsel(0, "left"));
}

static void a_list_shows_what_one_may_see(void **state)
{
	pid_t pid;

	create_named("public", HUGE, 0644);
	create_named("private", HUGE, 0600);
	create_named("writable", HUGE, 0602);
	assert_int_equal(count_morsels(), 3);
	pid = spawn();
	if (!pid) {
		unsigned int count;
		struct morsel_info *all;

		become(OTHER);
		all = list_all(&count);
		need(count == 1 && !strcmp(all[0].name, "public"));
		create_named("own", HUGE, 0600);
		need(count_morsels() == 2);
		_exit(0);
	}
	assert_child_done(pid);
	assert_int_equal(count_morsels(), 4);
}

static void a_list_comes_in_steps(void **state)
{
	struct morsel_info info[3];
	uint64_t cursor = 0, last = 0;
	unsigned int total = 0, steps = 0;
	int i, count, fds[10];

	for (i = 0; i < 10; i++)
		fds[i] = create(HUGE, MORSEL_GRANULE_AUTO);
	while ((count = list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]), 3)) > 0) {
		for (i = 0; i < count; i++) {
			assert_true(info[i].id > last);
			assert_int_equal(info[i].size, sizeof(info[i]));
			last = info[i].id;
		}
		total += count;
		/* What comes and goes meanwhile disturbs nobody. */
		if (!steps++) {
			close(fds[0]);
			close(fds[4]);
			create(HUGE, MORSEL_GRANULE_AUTO);
		}
	}
	assert_int_equal(count, 0);
	assert_int_equal(total, 10);
	/* At the end it stays at the end. */
	assert_int_equal(list_step(dev, MORSEL_IOC_LIST, &cursor, info, sizeof(info[0]), 3), 0);
}

static void list_entries_may_be_shorter_or_longer(void **state)
{
	unsigned char entries[3][512];
	uint64_t cursor = 0, id;

	create(HUGE, MORSEL_GRANULE_AUTO);
	id = id_of(create(HUGE, MORSEL_GRANULE_AUTO));
	memset(entries, 0xaa, sizeof(entries));
	assert_int_equal(list_step(dev, MORSEL_IOC_LIST, &cursor, entries, 24, 2), 2);
	assert_int_equal(((uint64_t *)entries)[4], id);
	assert_int_equal(((struct morsel_info *)entries[0])->size, 24);
	assert_int_equal(entries[0][48], 0xaa);
	cursor = 0;
	memset(entries, 0xaa, sizeof(entries));
	assert_int_equal(list_step(dev, MORSEL_IOC_LIST, &cursor, entries, 512, 2), 2);
	assert_int_equal(((struct morsel_info *)entries[1])->id, id);
	assert_int_equal(((struct morsel_info *)entries[1])->size, sizeof(struct morsel_info));
	assert_true(
		is_zero(entries[1] + sizeof(struct morsel_info), 512 - sizeof(struct morsel_info)));
	assert_int_equal(entries[2][0], 0xaa);
}

static void descriptors_close_on_exec_if_asked(void **state)
{
	struct morsel_create args = request("exec", HUGE);
	int fd;

	assert_done(create_with(&args));
	assert_int_equal(fcntl(args.fd, F_GETFD), 0);
	args = request("", HUGE);
	args.flags = MORSEL_CREATE_CLOEXEC;
	assert_done(create_with(&args));
	assert_int_equal(fcntl(args.fd, F_GETFD), FD_CLOEXEC);
	fd = open_with(0, "exec", MORSEL_OPEN_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd = open_with(0, "exec", 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
}

static void without_a_free_descriptor_nothing_is_left(void **state)
{
	struct rlimit limit;
	pid_t pid;

	create_named("there", HUGE, 0600);
	pid = spawn();
	if (!pid) {
		struct morsel_create args = request("full", HUGE);

		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = dup(dev) + 1;
		need(!setrlimit(RLIMIT_NOFILE, &limit));
		need(create_with(&args) == -1 && errno == EMFILE);
		need(open_with(0, "there", 0) == -1 && errno == EMFILE);
		need(count_morsels() == 1);
		_exit(0);
	}
	assert_child_done(pid);
}

static void assert_module_stays(void)
{
	int err;

	close(dev);
	err = unload_module();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (err != -EWOULDBLOCK && err != -EBUSY)
		fail_msg("delete_module: %s", err ? strerrorname_np(-err) : "done");
}

static void the_module_stays_while_the_device_is_open(void **state)
{
	int other = dup(dev);

	assert_module_stays();
	close(other);
}

static void the_module_stays_while_a_descriptor_is_open(void **state)
{
	create(HUGE, MORSEL_GRANULE_AUTO);
	assert_module_stays();
}

static void the_module_stays_while_a_morsel_is_mapped(void **state)
{
	char *memory;
	int fd;

	fd = create(HUGE, MORSEL_GRANULE_AUTO);
	memory = map(fd, HUGE, RW);
	close(fd);
	assert_module_stays();
	memory[0] = 1;
	assert_module_stays();
	assert_int_equal(memory[0], 1);
}

static void the_module_stays_while_a_name_is_there(void **state)
{
	close(create_named("holds", HUGE, 0600));
	assert_module_stays();
	assert_true(open_with(0, "holds", 0) >= 0);
}

/* A descriptor that has nothing of ours but the inode. */
static void the_module_stays_while_a_path_is_held(void **state)
{
	int fd = create(HUGE, MORSEL_GRANULE_AUTO), held;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	held = open(path, O_PATH | O_CLOEXEC);
	assert_done(held);
	close(fd);
	assert_module_stays();
	assert_int_equal(count_morsels(), 1);
	close(held);
	assert_int_equal(count_morsels(), 0);
}

/* Who watches one is told when it goes, as with a memfd, and does not keep it. */
static void who_watches_is_told_when_it_goes(void **state)
{
	int fds[2] = {memfd_create("control", MFD_CLOEXEC), create(HUGE, MORSEL_GRANULE_AUTO)};
	struct inotify_event event;
	char path[32];
	int watch, i;

	for (i = 0; i < 2; i++) {
		watch = inotify_init1(IN_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		assert_done(inotify_add_watch(watch, path, IN_DELETE_SELF));
		close(fds[i]);
		assert_int_equal(read(watch, &event, sizeof(event)), sizeof(event));
		assert_int_equal(event.mask, IN_DELETE_SELF);
	}
	assert_int_equal(count_morsels(), 0);
	close(dev);
	assert_int_equal(unload_module(), 0);
	load_module();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
}

static void the_module_can_go_and_come_back(void **state)
{
	int i;

	for (i = 0; i < 3; i++) {
		char *memory;
		int fd = create(4 * MIB, MORSEL_GRANULE_4K);

		memory = map(fd, 4 * MIB, RW);
		fill_pattern(memory, 64 * KIB, 1);
		munmap(memory, 4 * MIB);
		close(fd);
		close(dev);
		assert_int_equal(unload_module(), 0);
		assert_int_equal(access(MORSEL_DEVICE, F_OK), -1);
		load_module();
		dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
		assert_true(dev >= 0);
		assert_int_equal(count_morsels(), 0);
	}
}

static void opening_the_device_loads_the_module(void **state)
{
	/* As installed: the module is where modprobe looks. */
	static const char *const install = "cp $MORSEL_KO /lib/modules/$(uname -r)/morsel.ko && depmod";
	static const char *const remove = "rm /lib/modules/$(uname -r)/morsel.ko && depmod";

	if (!getenv("MORSEL_KO"))
		skip_because("the machine's own module is not to be touched");
	close(dev);
	assert_int_equal(unload_module(), 0);
	/* What is made at boot, from modules.devname. */
	assert_done(mknod(MORSEL_DEVICE, S_IFCHR | 0600, makedev(10, 251)));
	assert_errno(open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC), ENODEV);

	assert_int_equal(system(install), 0);
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
	assert_int_equal(system(remove), 0);
	assert_done(dev);
	assert_int_equal(query().abi, MORSEL_ABI_VERSION);

	/* That node is nobody's but ours. */
	close(dev);
	assert_int_equal(unload_module(), 0);
	assert_done(unlink(MORSEL_DEVICE));
	load_module();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
}

static void there_may_be_thousands(void **state)
{
	const unsigned int many = rounds_of(20000);
	unsigned int count, i;
	struct morsel_info *all;

	for (i = 0; i < many; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "many-%u", i);
		fd = create_named(name, i % 2 ? HUGE : 3 * GIB, 0600);
		/* Some have something in them. */
		if (i % 64 == 1)
			assert_int_equal(pwrite(fd, name, sizeof(name), PAGE), sizeof(name));
		close(fd);
	}
	all = list_all(&count);
	assert_int_equal(count, many);
	assert_int_equal(query().nr_morsels, many);
	for (i = 0; i < many; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many-%u", i);
		assert_string_equal(all[i].name, name);
	}
	for (i = 0; i < many; i += 97) {
		char text[32], name[32];
		int fd;

		snprintf(name, sizeof(name), "many-%u", i);
		fd = open_with(0, name, 0);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, text, sizeof(text), PAGE), sizeof(text));
		if (i % 64 == 1)
			assert_string_equal(text, name);
		else
			assert_true(is_zero(text, sizeof(text)));
		close(fd);
	}
	for (i = 0; i < many; i++)
		assert_done(unlink_morsel(all[i].id, ""));
	free(all);
	assert_int_equal(count_morsels(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_device_is_not_for_everybody),
		TEST(an_unnamed_one_goes_at_its_last_close),
		TEST(a_mapping_keeps_an_unnamed_one),
		TEST(a_named_one_outlives_its_descriptors),
		TEST(an_unlinked_one_goes_at_its_last_close),
		TEST(an_unlinked_one_without_users_goes_at_once),
		TEST(a_name_is_free_again_after_unlink),
		TEST(a_taken_name_is_refused),
		TEST(names_are_checked),
		TEST(names_are_utf_8_without_control_characters),
		TEST(what_was_good_in_names_and_is_utf_8_stays_so),
		TEST(names_may_be_long_and_odd),
		TEST(open_wants_an_id_or_a_name),
		TEST(open_tells_the_id),
		TEST(lengths_are_checked),
		TEST(granules_are_checked),
		TEST(pools_and_nodes_are_checked),
		TEST(creating_goes_on_after_signals),
		TEST(ids_are_never_used_twice),
		TEST(stat_describes),
		TEST(the_creator_owns_it),
		TEST(modes_decide_who_may_open),
		TEST(the_group_counts),
		KERNEL_TEST(security_modules_are_asked_who_opens),
		TEST(fchmod_changes_who_may_open),
		TEST(only_the_owner_unlinks),
		TEST(a_list_shows_what_one_may_see),
		TEST(a_list_comes_in_steps),
		TEST(list_entries_may_be_shorter_or_longer),
		TEST(descriptors_close_on_exec_if_asked),
		TEST(without_a_free_descriptor_nothing_is_left),
		TEST(the_module_stays_while_the_device_is_open),
		TEST(the_module_stays_while_a_descriptor_is_open),
		TEST(the_module_stays_while_a_morsel_is_mapped),
		TEST(the_module_stays_while_a_name_is_there),
		TEST(the_module_stays_while_a_path_is_held),
		TEST(who_watches_is_told_when_it_goes),
		TEST(the_module_can_go_and_come_back),
		TEST(opening_the_device_loads_the_module),
		TEST(there_may_be_thousands),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
