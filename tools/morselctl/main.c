// SPDX-License-Identifier: GPL-2.0
/*
 * morselctl: look after morsels and pools.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

static const struct verb verbs[] = {
	{"doctor", "", "see whether all is there, and what to do where it is not", run_doctor,
	 true},
	{"pool", "list | show ID | add NODE SIZE | resize ID SIZE | remove ID", "look after pools",
	 run_pool, false},
	{"limit", "show [UID] | set UID SIZE|none|default", "look after users' ceilings", run_limit,
	 false},
	{"create", "[-g auto|4k|2m] [-m MODE] [-p POOL] [-n NODE] [-P] NAME SIZE", "make a morsel",
	 run_create, false},
	{"list", "", "list the morsels you may see", run_list, false},
	{"show", "NAME...", "describe morsels", run_show, false},
	{"rm", "NAME...", "take names away; a morsel goes with its last user", run_rm, false},
	{"import", "[-g auto|4k|2m] [-m MODE] [-p POOL] [-N NAME] FILE",
	 "make a morsel of a file's contents", run_import, false},
	{"export", "NAME FILE", "write a morsel's contents to a file", run_export, false},
	{"populate", "NAME...", "allocate all that is not there yet", run_populate, false},
	{"tree", "NAME", "draw a morsel's page tables", run_tree, false},
	{"stat", "[-c COUNT] [-i SECONDS]", "pools, as they change", run_stat, false},
	{"help", "[VERB]", "this, or a verb's page of the manual", run_help, true},
};

const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void print_help(FILE *to)
{
	fprintf(to, "Usage: morselctl [--json] [--bytes] VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "\n  --json    print JSON, always an array\n"
		    "  --bytes   print exact sizes\n"
		    "  --version print the release\n\n"
		    "'morselctl help VERB' opens the manual at a verb.\n");
}

int run_help(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
	char pager[64];

	(void)ctl;
	if (argc < 2) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!verb)
		return complain(EXIT_USAGE, "there is no verb '%s'; 'morselctl help' lists them",
				argv[1]);
	/* The manual is one page; less opens it at the verb. */
	snprintf(pager, sizeof(pager), "less -p '^   %s'", verb->name);
	if (isatty(STDOUT_FILENO))
		execlp("man", "man", "-P", pager, "1", "morselctl", (char *)NULL);
	printf("Usage: morselctl %s %s\n\n%s\n", verb->name, verb->arguments, verb->help);
	return EXIT_OK;
}

static void log_nothing(const char *line, void *context)
{
	(void)line;
	(void)context;
}

static int open_device(struct ctl *ctl)
{
	ctl->device = morsel_device();
	switch (ctl->device) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return complain(EXIT_NO_MODULE,
				"there is no %s: load the module (modprobe morsel); 'morselctl "
				"doctor' tells more",
				MORSEL_DEVICE);
	case -EACCES:
	case -EPERM:
		return complain(EXIT_DENIED,
				"%s is for members of the group morsel: adduser %s morsel, then "
				"log in again",
				MORSEL_DEVICE, getenv("USER") ? getenv("USER") : "USER");
	case -EPROTONOSUPPORT:
		return complain(
			EXIT_NO_MODULE,
			"the module and this program are too far apart: update the older one");
	default:
		return ctl->device < 0 ? failed(ctl->device, "%s", MORSEL_DEVICE) : EXIT_OK;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"bytes", no_argument, NULL, 'b'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct ctl ctl = {.device = -1};
	const struct verb *verb;
	int option, code;

	setlocale(LC_ALL, "");
	morsel_set_log(log_nothing, NULL);
	/* "+": what follows the verb is the verb's. */
	while ((option = getopt_long(argc, argv, "+jbvh", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			ctl.json = true;
			break;
		case 'b':
			ctl.bytes = true;
			break;
		case 'v':
			printf("morselctl %s\n", morsel_version());
			return EXIT_OK;
		case 'h':
			print_help(stdout);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	verb = find_verb(argv[optind]);
	if (!verb)
		return complain(EXIT_USAGE, "there is no verb '%s'; 'morselctl help' lists them",
				argv[optind]);
	argc -= optind;
	argv += optind;

	/* The two options are welcome behind the verb, too. */
	for (int i = 1; i < argc; i++) {
		bool json = !strcmp(argv[i], "--json"), bytes = !strcmp(argv[i], "--bytes");

		if (!json && !bytes)
			continue;
		ctl.json |= json;
		ctl.bytes |= bytes;
		memmove(&argv[i], &argv[i + 1], (argc - i) * sizeof(*argv));
		argc--;
		i--;
	}

	if (!verb->no_device) {
		code = open_device(&ctl);
		if (code)
			return code;
	}
	optind = 1;
	code = verb->run(&ctl, argc, argv);
	if (ctl.device >= 0)
		close(ctl.device);
	if (fflush(stdout))
		return failed(-errno, "writing the output");
	return code;
}
