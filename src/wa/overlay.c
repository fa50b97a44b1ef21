/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/overlay.h"

#include "base/err.h"

#define ROWS_KEPT 16         /* more are released at reset */
#define VALUE_KEPT_MAX 16384 /* bytes; larger buffers are released at reset */

struct wa_overlay_row {
    enum wa_table table;
    char key[WA_KEY_MAX];
    bool existed, exists, changed;
    struct buf before, now; /* now counts when changed and exists */
};

void wa_overlay_init(struct wa_overlay *o, const struct wa_host *host)
{
    *o = (struct wa_overlay){.host = host};
}

static void release_rows(struct wa_overlay *o)
{
    for (size_t i = 0; i < o->cap; i++) {
        buf_deinit(&o->rows[i].before);
        buf_deinit(&o->rows[i].now);
    }
    free(o->rows);
    o->rows = NULL;
    o->count = o->cap = 0;
}

void wa_overlay_deinit(struct wa_overlay *o)
{
    release_rows(o);
}

static void reset_value(struct buf *value)
{
    buf_clear(value);
    if (value->cap > VALUE_KEPT_MAX)
        buf_deinit(value);
}

void wa_overlay_reset(struct wa_overlay *o)
{
    for (size_t i = 0; i < o->count; i++) {
        reset_value(&o->rows[i].before);
        reset_value(&o->rows[i].now);
    }
    o->count = 0;
    o->failed = o->too_large = false;
    if (o->cap > ROWS_KEPT)
        release_rows(o);
}

void wa_overlay_rest(struct wa_overlay *o)
{
    wa_overlay_reset(o);
    release_rows(o);
}

static struct wa_overlay_row *find_row(struct wa_overlay *o, enum wa_table table, const char *key)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->rows[i].table == table && strcmp(o->rows[i].key, key) == 0)
            return &o->rows[i];
    return NULL;
}

static void grow_rows(struct wa_overlay *o)
{
    size_t cap = o->cap ? 2 * o->cap : 8;
    o->rows = err_realloc(o->rows, cap * sizeof(*o->rows));
    for (size_t i = o->cap; i < cap; i++) {
        buf_init_secret(&o->rows[i].before, WA_RECORD_MAX);
        buf_init_secret(&o->rows[i].now, WA_RECORD_MAX);
    }
    o->cap = cap;
}

static int host_failed(struct wa_overlay *o)
{
    o->failed = true;
    return ERR_STORE;
}

/* The row of a key, with what the host has; borrowed until the next call of this function. */
static int load_row(struct wa_overlay *o, enum wa_table table, const char *key,
                    struct wa_overlay_row **out)
{
    *out = find_row(o, table, key);
    if (*out)
        return 0;
    if (o->count == o->cap)
        grow_rows(o);
    struct wa_overlay_row *row = &o->rows[o->count];
    int rc = o->host->get(o->host->ctx, table, key, &row->before);
    if (rc < 0) {
        reset_value(&row->before);
        return host_failed(o);
    }
    row->table = table;
    bytes_copy_text(bytes_text(key), row->key, sizeof(row->key));
    row->existed = row->exists = rc == 1;
    row->changed = false;
    o->count++;
    *out = row;
    return 0;
}

int wa_overlay_get(struct wa_overlay *o, enum wa_table table, const char *key, struct bytes *value)
{
    struct wa_overlay_row *row;
    if (load_row(o, table, key, &row) < 0)
        return ERR_STORE;
    *value = buf_bytes(row->changed ? &row->now : &row->before);
    return row->exists;
}

int wa_overlay_put(struct wa_overlay *o, enum wa_table table, const char *key, struct bytes value)
{
    struct wa_overlay_row *row;
    if (value.n > WA_RECORD_MAX) {
        o->too_large = true;
        return ERR_LIMIT;
    }
    if (load_row(o, table, key, &row) < 0)
        return ERR_STORE;
    row->exists = true;
    row->changed = !row->existed || !bytes_equal(buf_bytes(&row->before), value);
    buf_clear(&row->now);
    return row->changed ? buf_append(&row->now, value) : 0;
}

int wa_overlay_del(struct wa_overlay *o, enum wa_table table, const char *key)
{
    struct wa_overlay_row *row;
    if (load_row(o, table, key, &row) < 0)
        return ERR_STORE;
    row->exists = false;
    row->changed = row->existed;
    buf_clear(&row->now);
    return 0;
}

static int host_set(const struct wa_host *h, const struct wa_overlay_row *row, bool exists,
                    const struct buf *value)
{
    if (exists)
        return h->put(h->ctx, row->table, row->key, buf_bytes(value));
    return h->del(h->ctx, row->table, row->key);
}

/* A host that also fails here has a failed transaction: the caller closes on ERR_STORE. */
static void undo(struct wa_overlay *o, size_t done)
{
    while (done-- > 0) {
        const struct wa_overlay_row *row = &o->rows[done];
        if (row->changed)
            (void)host_set(o->host, row, row->existed, &row->before);
    }
}

int wa_overlay_commit(struct wa_overlay *o)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct wa_overlay_row *row = &o->rows[i];
        if (row->changed && host_set(o->host, row, row->exists, &row->now) < 0) {
            undo(o, i);
            return host_failed(o);
        }
    }
    return 0;
}
