/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What came in: a row, and in the same transaction the reply that is meant to follow (D1, D3). */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "bridge/policy.h"
#include "bridge/reply.h"
#include "config/hours.h"

#define CALL_INTENT "call"

void bridge_make_forms(struct bridge_forms *f, const struct wa_jid *jid, const struct wa_jid *pn,
                       const struct wa_jid *lid)
{
    struct wa_jid bare = wa_jid_bare(jid);
    wa_jid_text(pn, f->pn);
    wa_jid_text(lid, f->lid);
    if (f->lid[0])
        memcpy(f->main, f->lid, sizeof(f->main));
    else if (f->pn[0])
        memcpy(f->main, f->pn, sizeof(f->main));
    else
        wa_jid_text(&bare, f->main);
}

const char *bridge_form(const char *text)
{
    return text[0] ? text : NULL;
}

static bool is_recorded(const struct wa_incoming *in)
{
    return in->content->kind != WA_KIND_NONE && in->content->kind != WA_KIND_PROTOCOL &&
           (in->group || wa_jid_is_user(&in->chat));
}

static int record(struct bridge *b, const struct wa_incoming *in, const struct bridge_forms *chat,
                  int64_t *id)
{
    struct bridge_forms sender;
    bridge_make_forms(&sender, &in->sender, &in->sender_pn, &in->sender_lid);
    const struct store_inbound row = {
        .wa_id = in->id,
        .chat = chat->main,
        .chat_pn = bridge_form(chat->pn),
        .chat_lid = bridge_form(chat->lid),
        .sender = sender.main,
        .sender_pn = bridge_form(sender.pn),
        .sender_lid = bridge_form(sender.lid),
        .sender_name = in->push_name,
        .from_me = in->from_me,
        .offline = in->offline,
        .kind = wa_kind_text(in->content->kind),
        .text = in->content->text,
        .quoted_id = in->content->quoted_id,
        .target_id = in->content->target_id,
        .fault = in->fault,
        .sent_at = in->timestamp_s * 1000,
        .received_at = clock_wall_ms(),
    };
    return store_messages_record(b->messages, &row, id);
}

/* An edit or a revoke has a row of its own, and acts on that of its target. */
static int act_on_target(struct bridge *b, const struct wa_incoming *in,
                         const struct bridge_forms *chat)
{
    struct bridge_forms sender;
    bridge_make_forms(&sender, &in->sender, &in->sender_pn, &in->sender_lid);
    const struct store_change change = {
        .target_id = in->content->target_id,
        .chat = chat->main,
        .chat_pn = bridge_form(chat->pn),
        .chat_lid = bridge_form(chat->lid),
        .sender = sender.main,
        .sender_pn = bridge_form(sender.pn),
        .sender_lid = bridge_form(sender.lid),
        .any_author = in->admin,
        .text = in->content->text,
        .at = in->timestamp_s * 1000,
    };
    if (change.target_id.n == 0)
        return 0;
    if (in->content->kind == WA_KIND_EDIT)
        return store_messages_edit(b->messages, &change);
    return in->content->kind == WA_KIND_REVOKE ? store_messages_revoke(b->messages, &change) : 0;
}

/*
 * The chat's timer, from either side. A message that names none may come from a client that follows
 * no timer, so only the setting itself switches one off. What an edit carries is as old as the
 * message was. A group's timer comes from the server (wa/send_group.c). Nobody's
 * clock is believed to be ahead of the server's: no later setting would count.
 */
static int note_timer(struct bridge *b, const struct wa_incoming *in,
                      const struct bridge_forms *chat)
{
    const struct wa_content *c = in->content;
    const struct store_chat_key key = {chat->main, bridge_form(chat->pn), bridge_form(chat->lid)};
    if (!wa_jid_is_user(&in->chat) || c->edited || (c->expiration_s == 0 && !c->timer_set))
        return 0;
    int64_t set_s = c->expiration_set_s < in->timestamp_s ? c->expiration_set_s : in->timestamp_s;
    int rc =
        store_messages_set_timer(b->messages, &key, c->expiration_s, set_s > 0 ? set_s * 1000 : 0);
    return rc < 0 ? rc : 0;
}

