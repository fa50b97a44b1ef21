/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs about the history of a phone. */
#include "sim/control_verbs.h"

#include <stdio.h>

#include "sim/account.h"
#include "sim/history.h"
#include "sim/pb.h"

#define MESSAGES_MAX 100000
#define MESSAGE_MAX 70000 /* bytes */

/* HistorySync, Conversation, WebMessageInfo, MessageKey (protos-message.md) */
enum { SYNC_TYPE = 1, SYNC_CHAT = 2, SYNC_STATUS = 3, SYNC_NCT_SALT = 19 };
enum { CHAT_ID = 1, CHAT_MESSAGE = 2, CHAT_EXPIRATION = 9, CHAT_EXPIRATION_SET = 10 };
enum { CHAT_TOKEN = 21, CHAT_TOKEN_S = 22, CHAT_PN = 39, CHAT_LID = 42 };
enum { INFO_KEY = 1, INFO_MESSAGE = 2, INFO_TIME = 3, INFO_NAME = 19 };
enum { KEY_CHAT = 1, KEY_FROM_ME = 2, KEY_ID = 3 };
enum { MESSAGE_TEXT = 1 };

struct line {
    const char *id, *text;
    bool from_me;
    int64_t age_s;
};

/* HistorySyncMsg{1 WebMessageInfo} */
static void put_message(struct buf *out, const struct sim_account *with, const char *chat,
                        const struct line *l)
{
    struct buf AUTO_BUF key, AUTO_BUF message, AUTO_BUF info, AUTO_BUF one;

    buf_init(&key, 512);
    buf_init(&message, MESSAGE_MAX);
    buf_init(&info, MESSAGE_MAX);
    buf_init(&one, MESSAGE_MAX);
    sim_pb_put_bytes(&key, KEY_CHAT, bytes_text(chat));
    sim_pb_put_uint(&key, KEY_FROM_ME, l->from_me);
    sim_pb_put_bytes(&key, KEY_ID, bytes_text(l->id));
    sim_pb_put_bytes(&message, MESSAGE_TEXT, bytes_text(l->text));
    sim_pb_put_bytes(&info, INFO_KEY, buf_bytes(&key));
    sim_pb_put_bytes(&info, INFO_MESSAGE, buf_bytes(&message));
    sim_pb_put_uint(&info, INFO_TIME, (uint64_t)(sim_now_s() - l->age_s));
    if (!l->from_me)
        sim_pb_put_bytes(&info, INFO_NAME, bytes_text(with->name));
    sim_pb_put_bytes(&one, 1, buf_bytes(&info));
    sim_pb_put_bytes(out, CHAT_MESSAGE, buf_bytes(&one));
}

/* "messages": [{"id", "text", "from_me", "age_s"}], and "count": so many more, newest first, a
 * minute apart, their ids and texts "<prefix> <n>". */
static void put_messages(struct buf *out, const struct json_value *v,
                         const struct sim_account *with, const char *chat)
{
    const struct json_value *list = json_get(v, "messages");
    int64_t count = json_int(v, "count", 0), age_s = json_int(v, "age_s", 3600);
    const char *prefix = json_text(v, "prefix", with->pn.user);
    char text[200];
    struct line l;

    for (size_t i = 0; i < json_length(list); i++) {
        const struct json_value *m = json_at(list, i);

        l = (struct line){.id = json_text(m, "id", "H"),
                          .text = json_text(m, "text", ""),
                          .from_me = json_bool(m, "from_me", false),
                          .age_s = json_int(m, "age_s", 3600)};
        put_message(out, with, chat, &l);
    }
    for (int64_t n = 1; n <= count && n <= MESSAGES_MAX; n++) {
        snprintf(text, sizeof text, "%.100s %lld", prefix, (long long)n);
        l = (struct line){
            .id = text, .text = text, .from_me = n % 4 == 0, .age_s = age_s + 60 * (n - 1)};
        put_message(out, with, chat, &l);
    }
}

/* {"phone", "pn": named by it, "messages", "count", "token", "expiration"} */
static bool put_chat(struct sim *s, struct buf *out, const struct json_value *v)
{
    const struct sim_account *with = sim_account_by_phone(s, json_text(v, "phone", ""));
    bool by_pn = json_bool(v, "pn", false);
    char pn[WA_JID_TEXT_SIZE], lid[WA_JID_TEXT_SIZE];
    struct buf AUTO_BUF chat;

    if (!with)
        return false;
    buf_init(&chat, SIM_HISTORY_MAX);
    wa_jid_text(&with->pn, pn);
    wa_jid_text(&with->lid, lid);
    sim_pb_put_bytes(&chat, CHAT_ID, bytes_text(by_pn ? pn : lid));
    put_messages(&chat, v, with, by_pn ? pn : lid);
    if (json_get(v, "expiration")) {
        sim_pb_put_uint(&chat, CHAT_EXPIRATION, (uint64_t)json_int(v, "expiration", 0));
        sim_pb_put_uint(&chat, CHAT_EXPIRATION_SET, (uint64_t)(sim_now_s() - 3600));
    }
    if (json_get(v, "token")) {
        sim_pb_put_bytes(&chat, CHAT_TOKEN, bytes_text(json_text(v, "token", "")));
        sim_pb_put_uint(&chat, CHAT_TOKEN_S, (uint64_t)(sim_now_s() - 3600));
    }
    sim_pb_put_bytes(&chat, by_pn ? CHAT_LID : CHAT_PN, bytes_text(by_pn ? lid : pn));
    sim_pb_put_bytes(out, SYNC_CHAT, buf_bytes(&chat));
    return true;
}

static bool build(struct sim *s, const struct json_value *v, uint32_t type, struct buf *out)
{
    const struct json_value *chats = json_get(v, "chats");
    int64_t zeros = json_int(v, "zeros", 0);

    sim_pb_put_uint(out, SYNC_TYPE, type);
    for (size_t i = 0; i < json_length(chats); i++)
        if (!put_chat(s, out, json_at(chats, i)))
            return false;
    if (json_get(v, "salt"))
        sim_pb_put_bytes(out, SYNC_NCT_SALT, bytes_text(json_text(v, "salt", "")));
    if (zeros > 0 && zeros < SIM_HISTORY_MAX) {
        struct buf AUTO_BUF blank;

        buf_init(&blank, (size_t)zeros);
        memset(buf_reserve(&blank, (size_t)zeros), 0, (size_t)zeros);
        blank.n = (size_t)zeros;
        sim_pb_put_bytes(out, SYNC_STATUS, buf_bytes(&blank));
    }
    return !out->full;
}

bool sim_post_history(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct sim_history h = {.type = (uint32_t)json_int(v, "type", 3),
                            .within = json_bool(v, "within", false),
                            .raw = json_text(v, "raw", NULL) != NULL,
                            .length = (uint64_t)json_int(v, "length", 0),
                            .fault = json_text(v, "fault", NULL)};
    struct buf AUTO_BUF sync = {.max = SIM_HISTORY_MAX};
    struct json_writer w;
    char id[SIM_ID_MAX + 1];

    if (!v)
        return true;
    if (!h.raw && !build(r->sim, v, h.type, &sync))
        return sim_refuse(r, 422, "chats must be of accounts, and not too long");
    h.sync = h.raw ? bytes_text(json_text(v, "raw", "")) : buf_bytes(&sync);
    if (sim_history_send(a, &h, id) != 0)
        return sim_refuse(r, 422, "the history is too long");
    if (!id[0])
        return sim_refuse(r, 409, "the account has no companion");
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_text(&w, "id", id);
    json_close(&w, '}');
    return true;
}
