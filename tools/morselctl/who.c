// SPDX-License-Identifier: GPL-2.0
/*
 * who: which processes have which morsels.
 *
 * A descriptor says itself which morsel it is of (/proc/PID/fdinfo); a mapping is known by its device
 * and inode number (/proc/PID/maps), and the latter is the morsel's id.  What these files call things
 * is for people, and could be any file's name.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"

static const struct column columns[] = {
	{"morsel", "MORSEL", COLUMN_TEXT},	 {"pid", "PID", COLUMN_NUMBER},
	{"user", "USER", COLUMN_TEXT},		 {"command", "COMMAND", COLUMN_TEXT},
	{"held", "DESCRIPTORS", COLUMN_TEXT},	 {"mapped", "MAPPED", COLUMN_BYTES},
	{"mapped_stale", "STALE", COLUMN_BYTES},
};

/**
 * struct wanted - a morsel, and what the process that is looked at has of it
 * @id:		its id
 * @device:	that it is on
 * @name:	its name, or ""
 * @descriptors: the process's, as JSON; NULL: none yet
 * @mapped:	bytes that the process has mapped
 * @stale:	of these, those that were mapped before it was given away
 */
struct wanted {
	uint64_t id;
	dev_t device;
	char name[MORSEL_NAME_MAX];
	struct json_object *descriptors;
	uint64_t mapped;
	uint64_t stale;
};

/**
 * struct search - for those who have some morsels
 * @ctl:	the run
 * @wanted:	the morsels, by id; one that was said twice is there twice
 * @count:	how many
 * @nameless:	the device of morsels that never had a name; 0: nobody knows
 * @proc:	a descriptor of /proc
 * @denied:	some processes are not to be looked at
 * @rows:	what was found
 */
struct search {
	const struct ctl *ctl;
	struct wanted *wanted;
	size_t count;
	dev_t nameless;
	int proc;
	bool denied;
	struct json_object *rows;
};

static int add_wanted(struct search *search, int fd)
{
	struct morsel_info info;
	struct wanted *wanted;
	struct stat st;
	int err = morsel_stat(fd, &info);

	if (!err && fstat(fd, &st))
		err = -errno;
	if (err)
		return err;
	wanted = reallocarray(search->wanted, search->count + 1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	search->wanted = wanted;
	wanted += search->count++;
	*wanted = (struct wanted){.id = info.id, .device = st.st_dev};
	snprintf(wanted->name, sizeof(wanted->name), "%s", info.name);
	return 0;
}

/* It is closed before anybody is looked at, so that this program is none of those who have it. */
static int want(struct search *search, const char *name)
{
	int fd, err;

	do {
		fd = open_named(search->ctl, name, MORSEL_OPEN_READ_ONLY);
		if (fd < 0)
			return fd;
		err = add_wanted(search, fd);
		close(fd);
		/* It was given away in between: what is called so now is another's. */
	} while (err == -ESTALE);
	return err;
}

static int want_listed(const struct morsel_info *info, void *context)
{
	char name[32];
	int err;

	snprintf(name, sizeof(name), "#%" PRIu64, (uint64_t)info->id);
	err = want(context, name);
	/* It has gone since, or is not to be seen any more. */
	return err == -ENOENT || err == -EACCES ? 0 : err;
}

static int by_id(const void *one, const void *other)
{
	uint64_t ids[] = {((const struct wanted *)one)->id, ((const struct wanted *)other)->id};

	return ids[0] < ids[1] ? -1 : ids[0] > ids[1];
}

/* Returns an exit code. */
static int want_all(struct search *search, char **args)
{
	int err = args[0] ? 0 : morsel_list(search->ctl->device, want_listed, search);

	if (err)
		return failed(err, "list");
	for (; *args; args++) {
		err = want(search, *args);
		if (err)
			return failed(err, "%s", *args);
	}
	if (search->count)
		qsort(search->wanted, search->count, sizeof(*search->wanted), by_id);
	return EXIT_OK;
}

/*
 * What is behind private mappings is on the device of morsels without names, under the number of the
 * morsel, whatever device that is on.  A morsel tells which device it is, and takes next to nothing.
 * Who cannot have even that is not told of private mappings of what has a name, but of all else: it
 * is when nothing is left that people ask who has it all.
 */
static dev_t nameless_device(const struct ctl *ctl)
{
	int fd = morsel_create(ctl->device, &(struct morsel_params){0});
	dev_t device = 0;
	struct stat st;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st))
		device = st.st_dev;
	close(fd);
	return device;
}

static struct wanted *find(const struct search *search, uint64_t id)
{
	const struct wanted key = {.id = id};

	return bsearch(&key, search->wanted, search->count, sizeof(key), by_id);
}

static struct wanted *find_inode(const struct search *search, dev_t device, uint64_t inode)
{
	struct wanted *wanted = find(search, inode);

	return wanted && (device == wanted->device || device == search->nameless) ? wanted : NULL;
}

