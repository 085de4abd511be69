/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Payers: whose ceilings the frames and tables of morsels count against.
 */
#ifndef MORSEL_PAYER_H
#define MORSEL_PAYER_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include "morsel_ioctl.h"

struct payer;

struct payer *payer_get(kuid_t uid);
void payer_put(struct payer *payer);
unsigned long payer_room(const struct payer *payer);
int payer_charge(struct payer *payer, unsigned long pages);
void payer_uncharge(struct payer *payer, unsigned long pages);
int morsel_limit_get(struct morsel_limit *args);
int morsel_limit_set(const struct morsel_limit *args);
void payers_exit(void);

#endif /* MORSEL_PAYER_H */
