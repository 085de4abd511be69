// SPDX-License-Identifier: GPL-2.0
/*
 * morselctl: look after morsels and pools.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ctl.h"

/**
 * struct verb - what the program can do
 * @name:	its name
 * @second:	its second word, or NULL; the first of several with one name is
 *		meant where the second word is missing
 * @arguments:	for people
 * @help:	one line
 * @run:	does it
 * @options:	letters of the options it takes beside those that all take
 * @least:	arguments it needs
 * @most:	arguments it takes, or MANY
 * @alone:	it works without /dev/morsel
 */
struct verb {
	const char *name;
	const char *second;
	const char *arguments;
	const char *help;
	int (*run)(struct ctl *ctl, char **args);
	const char *options;
	int least;
	int most;
	bool alone;
};

#define MANY 1000000

/* clang-format off */
static const struct verb verbs[] = {
	{"doctor", NULL, "[OPTION...]", "see whether all is there, and what to do where it is not",
	 run_doctor, "kr", 0, 0, true},
	{"pool", "list", "", "list the pools that memory comes from",
	 run_pool_list, "", 0, 0, false},
	{"pool", "show", "POOL...", "describe pools",
	 run_pool_show, "", 1, MANY, false},
	{"pool", "add", "NODE SIZE", "make a pool on a NUMA node",
	 run_pool_add, "", 2, 2, false},
	{"pool", "resize", "POOL SIZE", "change how much a pool may hold",
	 run_pool_resize, "", 2, 2, false},
	{"pool", "remove", "POOL", "remove a pool that is not in use",
	 run_pool_remove, "", 1, 1, false},
	{"limit", "show", "[USER]", "show a user's ceiling",
	 run_limit_show, "", 0, 1, false},
	{"limit", "set", "USER SIZE|none|default", "set a user's ceiling",
	 run_limit_set, "", 2, 2, false},
	{"create", NULL, "[OPTION...] NAME SIZE", "make a morsel",
	 run_create, "gmpnIRBPEf", 2, 2, false},
	{"list", NULL, "", "list the morsels you may see",
	 run_list, "", 0, 0, false},
	{"show", NULL, "NAME...", "describe morsels",
	 run_show, "", 1, MANY, false},
	{"who", NULL, "[NAME...]", "show which processes have morsels open or mapped",
	 run_who, "", 0, MANY, false},
	{"rm", NULL, "NAME...", "take names away; a morsel goes with its last user",
	 run_rm, "", 1, MANY, false},
	{"clone", NULL, "[OPTION...] NAME CLONE", "make a morsel that shares another's memory until it is written",
	 run_clone, "m", 2, 2, false},
	{"snapshot", NULL, "[OPTION...] NAME SNAPSHOT", "the same, and nobody ever writes to it",
	 run_snapshot, "m", 2, 2, false},
	{"rollback", NULL, "NAME SNAPSHOT", "have a morsel be as another is, for all who have it",
	 run_rollback, "", 2, 2, false},
	{"diff", NULL, "NAME OTHER", "list in which parts a morsel has other memory than another",
	 run_diff, "", 2, 2, false},
	{"import", NULL, "[OPTION...] FILE", "make a morsel of a file's contents",
	 run_import, "gmpnIRBENf", 1, 1, false},
	{"export", NULL, "NAME FILE", "write a morsel's contents to a file",
	 run_export, "", 2, 2, false},
	{"populate", NULL, "NAME...", "allocate all that is not there yet",
	 run_populate, "", 1, MANY, false},
	{"tune", NULL, "--fault-around SIZE NAME...", "change how morsels behave",
	 run_tune, "f", 1, MANY, false},
	{"tree", NULL, "NAME", "draw a morsel's page tables",
	 run_tree, "", 1, 1, false},
	{"stat", NULL, "[OPTION...]", "show what is in use, as it changes",
	 run_stat, "ci", 0, 0, false},
	{"advise", NULL, "[OPTION...]", "propose the cheapest form in which parties have memory together",
	 run_advise, "sdwWot", 0, 0, false},
	{"help", NULL, "[VERB]", "this, or a verb's part of the manual",
	 run_help, "", 0, 1, true},
};

