/* SPDX-License-Identifier: GPL-2.0 */
/*
 * doctor: what its parts share.
 */
#ifndef MORSELCTL_DOCTOR_H
#define MORSELCTL_DOCTOR_H

#include "ctl.h"

/**
 * struct report - what was found
 * @rows:	a row per check
 * @code:	exit code: that of the first problem
 */
struct report {
	struct json_object *rows;
	int code;
};

/* doctor.c */
void good(struct report *report, const char *what, const char *found);
void note(struct report *report, const char *what, const char *found, const char *remedy);
void problem(struct report *report, int code, const char *what, const char *found,
	     const char *remedy);
const char *first_line(const char *path, char *buffer, size_t room);

/* kernel.c */
void check_kernel(struct report *report, const char *root, const char *release);

/* cgroup.c */
void check_cgroup(struct report *report);

#endif /* MORSELCTL_DOCTOR_H */
