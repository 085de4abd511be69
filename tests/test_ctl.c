// SPDX-License-Identifier: GPL-2.0
/*
 * morselctl, by its JSON, its exit codes and what it leaves behind.
 */
#include "kernel.h"

#include <grp.h>
#include <json-c/json.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

/* Exit codes, as the manual has them. */
enum { DONE, FAILED, USAGE, NO_MODULE, NOT_FOUND, DENIED };

static char output[1 << 18];

/* Run morselctl by the shell; its output, errors too, is in output[]. */
static int ctl(const char *format, ...)
{
	char command[512] = "", arguments[400];
	size_t length = 0;
	va_list args;
	int pipes[2];
	ssize_t got;
	pid_t pid;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	snprintf(command, sizeof(command), "exec morselctl %s 2>&1", arguments);
	assert_done(pipe2(pipes, O_CLOEXEC));
	pid = spawn();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], output + length, sizeof(output) - 1 - length)) > 0)
		length += got;
	output[length] = 0;
	close(pipes[0]);
	return wait_child(pid);
}

static void assert_ctl(int want, const char *format, ...)
{
	char arguments[400];
	va_list args;
	int code;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	code = ctl("%s", arguments);
	if (code != want)
		fail_msg("morselctl %s: exit status %d instead of %d: %s", arguments, code, want,
			 output);
}

/* What morselctl --json prints: an array, to be put back. */
static struct json_object *ctl_json(const char *format, ...)
{
	struct json_object *array;
	char arguments[400];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	assert_ctl(DONE, "--json %s", arguments);
	array = json_tokener_parse(output);
	if (!array || !json_object_is_type(array, json_type_array))
		fail_msg("morselctl --json %s prints no array: %s", arguments, output);
	return array;
}

static struct json_object *row(struct json_object *array, size_t index)
{
	assert_true(index < json_object_array_length(array));
	return json_object_array_get_idx(array, index);
}

static uint64_t number(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("there is no \"%s\" in %s", key, json_object_to_json_string(object));
	return json_object_get_int64(value);
}

static const char *text(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("there is no \"%s\" in %s", key, json_object_to_json_string(object));
	return json_object_get_string(value);
}

static void need_program(void)
{
	if (ctl("--version") == 127)
		skip_because("there is no morselctl");
}

static void a_morsel_s_life(void **state)
{
	struct json_object *array;

	need_program();
	assert_ctl(DONE, "create -g 4k -m 640 first 3M");
	assert_ctl(DONE, "create -P second 8MiB");
	array = ctl_json("list");
	assert_int_equal(json_object_array_length(array), 2);
	assert_string_equal(text(row(array, 0), "name"), "first");
	assert_int_equal(number(row(array, 0), "length"), 3 * MIB);
	assert_int_equal(number(row(array, 0), "frames"), 0);
	assert_string_equal(text(row(array, 0), "mode"), "0640");
	assert_string_equal(text(row(array, 0), "granule"), "4k");
	assert_int_equal(number(row(array, 1), "frames"), 8 * MIB);
	json_object_put(array);

	assert_ctl(DONE, "tune -f 16K first second");
	assert_int_equal(info_of(open_with(0, "second", 0)).fault_around, 16 * KIB);
	assert_ctl(DONE, "populate first");
	array = ctl_json("show first");
	assert_int_equal(number(row(array, 0), "fault_around"), 16 * KIB);
	assert_int_equal(json_object_array_length(array), 1);
	assert_int_equal(number(row(array, 0), "frames"), 3 * MIB);
	assert_int_equal(number(row(array, 0), "id"), id_of(open_with(0, "first", 0)));
	json_object_put(array);

	assert_ctl(DONE, "rm first second");
	array = ctl_json("list");
	json_object_put(array);
	assert_errno(open_with(0, "second", 0), ENOENT);
}

static void json_is_always_an_array(void **state)
{
	static const char *const commands[] = {
		"list",	     "show here",	 "pool list", "pool show %u", "limit show 0",
		"tree here", "stat -c 2 -i 0.1", "doctor",    "who here",     "who",
	};
	unsigned int i;

	need_program();
	json_object_put(ctl_json("list"));
	create_named("here", 4 * MIB, 0600);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		char command[100];

		snprintf(command, sizeof(command), commands[i], pool_info().id);
		/* The doctor may find something; it says so in its array. */
		if (!strcmp(command, "doctor")) {
			struct json_object *array;

			ctl("--json doctor");
			array = json_tokener_parse(output);
			assert_true(json_object_is_type(array, json_type_array));
			assert_true(json_object_array_length(array) > 3);
			json_object_put(array);
		} else {
			json_object_put(ctl_json("%s", command));
		}
	}
}

static void tables_are_for_people(void **state)
{
	need_program();
	create_named("seen", 6 * MIB, 0600);
	assert_ctl(DONE, "list");
	assert_non_null(strstr(output, "NAME"));
	assert_non_null(strstr(output, "seen"));
	assert_non_null(strstr(output, "6.00M"));
	assert_ctl(DONE, "--bytes list");
	assert_non_null(strstr(output, "6291456"));
	assert_ctl(DONE, "pool list");
	assert_non_null(strstr(output, "dram0"));
	assert_ctl(DONE, "tree seen");
	assert_non_null(strstr(output, "seen"));
}

