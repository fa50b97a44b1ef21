/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The app state of one collection, read only, in WA_TABLE_APP_STATE: under its name 8 bytes version
 * BE and the LTHash, under "<name>/<hex index MAC>" the value MAC of each record that is set. What
 * was read of them: "nct_salt". Source: protocol/07 section 8.4.
 */
#ifndef WA_APP_STATE_COLLECTION_H
#define WA_APP_STATE_COLLECTION_H

#include "wa/app_state.h"
#include "wa/host.h"

#define WA_APP_STATE_RECORDS_MAX 20000 /* of one snapshot or patch */
#define WA_APP_STATE_NCT_SALT "nct_salt"
#define WA_APP_STATE_SALT_MAX 256 /* bytes */

/* What a snapshot or a patch brought. */
struct wa_app_state_news {
    char push_name[128]; /* "" none; valid UTF-8 */
    /* Hex id of the key that is not here, when a call said ERR_NOT_FOUND. */
    char missing_key[2 * WA_APP_STATE_KEY_ID_MAX + 1];
};

/* 0 when there is none, and the next thing must be a snapshot. 0 or ERR_STORE. */
int wa_app_state_version(const struct wa_host *host, const char *collection, uint64_t *out);
/* Forgets the collection: 0 or ERR_STORE. */
int wa_app_state_reset(const struct wa_host *host, const char *collection);

/*
 * Both check every MAC before *news is filled in. 0; ERR_NOT_FOUND: a key is missing, nothing has
 * changed; ERR_STORE; ERR_STATE: not the next patch, nothing has changed; ERR_AUTH, ERR_INVALID or
 * ERR_LIMIT: what was sent is damaged or not ours, and the collection was reset.
 */
int wa_app_state_take_snapshot(const struct wa_host *host, const char *collection,
                               struct bytes snapshot, struct wa_app_state_news *news);
/* external: the file that the patch points to; BYTES_NONE when it has its mutations within. */
int wa_app_state_take_patch(const struct wa_host *host, const char *collection, struct bytes patch,
                            struct bytes external, struct wa_app_state_news *news);

#endif
