/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trusted-contact tokens: what a contact gave us, and when we gave ours; and what stands in for one
 * where there is none (protocol/06 section 8.2). Times are Unix seconds. */
#ifndef WA_PRIVACY_H
#define WA_PRIVACY_H

#include "wa/host.h"
#include "wa/jid.h"

#define WA_PRIVACY_BUCKET_S 604800
#define WA_PRIVACY_BUCKETS 4
#define WA_PRIVACY_TOKEN_MAX 512 /* bytes of a token; longer ones are not kept */

/* A token of that time is of no use any more. */
bool wa_privacy_expired(int64_t token_s, int64_t now_s);
/* Ours must be given (again): never (0) or in an earlier bucket than now. */
bool wa_privacy_due(int64_t issued_s, int64_t now_s);

/* The record of WA_TABLE_PRIVACY_TOKEN: 8 bytes BE token_s, 8 bytes BE issued_s, the token. */
struct wa_privacy {
    int64_t token_s;  /* 0: none given */
    int64_t issued_s; /* when we gave ours, 0 never */
    uint8_t token[WA_PRIVACY_TOKEN_MAX];
    size_t length;
};
/* user: bare, LID when known. 1, 0 when there is none (*out zeroed), ERR_STORE. */
int wa_privacy_load(struct wa_privacy *out, const struct wa_host *host, const struct wa_jid *user);
int wa_privacy_save(const struct wa_privacy *p, const struct wa_host *host,
                    const struct wa_jid *user);
/* Keeps a token when it is newer than what is there. 0 or ERR_STORE. */
int wa_privacy_take(const struct wa_host *host, const struct wa_jid *user, struct bytes token,
                    int64_t token_s);

/* Ours was given at that time, by this device or another one of the account. 0 or ERR_STORE. */
int wa_privacy_issued(const struct wa_host *host, const struct wa_jid *user, int64_t issued_s);

#define WA_PRIVACY_STRANGER_LEN 32
/* The "cstoken" for a user who gave us no token; salt: of the app state (nct_salt), lid: bare. */
void wa_privacy_stranger_token(uint8_t out[WA_PRIVACY_STRANGER_LEN], struct bytes salt,
                               const struct wa_jid *lid);

#endif