static void exit_codes_tell(void **state)
{
	need_program();
	assert_ctl(USAGE, "");
	assert_ctl(USAGE, "no-such-verb");
	assert_ctl(USAGE, "create only-a-name");
	assert_ctl(USAGE, "create name some-size");
	assert_ctl(USAGE, "create -g 3k name 1M");
	assert_ctl(USAGE, "create -f 5k name 1M");
	assert_ctl(USAGE, "tune nobody");
	assert_ctl(NOT_FOUND, "tune -f 4K nobody");
	assert_ctl(USAGE, "list --no-such-option");
	assert_ctl(NOT_FOUND, "show nobody");
	assert_ctl(NOT_FOUND, "rm nobody");
	assert_ctl(NOT_FOUND, "who nobody");
	assert_ctl(NOT_FOUND, "who '#999999999'");
	assert_ctl(NOT_FOUND, "pool show 9999");
	assert_ctl(DONE, "create taken 2M");
	assert_ctl(FAILED, "create taken 2M");
	assert_ctl(FAILED, "create big 1000000T");
	assert_ctl(NOT_FOUND, "import /no/such/file");
	/* What fails leaves nothing. */
	assert_int_equal(count_morsels(), 1);
}

static void a_stranger_is_denied(void **state)
{
	char command[] = "exec morselctl list >/dev/null 2>&1";
	pid_t pid;

	need_program();
	pid = spawn();
	if (!pid) {
		become(OTHER);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(wait_child(pid), DENIED);
}

static void without_a_module_it_says_so(void **state)
{
	need_program();
	close(dev);
	assert_int_equal(unload_module(), 0);
	assert_ctl(NO_MODULE, "list");
	assert_non_null(strstr(output, "modprobe morsel"));
	assert_true(ctl("doctor") != DONE);
	assert_non_null(strstr(output, "modprobe morsel"));
	load_module();
	dev = open(MORSEL_DEVICE, O_RDWR | O_CLOEXEC);
}

/* What the doctor says is to be done about one of its checks. */
static void assert_remedy(const char *check, const char *want)
{
	struct json_object *array;
	const char *remedy = NULL;
	size_t i;

	ctl("--json doctor");
	array = json_tokener_parse(output);
	assert_true(json_object_is_type(array, json_type_array));
	for (i = 0; i < json_object_array_length(array); i++)
		if (!strcmp(text(row(array, i), "check"), check))
			remedy = text(row(array, i), "remedy");
	if (!remedy || !strstr(remedy, want) || (!*want && *remedy))
		fail_msg("the doctor says \"%s\" of %s instead of \"%s\"", remedy, check, want);
	json_object_put(array);
}

static void the_doctor_tells_of_the_lowest_address(void **state)
{
	assert_remedy("lowest address", "");
	set_kernel("/proc/sys/vm/mmap_min_addr", "0");
	assert_remedy("lowest address", "sysctl vm.mmap_min_addr=65536");
}

/* Make the file another module: modules are told apart by what they were built from. */
static void change_source_version(const char *path)
{
	char *image, *at;
	struct stat st;
	int fd;

	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_done(fstat(fd, &st));
	image = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(image != MAP_FAILED);
	at = memmem(image, st.st_size, "srcversion=", strlen("srcversion="));
	assert_non_null(at);
	at[strlen("srcversion=")] = '-';
	munmap(image, st.st_size);
	close(fd);
}

/* Fails if who relies on the limit of a group is not told that it does not hold for morsels. */
static void the_doctor_tells_of_a_group_with_a_limit(void **state)
{
	pid_t pid;

	make_cgroup();
	assert_true(write_text(CGROUP "/memory.max", "268435456"));
	pid = spawn();
	if (!pid) {
		join_cgroup();
		ctl("--json doctor");
		need(strstr(output, "/morsel-test has a limit of 256"));
		need(strstr(output, "morselctl limit set"));
		_exit(0);
	}
	assert_child_done(pid);
	ctl("--json doctor");
	assert_null(strstr(output, "has a limit of"));
}

static void the_doctor_compares_the_file_with_what_is_loaded(void **state)
{
	char path[200];
	struct utsname name;

	need_program();
	if (!getenv("MORSEL_KO"))
		skip_because("the machine's own module is not to be touched");
	assert_remedy("installed", "make dkms-install");

	assert_done(uname(&name));
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/morsel.ko", name.release);
	assert_int_equal(system("cd /lib/modules/$(uname -r) && mkdir updates && "
				"cp $MORSEL_KO updates/ && depmod"),
			 0);
	assert_remedy("installed", "");
	change_source_version(path);
	assert_remedy("installed", "rmmod morsel; modprobe morsel");
	assert_int_equal(system("rm -r /lib/modules/$(uname -r)/updates && depmod"), 0);
}

static void write_file(const char *path, size_t length)
{
	char *memory = malloc(length + 8);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fill_pattern(memory, length + 7, 1);
	assert_int_equal(write(fd, memory, length), length);
	close(fd);
	free(memory);
}

static void assert_files_equal(const char *one, const char *other, size_t length)
{
	int fds[2] = {open(one, O_RDONLY | O_CLOEXEC), open(other, O_RDONLY | O_CLOEXEC)};
	void *mappings[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct stat st;

		assert_done(fds[i]);
		assert_done(fstat(fds[i], &st));
		assert_int_equal(st.st_size, length);
		mappings[i] = mmap(NULL, length, PROT_READ, MAP_SHARED, fds[i], 0);
		assert_ptr_not_equal(mappings[i], MAP_FAILED);
		close(fds[i]);
	}
	assert_int_equal(memcmp(mappings[0], mappings[1], length), 0);
	munmap(mappings[0], length);
	munmap(mappings[1], length);
}

static void import_and_export_keep_contents(void **state)
{
	/* The last one takes more than one step. */
	static const size_t lengths[] = {1, PAGE, 3 * MIB + 12345, 17 * MIB + 1};
	unsigned int i;

	need_program();
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		write_file("/tmp/contents", lengths[i]);
		assert_ctl(DONE, "import -N imported /tmp/contents");
		assert_int_equal(info_of(open_with(0, "imported", 0)).length, lengths[i]);
		assert_ctl(DONE, "export imported /tmp/exported");
		assert_files_equal("/tmp/contents", "/tmp/exported", lengths[i]);
		assert_ctl(DONE, "rm imported");
		unlink("/tmp/exported");
	}
	/* By default it is called as the file is. */
	assert_ctl(DONE, "import -g 4k -m 0644 /tmp/contents");
	if (open_with(0, "contents", 0) < 0)
		fail_msg("no morsel is called as its file: %s", output);
	unlink("/tmp/contents");
}

