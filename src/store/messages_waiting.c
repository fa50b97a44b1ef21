/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

/* Nothing is told of a failure: the group is spoiled then. */
struct store_db *store_messages_db(struct store_messages *m)
{
    struct store_waiting *w = &m->waiting;
    for (size_t i = 0; i < w->accepted_count; i++)
        store_db_write(m->db, SQL_SET_ACCEPTED,
                       STORE_VALUES(STORE_INT(w->accepted[i].id), STORE_TIME(w->accepted[i].at)));
    for (size_t i = 0; i < w->turn_count; i++)
        store_db_write(m->db, SQL_TAKE_TURN, STORE_VALUES(STORE_INT(w->turns[i])));
    w->accepted_count = w->turn_count = 0;
    return m->db;
}

static void settle(struct store_messages *m, uint32_t chat)
{
    const struct store_waiting *w = &m->waiting;
    for (size_t i = 0; i < w->accepted_count; i++)
        if (w->accepted[i].chat == chat) {
            store_messages_db(m);
            return;
        }
}

void store_messages_settle_chat(struct store_messages *m, const char *chat)
{
    if (m->waiting.accepted_count > 0)
        settle(m, bytes_hash(bytes_text(chat)));
}

void store_messages_wait_accepted(struct store_messages *m, const struct store_left *row,
                                  int64_t at)
{
    struct store_waiting *w = &m->waiting;
    settle(m, row->chat);
    if (w->accepted_count == STORE_WAITING_MAX)
        store_messages_db(m);
    w->accepted[w->accepted_count++] =
        (struct store_accepted){.id = row->id, .at = at, .chat = row->chat};
}

bool store_messages_take_accepted(struct store_messages *m, int64_t id, int64_t *at)
{
    struct store_waiting *w = &m->waiting;
    for (size_t i = 0; i < w->accepted_count; i++)
        if (w->accepted[i].id == id) {
            *at = w->accepted[i].at;
            w->accepted[i] = w->accepted[--w->accepted_count];
            return true;
        }
    return false;
}

void store_messages_wait_turn(struct store_messages *m, int64_t id)
{
    if (m->waiting.turn_count == STORE_WAITING_MAX)
        store_messages_db(m);
    m->waiting.turns[m->waiting.turn_count++] = id;
}

int64_t store_messages_next_turn(const struct store_messages *m, int64_t after_id)
{
    int64_t next = 0;
    for (size_t i = 0; i < m->waiting.turn_count; i++) {
        int64_t id = m->waiting.turns[i];
        if (id > after_id && (next == 0 || id < next))
            next = id;
    }
    return next;
}

bool store_messages_take_turn(struct store_messages *m, int64_t id)
{
    struct store_waiting *w = &m->waiting;
    for (size_t i = 0; i < w->turn_count; i++)
        if (w->turns[i] == id) {
            w->turns[i] = w->turns[--w->turn_count];
            return true;
        }
    return false;
}
