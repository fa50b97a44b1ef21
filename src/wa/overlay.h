/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pending changes over the host's records: what one library call reads and writes is collected here
 * and reaches the host as a whole or not at all. Values hold secrets and are wiped.
 */
#ifndef WA_OVERLAY_H
#define WA_OVERLAY_H

#include "wa/host.h"

struct wa_overlay_row;

struct wa_overlay {
    const struct wa_host *host;
    struct wa_overlay_row *rows;
    size_t count, cap;
    bool failed;    /* the host could not read or write */
    bool too_large; /* a value was over WA_RECORD_MAX */
};

void wa_overlay_init(struct wa_overlay *o, const struct wa_host *host);
void wa_overlay_deinit(struct wa_overlay *o);

/* 1 and *value (borrowed until this key changes or the overlay is reset), 0 absent, ERR_STORE. Each
 * key is asked of the host once. */
int wa_overlay_get(struct wa_overlay *o, enum wa_table table, const char *key, struct bytes *value);
/* 0; ERR_STORE; ERR_LIMIT when value is over WA_RECORD_MAX. A value that is there already is no
 * change. */
int wa_overlay_put(struct wa_overlay *o, enum wa_table table, const char *key, struct bytes value);
/* 0 or ERR_STORE. */
int wa_overlay_del(struct wa_overlay *o, enum wa_table table, const char *key);
/* Hands the changes to the host in the order in which their keys were first used: 0, or ERR_STORE
 * with the changes that were made already undone. Call wa_overlay_reset afterwards in either case.
 */
int wa_overlay_commit(struct wa_overlay *o);
/* Forgets everything that was read or changed, and both flags. */
void wa_overlay_reset(struct wa_overlay *o);
/* The same, and gives its memory back. */
void wa_overlay_rest(struct wa_overlay *o);

#endif