static const struct {
	struct option option;
	const char *value;
	const char *help;
} options[] = {
	{{"granule", required_argument, NULL, 'g'}, "auto|4k|2m", "granularity of allocation"},
	{{"mode", required_argument, NULL, 'm'}, "MODE", "permission bits, in octal (0600)"},
	{{"pool", required_argument, NULL, 'p'}, "ID", "the pool its memory comes from"},
	{{"node", required_argument, NULL, 'n'}, "NODE", "the NUMA node it should be on"},
	{{"interleave", required_argument, NULL, 'I'}, "NODES", "on these in turn, as 0-1 or all"},
	{{"preferred", required_argument, NULL, 'R'}, "NODES", "on these, or else the nearest"},
	{{"bind", required_argument, NULL, 'B'}, "NODES", "on these alone"},
	{{"fault-around", required_argument, NULL, 'f'}, "SIZE", "what a first touch allocates"},
	{{"populate", no_argument, NULL, 'P'}, "", "allocate all of it now"},
	{{"reserve", no_argument, NULL, 'E'}, "", "and have it keep its memory, as it grows, too"},
	{{"name", required_argument, NULL, 'N'}, "NAME", "its name, if not the file's"},
	{{"count", required_argument, NULL, 'c'}, "COUNT", "end after so many lines"},
	{{"interval", required_argument, NULL, 'i'}, "SECONDS", "time between lines (1)"},
	{{"kernel", required_argument, NULL, 'k'}, "RELEASE", "look at another kernel only"},
	{{"root", required_argument, NULL, 'r'}, "DIR", "look at a kernel of the system there"},
	{{"size", required_argument, NULL, 's'}, "SIZE", "how much memory there is (1G)"},
	{{"readers", required_argument, NULL, 'd'}, "COUNT", "parties that only read (1)"},
	{{"writers", required_argument, NULL, 'w'}, "COUNT", "parties that write, too, in turn (1)"},
	{{"write", required_argument, NULL, 'W'}, "SIZE", "what one of them writes in a round (64K)"},
	{{"rounds", required_argument, NULL, 'o'}, "COUNT", "how often one writes and all others read (1000)"},
	{{"trust", required_argument, NULL, 't'}, "TRUST", "all, writers, pages, turns or none (all)"},
	{{"json", no_argument, NULL, 'j'}, "", "print JSON, always an array"},
	{{"bytes", no_argument, NULL, 'b'}, "", "print exact sizes"},
	{{"help", no_argument, NULL, 'h'}, "", "print this"},
	{{"version", no_argument, NULL, 'V'}, "", "print the release"},
};
/* clang-format on */

#define COMMON_OPTIONS "jbhV"

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static const struct verb *find_second(const struct verb *first, const char *second)
{
	for (const struct verb *verb = first; verb < verbs + COUNT(verbs); verb++)
		if (!strcmp(verb->name, first->name) && !strcmp(verb->second, second))
			return verb;
	return NULL;
}

static void print_options(FILE *to, const char *letters)
{
	for (size_t i = 0; i < COUNT(options); i++)
		if (strchr(letters, options[i].option.val))
			fprintf(to, "  -%c, --%s %-*s %s\n", options[i].option.val,
				options[i].option.name, (int)(20 - strlen(options[i].option.name)),
				options[i].value, options[i].help);
}

/* "list" or "pool list". */
static const char *full_name(const struct verb *verb, char *buffer, size_t room)
{
	snprintf(buffer, room, "%s%s%s", verb->name, verb->second ? " " : "",
		 verb->second ? verb->second : "");
	return buffer;
}

static void print_help(FILE *to)
{
	char name[32];

	fprintf(to, "Usage: morselctl [OPTION...] VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COUNT(verbs); i++)
		fprintf(to, "  %-12s %s\n", full_name(&verbs[i], name, sizeof(name)),
			verbs[i].help);
	fputc('\n', to);
	print_options(to, COMMON_OPTIONS);
	fprintf(to, "\n'morselctl help VERB' opens the manual at a verb.\n");
}

/* All verbs that share a first word. */
static void print_usage(FILE *to, const char *first)
{
	const char *before = "Usage:";
	char name[32];

	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (strcmp(verbs[i].name, first))
			continue;
		fprintf(to, "%-6s morselctl %s%s%s\n", before,
			full_name(&verbs[i], name, sizeof(name)), *verbs[i].arguments ? " " : "",
			verbs[i].arguments);
		before = "";
	}
}

static int usage(const char *first)
{
	print_usage(stderr, first);
	return EXIT_USAGE;
}

static void print_verb_help(const char *first)
{
	char name[32];

	print_usage(stdout, first);
	putchar('\n');
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (strcmp(verbs[i].name, first))
			continue;
		printf("%s: %s\n", full_name(&verbs[i], name, sizeof(name)), verbs[i].help);
		print_options(stdout, verbs[i].options);
	}
}

static int no_such_verb(const char *name)
{
	return complain(EXIT_USAGE, "there is no verb '%s'; 'morselctl help' lists them", name);
}

