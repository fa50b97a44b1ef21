/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A row that moves on: its status, and what goes by it. One that leaves the queue passes the turn
 * to the next of its chat; one of the outbox is to be reported again; the totals follow with the
 * commit of the group.
 */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

enum move { TO_SENT, TO_DELIVERED, TO_READ, TO_FAILED, TO_DROPPED };

static const size_t statements[] = {
    [TO_SENT] = SQL_SET_SENT,     [TO_DELIVERED] = SQL_SET_DELIVERED, [TO_READ] = SQL_SET_READ,
    [TO_FAILED] = SQL_SET_FAILED, [TO_DROPPED] = SQL_SET_DROPPED,
};

/* The row as it was. */
struct moving {
    int64_t id;
    bool waited; /* queued or sending */
    bool arrived;
    bool head; /* it was its turn */
    bool answers, outbox;
};

/* ---- totals --------------------------------------------------------------------------------- */

void store_messages_count_in(struct store_messages *m, bool undecryptable, bool from_me,
                             int64_t received_at)
{
    struct store_totals *t = &m->pending.totals;
    bool came = !undecryptable && !from_me;
    m->pending.any = true;
    t->undecryptable += undecryptable;
    t->received += came;
    if (came && received_at > t->last_message_at)
        t->last_message_at = received_at;
}

void store_messages_count_out(struct store_messages *m, bool outbox)
{
    m->pending.any = true;
    m->pending.queued++;
    m->pending.outbox += outbox;
}

static void count_move(struct store_messages *m, const struct moving *was, enum move to)
{
    struct store_totals *t = &m->pending.totals;
    bool arrives = to == TO_DELIVERED || to == TO_READ, sent = to == TO_SENT || arrives;
    m->pending.any = true;
    m->pending.queued -= was->waited;
    m->pending.outbox -= was->waited && was->outbox;
    t->sent += was->waited && sent;
    t->replied += was->waited && sent && was->answers;
    t->failed += was->waited && to == TO_FAILED;
    t->delivered += arrives && !was->arrived;
    t->read += to == TO_READ;
}

/* ---- moves ---------------------------------------------------------------------------------- */

/* 1 and the row that may move, 0 when there is none, ERR_STORE. */
static int find(struct store_messages *m, size_t statement, struct store_values values,
                struct moving *out)
{
    struct sqlite3_stmt *row = store_db_select(store_messages_db(m), statement, values);
    int rc = store_db_next(store_messages_db(m), row);
    if (rc == 1)
        *out = (struct moving){.id = store_db_int(row, 0),
                               .waited = store_db_int(row, 1) != 0,
                               .arrived = store_db_int(row, 2) != 0,
                               .head = store_db_int(row, 3) == STORE_TURN_HEAD,
                               .answers = store_db_int(row, 4) != 0,
                               .outbox = store_db_int(row, 5) != 0};
    store_db_end(row);
    return rc;
}

static int pass_turn(struct store_messages *m, int64_t from)
{
    int64_t next;
    int rc = store_db_number(m->db, &next, SQL_NEXT_IN_CHAT, STORE_VALUES(STORE_INT(from)));
    if (rc < 0 || next == 0)
        return rc;
    store_messages_wait_turn(m, next);
    return 0;
}

/* A receipt may be faster than the answer of the server: then it takes the row out of the queue. */
static int leave(struct store_messages *m, const struct moving *was, enum move to)
{
    if (was->outbox)
        return store_db_write(m->db, SQL_REPORT, STORE_VALUES(STORE_INT(was->id)));
    if (was->waited && (to == TO_DELIVERED || to == TO_READ))
        return store_db_write(m->db, SQL_LEAVE, STORE_VALUES(STORE_INT(was->id)));
    return 0;
}

/* What goes by a move. 1 or ERR_STORE. */
static int follow(struct store_messages *m, const struct moving *was, enum move to)
{
    int rc = leave(m, was, to);
    if (rc >= 0 && was->head)
        rc = pass_turn(m, was->id);
    if (rc < 0)
        return rc;
    count_move(m, was, to);
    return 1;
}

/* value: the column that goes with the status. 1 or ERR_STORE. */
static int move(struct store_messages *m, const struct moving *was, enum move to,
                struct store_value value)
{
    int rc = store_db_write(store_messages_db(m), statements[to],
                            STORE_VALUES(STORE_INT(was->id), value));
    return rc < 0 ? rc : follow(m, was, to);
}

