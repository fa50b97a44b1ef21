/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The records that wa asks its host for, kept in keys.db; and its clocks and randomness. */
#ifndef BRIDGE_RECORDS_H
#define BRIDGE_RECORDS_H

#include "store/keys.h"
#include "wa/host.h"
#include "wa/jid.h"

struct bridge_records;

/*
 * Opens keys.db with the tables of wa/host.h. Values are sealed with the key in key_file
 * (bridge/seal.h;
 * "": plain). What is plain, or sealed with the key in old_key_file, is sealed anew first, in one
 * transaction. 0 and an owned handle; ERR_CONFIG when a key file is unreadable or neither key is
 * the right one; as store_keys_open.
 */
int bridge_records_open(struct bridge_records **out, const char *path, const char *key_file,
                        const char *old_key_file, struct err *err);
/* Rolls back what was not committed, wipes the key. NULL is fine. */
void bridge_records_close(struct bridge_records *r);
/* For commit, rollback and error; borrowed. */
struct store_keys *bridge_records_store(const struct bridge_records *r);
/* A host whose writes wait until store_keys_commit; r must outlive it. */
struct wa_host bridge_records_host(struct bridge_records *r);
/* Are the two bare JIDs one person, as far as the records know? PN and LID of one user are. */
bool bridge_records_same_user(const struct wa_host *host, const struct wa_jid *a,
                              const struct wa_jid *b);
/* Both bare addresses of a person, none where unknown; of a group neither is known. */
void bridge_records_forms(const struct wa_host *host, const struct wa_jid *jid, struct wa_jid *pn,
                          struct wa_jid *lid);

#endif
