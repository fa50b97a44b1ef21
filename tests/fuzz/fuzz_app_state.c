/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * App state. First byte: 0 the input as a snapshot, 1 pieces as a patch and the file that it points
 * to, 2 pieces as actions that are written by whoever has the key, so that every MAC is right; 3
 * pieces as answers of the server and files of its host, through a whole session.
 */
#include "fuzz.h"
#include "fuzz_session.h"
#include "wa/app_state_collection.h"

#define COLLECTION "regular_high"
#define MESSAGE_MAX (1u << 18)

static const uint8_t key_id[6] = {1, 2, 3, 4, 5, 6};
static const uint8_t key_data[34] = {0x0a, 32, 9};
#define KEY_NAME "010203040506"

static void put_head(struct buf *out, unsigned field, size_t n)
{
    buf_append_u8(out, (uint8_t)(field << 3 | 2));
    for (; n > 127; n >>= 7)
        buf_append_u8(out, (uint8_t)(n | 128));
    buf_append_u8(out, (uint8_t)n);
}

static void put(struct buf *out, unsigned field, struct bytes b)
{
    put_head(out, field, b.n);
    buf_append(out, b);
}

static void put_nested(struct buf *out, unsigned field, struct bytes b)
{
    AUTO_BUF struct buf inner = {.max = MESSAGE_MAX};
    put(&inner, 1, b);
    put(out, field, buf_bytes(&inner));
}

/* What the collection is after a call: its own promise. */
static void look(const struct wa_host *host, int rc, const struct wa_app_state_news *news,
                 uint64_t before)
{
    uint64_t version;
    size_t n = strlen(news->push_name);
    fuzz_require(wa_app_state_version(host, COLLECTION, &version) == 0);
    fuzz_require(rc != ERR_STORE);
    fuzz_require(text_utf8_valid(BYTES(news->push_name, n)));
    fuzz_require(rc == 0 || n == 0);
    if (rc == ERR_NOT_FOUND || rc == ERR_STATE)
        fuzz_require(version == before);
    else
        fuzz_require((rc == 0) == (version > 0));
}

static int take_snapshot(struct fake_host *mem, struct bytes snapshot)
{
    struct wa_app_state_news news;
    uint64_t before;
    wa_app_state_version(&mem->host, COLLECTION, &before);
    int rc = wa_app_state_take_snapshot(&mem->host, COLLECTION, snapshot, &news);
    look(&mem->host, rc, &news, before);
    return rc;
}

static int take_patch(struct fake_host *mem, struct bytes patch, struct bytes external)
{
    struct wa_app_state_news news;
    uint64_t before;
    wa_app_state_version(&mem->host, COLLECTION, &before);
    int rc = wa_app_state_take_patch(&mem->host, COLLECTION, patch, external, &news);
    look(&mem->host, rc, &news, before);
    return rc;
}

/* ---- a writer that has the key -----------------------------------------------------------------
 */

struct writer {
    struct wa_app_state_keys keys;
    uint8_t hash[WA_APP_STATE_HASH_LEN];
    struct buf records, mutations;
};

static void write_record(struct writer *w, struct reader *in)
{
    static const uint8_t iv[16] = {7};
    AUTO_BUF struct buf value = {.max = MESSAGE_MAX}, record = {.max = MESSAGE_MAX};
    AUTO_BUF struct buf mutation = {.max = MESSAGE_MAX};
    uint8_t index_mac[32], remove = fuzz_byte(in) & 1;
    struct bytes index = fuzz_piece(in), action = fuzz_piece(in);
    wa_app_state_seal(&value, index_mac, &w->keys, remove, BYTES_ARRAY(key_id), iv, index, action);
    put_nested(&record, 1, BYTES_ARRAY(index_mac));
    put_nested(&record, 2, buf_bytes(&value));
    put_nested(&record, 3, BYTES_ARRAY(key_id));
    put(&w->records, 2, buf_bytes(&record));
    buf_append(&mutation, bytes_text(remove ? "\x08\x01" : "\x08"));
    if (!remove)
        buf_append_u8(&mutation, 0);
    put(&mutation, 2, buf_bytes(&record));
    put(&w->mutations, 2, buf_bytes(&mutation));
    wa_app_state_hash_add(w->hash, BYTES(value.p + value.n - 32, 32));
}

static void put_version(struct buf *out, uint8_t version)
{
    const uint8_t message[] = {8, version};
    put(out, 1, BYTES_ARRAY(message));
}