/* 1 when the row is as it was, 0, ERR_STORE. */
static int write_arrived(struct store_messages *m, int64_t id, struct store_value at)
{
    int64_t accepted_at;
    if (store_messages_take_accepted(m, id, &accepted_at))
        return store_db_write(m->db, SQL_SET_ACCEPTED_ARRIVED,
                              STORE_VALUES(STORE_INT(id), at, STORE_TIME(accepted_at)));
    return store_db_write(m->db, SQL_SET_ARRIVED, STORE_VALUES(STORE_INT(id), at));
}

/* The usual way of a row that left a moment ago: 1; 0, it is not known or not as it was; ERR_STORE.
 */
static int move_known(struct store_messages *m, struct bytes wa_id, enum move to,
                      struct store_value value)
{
    struct store_left *row = store_messages_known_left(m, wa_id);
    if (!row || row->sent != (to == TO_DELIVERED))
        return 0;
    const struct moving was = {.id = row->id,
                               .waited = !row->sent,
                               .head = !row->sent,
                               .answers = row->answers,
                               .outbox = row->outbox};
    if (to == TO_SENT) {
        row->sent = true;
        store_messages_wait_accepted(m, row, value.number);
        return follow(m, &was, to);
    }
    row->id = 0;
    int rc = write_arrived(m, was.id, value);
    return rc == 1 ? follow(m, &was, to) : rc;
}

/* An id of ours is random: it is in one row. */
static int move_by_wa_id(struct store_messages *m, size_t which, struct bytes wa_id, enum move to,
                         struct store_value value)
{
    struct moving was;
    struct store_left *known = store_messages_known_left(m, wa_id);
    if (known)
        known->id = 0;
    int rc = find(m, which, STORE_VALUES(STORE_BYTES(wa_id)), &was);
    return rc == 1 ? move(m, &was, to, value) : rc;
}

int store_messages_set_sent(struct store_messages *m, struct bytes wa_id, int64_t acked_at)
{
    int rc = move_known(m, wa_id, TO_SENT, STORE_TIME(acked_at));
    return rc != 0 ? rc : move_by_wa_id(m, SQL_CAN_BE_SENT, wa_id, TO_SENT, STORE_TIME(acked_at));
}

int store_messages_set_failed(struct store_messages *m, struct bytes wa_id, const char *why)
{
    return move_by_wa_id(m, SQL_CAN_FAIL, wa_id, TO_FAILED, STORE_TEXT(why));
}

int store_messages_set_delivered(struct store_messages *m, struct bytes wa_id, int64_t at)
{
    int rc = move_known(m, wa_id, TO_DELIVERED, STORE_TIME(at));
    return rc != 0 ? rc
                   : move_by_wa_id(m, SQL_CAN_BE_DELIVERED, wa_id, TO_DELIVERED, STORE_TIME(at));
}

int store_messages_set_read(struct store_messages *m, struct bytes wa_id, int64_t at)
{
    return move_by_wa_id(m, SQL_CAN_BE_READ, wa_id, TO_READ, STORE_TIME(at));
}

int store_messages_set_dropped(struct store_messages *m, int64_t id, const char *why)
{
    struct moving was;
    int rc = find(m, SQL_CAN_BE_DROPPED, STORE_VALUES(STORE_INT(id)), &was);
    if (rc == 1)
        rc = move(m, &was, TO_DROPPED, STORE_TEXT(why));
    if (rc == 0)
        return ERR_STATE;
    return rc < 0 ? rc : 0;
}

int store_messages_cancel_reply(struct store_messages *m, int64_t reply_to)
{
    struct moving was;
    int rc = find(m, SQL_CAN_BE_REVOKED, STORE_VALUES(STORE_INT(reply_to)), &was);
    return rc == 1 ? move(m, &was, TO_DROPPED, STORE_TEXT("revoked")) : rc;
}

int store_messages_give_up(struct store_messages *m, int64_t before_ms, bool outbox,
                           const char *why)
{
    struct moving was = {0};
    int rc, n = 0;
    store_messages_forget_left(m);
    while ((rc = find(m, SQL_NEXT_TO_GIVE_UP,
                      STORE_VALUES(STORE_INT(before_ms), STORE_INT(outbox), STORE_INT(was.id)),
                      &was)) == 1 &&
           (rc = move(m, &was, was.outbox ? TO_FAILED : TO_DROPPED, STORE_TEXT(why))) == 1)
        n++;
    return rc < 0 ? rc : n;
}

int store_messages_expire(struct store_messages *m, int64_t now_ms)
{
    struct moving was;
    int rc, n = 0;
    while ((rc = find(m, SQL_NEXT_EXPIRED, STORE_VALUES(STORE_INT(now_ms)), &was)) == 1 &&
           (rc = move(m, &was, TO_FAILED, STORE_TEXT("expired"))) == 1)
        n++;
    return rc < 0 ? rc : n;
}