/* What has no size: the morsel grows. */
static void pipes_are_imported(void **state)
{
	const size_t length = 17 * MIB + 1;
	pid_t pid;

	need_program();
	write_file("/tmp/contents", length);
	assert_done(mkfifo("/tmp/fifo", 0600));
	pid = spawn();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "cat /tmp/contents >/tmp/fifo", NULL);
		_exit(127);
	}
	assert_ctl(DONE, "import -N 'a name with blanks' /tmp/fifo");
	assert_child_done(pid);
	assert_int_equal(info_of(open_with(0, "a name with blanks", 0)).length, length);
	/* But for the rest behind them, in huge frames. */
	assert_int_equal(info_of(open_with(0, "a name with blanks", 0)).huge_bytes, 16 * MIB);
	assert_ctl(DONE, "export 'a name with blanks' /tmp/exported");
	assert_files_equal("/tmp/contents", "/tmp/exported", length);
	unlink("/tmp/exported");
	assert_ctl(DONE, "import -N read - </tmp/contents");
	assert_ctl(DONE, "export read /tmp/exported");
	assert_files_equal("/tmp/contents", "/tmp/exported", length);
	assert_ctl(USAGE, "import - </tmp/contents");
	/* Nothing is something, and so is what says that it is. */
	assert_ctl(DONE, "import -N nothing /dev/null");
	assert_int_equal(info_of(open_with(0, "nothing", 0)).length, 0);
	assert_ctl(DONE, "import -N version /proc/version");
	assert_true(info_of(open_with(0, "version", 0)).length > 10);
	assert_ctl(FAILED, "import -N folder /tmp");
	assert_errno(open_with(0, "folder", 0), ENOENT);
	unlink("/tmp/fifo");
	unlink("/tmp/contents");
	unlink("/tmp/exported");
}

/* Without control characters, and bytes that are none: without C.UTF-8, all that is not ASCII is '?'. */
static void assert_harmless(void)
{
	const unsigned char *at;

	for (at = (unsigned char *)output; *at; at++)
		if ((*at < ' ' && *at != '\n') || *at == 0x7f || *at == 0xff || *at == 0x9b)
			fail_msg("%02x in %s", *at, output);
}

/* Fails if a file's name can tell a terminal what to do. */
static void odd_names_are_shown_without_harm(void **state)
{
	struct json_object *array;

	need_program();
	mkdir("/tmp/mounted", 0755);
	assert_done(mount("none", "/tmp/mounted", "morsel", 0, "mode=755"));
	close(creat("/tmp/mounted/a\033[31mb\xff\xc2\x9b" "c\n\xc3\xa4", 0600));
	assert_ctl(DONE, "list");
	assert_harmless();
	assert_non_null(strstr(output, "a?[31mb?"));
	array = ctl_json("list");
	assert_harmless();
	assert_int_equal(number(row(array, 0), "length"), 0);
	json_object_put(array);
	assert_done(umount("/tmp/mounted"));
	rmdir("/tmp/mounted");
}

