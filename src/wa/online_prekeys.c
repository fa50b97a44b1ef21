/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keeps what the server has of our prekeys in order: uploads, refills, comparison, rotation
 * (protocol/03 section 7). */
#include "base/clock.h"
#include "wa/session_internal.h"

#define UPLOAD_WAIT_MAX_S 610 /* 1, 2, 3, 5 … */
#define CHECK_AGAIN_S 86400
#define ROTATE_AGAIN_MS INT64_C(86400000)
#define ERROR_NOT_FOUND 404
#define ERROR_KEYS_BAD 406
#define ERROR_KEYS_DIFFER 409

/* ---- when they were compared -------------------------------------------------------------------
 */

static uint32_t now_s(const struct wa_session *s)
{
    return (uint32_t)(s->host->wall_ms(s->host->ctx) / 1000);
}

static void checked(struct wa_session *s, bool same)
{
    s->device.prekeys_checked_at = same ? now_s(s) : 0;
    if (wa_device_save_field(&s->device, "prekeys_checked_at", s->host) < 0)
        wa_session_end_store(s);
}

/* To compare is to read every prekey: not at each of many logins. */
static bool was_checked(const struct wa_session *s)
{
    uint32_t now = now_s(s), at = s->device.prekeys_checked_at;
    return at > 0 && at <= now && now - at < CHECK_AGAIN_S;
}

/* ---- upload ------------------------------------------------------------------------------------
 */

static void retry_later(struct wa_session *s)
{
    struct wa_online_prekeys *p = &s->prekeys;
    unsigned next = p->wait_s + p->wait_ago;
    p->wait_ago = p->wait_s;
    p->wait_s = next == 0 ? 1 : next > UPLOAD_WAIT_MAX_S ? UPLOAD_WAIT_MAX_S : next;
    s->upload_at = wa_session_now(s) + (int64_t)p->wait_s * 1000;
}

/* Refused keys are not offered again; whether the server has others of ours is found out. */
static void on_uploaded(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_online_prekeys *p = &s->prekeys;
    (void)arg;
    p->uploading = false;
    if (!answer && code != ERROR_KEYS_BAD && code != ERROR_KEYS_DIFFER) {
        retry_later(s);
        return;
    }
    p->count = 0;
    p->wait_s = p->wait_ago = 0;
    if (!answer) {
        wa_online_check_digest(s);
        return;
    }
    if (s->device.prekeys_uploaded)
        return;
    s->device.prekeys_uploaded = true;
    if (wa_device_save_field(&s->device, "prekeys_uploaded", s->host) < 0)
        wa_session_end_store(s);
    else
        checked(s, true);
}

static void send_upload(struct wa_session *s, struct wa_node *iq, int rc)
{
    s->upload_at = CLOCK_NEVER;
    if (rc < 0) {
        wa_session_end_store(s);
        return;
    }
    s->prekeys.uploading = true;
    wa_session_ask(s, iq, on_uploaded, NULL);
}

void wa_online_upload_prekeys(struct wa_session *s, size_t count)
{
    struct wa_online_prekeys *p = &s->prekeys;
    if (p->uploading || p->count > 0)
        return;
    struct wa_node *iq = wa_session_query(s, "set", "encrypt");
    p->first = s->device.next_prekey_id;
    p->count = count;
    send_upload(s, iq, wa_prekeys_build_upload(iq, &s->device, s->host, count));
}

/* The same keys under the same ids: the server may have taken them before. */
void wa_online_retry_upload(struct wa_session *s)
{
    const struct wa_online_prekeys *p = &s->prekeys;
    struct wa_node *iq = wa_session_query(s, "set", "encrypt");
    send_upload(s, iq, wa_prekeys_build_upload_again(iq, &s->device, s->host, p->first, p->count));
}

/* ---- comparison --------------------------------------------------------------------------------
 */

/* Once on a connection: a server that goes on to differ is not fed for ever. */
static void mend(struct wa_session *s, size_t count)
{
    if (s->prekeys.mended)
        return;
    s->prekeys.mended = true;
    wa_online_upload_prekeys(s, count);
}

