/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

static int find_twin(struct store_messages *m, const struct store_outbound *out, int64_t reply_to,
                     int64_t *id)
{
    int rc = 0;
    if (reply_to)
        rc = store_db_number(store_messages_db(m), id, SQL_FIND_REPLY,
                             STORE_VALUES(STORE_INT(reply_to)));
    if (rc == 0 && *id == 0 && out->outbox_name)
        rc = store_db_number(store_messages_db(m), id, SQL_FIND_OUTBOX,
                             STORE_VALUES(STORE_TEXT(out->outbox_name)));
    if (rc == 0 && *id == 0)
        return ERR_EXISTS;
    return rc;
}

static struct store_left left_of(int64_t id, const char *wa_id, const char *chat, int64_t reply_to,
                                 const char *outbox_name)
{
    struct store_left row = {.id = id,
                             .chat = bytes_hash(bytes_text(chat)),
                             .answers = reply_to != 0,
                             .outbox = outbox_name != NULL};
    if (strlen(wa_id) < sizeof(row.wa_id))
        bytes_copy_text(bytes_text(wa_id), row.wa_id, sizeof(row.wa_id));
    return row;
}

int store_messages_intend(struct store_messages *m, const struct store_outbound *out,
                          int64_t reply_to, int64_t *id)
{
    struct store_value new_id;
    *id = 0;
    store_messages_settle_chat(m, out->chat);
    if (store_messages_new_id(m, &new_id) < 0)
        return ERR_STORE;
    int rc = store_db_write(
        m->db, SQL_INSERT_OUT,
        STORE_VALUES(STORE_TEXT(out->wa_id), STORE_TEXT(out->chat), STORE_TEXT(out->target),
                     STORE_TEXT(out->sender), STORE_BYTES(out->text), STORE_TEXT(out->quoted_id),
                     STORE_TEXT(out->intent), STORE_TEXT(out->outbox_name),
                     STORE_TIME(out->created_at), STORE_TIME(reply_to), STORE_TEXT(out->chat_pn),
                     STORE_TEXT(out->chat_lid), STORE_INT(out->held), STORE_TIME(out->due_at),
                     STORE_TIME(out->expires_at), new_id, STORE_TIME(out->sent_at)));
    if (rc == 0)
        return find_twin(m, out, reply_to, id);
    if (rc > 0) {
        *id = store_messages_inserted(m);
        store_messages_count_out(m, out->outbox_name != NULL);
        const struct store_left row =
            left_of(*id, out->wa_id, out->chat, reply_to, out->outbox_name);
        if (out->sent_at)
            store_messages_note_left(m, &row);
    }
    return rc;
}

/* The texts are copied, so that no read transaction stays open and holds back checkpoints. */
static int one_queued(struct store_messages *m, struct sqlite3_stmt *row, struct store_queued *out)
{
    arena_reset(&m->row);
    int rc = store_db_next(m->db, row);
    if (rc == 1)
        *out =
            (struct store_queued){.id = store_db_int(row, 0),
                                  .reply_to = store_db_int(row, 1),
                                  .wa_id = store_messages_kept_text(m, row, 2),
                                  .chat = store_messages_kept_text(m, row, 3),
                                  .target = store_messages_kept_text(m, row, 4),
                                  .text = store_messages_kept(m, row, 5),
                                  .quoted_wa_id = store_messages_kept_text(m, row, 6),
                                  .attempts = (int)store_db_int(row, 7),
                                  .warning = bytes_is(store_db_bytes(row, 8), STORE_INTENT_WARNING),
                                  .created_at = store_db_int(row, 9),
                                  .answered_sender = store_messages_kept_text(m, row, 10),
                                  .outbox_name = store_messages_kept_text(m, row, 11),
                                  .expires_at = store_db_int(row, 12),
                                  .quoted_sender = store_messages_kept_text(m, row, 13),
                                  .quoted_text = store_messages_kept(m, row, 14),
                                  .expiration_s = store_db_int(row, 15),
                                  .expiration_set_at = store_db_int(row, 16)};
    store_db_end(row);
    return rc;
}

/* Mostly nothing is queued: that is seen in an index, without opening what else belongs to a row.
 */
int store_messages_next_queued(struct store_messages *m, int64_t after_id, struct store_queued *out)
{
    int64_t id;
    int rc = store_db_number(m->db, &id, SQL_NEXT_HEAD, STORE_VALUES(STORE_INT(after_id)));
    int64_t turn = store_messages_next_turn(m, after_id);
    if (turn && (id == 0 || turn < id))
        id = turn;
    if (rc < 0 || id == 0)
        return rc;
    rc = one_queued(m, store_db_select(m->db, SQL_QUEUED_BY_ID, STORE_VALUES(STORE_INT(id))), out);
    if (rc == 1)
        m->next = left_of(id, out->wa_id, out->chat, out->reply_to, out->outbox_name);
    return rc;
}

int store_messages_find_sent(struct store_messages *m, struct bytes wa_id, struct store_queued *out)
{
    return one_queued(
        m, store_db_select(store_messages_db(m), SQL_FIND_SENT, STORE_VALUES(STORE_BYTES(wa_id))),
        out);
}

int store_messages_find_resend(struct store_messages *m, struct bytes wa_id, int64_t since_ms,
                               struct store_queued *out)
{
    return one_queued(m,
                      store_db_select(store_messages_db(m), SQL_FIND_RESEND,
                                      STORE_VALUES(STORE_BYTES(wa_id), STORE_INT(since_ms))),
                      out);
}

/* What is known by heart to be under way is so no more. */
int store_messages_requeue(struct store_messages *m)
{
    struct store_db *db = store_messages_db(m);
    store_messages_forget_left(m);
    return store_db_write(db, SQL_REQUEUE, STORE_VALUES());
}

int64_t store_messages_count_queued(struct store_messages *m)
{
    int64_t n = store_messages_count(m, SQL_COUNT_QUEUED, STORE_VALUES());
    return n < 0 ? n : n + m->pending.queued;
}

int64_t store_messages_count_queued_in(struct store_messages *m, const char *chat)
{
    store_messages_settle_chat(m, chat);
    return store_messages_count(m, SQL_COUNT_QUEUED_IN, STORE_VALUES(STORE_TEXT(chat)));
}

int64_t store_messages_count_sent_since(struct store_messages *m, int64_t since_ms, bool warnings)
{
    return store_messages_count(m, SQL_COUNT_SENT_SINCE,
                                STORE_VALUES(STORE_INT(since_ms), STORE_INT(warnings)));
}

/* ---- status ----------------------------------------------------------------------------- */

int store_messages_replace_text(struct store_messages *m, int64_t id, struct bytes text,
                                const char *intent)
{
    return store_messages_change(
        m, SQL_REPLACE_TEXT, STORE_VALUES(STORE_INT(id), STORE_BYTES(text), STORE_TEXT(intent)));
}

int store_messages_set_sending(struct store_messages *m, int64_t id, int64_t now_ms)
{
    size_t statement = store_messages_take_turn(m, id) ? SQL_SET_SENDING_NEXT : SQL_SET_SENDING;
    int rc = store_db_write(m->db, statement, STORE_VALUES(STORE_INT(id), STORE_INT(now_ms)));
    if (rc == 1 && m->next.id == id)
        store_messages_note_left(m, &m->next);
    return rc > 0 ? 0 : rc < 0 ? rc : ERR_STATE;
}

int store_messages_set_queued(struct store_messages *m, int64_t id)
{
    store_messages_forget_left(m);
    return store_messages_change(m, SQL_SET_QUEUED, STORE_VALUES(STORE_INT(id)));
}
