/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which frames a morsel has.
 */
#ifndef MORSEL_MAP_H
#define MORSEL_MAP_H

#include "morsel.h"

struct frame_pool;
struct payer;

/* subtree.c */
int morsel_subtrees_init(void);
void morsel_subtrees_exit(void);
int morsel_subtree_init(struct morsel *m, struct frame_pool *pool, struct payer *payer);
void morsel_subtree_free(struct morsel *m);
void morsel_subtree_sync(void);
int morsel_set_fault_around(struct morsel *m, u32 bytes);
int morsel_fill(struct morsel *m, unsigned long index);
int morsel_populate(struct morsel *m, unsigned long first, unsigned long end, unsigned int state);
void morsel_punch(struct morsel *m, loff_t start, loff_t end);
struct page *morsel_get_page(struct morsel *m, unsigned long index, bool fill);
int morsel_mirror(struct morsel *m, enum morsel_rights rights, unsigned long first,
		  unsigned long end);
pud_t *morsel_puds(struct morsel *m, enum morsel_rights rights, unsigned long top);
pmd_t morsel_span(struct morsel *m, enum morsel_rights rights, unsigned long span);

#endif /* MORSEL_MAP_H */