void bridge_inbound_timer(struct bridge *b, const struct wa_incoming *in)
{
    struct bridge_forms chat;
    bridge_make_forms(&chat, &in->chat, &in->chat_pn, &in->chat_lid);
    if (note_timer(b, in, &chat) < 0)
        b->store_failed = true;
}

/* ---- the reply ------------------------------------------------------------------------------ */

/* A recorded message that may be answered. */
struct asking {
    const struct wa_incoming *in; /* its bytes are gone once something is given to the session */
    const struct bridge_forms *chat;
    int64_t row;
    struct store_chat known;
    struct bridge_verdict verdict;
};

/* The reason is kept in the row of the answer that was not given. */
static int keep_back(struct bridge *b, int64_t id, const struct bridge_verdict *verdict,
                     enum bridge_overflow overflow)
{
    if (verdict->ping_pong)
        return store_messages_set_dropped(b->messages, id, STORE_ERROR_PING_PONG);
    if (overflow == BRIDGE_OVERFLOW_NONE)
        return 1;
    b->state.counters.queue_overflow++;
    if (overflow == BRIDGE_OVERFLOW_DROP)
        return store_messages_set_dropped(b->messages, id, "queue_overflow");
    return store_messages_replace_text(b->messages, id, bytes_text(b->config.replies_wait_text),
                                       STORE_INTENT_WAIT);
}

/* As it would stand in the queue. */
static bool leaves_at_once(struct bridge *b, const struct asking *a,
                           const struct store_outbound *out)
{
    char sender[WA_JID_TEXT_SIZE];
    AUTO_FREE char *asked = bytes_strdup(a->in->id);
    const struct wa_jid to = a->in->chat;
    const struct store_queued q = {.reply_to = a->row,
                                   .wa_id = out->wa_id,
                                   .chat = out->chat,
                                   .target = out->target,
                                   .text = out->text,
                                   .quoted_wa_id = asked,
                                   .created_at = out->created_at,
                                   .answered_sender = wa_jid_text(&a->in->sender, sender),
                                   .expiration_s = a->known.expiration_s,
                                   .expiration_set_at = a->known.expiration_set_at};
    return bridge_outbound_at_once(b, &q, &to);
}

static int intend(struct bridge *b, const struct asking *a, const char *intent, struct bytes text)
{
    struct wa_jid own;
    char wa_id[WA_MESSAGE_ID_SIZE], target[WA_JID_TEXT_SIZE], sender[WA_JID_TEXT_SIZE];
    const struct bridge_verdict *v = &a->verdict;
    bridge_outbound_make_id(b, wa_id, &own);
    struct store_outbound out = {
        .wa_id = wa_id,
        .chat = a->chat->main,
        .chat_pn = bridge_form(a->chat->pn),
        .chat_lid = bridge_form(a->chat->lid),
        .target = wa_jid_text(&a->in->chat, target),
        .sender = wa_jid_text(&own, sender),
        .text = text,
        .intent = intent,
        .created_at = clock_wall_ms(),
    };
    enum bridge_overflow overflow =
        bridge_overflow_decide(&b->config, v->queued, out.created_at, v->last_wait_at);
    if (v->queued == 0 && !v->ping_pong && overflow == BRIDGE_OVERFLOW_NONE &&
        leaves_at_once(b, a, &out))
        out.sent_at = clock_wall_ms();
    int64_t id;
    int rc = store_messages_intend(b->messages, &out, a->row, &id);
    if (!out.sent_at)
        return rc == 1 ? keep_back(b, id, v, overflow) : rc;
    bridge_outbound_log(b, id, false, text);
    return rc == 1 ? 1 : ERR_STORE; /* what the session has now must not leave without the row */
}

static int silent(int64_t row, enum bridge_answer why)
{
    log_event(LOG_DEBUG, "not_answered", LOG_INT("row", row),
              LOG_STR("why", bridge_answer_name(why)));
    return 0;
}