static void holes_stay_holes_in_a_tree(void **state)
{
	struct json_object *array;
	uint64_t frames = 0;
	size_t i;
	int fd;

	need_program();
	fd = create_named("tree", 3 * GIB, 0600);
	assert_done(populate(fd, 0, 4 * MIB));
	assert_done(populate(fd, 2 * GIB, 2 * MIB));
	array = ctl_json("tree tree");
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *value, *gib = row(array, i);

		if (json_object_object_get_ex(gib, "leaves_2m", &value))
			frames += json_object_get_int64(value);
	}
	json_object_put(array);
	assert_int_equal(frames, 3);
	assert_int_equal(info_of(fd).frame_bytes, 6 * MIB);
}

static void clones_are_made_and_compared(void **state)
{
	struct json_object *array;
	char byte = 1;
	int fd;

	need_program();
	assert_ctl(DONE, "create -P -g 4k disk 8M");
	assert_ctl(DONE, "snapshot disk before");
	array = ctl_json("clone -m 0640 disk copy");
	assert_string_equal(text(row(array, 0), "name"), "copy");
	assert_string_equal(text(row(array, 0), "mode"), "0640");
	assert_int_equal(number(row(array, 0), "frames"), 8 * MIB);
	json_object_put(array);
	array = ctl_json("diff before disk");
	assert_int_equal(json_object_array_length(array), 0);
	json_object_put(array);
	array = ctl_json("tree copy");
	assert_int_equal(number(row(array, 0), "shared_bytes"), 8 * MIB);
	assert_int_equal(number(row(array, 0), "shared_pmd_tables"), 1);
	assert_int_equal(number(row(array, 0), "shared_pte_tables"), 4);
	json_object_put(array);

	fd = open_with(0, "disk", 0);
	assert_int_equal(pwrite(fd, &byte, 1, 3 * MIB), 1);
	assert_done(punch(fd, 6 * MIB, HUGE));
	array = ctl_json("diff before disk");
	assert_int_equal(json_object_array_length(array), 2);
	assert_int_equal(number(row(array, 0), "offset"), 3 * MIB);
	assert_int_equal(number(row(array, 0), "length"), PAGE);
	assert_string_equal(text(row(array, 0), "what"), "changed");
	assert_string_equal(text(row(array, 1), "what"), "gone");
	json_object_put(array);
	assert_ctl(DONE, "rollback disk before");
	assert_int_equal(pread(fd, &byte, 1, 3 * MIB), 1);
	assert_int_equal(byte, 0);
	close(fd);
	/* Who may not write to it clones what nobody writes to. */
	assert_ctl(DONE, "clone before again");
	assert_ctl(DENIED, "rollback before disk");
	assert_ctl(NOT_FOUND, "clone nothing something");
	assert_ctl(FAILED, "clone disk copy");
	assert_ctl(DONE, "rm disk before copy again");
}