/* The records as a snapshot of version 1; then the same as a patch behind it. */
static void write_all(struct fake_host *mem, struct reader *in)
{
    struct writer w = {.records = {.max = MESSAGE_MAX}, .mutations = {.max = MESSAGE_MAX}};
    AUTO_BUF struct buf snapshot = {.max = MESSAGE_MAX}, patch = {.max = MESSAGE_MAX};
    uint8_t mac[32];
    wa_app_state_expand(&w.keys, key_data + 2);
    while (reader_left(in) > 0)
        write_record(&w, in);
    wa_app_state_snapshot_mac(mac, &w.keys, w.hash, 1, COLLECTION);
    put_version(&snapshot, 1);
    buf_append(&snapshot, buf_bytes(&w.records));
    put(&snapshot, 3, BYTES_ARRAY(mac));
    put_nested(&snapshot, 4, BYTES_ARRAY(key_id));
    take_snapshot(mem, buf_bytes(&snapshot));
    struct wa_app_state_records records = {
        .in = reader_init(buf_bytes(&w.mutations)), .field = 2, .mutations = true};
    wa_app_state_snapshot_mac(mac, &w.keys, w.hash, 2, COLLECTION);
    put_version(&patch, 2);
    buf_append(&patch, buf_bytes(&w.mutations));
    put(&patch, 4, BYTES_ARRAY(mac));
    if (wa_app_state_patch_mac(mac, &w.keys, BYTES_ARRAY(mac), records, 2, COLLECTION) == 0)
        put(&patch, 5, BYTES_ARRAY(mac));
    put_nested(&patch, 6, BYTES_ARRAY(key_id));
    take_patch(mem, buf_bytes(&patch), BYTES_NONE);
    buf_deinit(&w.records);
    buf_deinit(&w.mutations);
}

/* ---- a session ----------------------------------------------------------------------------------
 */

static void answer(struct line *l, const struct wa_node *asked, struct reader *in)
{
    static const char *const children[] = {"patch", "snapshot", "error", "other"};
    struct wa_node *iq = line_stanza(l, "iq");
    uint8_t how = fuzz_byte(in);
    wa_node_set_bytes(iq, "id", wa_node_attr(asked, "id"));
    wa_node_set(iq, "type", how & 128 ? "error" : "result");
    struct wa_node *c = wa_node_child(wa_node_child(iq, "sync"), "collection");
    wa_node_set(c, "name", how & 64 ? "other" : COLLECTION);
    if (how & 32)
        wa_node_set(c, "has_more_patches", "true");
    const char *child = children[how % ARRAY_LEN(children)];
    for (int i = 0; i <= (how >> 2) % 4; i++) {
        struct wa_node *parent = strcmp(child, "patch") == 0 ? wa_node_child(c, "patches") : c;
        struct wa_node *node = wa_node_child(parent, child);
        if (strcmp(child, "error") == 0)
            wa_node_set_bytes(node, "code", fuzz_piece(in));
        else
            wa_node_set_data(node, fuzz_piece(in));
    }
    line_say(l, iq);
}

static bool drain(struct line *l, struct reader *in)
{
    struct wa_event ev;
    while (wa_session_next(l->session, &ev) == 1) {
        if (ev.type == WA_EVENT_CLOSED)
            return false;
        if (ev.type != WA_EVENT_FILE_WANTED)
            continue;
        AUTO_BUF struct buf plain = {.max = MESSAGE_MAX};
        enum wa_file_end how = (enum wa_file_end)(fuzz_byte(in) % 3);
        fuzz_require(wa_media_is_fetchable(ev.u.file.media));
        buf_append(&plain, fuzz_piece(in));
        wa_session_file(l->session, ev.u.file.id, how, &plain);
    }
    return true;
}

static void through_session(struct reader *in)
{
    struct line l;
    line_open(&l, true);
    line_login(&l);
    fake_host_put(&l.mem, WA_TABLE_APP_STATE_KEY, KEY_NAME, BYTES_ARRAY(key_data));
    struct wa_node *n = line_stanza(&l, "notification");
    wa_node_set(n, "id", "N1");
    wa_node_set(n, "type", "server_sync");
    wa_node_set(wa_node_child(n, "collection"), "name", COLLECTION);
    line_say(&l, n);
    for (int i = 0; i < 20 && drain(&l, in) && reader_left(in) > 0; i++) {
        struct wa_node *node, *asked = NULL;
        while ((node = line_hear(&l)))
            if (wa_node_attr_is(node, "xmlns", "w:sync:app:state"))
                asked = node;
        if (asked)
            answer(&l, asked, in);
        else
            l.mem.now_ms += 3600000;
    }
    line_close(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    struct fake_host mem;
    uint8_t form = fuzz_byte(&in) & 3;
    if (form == 3) {
        through_session(&in);
        return 0;
    }
    fake_host_init(&mem);
    fake_host_put(&mem, WA_TABLE_APP_STATE_KEY, KEY_NAME, BYTES_ARRAY(key_data));
    if (form == 0) {
        take_snapshot(&mem, BYTES(in.p, reader_left(&in)));
    } else if (form == 1) {
        struct bytes patch = fuzz_piece(&in);
        take_patch(&mem, patch, fuzz_piece(&in));
    } else {
        write_all(&mem, &in);
    }
    fake_host_deinit(&mem);
    return 0;
}
