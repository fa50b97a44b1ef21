/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

static int open_as(struct store_messages **out, const char *path, bool read_only, struct err *err)
{
    struct store_db *db;
    *out = NULL;
    int rc = store_db_open(&db, path, &store_messages_spec, read_only, err);
    if (rc != 0)
        return rc;
    struct store_messages *m = err_calloc(1, sizeof(*m));
    m->db = db;
    arena_init(&m->row);
    *out = m;
    return 0;
}

int store_messages_open(struct store_messages **out, const char *path, struct err *err)
{
    return open_as(out, path, false, err);
}

int store_messages_open_readonly(struct store_messages **out, const char *path, struct err *err)
{
    return open_as(out, path, true, err);
}

void store_messages_close(struct store_messages *m)
{
    if (!m)
        return;
    store_messages_forget_left(m);
    store_db_close(m->db);
    arena_deinit(&m->row);
    free(m);
}

bool store_messages_dirty(const struct store_messages *m)
{
    return store_db_dirty(m->db) || m->pending.any;
}

uint64_t store_messages_changes(const struct store_messages *m)
{
    return store_db_changes(m->db);
}

/* Nothing is told of a failure: the group is spoiled then, and its commit says so. */
static void add_totals(struct store_messages *m)
{
    const struct store_totals *t = &m->pending.totals;
    if (m->pending.any)
        store_db_write(m->db, SQL_ADD_TOTALS,
                       STORE_VALUES(STORE_INT(t->received), STORE_INT(t->replied),
                                    STORE_INT(t->sent), STORE_INT(t->delivered), STORE_INT(t->read),
                                    STORE_INT(t->failed), STORE_INT(t->undecryptable),
                                    STORE_INT(m->pending.queued), STORE_INT(m->pending.outbox),
                                    STORE_INT(t->last_message_at), STORE_INT(m->pending.last_id)));
    m->pending = (struct store_pending){0};
}

int store_messages_commit(struct store_messages *m, struct err *err)
{
    store_messages_db(m);
    add_totals(m);
    int rc = store_db_commit(m->db, err);
    if (rc < 0)
        store_messages_forget_left(m);
    return rc;
}

void store_messages_rollback(struct store_messages *m)
{
    m->pending = (struct store_pending){0};
    m->waiting = (struct store_waiting){0};
    store_messages_forget_left(m);
    store_db_rollback(m->db);
}

void store_messages_tend(struct store_messages *m)
{
    store_db_tend(m->db);
}

void store_messages_rest(struct store_messages *m)
{
    store_db_rest(m->db);
    store_messages_forget_left(m);
    arena_deinit(&m->row);
}

const char *store_messages_error(const struct store_messages *m)
{
    return store_db_error(m->db);
}

/* ---- for the other files ---- */

struct bytes store_messages_kept(struct store_messages *m, struct sqlite3_stmt *row, int column)
{
    struct bytes b = store_db_bytes(row, column);
    return b.p ? arena_copy(&m->row, b) : BYTES_NONE;
}

const char *store_messages_kept_text(struct store_messages *m, struct sqlite3_stmt *row, int column)
{
    return (const char *)store_messages_kept(m, row, column).p;
}

int64_t store_messages_count(struct store_messages *m, size_t statement, struct store_values values)
{
    int64_t n;
    int rc = store_db_number(m->db, &n, statement, values);
    return rc < 0 ? rc : n;
}

int store_messages_new_id(struct store_messages *m, struct store_value *out)
{
    struct store_pending *p = &m->pending;
    int rc = 0;
    if (!p->ids_known)
        rc = store_db_number(m->db, &p->id_after_gap, SQL_ID_AFTER_GAP, STORE_VALUES());
    p->ids_known = rc == 0;
    *out = STORE_TIME(p->id_after_gap);
    return rc;
}

int64_t store_messages_inserted(struct store_messages *m)
{
    m->pending.any = true;
    m->pending.id_after_gap = 0;
    m->pending.last_id = store_db_last_id(m->db);
    return m->pending.last_id;
}

int store_messages_change(struct store_messages *m, size_t statement, struct store_values values)
{
    int changed = store_db_write(store_messages_db(m), statement, values);
    if (changed == 0)
        return ERR_STATE;
    return changed < 0 ? changed : 0;
}
