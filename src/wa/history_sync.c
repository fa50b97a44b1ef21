/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The history that our phone sends after linking (protocol/07 section 7): what it told of is kept
 * until it was fetched and read, oldest first. Nothing waits for it, and what a crash cut short is
 * done again from the start: reading the same twice changes nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "wa/app_state_collection.h"
#include "wa/history.h"
#include "wa/history_slots.h"
#include "wa/pb.h"
#include "wa/privacy.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

#define PACKED_MAX (16u << 20)    /* bytes of a blob, which are in memory while it is read */
#define INFLATED_MAX (256u << 20) /* bytes of it inflated, which are not */
#define STEP_BYTES (256u << 10)   /* inflated at once */
#define STEP_ITEMS 100            /* events of the reader at once: a commit of some milliseconds */
#define TRIES_MAX 6
#define BEGUN_MAX 10 /* a blob that never comes to its end is in the way of the others */
/* Also what is not read keeps its slot until its receipts have left: when the process dies before,
 * the server says it again, and it must be known what it was. */
#define AFTER_RECEIPTS_MS 50
#define MS_NOT_S INT64_C(100000000000) /* a Unix time that is larger has milliseconds */

static void go(struct wa_session *s);

static int64_t wall_s(const struct wa_session *s)
{
    return s->host->wall_ms(s->host->ctx) / 1000;
}

/* ---- what is learnt (section 7.4) ------------------------------------------------------------ */

static int stored(struct wa_session *s, int rc)
{
    if (rc < 0)
        wa_session_end_store(s);
    return rc < 0 ? ERR_STORE : 0;
}

/* What stands in an old conversation is believed only where nothing is known. */
static int learn_mapping(void *ctx, struct bytes a_text, struct bytes b_text)
{
    struct wa_session *s = ctx;
    struct wa_jid a, b;
    if (wa_jid_parse(&a, a_text) < 0 || wa_jid_parse(&b, b_text) < 0 || !wa_jid_is_user(&a) ||
        !wa_jid_is_user(&b) || wa_jid_is_lid(&a) == wa_jid_is_lid(&b))
        return 0;
    struct wa_jid known = wa_jid_is_lid(&a) ? wa_session_pn_of(s, &a) : wa_session_lid_of(s, &a);
    a = wa_jid_bare(&a);
    b = wa_jid_bare(&b);
    if (wa_jid_is_none(&known))
        wa_session_learn_lid(s, &a, &b);
    return s->phase == WA_PHASE_CLOSED ? ERR_STORE : 0;
}

static int learn_name(void *ctx, struct bytes jid_text, struct bytes name)
{
    struct wa_session *s = ctx;
    struct wa_jid jid;
    if (s->device.push_name[0] || wa_jid_parse(&jid, jid_text) < 0 ||
        !wa_device_is_own(&s->device, &jid) || name.n >= sizeof(s->device.push_name) ||
        memchr(name.p, 0, name.n) || !text_utf8_valid(name))
        return 0;
    bytes_copy_text(name, s->device.push_name, sizeof(s->device.push_name));
    return stored(s, wa_device_save_field(&s->device, "push_name", s->host));
}

static int learn_migrated(void *ctx)
{
    struct wa_session *s = ctx;
    if (s->device.lid_migrated)
        return 0;
    s->device.lid_migrated = true;
    return stored(s, wa_device_save_field(&s->device, "lid_migrated", s->host));
}

/* That of the app state counts more. */
static int learn_salt(void *ctx, struct bytes salt)
{
    struct wa_session *s = ctx;
    AUTO_BUF struct buf known = {.max = WA_RECORD_MAX, .secret = true};
    if (salt.n == 0 || salt.n > WA_APP_STATE_SALT_MAX)
        return 0;
    int rc = s->host->get(s->host->ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT, &known);
    if (rc == 0)
        rc = s->host->put(s->host->ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT, salt);
    return stored(s, rc);
}

