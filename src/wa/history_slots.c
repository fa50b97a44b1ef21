/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/history_slots.h"

#include <stdio.h>

#include "base/err.h"

#define VERSION 1
#define INDEX "index"
#define ASKS_MAX 8 /* of one linking */
#define KEY_SIZE 16

struct index {
    uint32_t taken; /* bit per slot */
    uint32_t next;  /* order */
    uint32_t asked; /* the phone, for files again */
};

static const char *key_of(unsigned slot, int piece, char out[KEY_SIZE])
{
    if (piece < 0)
        snprintf(out, KEY_SIZE, "%u", slot);
    else
        snprintf(out, KEY_SIZE, "%u/%d", slot, piece);
    return out;
}

/* ---- records --------------------------------------------------------------------------------- */

static int get(const struct wa_host *host, const char *key, struct buf *out)
{
    int rc = host->get(host->ctx, WA_TABLE_HISTORY, key, out);
    return rc < 0 ? ERR_STORE : rc;
}

static int put(const struct wa_host *host, const char *key, struct bytes value)
{
    return host->put(host->ctx, WA_TABLE_HISTORY, key, value) < 0 ? ERR_STORE : 0;
}

static int load_index(const struct wa_host *host, struct index *out)
{
    AUTO_BUF struct buf record = {.max = WA_RECORD_MAX};
    *out = (struct index){0};
    int rc = get(host, INDEX, &record);
    struct reader in = reader_init(buf_bytes(&record));
    if (rc == 1 && (reader_be(&in, 4, &out->taken) < 0 || reader_be(&in, 4, &out->next) < 0 ||
                    reader_be(&in, 4, &out->asked) < 0))
        *out = (struct index){0};
    return rc < 0 ? rc : 0;
}

static int save_index(const struct wa_host *host, const struct index *index)
{
    AUTO_BUF struct buf record = {.max = 16};
    buf_append_be(&record, 4, index->taken);
    buf_append_be(&record, 4, index->next);
    buf_append_be(&record, 4, index->asked);
    return put(host, INDEX, buf_bytes(&record));
}

static void put_u64(struct buf *out, uint64_t v)
{
    buf_append_be(out, 4, (uint32_t)(v >> 32));
    buf_append_be(out, 4, (uint32_t)v);
}

static int take_u64(struct reader *in, uint64_t *out)
{
    uint32_t high, low;
    if (reader_be(in, 4, &high) < 0 || reader_be(in, 4, &low) < 0)
        return ERR_INVALID;
    *out = (uint64_t)high << 32 | low;
    return 0;
}

static void put_text(struct buf *out, const char *text)
{
    buf_append_be(out, 2, (uint32_t)strlen(text));
    buf_append_text(out, text);
}

static int take_text(struct reader *in, char *out, size_t size)
{
    uint32_t n;
    struct bytes text;
    if (reader_be(in, 2, &n) < 0 || n >= size || reader_take(in, n, &text) < 0)
        return ERR_INVALID;
    bytes_copy_text(text, out, size);
    return 0;
}

static int take_hash(struct reader *in, uint8_t out[32])
{
    struct bytes hash;
    if (reader_take(in, 32, &hash) < 0)
        return ERR_INVALID;
    memcpy(out, hash.p, 32);
    return 0;
}

static int read_note(struct bytes record, struct wa_history_note *n)
{
    struct reader in = reader_init(record);
    uint8_t version, file;
    uint64_t due_s;
    if (reader_u8(&in, &version) < 0 || version != VERSION || reader_u8(&in, &file) < 0 ||
        reader_be(&in, 4, &n->order) < 0 || reader_be(&in, 4, &n->type) < 0 ||
        reader_be(&in, 4, &n->tries) < 0 || reader_be(&in, 4, &n->begun) < 0 ||
        reader_be(&in, 4, &n->pieces) < 0 || take_u64(&in, &due_s) < 0 ||
        take_u64(&in, &n->length) < 0 || take_hash(&in, n->key) < 0 ||
        take_hash(&in, n->sha256) < 0 || take_hash(&in, n->sealed_sha256) < 0 ||
        take_text(&in, n->path, sizeof(n->path)) < 0 || take_text(&in, n->id, sizeof(n->id)) < 0 ||
        n->pieces > WA_HISTORY_PIECES_MAX)
        return ERR_INVALID;
    n->file = file != 0;
    n->due_s = (int64_t)(due_s & INT64_MAX);
    return 0;
}

int wa_history_slots_save(const struct wa_host *host, const struct wa_history_note *n)
{
    char key[KEY_SIZE];
    AUTO_BUF struct buf record = {.max = WA_RECORD_MAX, .secret = true};
    buf_append_u8(&record, VERSION);
    buf_append_u8(&record, n->file);
    buf_append_be(&record, 4, n->order);
    buf_append_be(&record, 4, n->type);
    buf_append_be(&record, 4, n->tries);
    buf_append_be(&record, 4, n->begun);
    buf_append_be(&record, 4, n->pieces);
    put_u64(&record, (uint64_t)n->due_s);
    put_u64(&record, n->length);
    buf_append(&record, BYTES_ARRAY(n->key));
    buf_append(&record, BYTES_ARRAY(n->sha256));
    buf_append(&record, BYTES_ARRAY(n->sealed_sha256));
    put_text(&record, n->path);
    put_text(&record, n->id);
    return put(host, key_of(n->slot, -1, key), buf_bytes(&record));
}

