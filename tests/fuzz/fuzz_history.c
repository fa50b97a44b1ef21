/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The phone's history. First byte: 0 the input as a blob, 1 the input packed into one, read in
 * small and in large steps, which must tell the same; 2 pieces as notification and packed blob of
 * our own phone, through a whole session; 3 pieces as records of waiting parts. 4 to 7 are as 1,
 * since sessions are slow. And 8: many zeros come behind what is packed.
 */
#include <zlib.h>

#include "fuzz.h"
#include "fuzz_session.h"
#include "wa/history.h"
#include "wa/history_slots.h"

#define INFLATED_MAX 100000
#define ZEROS (1u << 18)
#define STEPS_MAX 100000

/* What was told, so that two readings can be compared. */
struct told {
    uint64_t sum;
    unsigned items;
};

static int note(struct told *t, struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        t->sum = t->sum * 31 + b.p[i];
    t->items++;
    return 0;
}

static int on_pair(void *ctx, struct bytes a, struct bytes b)
{
    return note(ctx, a) + note(ctx, b);
}

static int on_nothing(void *ctx)
{
    return note(ctx, BYTES_NONE);
}

static int on_bytes(void *ctx, struct bytes b)
{
    fuzz_require(b.n <= WA_HISTORY_MESSAGE_MAX);
    return note(ctx, b);
}

static int on_chat(void *ctx, const struct wa_history_chat *c)
{
    fuzz_require(c->id.n > 0 && c->id.n <= WA_HISTORY_FIELD_MAX);
    return note(ctx, c->id) + note(ctx, c->pn) + note(ctx, c->lid) + note(ctx, c->token);
}

static int read_blob(struct bytes blob, size_t inflated, unsigned items, struct told *t)
{
    const struct wa_history_events events = {.ctx = t,
                                             .mapping = on_pair,
                                             .push_name = on_pair,
                                             .migrated = on_nothing,
                                             .salt = on_bytes,
                                             .chat = on_chat,
                                             .message = on_bytes};
    struct wa_history *h = wa_history_open(&events, INFLATED_MAX);
    int rc, steps = 0;
    while ((rc = wa_history_read(h, &blob, inflated, items)) == 1)
        fuzz_require(++steps < STEPS_MAX);
    if (rc == 0)
        rc = wa_history_end(h);
    wa_history_close(h);
    return rc;
}

static void read_twice(struct bytes blob)
{
    struct told small = {0}, large = {0};
    int a = read_blob(blob, 1, 1, &small), b = read_blob(blob, SIZE_MAX, UINT32_MAX, &large);
    fuzz_require(a == b && small.sum == large.sum && small.items == large.items);
}

/* Owned by the caller. */
static struct buf packed(struct bytes plain, bool zeros)
{
    size_t size = plain.n + (zeros ? ZEROS : 0);
    uLongf n = compressBound((uLong)size);
    struct buf out = {.max = n};
    uint8_t *all = err_calloc(1, size + 1);
    if (plain.n > 0)
        memcpy(all, plain.p, plain.n);
    fuzz_require(compress(buf_reserve(&out, n), &n, all, (uLong)size) == Z_OK);
    out.n = n;
    free(all);
    return out;
}

/* ---- through a session ----------------------------------------------------------------------- */

static void put_field(struct buf *out, uint8_t number, struct bytes value)
{
    size_t n = value.n;
    buf_append_u8(out, (uint8_t)(number << 3 | 2));
    for (; n > 127; n >>= 7)
        buf_append_u8(out, (uint8_t)(n & 127) | 128);
    buf_append_u8(out, (uint8_t)n);
    buf_append(out, value);
}

static bool drain(struct line *l, unsigned *wanted)
{
    struct wa_event ev;
    while (wa_session_next(l->session, &ev) == 1) {
        fuzz_session_event(l, &ev);
        if (ev.type == WA_EVENT_CLOSED)
            return false;
        if (ev.type == WA_EVENT_FILE_WANTED) {
            fuzz_require(wa_media_is_fetchable(ev.u.file.media));
            *wanted = ev.u.file.id;
        }
    }
    return true;
}

static void say_notification(struct line *l, struct bytes notification)
{
    AUTO_BUF struct buf protocol = {.max = 70000}, message = {.max = 70000};
    struct line_peer phone;
    const struct wa_jid own = wa_jid_bare(&l->device.pn);
    buf_append(&protocol, BYTES("\x10\x05", 2));
    put_field(&protocol, 6, notification);
    put_field(&message, 12, buf_bytes(&protocol));
    line_meet(l, &phone);
    struct wa_node *node = line_message(l, &phone, "H1", buf_bytes(&message));
    wa_node_set_jid(node, "from", &own);
    wa_node_set(node, "category", "peer");
    fuzz_require(line_say(l, node));
    line_part(&phone);
}

static void live(struct reader *in, bool zeros)
{
    struct line l;
    unsigned wanted = 0;
    int steps = 0;
    line_open(&l, true);
    line_login(&l);
    wa_session_set_history(l.session, 36500);
    say_notification(&l, fuzz_piece(in));
    struct wa_node *ib = line_stanza(&l, "ib");
    wa_node_set(wa_node_child(ib, "offline"), "count", "0");
    fuzz_require(line_say(&l, ib));
    bool open = drain(&l, &wanted);
    if (wanted) {
        struct buf blob = packed(fuzz_piece(in), zeros);
        wa_session_file(l.session, wanted, WA_FILE_CAME, &blob);
        buf_deinit(&blob);
    }
    while (open && wa_session_step(l.session)) {
        fuzz_require(++steps < STEPS_MAX);
        open = drain(&l, &wanted);
    }
    line_close(&l);
}

/* ---- records --------------------------------------------------------------------------------- */

static void waiting(struct reader *in)
{
    struct fake_host mem;
    struct wa_history_note n;
    int64_t due_s;
    int rounds = 0;
    fake_host_init(&mem);
    fake_host_put(&mem, WA_TABLE_HISTORY, "index", fuzz_piece(in));
    fake_host_put(&mem, WA_TABLE_HISTORY, "0", fuzz_piece(in));
    fake_host_put(&mem, WA_TABLE_HISTORY, "3", fuzz_piece(in));
    while (wa_history_slots_next(&mem.host, 1000, &n, &due_s) == 1) {
        AUTO_BUF struct buf out = {.max = 1000};
        fuzz_require(n.slot < WA_HISTORY_SLOTS && ++rounds <= WA_HISTORY_SLOTS);
        fuzz_touch(bytes_text(n.path));
        fuzz_require(wa_history_slots_know(&mem.host, bytes_text(n.id)) == 1);
        wa_history_slots_payload(&mem.host, &n, &out);
        fuzz_require(wa_history_slots_drop(&mem.host, &n) == 0);
    }
    fake_host_deinit(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    uint8_t form = fuzz_byte(&in);
    bool zeros = form & 8;
    form &= 7;
    struct bytes rest = BYTES(in.p, reader_left(&in));
    if (form == 0)
        read_twice(rest);
    if (form == 1 || form > 3) {
        struct buf blob = packed(rest, zeros);
        read_twice(buf_bytes(&blob));
        buf_deinit(&blob);
    }
    if (form == 2)
        live(&in, zeros);
    if (form == 3)
        waiting(&in);
    return 0;
}