static int learn_token(struct wa_session *s, const struct wa_jid *chat,
                       const struct wa_history_chat *c)
{
    struct wa_jid user = wa_session_address(s, chat);
    int rc = 0;
    user = wa_jid_bare(&user);
    if (c->token.n > 0 && c->token_s > 0 && c->token_s <= INT64_MAX)
        rc = wa_privacy_take(s->host, &user, c->token, (int64_t)c->token_s);
    if (rc == 0 && c->token_issued_s > 0 && c->token_issued_s <= (uint64_t)wall_s(s))
        rc = wa_privacy_issued(s->host, &user, (int64_t)c->token_issued_s);
    return stored(s, rc);
}

/* As if the setting itself had just come; the record decides by the time it was made. */
static void tell_timer(struct wa_session *s, const struct wa_jid *chat,
                       const struct wa_history_chat *c)
{
    uint64_t set_s = c->expiration_set > MS_NOT_S ? c->expiration_set / 1000 : c->expiration_set;
    if ((c->expiration_s == 0 && set_s == 0) || c->expiration_s > UINT32_MAX ||
        set_s > (uint64_t)MS_NOT_S)
        return;
    struct wa_content *content = arena_alloc(&s->arena, sizeof(*content));
    *content = (struct wa_content){.kind = WA_KIND_PROTOCOL,
                                   .protocol_type = -1,
                                   .timer_set = true,
                                   .expiration_s = (uint32_t)c->expiration_s,
                                   .expiration_set_s = (int64_t)set_s};
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_HISTORY);
    ev->u.message.chat = *chat;
    ev->u.message.timestamp_s = wall_s(s);
    ev->u.message.content = content;
    wa_web_message_forms(s, chat, &ev->u.message.chat_pn, &ev->u.message.chat_lid);
}

static int learn_chat(void *ctx, const struct wa_history_chat *c)
{
    struct wa_session *s = ctx;
    struct wa_jid chat;
    int rc = 0;
    if (wa_jid_parse(&chat, c->id) < 0 || !wa_jid_is_user(&chat))
        return 0;
    chat = wa_jid_bare(&chat);
    s->history->chats++;
    if (c->pn.n > 0)
        rc = learn_mapping(s, c->pn, c->id);
    if (rc == 0 && c->lid.n > 0)
        rc = learn_mapping(s, c->id, c->lid);
    if (rc == 0)
        rc = learn_token(s, &chat, c);
    if (rc == 0)
        tell_timer(s, &chat, c);
    return rc;
}

static int tell_message(void *ctx, struct bytes info)
{
    struct wa_session *s = ctx;
    struct wa_incoming in;
    if (!wa_web_message_read(s, info, s->history->since_s, &in))
        return s->phase == WA_PHASE_CLOSED ? ERR_STORE : 0;
    wa_session_emit(s, WA_EVENT_HISTORY)->u.message = in;
    s->history->messages++;
    return 0;
}

/* ---- the end of one -------------------------------------------------------------------------- */

static void close_reading(struct wa_history_sync *h)
{
    wa_history_close(h->reader);
    h->reader = NULL;
    buf_deinit(&h->packed);
}

static void forget(struct wa_session *s)
{
    if (!s->history)
        return;
    close_reading(s->history);
    buf_wipe(s->history, sizeof(*s->history));
    free(s->history);
    s->history = NULL;
}

static void end(struct wa_session *s, const char *trouble)
{
    struct wa_history_sync *h = s->history;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_HISTORY_END);
    ev->u.history_end.type = h->note.type;
    ev->u.history_end.trouble = trouble;
    ev->u.history_end.chats = h->chats;
    ev->u.history_end.messages = h->messages;
    if (wa_history_slots_drop(s->host, &h->note) < 0)
        wa_session_end_store(s);
    forget(s);
    go(s);
}