static int send_reply(struct bridge *b, const struct asking *a,
                      const struct bridge_reply_answer *found)
{
    const struct bridge_reply_values values = {
        .business_name = bytes_text(b->config.business_name),
        .customer_name = a->in->push_name,
    };
    struct buf text;
    buf_init(&text, WA_TEXT_MAX);
    int rc = bridge_reply_render(found->text, a->in->content->text, &values, &text);
    if (rc == 0)
        rc = intend(b, a, found->name, buf_bytes(&text));
    else
        log_event(LOG_WARN, "reply_too_long", LOG_STR("intent", found->name));
    buf_deinit(&text);
    return rc == ERR_LIMIT ? 0 : rc;
}

/* Language, menu and hand-over are kept in the transaction of the reply they belong to. */
static int remember(struct bridge *b, const struct store_chat_key *key, struct store_chat *known,
                    const struct bridge_reply_chat *chat, const struct bridge_reply_answer *found)
{
    int rc = 0;
    if (strcmp(known->language, chat->language) != 0 || strcmp(known->menu, chat->menu) != 0 ||
        !known->chat[0]) {
        bytes_copy_text(bytes_text(chat->language), known->language, sizeof(known->language));
        bytes_copy_text(bytes_text(chat->menu), known->menu, sizeof(known->menu));
        rc = store_messages_put_chat(b->messages, key, known);
    }
    if (rc < 0 || !found->intent || !found->intent->handover)
        return rc;
    char masked[64];
    log_event(LOG_INFO, "handed_over", LOG_STR("chat", log_mask(bytes_text(key->chat), masked)),
              LOG_STR("intent", found->intent->name));
    return store_messages_hand_over(b->messages, key, clock_wall_ms(), found->intent->name);
}

/* Whether a person has the chat. A flag whose time is over is taken off. */
static int handed_over(struct bridge *b, const struct store_chat *known)
{
    if (known->handover_at == 0)
        return 0;
    if (bridge_handed_over(known->handover_at, b->config.replies_handover_s, clock_wall_ms()))
        return 1;
    int rc = store_messages_release(b->messages, known->chat);
    return rc < 0 ? rc : 0;
}

static void find_reply(const struct bridge *b, struct bytes text, const struct store_chat *known,
                       struct bridge_reply_chat *state, struct bridge_reply_answer *found)
{
    const struct config *c = &b->config;
    const struct bridge_reply_asked asked = {
        .text = text,
        .language = c->replies_language,
        .open = config_hours_open(c->replies_hours, c->replies_time_zone, clock_wall_ms()),
    };
    bytes_copy_text(bytes_text(known->language), state->language, sizeof(state->language));
    bytes_copy_text(bytes_text(known->menu), state->menu, sizeof(state->menu));
    bridge_reply_find(&b->replies, &asked, state, found);
}

/* What the guards say; an urgent answer minds neither cooldown nor cap. */
static int guarded(struct bridge *b, const char *chat, bool urgent, struct bridge_verdict *out)
{
    int rc = bridge_guard_chat(b, chat, out);
    if (rc == 0 && urgent &&
        (out->answer == BRIDGE_SILENT_COOLDOWN || out->answer == BRIDGE_SILENT_CAP))
        out->answer = BRIDGE_ANSWER;
    return rc;
}

static int reply(struct bridge *b, struct asking *a, const struct store_chat_key *key)
{
    struct bridge_reply_chat state;
    struct bridge_reply_answer found;
    find_reply(b, a->in->content->text, &a->known, &state, &found);
    int rc = handed_over(b, &a->known);
    /* A bare number may answer the person who has the chat. */
    bool urgent = found.intent && found.intent->urgent && !found.choice;
    if (rc == 1 && !urgent)
        return silent(a->row, BRIDGE_SILENT_HANDED_OVER);
    if (rc < 0 || !found.text)
        return rc < 0 ? rc : 0;
    rc = guarded(b, a->chat->main, urgent, &a->verdict);
    if (rc < 0)
        return rc;
    if (a->verdict.answer != BRIDGE_ANSWER)
        return silent(a->row, a->verdict.answer);
    rc = send_reply(b, a, &found);
    return rc < 0 ? rc : remember(b, key, &a->known, &state, &found);
}