int run_help(struct ctl *ctl, char **args)
{
	const struct verb *verb = args[0] ? find_verb(args[0]) : NULL;
	char pager[64];

	(void)ctl;
	if (!args[0]) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!verb)
		return no_such_verb(args[0]);
	/* The manual is one page; less opens it at the verb. */
	snprintf(pager, sizeof(pager), "less -p '^   %s'", verb->name);
	if (isatty(STDOUT_FILENO) && !system("man -w 1 morselctl >/dev/null 2>&1"))
		execlp("man", "man", "-P", pager, "1", "morselctl", (char *)NULL);
	print_verb_help(verb->name);
	return EXIT_OK;
}

static int open_device(struct ctl *ctl)
{
	ctl->device = morsel_device();
	switch (ctl->device) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return complain(EXIT_NO_MODULE,
				"there is no %s: load the module (modprobe morsel); "
				"'morselctl doctor' tells more",
				MORSEL_DEVICE);
	case -EACCES:
	case -EPERM:
		return complain(EXIT_DENIED,
				"%s is for members of the group morsel: adduser %s morsel, "
				"then log in again",
				MORSEL_DEVICE, getenv("USER") ? getenv("USER") : "USER");
	case -EPROTONOSUPPORT:
		return complain(EXIT_NO_MODULE,
				"module and program are too far apart: update the older one");
	default:
		return ctl->device < 0 ? failed(ctl->device, "%s", MORSEL_DEVICE) : EXIT_OK;
	}
}

static int parse_granule(const char *text, uint32_t *granule)
{
	if (!strcasecmp(text, "auto"))
		*granule = MORSEL_GRANULE_AUTO;
	else if (!strcasecmp(text, "4k"))
		*granule = MORSEL_GRANULE_4K;
	else if (!strcasecmp(text, "2m"))
		*granule = MORSEL_GRANULE_2M;
	else
		return complain(EXIT_USAGE, "'%s' is no granule: auto, 4k or 2m", text);
	return EXIT_OK;
}

static int parse_around(const char *text, uint32_t *around)
{
	uint64_t size;

	if (parse_size(text, &size) || size < 4096 || size > 2 << 20 || size & (size - 1))
		return complain(EXIT_USAGE, "'%s' is no power of two from 4K to 2M", text);
	*around = size;
	return EXIT_OK;
}

/* As numactl(8) has it: 0-1, 0,2, all, !1, or +0 of those that the caller may have. */
static int parse_nodes(const char *text, uint32_t policy, struct morsel_params *params)
{
	if (params->policy)
		return complain(EXIT_USAGE,
				"one of --interleave, --preferred and --bind is enough");
	params->policy = policy;
	params->nodes = numa_available() < 0 ? NULL : numa_parse_nodestring(text);
	if (!params->nodes || !numa_bitmask_weight(params->nodes))
		return complain(EXIT_USAGE,
				"'%s' is no list of nodes that there are, as 0-1 or all; "
				"numactl --hardware shows them",
				text);
	return EXIT_OK;
}

static int parse_interval(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end == text || *end || !(*seconds > 0 && *seconds < 1e6))
		return complain(EXIT_USAGE, "'%s' is no number of seconds", text);
	return EXIT_OK;
}

static int parse_bytes(const char *text, uint64_t *size)
{
	if (parse_size(text, size) || !*size)
		return complain(EXIT_USAGE, "'%s' is no size: a number with K, M, G or T", text);
	return EXIT_OK;
}

static int parse_trust(const char *text, enum trust *trust)
{
	if (!find_trust(text, trust))
		return complain(EXIT_USAGE, "'%s' is no trust: all, writers, pages, turns or none",
				text);
	return EXIT_OK;
}