/* A child that does something, and stays as it is from then on; it may have closed all it had. */
static pid_t spawn_holder(void (*hold)(void *), void *arg)
{
	pid_t pid = spawn();
	int status;

	if (!pid) {
		hold(arg);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* What a process has of a morsel; NULL: nothing. */
static struct json_object *held_by(struct json_object *array, pid_t pid, uint64_t id)
{
	size_t i;

	for (i = 0; i < json_object_array_length(array); i++)
		if (number(row(array, i), "pid") == (uint64_t)pid &&
		    number(row(array, i), "id") == id)
			return row(array, i);
	return NULL;
}

static void assert_mapped(struct json_object *held, uint64_t mapped, uint64_t stale)
{
	assert_non_null(held);
	assert_int_equal(number(held, "mapped"), mapped);
	assert_int_equal(number(held, "mapped_stale"), stale);
}

/* That one of the descriptors is so. */
static void assert_descriptor(struct json_object *held, int fd, const char *mode, bool stale)
{
	struct json_object *all, *entry;
	size_t i;

	assert_non_null(held);
	assert_true(json_object_object_get_ex(held, "descriptors", &all));
	for (i = 0; i < json_object_array_length(all); i++) {
		entry = row(all, i);
		if (number(entry, "descriptor") != (uint64_t)fd)
			continue;
		assert_string_equal(text(entry, "mode"), mode);
		assert_int_equal(number(entry, "stale"), stale);
		return;
	}
	fail_msg("%d is missing: %s", fd, output);
}

static unsigned int count_descriptors(struct json_object *held)
{
	struct json_object *all;

	assert_true(json_object_object_get_ex(held, "descriptors", &all));
	return json_object_array_length(all);
}

/* At numbers that nothing else has. */
static void hold_in_many_ways(void *arg)
{
	const char *path = arg;
	int fd = open_with(0, "held", 0);

	need(fd >= 0 && dup2(fd, 500) == 500);
	need(dup2(open_with(0, "held", MORSEL_OPEN_READ_ONLY), 501) == 501);
	need(dup2(open(path, O_WRONLY), 502) == 502);
	need(dup2(open(path, O_PATH), 503) == 503);
	map(fd, 4 * MIB, RW);
	map(501, 4 * MIB, PROT_READ);
	map_at(NULL, fd, PAGE, RW, 7 * MIB);
	closefrom(504);
	close_range(3, 499, 0);
}

static void mapping_alone(void *arg)
{
	map(*(int *)arg, 8 * MIB, RW);
	closefrom(3);
}

static void who_has_a_morsel_is_shown(void **state)
{
	int fd = create_named("held", 8 * MIB, 0600), other = create_named("other", 2 * MIB, 0600);
	struct json_object *array, *held;
	uint64_t id = id_of(fd);
	pid_t many, one;
	char path[64];

	need_program();
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	many = spawn_holder(hold_in_many_ways, path);
	one = spawn_holder(mapping_alone, &fd);
	array = ctl_json("who held");
	assert_int_equal(json_object_array_length(array), 3);

	held = held_by(array, getpid(), id);
	assert_int_equal(count_descriptors(held), 1);
	assert_descriptor(held, fd, "rw", false);
	assert_mapped(held, 0, 0);
	assert_string_equal(text(held, "name"), "held");
	assert_int_equal(number(held, "uid"), 0);
	assert_string_equal(text(held, "user"), "root");
	held = held_by(array, many, id);
	assert_int_equal(count_descriptors(held), 4);
	assert_descriptor(held, 500, "rw", false);
	assert_descriptor(held, 501, "r", false);
	assert_descriptor(held, 502, "w", false);
	assert_descriptor(held, 503, "path", false);
	assert_mapped(held, 8 * MIB + PAGE, 0);
	held = held_by(array, one, id);
	assert_int_equal(count_descriptors(held), 0);
	assert_mapped(held, 8 * MIB, 0);
	json_object_put(array);

	assert_ctl(DONE, "who held");
	assert_non_null(strstr(output, "500:rw 501:r 502:w 503:path"));
	assert_non_null(strstr(output, "8.00M"));
	assert_non_null(strstr(output, "test_ctl"));
	assert_ctl(DONE, "who --bytes '#%lu'", id);
	assert_non_null(strstr(output, "8392704"));
	/* Who is gone has nothing, nor has what has only a name anybody who has it. */
	kill(many, SIGKILL);
	kill(one, SIGKILL);
	assert_child_killed(many, SIGKILL);
	assert_child_killed(one, SIGKILL);
	close(other);
	array = ctl_json("who held other");
	assert_int_equal(json_object_array_length(array), 1);
	json_object_put(array);
	close(fd);
	array = ctl_json("who held other");
	assert_int_equal(json_object_array_length(array), 0);
	json_object_put(array);
}

static void nothing_more(void *arg)
{
}

static void all_that_are_held_are_shown_in_order(void **state)
{
	int first = create_named("z", MIB, 0600), second = create(MIB, MORSEL_GRANULE_AUTO);
	uint64_t ids[] = {id_of(first), id_of(second)};
	struct json_object *array;
	char want[32];
	pid_t child;
	size_t i;

	need_program();
	child = spawn_holder(nothing_more, NULL);
	array = ctl_json("who");
	assert_int_equal(json_object_array_length(array), 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(number(row(array, i), "id"), ids[i / 2]);
	for (i = 0; i < 4; i += 2)
		assert_true(number(row(array, i), "pid") < number(row(array, i + 1), "pid"));
	assert_string_equal(text(row(array, 2), "name"), "");
	assert_descriptor(held_by(array, child, ids[0]), first, "rw", false);
	json_object_put(array);
	/* By its id, and said twice. */
	array = ctl_json("who '#%lu' '#%lu' z", ids[1], ids[1]);
	assert_int_equal(json_object_array_length(array), 4);
	assert_int_equal(number(row(array, 0), "id"), ids[0]);
	json_object_put(array);
	snprintf(want, sizeof(want), "#%lu ", ids[1]);
	assert_ctl(DONE, "who");
	assert_non_null(strstr(output, want));
}

static void map_private(void *arg)
{
	int fd = *(int *)arg;
	char *memory = mmap(NULL, 4 * MIB, RW, MAP_PRIVATE, fd, 0);

	need(memory != MAP_FAILED);
	memory[0] = 1;
	closefrom(3);
	/* What a child has is its own. */
	if (!spawn())
		for (;;)
			pause();
}

/* Fails if only what is shared is looked for where the morsel itself is. */
static void private_mappings_are_of_who_has_them(void **state)
{
	unsigned int i, named;

	need_program();
	for (named = 0; named < 2; named++) {
		int fd = named ? create_named("original", 8 * MIB, 0600)
			       : create(8 * MIB, MORSEL_GRANULE_AUTO);
		struct json_object *array;
		unsigned int mapped = 0;

		spawn_holder(map_private, &fd);
		array = ctl_json("who '#%lu'", id_of(fd));
		for (i = 0; i < json_object_array_length(array); i++) {
			if (number(row(array, i), "pid") == (uint64_t)getpid())
				continue;
			assert_mapped(row(array, i), 4 * MIB, 0);
			mapped++;
		}
		assert_int_equal(mapped, 2);
		json_object_put(array);
		close(fd);
	}
}

static void map_it(void *arg)
{
	map(*(int *)arg, 8 * MIB, RW);
}

static void what_was_given_away_is_stale(void **state)
{
	int fd = create_named("to be given", 8 * MIB, 0600), given;
	struct json_object *array, *held;
	uint64_t id = id_of(fd);
	char want[32];
	pid_t child;

	need_program();
	child = spawn_holder(map_it, &fd);
	given = give(fd);
	assert_done(given);
	map(given, 2 * MIB, RW);
	array = ctl_json("who 'to be given'");
	assert_int_equal(json_object_array_length(array), 2);
	held = held_by(array, getpid(), id);
	assert_int_equal(count_descriptors(held), 2);
	assert_descriptor(held, fd, "rw", true);
	assert_descriptor(held, given, "rw", false);
	assert_mapped(held, 2 * MIB, 0);
	held = held_by(array, child, id);
	assert_int_equal(count_descriptors(held), 1);
	assert_descriptor(held, fd, "rw", true);
	assert_mapped(held, 8 * MIB, 8 * MIB);
	json_object_put(array);
	assert_ctl(DONE, "who");
	assert_non_null(strstr(output, "to be given"));
	snprintf(want, sizeof(want), "%d:stale", fd);
	assert_non_null(strstr(output, want));
	snprintf(want, sizeof(want), "%d:rw", given);
	assert_non_null(strstr(output, want));
}

static void take_an_odd_name(void *arg)
{
	need(!prctl(PR_SET_NAME, "a\033[31m\n\xff R"));
}

/* Fails if what a process calls itself can tell a terminal what to do, or ends a line. */
static void those_who_have_one_are_shown_without_harm(void **state)
{
	struct json_object *array;
	pid_t child;
	int fd;

	need_program();
	fd = create_named("a name with blanks", MIB, 0600);
	child = spawn_holder(take_an_odd_name, NULL);
	assert_ctl(DONE, "who 'a name with blanks'");
	assert_harmless();
	assert_non_null(strstr(output, "a name with blanks"));
	assert_non_null(strstr(output, "a?[31m?? R"));
	array = ctl_json("who 'a name with blanks'");
	assert_harmless();
	assert_string_equal(text(held_by(array, child, id_of(fd)), "command"), "a?[31m?? R");
	assert_string_equal(text(row(array, 0), "name"), "a name with blanks");
	json_object_put(array);
}

/* As one who may use the device, but is not root. */
static void become_member(void)
{
	struct stat st;

	need(!stat(MORSEL_DEVICE, &st));
	need(!setgroups(0, NULL));
	need(!setresgid(st.st_gid, st.st_gid, st.st_gid));
	need(!setresuid(OTHER, OTHER, OTHER));
	/* To be looked at by oneself, which who changes is not. */
	need(!prctl(PR_SET_DUMPABLE, 1));
}

static void who_is_not_root_is_told_how_to_see_all(void **state)
{
	static const char remedy[] = "run as root to see all";
	char want[32];
	pid_t pid;

	need_program();
	create_named("hidden", MIB, 0600);
	create_named("seen", MIB, 0644);
	pid = spawn();
	if (!pid) {
		char *hint;

		become_member();
		need(ctl("who") == DONE);
		hint = strstr(output, remedy);
		need(hint && !strstr(hint + 1, remedy));
		/* The own one's row, and no other. */
		snprintf(want, sizeof(want), " %d ", getpid());
		need(strstr(output, want));
		snprintf(want, sizeof(want), " %d ", getppid());
		need(!strstr(output, want));
		need(strstr(output, "seen") && !strstr(output, "hidden"));
		need(ctl("who hidden") == NOT_FOUND);
		_exit(0);
	}
	assert_child_done(pid);
	assert_ctl(DONE, "who");
	assert_null(strstr(output, remedy));
	snprintf(want, sizeof(want), " %d ", getpid());
	assert_non_null(strstr(output, want));
}

static void pools_and_limits_are_looked_after(void **state)
{
	struct json_object *array;
	unsigned int id, node;

	need_program();
	id = pool_info().id;
	node = pool_info().node;
	assert_ctl(DONE, "pool resize %u 64M", id);
	assert_int_equal(pool_info().limit_bytes, 64 * MIB);
	array = ctl_json("pool list");
	assert_int_equal(number(row(array, 0), "limit"), 64 * MIB);
	json_object_put(array);
	assert_ctl(FAILED, "create -P -p %u big 128M", id);
	assert_int_equal(count_morsels(), 0);
	assert_ctl(FAILED, "pool add %u 64M", node);
	assert_ctl(DONE, "pool remove %u", id);
	assert_ctl(DONE, "pool add %u 128M", node);
	/* On a machine of several nodes it is not the first any more. */
	if (query().nr_pools == 1)
		assert_int_equal(pool_info().limit_bytes, 128 * MIB);

	assert_ctl(DONE, "limit set %u 16M", TESTER);
	array = ctl_json("limit show %u", TESTER);
	assert_int_equal(number(row(array, 0), "limit"), 16 * MIB);
	json_object_put(array);
	assert_ctl(DONE, "limit set %u default", TESTER);
}

/* The first entry of what a morsel has on nodes. */
static struct json_object *first_node(struct json_object *morsel)
{
	struct json_object *nodes;

	assert_true(json_object_object_get_ex(morsel, "nodes", &nodes));
	return row(nodes, 0);
}

static void nodes_are_said_as_numactl_has_them(void **state)
{
	struct json_object *array;

	need_program();
	if (access("/sys/devices/system/node/node0", F_OK))
		skip_because("a kernel without nodes");
	assert_ctl(DONE, "create -P --interleave all spread 8M");
	assert_ctl(DONE, "create -P -B 0 bound 8M");
	assert_ctl(DONE, "create -P -R 0 wished 8M");
	array = ctl_json("show bound wished");
	assert_int_equal(number(first_node(row(array, 0)), "frames"), 8 * MIB);
	assert_int_equal(number(first_node(row(array, 0)), "node"), 0);
	assert_int_equal(number(first_node(row(array, 1)), "frames"), 8 * MIB);
	json_object_put(array);
	array = ctl_json("list");
	assert_int_equal(json_object_array_length(array), 3);
	assert_int_equal(number(first_node(row(array, 1)), "frames"), 8 * MIB);
	json_object_put(array);
	assert_ctl(DONE, "show bound");
	assert_non_null(strstr(output, "NODES"));
	assert_non_null(strstr(output, "0:8.00M"));
	assert_ctl(DONE, "create --reserve kept 2M");
	array = ctl_json("show kept");
	assert_int_equal(number(row(array, 0), "reserved"), 2 * MIB);
	json_object_put(array);
	assert_ctl(DONE, "rm kept");
	assert_ctl(USAGE, "create -B 0 -I 0 two 8M");
	assert_ctl(USAGE, "create -B 0 -n 0 two 8M");
	assert_ctl(USAGE, "create -B 0 -p 1 two 8M");
	assert_ctl(USAGE, "create -B 77 none 8M");
	assert_ctl(USAGE, "create -B zero none 8M");
	assert_int_equal(count_morsels(), 3);
}

/* Fails if something of what was measured is there still. */
static void assert_nothing_left(void)
{
	assert_soon(!count_morsels() && !pool_info().used_bytes);
}

static const char *const forms[] = {
	"shared", "read-only", "views by fault", "views by call", "transfer", "private", "copy",
};

static void advice_is_printed_for_people(void **state)
{
	char want[64];
	unsigned int i;

	need_program();
	assert_ctl(DONE, "advise");
	assert_non_null(strstr(output, "1.00G, readers: 1, writers: 1, trust: all, rounds: 1000"));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(want, sizeof(want), "\n%s ", forms[i]);
		assert_non_null(strstr(output, want));
	}
	assert_non_null(strstr(output, "others do not get what one writes"));
	assert_non_null(strstr(output, "\nMEASURED"));
	/* It is the last line. */
	assert_non_null(strstr(output, "\nproposal: "));
	assert_ptr_equal(strchr(strstr(output, "\nproposal: ") + 1, '\n') + 1,
			 output + strlen(output));
	assert_nothing_left();
	/* Nothing is written, and by more than there are views. */
	assert_ctl(DONE, "advise -s 70G -w 0 -d 3000 -t turns");
	assert_non_null(strstr(output, "a morsel has at most 2047 views"));
	assert_null(strstr(output, "are written"));
	assert_nothing_left();
}

/* That it adds up, and that the proposal is the cheapest of those that do, which are these. */
static void assert_advice(const char *options, const char *allowed)
{
	struct json_object *array = ctl_json("advise %s", options), *all, *costs;
	uint64_t least = UINT64_MAX, proposed = 0, rounds = number(row(array, 0), "rounds");
	const char *proposal = text(row(array, 0), "proposal");
	char found[200] = "";
	size_t i;

	assert_int_equal(json_object_array_length(array), 1);
	assert_true(json_object_object_get_ex(row(array, 0), "costs", &costs));
	for (i = 0; i < json_object_array_length(costs); i++)
		assert_true(number(row(costs, i), "one_ns") && number(row(costs, i), "all_ns"));
	assert_true(json_object_object_get_ex(row(array, 0), "forms", &all));
	assert_int_equal(json_object_array_length(all), ARRAY_SIZE(forms));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct json_object *form = row(all, i);
		uint64_t total = number(form, "total_ns");
		int64_t rest = total - number(form, "setup_ns") - rounds * number(form, "round_ns");

		assert_string_equal(text(form, "form"), forms[i]);
		/* All three are rounded. */
		assert_true(rest <= (int64_t)rounds && rest >= -(int64_t)rounds);
		assert_int_equal(number(form, "allowed"), !*text(form, "why_not"));
		if (!number(form, "allowed"))
			continue;
		strcat(strcat(found, *found ? ", " : ""), forms[i]);
		if (total < least)
			least = total;
		if (!strcmp(forms[i], proposal))
			proposed = total;
	}
	assert_string_equal(found, allowed);
	assert_int_equal(proposed, least);
	json_object_put(array);
	assert_nothing_left();
}

static void trust_excludes_forms(void **state)
{
	need_program();
	assert_advice("--size 1M",
		      "shared, read-only, views by fault, views by call, transfer, copy");
	assert_advice("-s 1M --trust writers", "read-only, views by fault, views by call, copy");
	assert_advice("-s 3G -t turns --write 100K --rounds 3", "views by call, transfer, copy");
	assert_advice("-s 100 -t none --writers 3 --readers 0", "private, copy");
}

static void assert_refused(const char *options, const char *cause)
{
	assert_ctl(USAGE, "advise %s", options);
	if (!strstr(output, cause))
		fail_msg("advise %s: %s", options, output);
}

static void what_nobody_can_advise_on_is_refused(void **state)
{
	need_program();
	assert_refused("--size much", "'much' is no size");
	assert_refused("--size 0", "'0' is no size");
	assert_refused("--size 129T", "no program has addresses for more than 128T");
	assert_refused("--write 0", "'0' is no size");
	assert_refused("--size 1M --write 2M", "more is written than there is");
	assert_refused("--readers -1", "'-1' is no number");
	assert_refused("--writers many", "'many' is no number");
	assert_refused("--readers 0", "it takes two");
	assert_refused("--readers 0 --writers 0", "it takes two");
	assert_refused("--rounds 0", "--writers 0");
	assert_refused("--trust nobody", "all, writers, pages, turns or none");
	assert_refused("something", "Usage: morselctl advise");
}

static void without_memory_there_is_no_advice(void **state)
{
	unsigned int id = pool_info().id;

	need_program();
	assert_ctl(DONE, "pool resize %u 4M", id);
	assert_ctl(FAILED, "advise");
	assert_non_null(strstr(output, "measuring: there is not enough memory"));
	assert_nothing_left();
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	assert_done(waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT));
	return info.si_pid == pid;
}