/* By the server's clock, where it is known: the message has its time from the same. */
static int64_t age_s(const struct bridge *b, const struct wa_incoming *in)
{
    int64_t now = wa_session_server_ms(b->session);
    return (now ? now : clock_wall_ms()) / 1000 - in->timestamp_s;
}

/* One text for whoever calls; a chat that a person has gets none. */
static int answer_call(struct bridge *b, struct asking *a)
{
    int rc = handed_over(b, &a->known);
    if (rc == 1)
        return silent(a->row, BRIDGE_SILENT_HANDED_OVER);
    if (rc == 0)
        rc = guarded(b, a->chat->main, false, &a->verdict);
    if (rc < 0)
        return rc;
    if (a->verdict.answer != BRIDGE_ANSWER)
        return silent(a->row, a->verdict.answer);
    return intend(b, a, CALL_INTENT, bytes_text(b->config.replies_call_text));
}

static int answer(struct bridge *b, const struct wa_incoming *in, const struct bridge_forms *chat,
                  int64_t id)
{
    const struct store_chat_key key = {chat->main, bridge_form(chat->pn), bridge_form(chat->lid)};
    struct asking asking = {.in = in, .chat = chat, .row = id};
    bool call = in->content->kind == WA_KIND_CALL;
    const struct bridge_asked asked = {
        .kind = call ? WA_KIND_TEXT : in->content->kind,
        .has_text = call ? b->config.replies_call_text[0] != '\0' : in->content->text.n > 0,
        .from_me = in->from_me,
        .group = in->group,
        .age_s = age_s(b, in),
    };
    enum bridge_answer decided = bridge_answer_decide(&asked, &b->config);
    if (decided != BRIDGE_ANSWER)
        return silent(id, decided);
    if (store_messages_find_chat(b->messages, &key, &asking.known) < 0)
        return ERR_STORE;
    return call ? answer_call(b, &asking) : reply(b, &asking, &key);
}

/* ---- events --------------------------------------------------------------------------------- */

void bridge_inbound_message(struct bridge *b, const struct wa_incoming *in)
{
    struct bridge_forms chat;
    int64_t id = 0;
    if (in->content->timer_set)
        bridge_inbound_timer(b, in);
    if (!is_recorded(in))
        return;
    bridge_make_forms(&chat, &in->chat, &in->chat_pn, &in->chat_lid);
    int rc = record(b, in, &chat, &id);
    if (rc == 0)
        b->state.counters.duplicates++;
    if (rc == 1)
        b->state.counters.recorded++;
    if (in->retry > 0)
        b->state.counters.retries_asked++;
    char masked[64];
    log_event(LOG_DEBUG, "message_in", LOG_INT("row", id),
              LOG_STR("chat", log_mask(bytes_text(chat.main), masked)),
              LOG_STR("kind", wa_kind_text(in->content->kind)), LOG_BOOL("new", rc == 1),
              LOG_BYTES(b->config.log_content ? "text" : NULL, in->content->text));
    if (rc >= 0 && in->content->media.type != WA_MEDIA_NONE) {
        int listed = bridge_media_listed(b, in, id);
        rc = listed < 0 ? listed : rc;
    }
    if (rc == 1 && !in->fault) {
        rc = act_on_target(b, in, &chat);
        if (rc >= 0)
            rc = note_timer(b, in, &chat);
        if (rc >= 0)
            rc = answer(b, in, &chat, id);
    }
    if (rc == ERR_STORE)
        b->store_failed = true;
    else if (rc < 0)
        log_event(LOG_WARN, "message_not_recorded", LOG_STR("error", err_name(rc)));
}

void bridge_inbound_receipt(struct bridge *b, const struct wa_event *ev)
{
    int64_t at = ev->u.receipt.timestamp_s ? ev->u.receipt.timestamp_s * 1000 : clock_wall_ms();
    bool read = ev->u.receipt.type != WA_RECEIPT_DELIVERED;
    for (size_t i = 0; i < ev->u.receipt.count && !b->store_failed; i++) {
        struct bytes id = ev->u.receipt.ids[i];
        int rc = read ? store_messages_set_read(b->messages, id, at)
                      : store_messages_set_delivered(b->messages, id, at);
        b->store_failed = rc < 0;
    }
}
