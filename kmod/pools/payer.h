/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Payers: whose ceilings the frames and tables of morsels count against.
 */
#ifndef MORSEL_PAYER_H
#define MORSEL_PAYER_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include "morsel_ioctl.h"

struct list_head;
struct outgoing;
struct payer;

/* User namespaces nest 33 deep; and there may be a mount. */
#define USERS_MAX 34
#define PAYERS_MAX (USERS_MAX + 1)

/**
 * struct payers - who pays for a morsel: each for all of it
 * @nr:		how many
 * @who:	these, each once; who made it comes first
 */
struct payers {
	unsigned int nr;
	struct payer *who[PAYERS_MAX];
};

int payers_get(struct payers *payers);
struct payer *payer_ref(struct payer *payer);
struct payer *payer_make(unsigned long limit);
void payer_unmake(struct payer *payer);
void payer_set_limit(struct payer *payer, unsigned long limit);
bool payer_is_user(const struct payer *payer);
void payers_add(struct payers *payers, struct payer *payer);
void payers_put(const struct payers *payers);
struct list_head *payer_shares(struct payer *payer);
struct outgoing *payer_outgoing(struct payer *payer);
unsigned long payer_limit(const struct payer *payer);
unsigned long payer_room(const struct payer *payer);
int payer_charge(struct payer *payer, unsigned long pages);
void payer_charge_anyway(struct payer *payer, unsigned long pages);
void payer_uncharge(struct payer *payer, unsigned long pages);
int morsel_limit_get(struct morsel_limit *args);
int morsel_limit_set(const struct morsel_limit *args);
void payers_init(void);
void payers_exit(void);

#endif /* MORSEL_PAYER_H */