/* Why something of a process could not be opened: 0 or a negative errno, for which all ends. */
static int pass_over(struct search *search, int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		search->denied = true;
		return 0;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return -err;
	default:
		/* The process has ended, or the descriptor was closed, as they do all the time. */
		return 0;
	}
}

static FILE *open_at(int folder, const char *path)
{
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

/* What a file of fdinfo says. */
struct descriptor {
	const char *number;
	unsigned int flags;
	unsigned int stale;
	uint64_t inode;
	uint64_t id;
};

static void read_descriptor(FILE *file, struct descriptor *descriptor)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, file) > 0) {
		sscanf(line, "flags: %o", &descriptor->flags);
		sscanf(line, "ino: %" SCNu64, &descriptor->inode);
		sscanf(line, "morsel-id: %" SCNu64, &descriptor->id);
		sscanf(line, "morsel-stale: %u", &descriptor->stale);
	}
	free(line);
}

/* Those of O_PATH hold a morsel, too, but no file system has a word on them. */
static struct wanted *find_path(const struct search *search, int process,
				const struct descriptor *descriptor)
{
	char path[64];
	struct stat st;

	/* No file of a server that does not answer is asked for. */
	if (!(descriptor->flags & O_PATH) || !find(search, descriptor->inode))
		return NULL;
	snprintf(path, sizeof(path), "fd/%s", descriptor->number);
	return fstatat(process, path, &st, 0) ? NULL : find_inode(search, st.st_dev, st.st_ino);
}

static const char *mode_of(unsigned int flags)
{
	static const char *const modes[] = {
		[O_RDONLY] = "r",
		[O_WRONLY] = "w",
		[O_RDWR] = "rw",
		[O_ACCMODE] = "none",
	};

	return flags & O_PATH ? "path" : modes[flags & O_ACCMODE];
}

static void add_descriptor(struct wanted *wanted, const struct descriptor *descriptor)
{
	struct json_object *entry = json_object_new_object();

	row_number(entry, "descriptor", strtoull(descriptor->number, NULL, 10));
	row_text(entry, "mode", mode_of(descriptor->flags));
	json_object_object_add(entry, "stale", json_object_new_boolean(descriptor->stale));
	if (!wanted->descriptors)
		wanted->descriptors = json_object_new_array();
	json_object_array_add(wanted->descriptors, entry);
}

static int look_at_descriptor(struct search *search, int process, int fdinfo, const char *number)
{
	struct descriptor descriptor = {.number = number};
	FILE *file = open_at(fdinfo, number);
	struct wanted *wanted;

	if (!file)
		return pass_over(search, errno);
	read_descriptor(file, &descriptor);
	fclose(file);
	wanted = descriptor.id ? find(search, descriptor.id)
			       : find_path(search, process, &descriptor);
	if (wanted)
		add_descriptor(wanted, &descriptor);
	return 0;
}

static int look_at_descriptors(struct search *search, int process)
{
	int fd = openat(process, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!folder)
		return pass_over(search, errno);
	while (!err && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = look_at_descriptor(search, process, fd, entry->d_name);
	closedir(folder);
	return err;
}

/* Was it mapped before the morsel was given away?  Root alone is told. */
static bool is_stale(int process, uint64_t begin, uint64_t end)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, begin, end);
	return fstatat(process, path, &st, 0) && errno == ESTALE;
}

static void look_at_mapping(struct search *search, int process, const char *line)
{
	uint64_t begin, end, inode;
	unsigned int major, minor;
	struct wanted *wanted;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %x:%x %" SCNu64, &begin, &end, &major,
		   &minor, &inode) != 5)
		return;
	wanted = find_inode(search, makedev(major, minor), inode);
	if (!wanted)
		return;
	wanted->mapped += end - begin;
	if (is_stale(process, begin, end))
		wanted->stale += end - begin;
}

static int look_at_mappings(struct search *search, int process)
{
	FILE *maps = open_at(process, "maps");
	char *line = NULL;
	size_t room = 0;

	if (!maps)
		return pass_over(search, errno);
	while (getline(&line, &room, maps) > 0)
		look_at_mapping(search, process, line);
	free(line);
	fclose(maps);
	return 0;
}

/* "3:rw 7:r 9:stale": what one was open for that is good for nothing any more does not matter. */
static void row_descriptors(struct json_object *row, struct json_object *descriptors)
{
	size_t count = json_object_array_length(descriptors), room = 0;
	char *text = NULL;
	FILE *to = open_memstream(&text, &room);

	if (!to)
		return;
	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_array_get_idx(descriptors, i);
		bool stale = json_object_get_boolean(json_object_object_get(entry, "stale"));

		fprintf(to, "%s%s:%s", i ? " " : "",
			json_object_get_string(json_object_object_get(entry, "descriptor")),
			stale ? "stale"
			      : json_object_get_string(json_object_object_get(entry, "mode")));
	}
	if (!fclose(to))
		row_text(row, "held", text);
	free(text);
}

/**
 * struct process - who one is
 * @pid:	its number
 * @uid:	whose it is
 * @user:	who that is
 * @command:	what it calls itself
 */
