/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linking again on a volume that has a history: the same account, or another one. */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/log.h"

#define RECORD                                                                                     \
    "last_account" /* PN user part of the account that was linked last, once it is not             \
                    */

/* Appends the PN user part: of the linked account, else of the one before; nothing when neither is
 * known. 0 or negative. */
static int last_account(struct bridge *b, struct buf *out)
{
    AUTO_BUF struct buf pn;
    struct wa_jid jid;
    buf_init(&pn, WA_JID_TEXT_SIZE);
    int found = b->host.get(b->host.ctx, WA_TABLE_DEVICE, "pn", &pn);
    if (found == 1 && wa_jid_parse(&jid, buf_bytes(&pn)) == 0)
        return buf_append_text(out, jid.user);
    if (found >= 0)
        found = b->host.get(b->host.ctx, WA_TABLE_DEVICE, RECORD, out);
    return found < 0 ? found : 0;
}

int bridge_account_forget(struct bridge *b)
{
    AUTO_BUF struct buf account;
    buf_init(&account, WA_JID_TEXT_SIZE);
    int rc = last_account(b, &account);
    if (rc == 0)
        rc = wa_device_forget(&b->host);
    if (rc == 0 && account.n > 0)
        rc = b->host.put(b->host.ctx, WA_TABLE_DEVICE, RECORD, buf_bytes(&account));
    return rc;
}

/* Whether the queue was filled by an account that is known to be another one. */
static bool is_another(struct bridge *b, const struct wa_jid *pn)
{
    AUTO_BUF struct buf last;
    buf_init(&last, WA_JID_TEXT_SIZE);
    return b->host.get(b->host.ctx, WA_TABLE_DEVICE, RECORD, &last) == 1 &&
           !bytes_is(buf_bytes(&last), pn->user);
}

/* What waits was meant to come from another number: it must not come from this one. */
static int begin_anew(struct bridge *b)
{
    int dropped = store_messages_give_up(b->messages, INT64_MAX, true, "account_changed");
    int released = dropped < 0 ? dropped : store_messages_release(b->messages, NULL);
    log_event(LOG_WARN, "account_changed", LOG_INT("given_up", dropped),
              LOG_INT("released", released));
    return released;
}

void bridge_account_paired(struct bridge *b, const struct wa_event *ev)
{
    int64_t age_ms = b->config.max_reply_age_s * 1000;
    int rc = is_another(b, &ev->u.account.pn)
                 ? begin_anew(b)
                 : store_messages_give_up(b->messages, clock_wall_ms() - age_ms, false, "too_old");
    if (rc < 0)
        b->store_failed = true;
}
