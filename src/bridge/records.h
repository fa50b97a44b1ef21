/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The records that wa asks its host for, kept in keys.db; and its clocks and randomness. */
#ifndef BRIDGE_RECORDS_H
#define BRIDGE_RECORDS_H

#include "store/keys.h"
#include "wa/host.h"
#include "wa/jid.h"

/* Opens keys.db with the tables of wa/host.h. As store_keys_open. */
int bridge_records_open(struct store_keys **out, const char *path, struct err *err);
/* A host whose writes wait in k until store_keys_commit; k must outlive it. */
struct wa_host bridge_records_host(struct store_keys *k);
/* Are the two bare JIDs one person, as far as the records know? PN and LID of one user are. */
bool bridge_records_same_user(const struct wa_host *host, const struct wa_jid *a,
                              const struct wa_jid *b);
/* Both bare addresses of a person, none where unknown; of a group neither is known. */
void bridge_records_forms(const struct wa_host *host, const struct wa_jid *jid, struct wa_jid *pn,
                          struct wa_jid *lid);

#endif