/* 1, 0 when the slot is not taken or what is in it cannot be read, ERR_STORE. */
static int load(const struct wa_host *host, const struct index *index, unsigned slot,
                struct wa_history_note *out)
{
    char key[KEY_SIZE];
    AUTO_BUF struct buf record = {.max = WA_RECORD_MAX, .secret = true};
    *out = (struct wa_history_note){.slot = slot};
    if (!(index->taken >> slot & 1))
        return 0;
    int rc = get(host, key_of(slot, -1, key), &record);
    if (rc != 1)
        return rc;
    return read_note(buf_bytes(&record), out) == 0;
}

/* ---- the slots ------------------------------------------------------------------------------- */

static int save_payload(const struct wa_host *host, struct wa_history_note *n, struct bytes payload)
{
    char key[KEY_SIZE];
    int rc = 0;
    n->pieces = 0;
    while (rc == 0 && payload.n > 0) {
        size_t size = payload.n < WA_RECORD_MAX ? payload.n : WA_RECORD_MAX;
        rc = put(host, key_of(n->slot, (int)n->pieces++, key), BYTES(payload.p, size));
        payload = BYTES(payload.p + size, payload.n - size);
    }
    return rc;
}

int wa_history_slots_add(const struct wa_host *host, struct wa_history_note *n,
                         struct bytes payload)
{
    struct index index;
    if (load_index(host, &index) < 0)
        return ERR_STORE;
    if (index.taken == UINT32_MAX || payload.n > (size_t)WA_HISTORY_PIECES_MAX * WA_RECORD_MAX)
        return ERR_LIMIT;
    n->slot = 0;
    while (index.taken >> n->slot & 1)
        n->slot++;
    n->order = index.next++;
    index.taken |= UINT32_C(1) << n->slot;
    int rc = save_payload(host, n, payload);
    if (rc == 0)
        rc = wa_history_slots_save(host, n);
    return rc < 0 ? rc : save_index(host, &index);
}

int wa_history_slots_next(const struct wa_host *host, int64_t now_s, struct wa_history_note *out,
                          int64_t *due_s)
{
    struct index index;
    struct wa_history_note n;
    int found = 0;
    *due_s = 0;
    if (load_index(host, &index) < 0)
        return ERR_STORE;
    uint32_t taken = index.taken;
    for (unsigned slot = 0; slot < WA_HISTORY_SLOTS; slot++) {
        int rc = load(host, &index, slot, &n);
        if (rc < 0)
            return rc;
        if (rc == 0)
            index.taken &= ~(UINT32_C(1) << slot); /* what cannot be read takes no room */
        bool later = n.due_s > now_s && n.due_s - now_s <= WA_HISTORY_WAIT_MAX_S;
        if (rc == 1 && !later && (!found || n.order < out->order)) {
            *out = n;
            found = 1;
        } else if (rc == 1 && later && (*due_s == 0 || n.due_s < *due_s)) {
            *due_s = n.due_s;
        }
    }
    return index.taken != taken && save_index(host, &index) < 0 ? ERR_STORE : found;
}

int wa_history_slots_know(const struct wa_host *host, struct bytes id)
{
    struct index index;
    struct wa_history_note n;
    if (load_index(host, &index) < 0)
        return ERR_STORE;
    for (unsigned slot = 0; slot < WA_HISTORY_SLOTS; slot++) {
        int rc = load(host, &index, slot, &n);
        if (rc < 0 || (rc == 1 && bytes_is(id, n.id)))
            return rc;
    }
    return 0;
}

int wa_history_slots_payload(const struct wa_host *host, const struct wa_history_note *n,
                             struct buf *out)
{
    char key[KEY_SIZE];
    for (uint32_t i = 0; i < n->pieces; i++) {
        int rc = get(host, key_of(n->slot, (int)i, key), out);
        if (rc < 0)
            return rc;
    }
    return out->full ? ERR_LIMIT : 0;
}

int wa_history_slots_drop(const struct wa_host *host, const struct wa_history_note *n)
{
    struct index index;
    char key[KEY_SIZE], prefix[KEY_SIZE + 1];
    if (load_index(host, &index) < 0)
        return ERR_STORE;
    index.taken &= ~(UINT32_C(1) << n->slot);
    key_of(n->slot, -1, key);
    snprintf(prefix, sizeof(prefix), "%s/", key);
    if (host->del(host->ctx, WA_TABLE_HISTORY, key) < 0 ||
        (n->pieces > 0 && host->del_prefix(host->ctx, WA_TABLE_HISTORY, prefix) < 0))
        return ERR_STORE;
    return save_index(host, &index);
}

int wa_history_slots_may_ask(const struct wa_host *host)
{
    struct index index;
    if (load_index(host, &index) < 0)
        return ERR_STORE;
    if (index.asked >= ASKS_MAX)
        return 0;
    index.asked++;
    return save_index(host, &index) < 0 ? ERR_STORE : 1;
}