/* Makes the phone upload the file again, which it tells in a new notification (section 7.3). */
static void ask_phone_again(struct wa_session *s)
{
    const struct wa_history_note *n = &s->history->note;
    uint8_t nonce[WA_GCM_NONCE_LEN];
    AUTO_BUF struct buf sealed = {.max = WA_MEDIA_RETRY_MAX};
    struct wa_jid own = wa_jid_bare(&s->device.pn);
    int rc = wa_history_slots_may_ask(s->host);
    s->host->random(s->host->ctx, nonce, sizeof(nonce));
    if (rc != 1 || wa_media_retry_seal(&sealed, n->key, nonce, bytes_text(n->id)) < 0) {
        (void)stored(s, rc);
        return;
    }
    struct wa_node *receipt = wa_session_stanza(s, "receipt");
    wa_node_set_bytes(receipt, "id", bytes_text(n->id));
    wa_node_set_jid(receipt, "to", &own);
    wa_node_set(receipt, "type", "server-error");
    wa_node_set(receipt, "category", "peer");
    struct wa_node *encrypt = wa_node_child(receipt, "encrypt");
    wa_node_child_data(encrypt, "enc_p", buf_bytes(&sealed));
    wa_node_child_data(encrypt, "enc_iv", BYTES_ARRAY(nonce));
    wa_session_put(s, receipt);
}

