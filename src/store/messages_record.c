/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

struct found {
    int64_t id;
    bool undecryptable, from_me;
};

/* 1 and the row, 0, or ERR_STORE. Of several the one with these very addresses. */
static int find_inbound(struct store_messages *m, const struct store_inbound *in, struct found *out)
{
    struct sqlite3_stmt *row = store_db_select(
        m->db, SQL_FIND,
        STORE_VALUES(STORE_BYTES(in->wa_id), STORE_TEXT(in->chat), STORE_TEXT(in->chat_pn),
                     STORE_TEXT(in->chat_lid), STORE_TEXT(in->sender), STORE_TEXT(in->sender_pn),
                     STORE_TEXT(in->sender_lid)));
    int rc;
    bool found = false, same = false;
    while (!same && (rc = store_db_next(m->db, row)) == 1) {
        same = store_db_int(row, 3) != 0;
        if (found && !same)
            continue;
        found = true;
        *out = (struct found){.id = store_db_int(row, 0),
                              .undecryptable = bytes_is(store_db_bytes(row, 1), "undecryptable"),
                              .from_me = store_db_int(row, 2) != 0};
    }
    store_db_end(row);
    return rc < 0 ? rc : found;
}

static int insert_inbound(struct store_messages *m, const struct store_inbound *in, int64_t *id)
{
    struct store_value new_id;
    if (store_messages_new_id(m, &new_id) < 0)
        return ERR_STORE;
    int rc = store_db_write(
        m->db, SQL_INSERT_IN,
        STORE_VALUES(STORE_BYTES(in->wa_id), STORE_TEXT(in->chat), STORE_TEXT(in->chat_pn),
                     STORE_TEXT(in->chat_lid), STORE_TEXT(in->sender), STORE_TEXT(in->sender_pn),
                     STORE_TEXT(in->sender_lid), STORE_BYTES(in->sender_name),
                     STORE_INT(in->from_me), STORE_INT(in->offline), STORE_TEXT(in->kind),
                     STORE_BYTES(in->text), STORE_BYTES(in->quoted_id), STORE_TEXT(in->fault),
                     STORE_TIME(in->sent_at), STORE_TIME(in->received_at),
                     STORE_BYTES(in->target_id), STORE_INT(in->history), new_id));
    if (rc < 0)
        return rc;
    *id = store_messages_inserted(m);
    if (!in->history) /* history was not written to this bridge: it counts nowhere */
        store_messages_count_in(m, in->fault != NULL, in->from_me, in->received_at);
    return rc;
}

static int complete_inbound(struct store_messages *m, const struct store_inbound *in,
                            const struct found *found)
{
    int rc = store_db_write(
        store_messages_db(m), SQL_COMPLETE,
        STORE_VALUES(STORE_INT(found->id), STORE_TEXT(in->chat_pn), STORE_TEXT(in->chat_lid),
                     STORE_TEXT(in->sender_pn), STORE_TEXT(in->sender_lid),
                     STORE_BYTES(in->sender_name), STORE_INT(in->offline), STORE_TEXT(in->kind),
                     STORE_BYTES(in->text), STORE_BYTES(in->quoted_id), STORE_TIME(in->sent_at),
                     STORE_TIME(in->received_at), STORE_BYTES(in->target_id)));
    if (rc == 1)
        store_messages_count_in(m, false, found->from_me, in->received_at);
    return rc;
}

int store_messages_record(struct store_messages *m, const struct store_inbound *in, int64_t *id)
{
    struct found found = {0};
    *id = 0;
    if (in->wa_id.n == 0 || !in->chat || !in->sender)
        return ERR_INVALID;
    int rc = find_inbound(m, in, &found);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return insert_inbound(m, in, id);
    *id = found.id;
    if (!found.undecryptable)
        return 0;
    if (!in->fault)
        return complete_inbound(m, in, &found);
    rc = store_db_write(store_messages_db(m), SQL_SET_FAULT,
                        STORE_VALUES(STORE_INT(*id), STORE_TEXT(in->fault)));
    return rc < 0 ? rc : 0;
}

/* ---- what is said about an earlier message ------------------------------------------------ */

/* 1 and the row that a change is about, 0, or ERR_STORE. */
static int find_target(struct store_messages *m, const struct store_change *c, int64_t *id)
{
    const struct store_inbound like = {.wa_id = c->target_id,
                                       .chat = c->chat,
                                       .chat_pn = c->chat_pn,
                                       .chat_lid = c->chat_lid,
                                       .sender = c->sender,
                                       .sender_pn = c->sender_pn,
                                       .sender_lid = c->sender_lid};
    struct found found = {0};
    int rc = 0;
    *id = 0;
    if (!c->any_author) {
        rc = find_inbound(m, &like, &found);
        *id = found.id;
        return rc;
    }
    rc = store_db_number(store_messages_db(m), id, SQL_FIND_IN_CHAT,
                         STORE_VALUES(STORE_BYTES(c->target_id), STORE_TEXT(c->chat),
                                      STORE_TEXT(c->chat_pn), STORE_TEXT(c->chat_lid)));
    return rc < 0 ? rc : *id != 0;
}

int store_messages_edit(struct store_messages *m, const struct store_change *c)
{
    int64_t id;
    int rc = find_target(m, c, &id);
    if (rc != 1)
        return rc;
    return store_db_write(store_messages_db(m), SQL_EDIT,
                          STORE_VALUES(STORE_INT(id), STORE_BYTES(c->text), STORE_INT(c->at)));
}

int store_messages_revoke(struct store_messages *m, const struct store_change *c)
{
    int64_t id;
    int rc = find_target(m, c, &id);
    if (rc == 1)
        rc = store_db_write(store_messages_db(m), SQL_REVOKE,
                            STORE_VALUES(STORE_INT(id), STORE_INT(c->at)));
    if (rc != 1)
        return rc;
    rc = store_messages_cancel_reply(m, id);
    return rc < 0 ? rc : 1;
}
