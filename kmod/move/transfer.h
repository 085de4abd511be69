/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Giving morsels away.
 */
#ifndef MORSEL_TRANSFER_H
#define MORSEL_TRANSFER_H

struct file;

/* transfer.c */
struct file *morsel_give(struct file *from);

#endif /* MORSEL_TRANSFER_H */