static void put_off(struct wa_session *s)
{
    struct wa_history_note *n = &s->history->note;
    n->due_s = wall_s(s) + (INT64_C(30) << 2 * n->tries++); /* half a minute to two hours */
    (void)stored(s, wa_history_slots_save(s->host, n));
    forget(s);
    go(s);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What is known of people goes before their messages, so that each has both addresses. */
static void open_pass(struct wa_session *s, bool messages)
{
    const struct wa_history_events people = {.ctx = s,
                                             .mapping = learn_mapping,
                                             .push_name = learn_name,
                                             .migrated = learn_migrated,
                                             .salt = learn_salt,
                                             .chat = learn_chat};
    const struct wa_history_events said = {.ctx = s, .message = tell_message};
    struct wa_history_sync *h = s->history;
    wa_history_close(h->reader);
    h->reader = wa_history_open(messages ? &said : &people, INFLATED_MAX);
    h->in_messages = messages;
    h->left = buf_bytes(&h->packed);
}

static void begin_reading(struct wa_session *s)
{
    struct wa_history_note *n = &s->history->note;
    int64_t days = s->config.history_days;
    if (n->begun >= BEGUN_MAX) {
        end(s, "it was never read to its end");
        return;
    }
    n->begun++;
    if (stored(s, wa_history_slots_save(s->host, n)) < 0)
        return;
    s->history->since_s = days > 0 ? wall_s(s) - days * 86400 : 0;
    open_pass(s, false);
}

bool wa_session_step(struct wa_session *s)
{
    struct wa_history_sync *h = s->history;
    if (s->phase != WA_PHASE_ONLINE || !h || !h->reader)
        return false;
    if (s->event_next < s->event_count)
        return true;
    int rc = wa_history_read(h->reader, &h->left, STEP_BYTES, STEP_ITEMS);
    if (rc == 0)
        rc = wa_history_end(h->reader);
    else if (rc == 1)
        return true;
    if (s->phase != WA_PHASE_ONLINE)
        return false;
    if (rc == 0 && !h->in_messages && h->since_s > 0)
        open_pass(s, true);
    else
        end(s, rc == 0 ? NULL : rc == ERR_LIMIT ? "it is too long" : "it cannot be read");
    return s->history && s->history->reader;
}

void wa_history_sync_file(struct wa_session *s, enum wa_file_end how, struct buf *plain)
{
    struct wa_history_sync *h = s->history;
    if (!h)
        return;
    if (how == WA_FILE_CAME) {
        h->packed = *plain;
        *plain = (struct buf){.max = plain->max, .secret = plain->secret};
        begin_reading(s);
    } else if (how == WA_FILE_MISSING && h->note.tries + 1 < TRIES_MAX) {
        put_off(s);
    } else {
        ask_phone_again(s);
        end(s, how == WA_FILE_MISSING ? "it is not to be had" : "it is damaged");
    }
}

/* ---- when ------------------------------------------------------------------------------------ */

static bool is_read(const struct wa_history_note *n)
{
    return n->type == WA_HISTORY_INITIAL_BOOTSTRAP || n->type == WA_HISTORY_RECENT ||
           n->type == WA_HISTORY_PUSH_NAME || n->type == WA_HISTORY_NON_BLOCKING_DATA;
}

static void begin_within(struct wa_session *s)
{
    struct wa_history_sync *h = s->history;
    buf_init(&h->packed, PACKED_MAX);
    if (stored(s, wa_history_slots_payload(s->host, &h->note, &h->packed)) == 0)
        begin_reading(s);
}

static void begin_file(struct wa_session *s)
{
    const struct wa_history_note *n = &s->history->note;
    const struct wa_media m = {.type = WA_MEDIA_HISTORY,
                               .key = BYTES_ARRAY(n->key),
                               .sha256 = BYTES_ARRAY(n->sha256),
                               .sealed_sha256 = BYTES_ARRAY(n->sealed_sha256),
                               .direct_path = bytes_text(n->path)};
    if (n->length > PACKED_MAX)
        end(s, "it is too long");
    else
        wa_files_want(s, WA_FILE_OF_HISTORY, &m, PACKED_MAX);
}

/* One at a time. */
static void go(struct wa_session *s)
{
    struct wa_history_note n;
    int64_t due_s = 0, now_s = wall_s(s);
    if (s->phase != WA_PHASE_ONLINE || !s->offline_done || s->history)
        return;
    int rc = wa_history_slots_next(s->host, now_s, &n, &due_s);
    while (rc == 1 && !(is_read(&n) && (n.pieces > 0 || n.file))) {
        rc = wa_history_slots_drop(s->host, &n);
        if (rc == 0)
            rc = wa_history_slots_next(s->host, now_s, &n, &due_s);
    }
    if (stored(s, rc) < 0)
        return;
    if (rc == 0) {
        if (due_s > 0)
            s->history_at = wa_session_now(s) + (due_s - now_s) * 1000;
        return;
    }
    s->history = err_calloc(1, sizeof(*s->history));
    s->history->note = n;
    if (n.pieces > 0)
        begin_within(s);
    else
        begin_file(s);
}

void wa_history_sync_begin(struct wa_session *s)
{
    s->history_at = CLOCK_NEVER;
    go(s);
}

static void copy_file(struct wa_history_note *n, const Wa__HistorySyncNotification *m)
{
    const struct wa_media media = {.type = WA_MEDIA_HISTORY,
                                   .key = wa_pb_bytes(m->media_key),
                                   .sha256 = wa_pb_bytes(m->file_sha256),
                                   .sealed_sha256 = wa_pb_bytes(m->file_enc_sha256),
                                   .direct_path = wa_pb_bytes(m->direct_path)};
    if (!wa_media_is_fetchable(&media) || media.direct_path.n > WA_MEDIA_PATH_MAX)
        return;
    n->file = true;
    n->length = m->file_length;
    memcpy(n->key, media.key.p, sizeof(n->key));
    memcpy(n->sha256, media.sha256.p, sizeof(n->sha256));
    memcpy(n->sealed_sha256, media.sealed_sha256.p, sizeof(n->sealed_sha256));
    bytes_copy_text(media.direct_path, n->path, sizeof(n->path));
}

void wa_history_sync_note(struct wa_session *s, struct bytes id, struct bytes notification)
{
    AUTO_PB Wa__HistorySyncNotification *m =
        wa_pb_unpack(&wa__history_sync_notification__descriptor, notification);
    if (!m || id.n > WA_HISTORY_ID_MAX)
        return;
    struct wa_history_note n = {.type = (uint32_t)m->sync_type};
    struct bytes payload = wa_pb_bytes(m->initial_hist_bootstrap_inline_payload);
    bytes_copy_text(id, n.id, sizeof(n.id));
    copy_file(&n, m);
    int rc = wa_history_slots_add(s->host, &n, payload);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
    else if (rc < 0)
        wa_session_emit(s, WA_EVENT_HISTORY_END)->u.history_end.trouble = "too many wait";
    else if (s->offline_done)
        s->history_at = wa_session_now(s) + AFTER_RECEIPTS_MS;
}

bool wa_history_sync_knows(struct wa_session *s, struct bytes id)
{
    return wa_history_slots_know(s->host, id) == 1;
}

void wa_session_set_history(struct wa_session *s, int64_t days)
{
    s->config.history_days = days;
}

void wa_history_sync_clear(struct wa_session *s)
{
    forget(s);
}