struct process {
	uint64_t pid;
	uint32_t uid;
	char user[MORSEL_NAME_MAX];
	char command[MORSEL_NAME_MAX];
};

/* As ps(1) has it: the user by whose rights it acts. */
static bool read_user(int proc, struct process *process)
{
	FILE *status = open_at(proc, "status");
	struct passwd *user = NULL;
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	while (status && !found && getline(&line, &room, status) > 0)
		found = sscanf(line, "Uid: %*u %" SCNu32, &process->uid) == 1;
	free(line);
	if (status)
		fclose(status);
	if (found)
		user = getpwuid(process->uid);
	if (user)
		snprintf(process->user, sizeof(process->user), "%s", user->pw_name);
	else
		snprintf(process->user, sizeof(process->user), "%" PRIu32, process->uid);
	return found;
}

static bool read_command(int proc, struct process *process)
{
	FILE *comm = open_at(proc, "comm");
	size_t length;

	if (!comm)
		return false;
	length = fread(process->command, 1, sizeof(process->command) - 1, comm);
	fclose(comm);
	/* The last line's end is not of it; others may be. */
	process->command[length ? length - 1 : 0] = 0;
	return length;
}

static void add_row(struct search *search, const struct wanted *wanted,
		    const struct process *process)
{
	struct json_object *row = json_object_new_object();
	char id[32];

	row_number(row, "id", wanted->id);
	row_text(row, "name", shown_name(wanted->name));
	row_number(row, "pid", process->pid);
	row_number(row, "uid", process->uid);
	row_text(row, "user", shown_name(process->user));
	row_text(row, "command", shown_name(process->command));
	json_object_object_add(row, "descriptors",
			       wanted->descriptors ? json_object_get(wanted->descriptors)
						   : json_object_new_array());
	row_number(row, "mapped", wanted->mapped);
	row_number(row, "mapped_stale", wanted->stale);
	if (!search->ctl->json) {
		snprintf(id, sizeof(id), "#%" PRIu64, wanted->id);
		row_text(row, "morsel", wanted->name[0] ? shown_name(wanted->name) : id);
		row_descriptors(row, json_object_object_get(row, "descriptors"));
	}
	json_object_array_add(search->rows, row);
}

/* Rows of all that the process has, which the next one begins without. */
static void add_rows(struct search *search, int proc, struct process *process)
{
	bool known = false, gone = false;

	for (struct wanted *wanted = search->wanted; wanted < search->wanted + search->count;
	     wanted++) {
		if (!wanted->descriptors && !wanted->mapped)
			continue;
		/* Of the few that have something. */
		if (!known && !gone) {
			known = read_user(proc, process) && read_command(proc, process);
			gone = !known;
		}
		if (known)
			add_row(search, wanted, process);
		json_object_put(wanted->descriptors);
		wanted->descriptors = NULL;
		wanted->mapped = 0;
		wanted->stale = 0;
	}
}

static int look_at_process(struct search *search, const char *pid)
{
	struct process process = {.pid = strtoull(pid, NULL, 10)};
	/* So that all of it is of one process, should another get its number. */
	int proc = openat(search->proc, pid, O_PATH | O_DIRECTORY | O_CLOEXEC), err;

	if (proc < 0)
		return pass_over(search, errno);
	err = look_at_descriptors(search, proc);
	if (!err)
		err = look_at_mappings(search, proc);
	if (!err)
		add_rows(search, proc, &process);
	close(proc);
	return err;
}

/* Returns an exit code. */
static int look_at_all(struct search *search)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;

	if (!proc)
		return failed_file(-errno, "/proc");
	search->proc = dirfd(proc);
	search->nameless = nameless_device(search->ctl);
	while (!err && (entry = readdir(proc))) {
		/* What this program was left with by who ran it, nobody has when this is read. */
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
			err = look_at_process(search, entry->d_name);
	}
	closedir(proc);
	return err ? failed(err, "/proc") : EXIT_OK;
}

static uint64_t field(struct json_object *const *row, const char *key)
{
	return json_object_get_uint64(json_object_object_get(*row, key));
}

static int by_morsel(const void *one, const void *other)
{
	uint64_t ids[] = {field(one, "id"), field(other, "id")};
	uint64_t pids[] = {field(one, "pid"), field(other, "pid")};

	if (ids[0] != ids[1])
		return ids[0] < ids[1] ? -1 : 1;
	return pids[0] < pids[1] ? -1 : pids[0] > pids[1];
}

int run_who(struct ctl *ctl, char **args)
{
	struct search search = {.ctl = ctl, .rows = json_object_new_array()};
	int code = want_all(&search, args);

	if (code == EXIT_OK && search.count)
		code = look_at_all(&search);
	free(search.wanted);
	json_object_array_sort(search.rows, by_morsel);
	if (code == EXIT_OK && search.denied)
		complain(code, "not all processes are yours to look at: run as root to see all");
	return print_rows(ctl, code, columns, COUNT(columns), search.rows);
}