/* Fails if what is measured outlives who measures it, however that ends. */
static void advice_that_is_interrupted_leaves_nothing(void **state)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGKILL};
	unsigned int i;

	need_program();
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		int status;

		/* It may have been quicker. */
		do {
			pid_t pid = spawn();

			if (!pid) {
				execlp("sh", "sh", "-c", "exec morselctl advise >/dev/null 2>&1",
				       NULL);
				_exit(127);
			}
			while (!query().nr_morsels && !has_ended(pid))
				sleep_ms(1);
			kill(pid, numbers[i]);
			assert_int_equal(waitpid(pid, &status, 0), pid);
		} while (WIFEXITED(status) && WEXITSTATUS(status) == DONE);
		if (numbers[i] == SIGKILL)
			assert_true(WIFSIGNALED(status));
		else
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == FAILED);
		assert_nothing_left();
	}
}

static void every_verb_has_help(void **state)
{
	static const char *const verbs[] = {
		"doctor", "pool",     "limit", "create", "list", "show", "rm",	   "import",
		"export", "populate", "tree",  "stat",	 "help", "who",	 "advise",
	};
	unsigned int i;

	need_program();
	assert_ctl(DONE, "help");
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		assert_ctl(DONE, "help");
		assert_non_null(strstr(output, verbs[i]));
		assert_ctl(DONE, "help %s", verbs[i]);
		assert_non_null(strstr(output, verbs[i]));
	}
	assert_ctl(USAGE, "help no-such-verb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_morsel_s_life),
		TEST(json_is_always_an_array),
		TEST(tables_are_for_people),
		TEST(exit_codes_tell),
		TEST(a_stranger_is_denied),
		TEST(without_a_module_it_says_so),
		KERNEL_TEST(the_doctor_tells_of_a_group_with_a_limit),
		KERNEL_TEST(the_doctor_tells_of_the_lowest_address),
		TEST(the_doctor_compares_the_file_with_what_is_loaded),
		TEST(import_and_export_keep_contents),
		TEST(pipes_are_imported),
		TEST(odd_names_are_shown_without_harm),
		TEST(holes_stay_holes_in_a_tree),
		TEST(clones_are_made_and_compared),
		TEST(who_has_a_morsel_is_shown),
		TEST(all_that_are_held_are_shown_in_order),
		TEST(private_mappings_are_of_who_has_them),
		TEST(what_was_given_away_is_stale),
		TEST(those_who_have_one_are_shown_without_harm),
		TEST(who_is_not_root_is_told_how_to_see_all),
		TEST(pools_and_limits_are_looked_after),
		TEST(nodes_are_said_as_numactl_has_them),
		TEST(advice_is_printed_for_people),
		TEST(trust_excludes_forms),
		TEST(what_nobody_can_advise_on_is_refused),
		TEST(without_memory_there_is_no_advice),
		TEST(advice_that_is_interrupted_leaves_nothing),
		TEST(every_verb_has_help),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, suite_begin, suite_end);
}