static void on_digest(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    const struct wa_node *digest = wa_node_find(answer, "digest");
    (void)arg;
    s->prekeys.digest_asked = false;
    if (!answer && code == ERROR_NOT_FOUND) {
        checked(s, false);
        mend(s, WA_PREKEYS_FIRST);
    }
    if (!digest || s->prekeys.uploading)
        return;
    int rc = wa_prekeys_compare(digest, &s->device, s->host);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
    else if (rc >= 0)
        checked(s, rc == 1);
    if (rc == 0)
        mend(s, WA_PREKEYS_REFILL);
}

void wa_online_check_digest(struct wa_session *s)
{
    if (s->prekeys.digest_asked || s->prekeys.uploading)
        return;
    struct wa_node *iq = wa_session_query(s, "get", "encrypt");
    wa_node_child(iq, "digest");
    s->prekeys.digest_asked = true;
    wa_session_ask(s, iq, on_digest, NULL);
}

/* ---- rotation ----------------------------------------------------------------------------------
 */

/* When the signed prekey is due, or looked at again. A clock that stood before its making is not
 * believed. */
static void schedule_rotation(struct wa_session *s)
{
    int64_t now_s = s->host->wall_ms(s->host->ctx) / 1000, now = wa_session_now(s);
    int64_t left_s = s->device.signed_prekey_at + WA_SIGNED_PREKEY_DAYS * 86400 - now_s;
    s->rotate_at = now + (left_s < 0                        ? 0
                          : left_s * 1000 > ROTATE_AGAIN_MS ? ROTATE_AGAIN_MS
                                                            : left_s * 1000);
}

static void on_rotated(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    int rc = 0;
    (void)arg;
    s->prekeys.rotating = false;
    s->rotate_at = wa_session_now(s) + ROTATE_AGAIN_MS;
    if (answer)
        rc = wa_prekeys_rotated(&s->device, s->host, s->prekeys.signature,
                                (uint32_t)(s->host->wall_ms(s->host->ctx) / 1000));
    else if (code == ERROR_KEYS_BAD)
        rc = wa_prekeys_rotation_refused(&s->device, s->host);
    else if (code == ERROR_KEYS_DIFFER)
        wa_online_check_digest(s);
    if (rc < 0)
        wa_session_end_store(s);
}

void wa_online_rotate(struct wa_session *s)
{
    int64_t now_s = s->host->wall_ms(s->host->ctx) / 1000;
    if (s->device.signed_prekey_at + WA_SIGNED_PREKEY_DAYS * 86400 > now_s) {
        schedule_rotation(s);
        return;
    }
    s->rotate_at = CLOCK_NEVER;
    if (s->prekeys.rotating)
        return;
    struct wa_node *iq = wa_session_query(s, "set", "encrypt");
    if (wa_prekeys_build_rotation(iq, &s->device, s->host, s->prekeys.signature) < 0) {
        wa_session_end_store(s);
        return;
    }
    s->prekeys.rotating = true;
    wa_session_ask(s, iq, on_rotated, NULL);
}

/* ---- after login -------------------------------------------------------------------------------
 */

static void on_count(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    (void)code;
    uint64_t value = 0;
    if (!answer)
        return;
    wa_node_attr_u64(wa_node_find(answer, "count"), "value", &value);
    if (value < WA_PREKEYS_MINIMUM)
        wa_online_upload_prekeys(s, value == 0 ? WA_PREKEYS_FIRST : WA_PREKEYS_REFILL);
    else if (!was_checked(s))
        wa_online_check_digest(s);
    schedule_rotation(s);
}

/* A key whose age is not known is young from now on. */
static void date_signed_prekey(struct wa_session *s)
{
    if (s->device.signed_prekey_at)
        return;
    s->device.signed_prekey_at = (uint32_t)(s->host->wall_ms(s->host->ctx) / 1000);
    if (wa_device_save_field(&s->device, "signed_prekey_at", s->host) < 0)
        wa_session_end_store(s);
}

void wa_online_check_prekeys(struct wa_session *s)
{
    date_signed_prekey(s);
    if (!s->device.prekeys_uploaded) {
        wa_online_upload_prekeys(s, WA_PREKEYS_FIRST);
        schedule_rotation(s);
        return;
    }
    struct wa_node *iq = wa_session_query(s, "get", "encrypt");
    wa_node_child(iq, "count");
    wa_session_ask(s, iq, on_count, NULL);
}