static int take_option(struct ctl *ctl, int letter, const char *value)
{
	struct morsel_params *params = &ctl->params;
	int code;

	switch (letter) {
	case 'j':
		ctl->json = true;
		return EXIT_OK;
	case 'b':
		ctl->bytes = true;
		return EXIT_OK;
	case 'g':
		return parse_granule(value, &params->granule);
	case 'f':
		return parse_around(value, &params->fault_around);
	case 'm':
		return parse_number(value, 8, 0777, &params->mode);
	case 'p':
		return parse_number(value, 10, UINT32_MAX, &params->pool);
	case 'n':
		/* The library counts from 1, so that 0 is no wish. */
		code = parse_number(value, 10, UINT32_MAX - 1, &params->node);
		params->node++;
		return code;
	case 'I':
		return parse_nodes(value, MORSEL_POLICY_INTERLEAVE, params);
	case 'R':
		return parse_nodes(value, MORSEL_POLICY_PREFERRED, params);
	case 'B':
		return parse_nodes(value, MORSEL_POLICY_BIND, params);
	case 'N':
		params->name = value;
		return EXIT_OK;
	case 'P':
		params->flags |= MORSEL_CREATE_POPULATE;
		return EXIT_OK;
	case 'E':
		params->flags |= MORSEL_CREATE_RESERVE;
		return EXIT_OK;
	case 'k':
		ctl->kernel = value;
		return EXIT_OK;
	case 'r':
		ctl->root = value;
		return EXIT_OK;
	case 's':
		return parse_bytes(value, &ctl->pattern.size);
	case 'd':
		return parse_number(value, 10, UINT32_MAX, &ctl->pattern.readers);
	case 'w':
		return parse_number(value, 10, UINT32_MAX, &ctl->pattern.writers);
	case 'W':
		return parse_bytes(value, &ctl->pattern.write);
	case 'o':
		return parse_number(value, 10, UINT32_MAX, &ctl->pattern.rounds);
	case 't':
		return parse_trust(value, &ctl->pattern.trust);
	case 'c':
		return parse_number(value, 10, UINT32_MAX, &ctl->count);
	default:
		return parse_interval(value, &ctl->interval);
	}
}

/**
 * parse_options() - take the options out of a command line
 * @ctl:	where to
 * @verb:	whose they are, or NULL for those before the verb
 * @argc:	words
 * @argv:	words; the first is skipped, options are moved to the front
 * @code:	if the program is to end, with which exit code; else EXIT_OK
 * Return: whether to go on; optind is the first word that is no option.
 */
static bool parse_options(struct ctl *ctl, const struct verb *verb, int argc, char **argv,
			  int *code)
{
	struct option wanted[COUNT(options) + 1] = {0};
	char letters[2 * COUNT(options) + 3] = "";
	struct option *next = wanted;
	int letter;

	/* "+": what follows the verb is the verb's. */
	if (!verb)
		strcat(letters, "+");
	for (size_t i = 0; i < COUNT(options); i++) {
		const struct option *option = &options[i].option;

		if (!strchr(COMMON_OPTIONS, option->val) &&
		    !(verb && strchr(verb->options, option->val)))
			continue;
		*next++ = *option;
		snprintf(letters + strlen(letters), sizeof(letters) - strlen(letters), "%c%s",
			 option->val, option->has_arg ? ":" : "");
	}

	argv[0] = "morselctl";
	optind = 0;
	*code = EXIT_OK;
	while (*code == EXIT_OK &&
	       (letter = getopt_long(argc, argv, letters, wanted, NULL)) != -1) {
		switch (letter) {
		case 'h':
			if (verb)
				print_verb_help(verb->name);
			else
				print_help(stdout);
			return false;
		case 'V':
			printf("morselctl %s\n", morsel_version());
			return false;
		case '?':
			*code = verb ? usage(verb->name)
				     : complain(EXIT_USAGE, "'morselctl help' lists all options");
			break;
		default:
			*code = take_option(ctl, letter, optarg);
		}
	}
	return *code == EXIT_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb;
	int code;

	if (!parse_options(ctl, NULL, argc, argv, &code))
		return code;
	argc -= optind;
	argv += optind;
	if (!argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	verb = find_verb(argv[0]);
	if (!verb)
		return no_such_verb(argv[0]);
	if (verb->second && argc > 1 && argv[1][0] != '-') {
		verb = find_second(verb, argv[1]);
		if (!verb)
			return usage(argv[0]);
		argc--;
		argv++;
	}
	if (!parse_options(ctl, verb, argc, argv, &code))
		return code;
	if (argc - optind < verb->least || argc - optind > verb->most)
		return usage(verb->name);
	if (ctl->params.policy && (ctl->params.pool || ctl->params.node))
		return complain(EXIT_USAGE, "either nodes to choose from, or --pool or --node");

	if (!verb->alone)
		code = open_device(ctl);
	if (code == EXIT_OK)
		code = verb->run(ctl, argv + optind);
	if (ctl->device >= 0)
		close(ctl->device);
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.device = -1,
		.interval = 1,
		.pattern = {.size = 1UL << 30, .readers = 1, .writers = 1, .rounds = 1000},
	};
	int code;

	/* Sizes are written and read with a point everywhere. */
	setlocale(LC_CTYPE, "");
	code = run(&ctl, argc, argv);
	if (fflush(stdout) || ferror(stdout))
		return failed(-errno, "writing the output");
	return code;
}
