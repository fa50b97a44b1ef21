/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

/* What the replies remember of a chat, and what the guards go by. */

/* Mostly the chat is as it was when its row was made: one look instead of seven. */
static int select_chat(struct store_messages *m, const struct store_chat_key *key,
                       struct sqlite3_stmt **row)
{
    *row = store_db_select(m->db, SQL_FIND_CHAT, STORE_VALUES(STORE_TEXT(key->chat)));
    int rc = store_db_next(m->db, *row);
    if (rc != 0)
        return rc;
    *row = store_db_select(
        m->db, SQL_FIND_CHAT_BY_ANY,
        STORE_VALUES(STORE_TEXT(key->chat), STORE_TEXT(key->pn), STORE_TEXT(key->lid)));
    return store_db_next(m->db, *row);
}

int store_messages_find_chat(struct store_messages *m, const struct store_chat_key *key,
                             struct store_chat *out)
{
    struct sqlite3_stmt *row;
    int rc = select_chat(m, key, &row);
    *out = (struct store_chat){0};
    if (rc == 1) {
        bytes_copy_text(store_db_bytes(row, 0), out->chat, sizeof(out->chat));
        bytes_copy_text(store_db_bytes(row, 1), out->language, sizeof(out->language));
        bytes_copy_text(store_db_bytes(row, 2), out->menu, sizeof(out->menu));
        out->handover_at = store_db_int(row, 3);
        out->expiration_s = store_db_int(row, 4);
        out->expiration_set_at = store_db_int(row, 5);
    }
    store_db_end(row);
    return rc;
}

int store_messages_put_chat(struct store_messages *m, const struct store_chat_key *key,
                            const struct store_chat *chat)
{
    int rc = store_db_write(store_messages_db(m), SQL_PUT_CHAT,
                            STORE_VALUES(STORE_TEXT(chat->chat[0] ? chat->chat : key->chat),
                                         STORE_TEXT(key->pn), STORE_TEXT(key->lid),
                                         STORE_TEXT(chat->language), STORE_TEXT(chat->menu)));
    return rc < 0 ? rc : 0;
}

/* What came late, or again, is older than what is known. */
static bool changes_timer(const struct store_chat *known, int64_t expiration_s, int64_t set_at)
{
    return expiration_s == known->expiration_s
               ? expiration_s > 0 && set_at > known->expiration_set_at
               : set_at == 0 || set_at >= known->expiration_set_at;
}

int store_messages_set_timer(struct store_messages *m, const struct store_chat_key *key,
                             int64_t expiration_s, int64_t set_at)
{
    struct store_chat known;
    int rc = store_messages_find_chat(m, key, &known);
    if (rc < 0 || !changes_timer(&known, expiration_s, set_at))
        return rc < 0 ? rc : 0;
    rc = store_db_write(store_messages_db(m), SQL_PUT_TIMER,
                        STORE_VALUES(STORE_TEXT(known.chat[0] ? known.chat : key->chat),
                                     STORE_TEXT(key->pn), STORE_TEXT(key->lid),
                                     STORE_INT(expiration_s), STORE_TIME(set_at)));
    return rc < 0 ? rc : 1;
}

int store_messages_hand_over(struct store_messages *m, const struct store_chat_key *key,
                             int64_t now_ms, const char *intent)
{
    int rc =
        store_db_write(store_messages_db(m), SQL_HAND_OVER,
                       STORE_VALUES(STORE_TEXT(key->chat), STORE_TEXT(key->pn),
                                    STORE_TEXT(key->lid), STORE_INT(now_ms), STORE_TEXT(intent)));
    return rc < 0 ? rc : 0;
}

int store_messages_release(struct store_messages *m, const char *chat)
{
    return store_db_write(store_messages_db(m), SQL_RELEASE, STORE_VALUES(STORE_TEXT(chat)));
}

/* ---- what the guards go by -------------------------------------------------------------- */

/* What went to the chat, or will; however much that is, only so much is looked at. */
static int count_replies(struct store_messages *m, const char *chat, int64_t since_ms, int64_t cap,
                         struct store_guards *out)
{
    struct sqlite3_stmt *rows =
        store_db_select(m->db, SQL_NEWEST_REPLIES,
                        STORE_VALUES(STORE_TEXT(chat), STORE_INT(since_ms), STORE_INT(cap)));
    int rc;
    while ((rc = store_db_next(m->db, rows)) == 1)
        if (out->replies++ == 0)
            out->last_reply_at = store_db_int(rows, 0);
    return rc;
}

int store_messages_guards(struct store_messages *m, const char *chat, int64_t since_ms, int64_t cap,
                          struct store_guards *out)
{
    *out = (struct store_guards){0};
    store_messages_settle_chat(m, chat);
    int rc = count_replies(m, chat, since_ms, cap > 0 ? cap : 1, out);
    if (rc < 0)
        return rc;
    struct sqlite3_stmt *row = store_db_select(m->db, SQL_GUARDS, STORE_VALUES(STORE_TEXT(chat)));
    rc = store_db_next(m->db, row);
    if (rc == 1) {
        out->ping_pong_at = store_db_int(row, 0);
        out->wait_at = store_db_int(row, 1);
        out->queued = store_db_int(row, 2);
    }
    store_db_end(row);
    return rc < 0 ? rc : 0;
}

int store_messages_newest_in(struct store_messages *m, const char *chat, int limit,
                             struct store_turn *out)
{
    struct sqlite3_stmt *rows =
        store_db_select(m->db, SQL_CHAT_NEWEST, STORE_VALUES(STORE_TEXT(chat), STORE_INT(limit)));
    int rc, n = 0;
    arena_reset(&m->row);
    while ((rc = store_db_next(m->db, rows)) == 1 && n < limit)
        out[n++] = (struct store_turn){.out = store_db_int(rows, 0) != 0,
                                       .from_me = store_db_int(rows, 1) != 0,
                                       .at = store_db_int(rows, 2),
                                       .text = store_messages_kept(m, rows, 3)};
    store_db_end(rows);
    return rc < 0 ? rc : n;
}

int store_messages_is_restricted(struct store_messages *m, int64_t id)
{
    int64_t n = store_messages_count(m, SQL_IS_RESTRICTED, STORE_VALUES(STORE_INT(id)));
    return n < 0 ? ERR_STORE : n > 0;
}

int store_messages_owner_wrote(struct store_messages *m, const char *chat, int64_t after_id)
{
    int64_t n = store_messages_count(m, SQL_OWNER_WROTE,
                                     STORE_VALUES(STORE_TEXT(chat), STORE_INT(after_id)));
    return n < 0 ? ERR_STORE : n > 0;
}
