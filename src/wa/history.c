/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/history.h"

#include <zlib.h>

#include "base/err.h"
#include "wa/fields.h"

#define PIECE 4096 /* bytes inflated at once */
#define VARINT_MAX 10

/* Numbers of protos-message.md. */
enum {
    SYNC_CONVERSATION = 2,
    SYNC_PUSH_NAME = 7,
    SYNC_SETTINGS = 8,
    SYNC_MAPPING = 15,
    SYNC_NCT_SALT = 19,
    CHAT_ID = 1,
    CHAT_MESSAGE = 2,
    CHAT_EXPIRATION = 9,
    CHAT_EXPIRATION_SET = 10,
    CHAT_TOKEN = 21,
    CHAT_TOKEN_S = 22,
    CHAT_TOKEN_ISSUED_S = 28,
    CHAT_PN = 39,
    CHAT_LID = 42,
    MESSAGE_INFO = 1,
    SETTINGS_MIGRATED = 20,
};

enum state { TAG, LENGTH, NUMBER, SKIP, TAKE };

struct chat {
    struct buf id, token, pn, lid;
    uint64_t token_s, token_issued_s, expiration_s, expiration_set;
};

struct wa_history {
    struct wa_history_events events;
    z_stream z;
    bool over; /* of the zlib stream */
    uint64_t left_to_inflate;
    unsigned chats, items; /* so far */

    enum state state;
    uint64_t varint;
    unsigned varint_bytes;
    uint32_t field;
    uint64_t need;    /* SKIP, TAKE: bytes until the field ends */
    struct buf taken; /* TAKE */
    bool in_chat;
    uint64_t chat_left;
    struct chat chat;
};

/* ---- fields --------------------------------------------------------------------------------- */

/* What an event said, or that there were too many of them. */
static int told(struct wa_history *h, int rc)
{
    return rc == 0 && ++h->items > WA_HISTORY_ITEMS_MAX ? ERR_LIMIT : rc;
}

static int take_pair(struct wa_history *h, int (*event)(void *ctx, struct bytes a, struct bytes b))
{
    struct wa_field first, second;
    if (wa_field_find(buf_bytes(&h->taken), 1, &first) < 0 ||
        wa_field_find(buf_bytes(&h->taken), 2, &second) < 0)
        return ERR_INVALID;
    if (first.bytes.n == 0 || second.bytes.n == 0)
        return 0;
    return told(h, event(h->events.ctx, first.bytes, second.bytes));
}

static int take_settings(struct wa_history *h)
{
    struct wa_field migrated;
    if (wa_field_find(buf_bytes(&h->taken), SETTINGS_MIGRATED, &migrated) < 0)
        return ERR_INVALID;
    return migrated.value ? told(h, h->events.migrated(h->events.ctx)) : 0;
}

static int take_message(struct wa_history *h)
{
    struct wa_field info;
    if (wa_field_find(buf_bytes(&h->taken), MESSAGE_INFO, &info) < 0)
        return ERR_INVALID;
    return info.bytes.n > 0 ? told(h, h->events.message(h->events.ctx, info.bytes)) : 0;
}

static struct buf *chat_field(struct wa_history *h, uint32_t field)
{
    switch (field) {
    case CHAT_ID:
        return &h->chat.id;
    case CHAT_TOKEN:
        return &h->chat.token;
    case CHAT_PN:
        return &h->chat.pn;
    case CHAT_LID:
        return &h->chat.lid;
    default:
        return NULL;
    }
}

static uint64_t *chat_number(struct wa_history *h, uint32_t field)
{
    switch (field) {
    case CHAT_TOKEN_S:
        return &h->chat.token_s;
    case CHAT_TOKEN_ISSUED_S:
        return &h->chat.token_issued_s;
    case CHAT_EXPIRATION:
        return &h->chat.expiration_s;
    case CHAT_EXPIRATION_SET:
        return &h->chat.expiration_set;
    default:
        return NULL;
    }
}

static bool is_wanted(struct wa_history *h, uint32_t field, uint64_t length)
{
    const struct wa_history_events *e = &h->events;
    if (h->in_chat && field == CHAT_MESSAGE)
        return e->message && length <= WA_HISTORY_MESSAGE_MAX;
    if (length > WA_HISTORY_FIELD_MAX)
        return false;
    if (h->in_chat)
        return e->chat && chat_field(h, field) != NULL;
    switch (field) {
    case SYNC_PUSH_NAME:
        return e->push_name != NULL;
    case SYNC_SETTINGS:
        return e->migrated != NULL;
    case SYNC_MAPPING:
        return e->mapping != NULL;
    case SYNC_NCT_SALT:
        return e->salt != NULL;
    default:
        return false;
    }
}

static int take_field(struct wa_history *h)
{
    if (h->in_chat && h->field == CHAT_MESSAGE)
        return take_message(h);
    if (h->in_chat) {
        struct buf *slot = chat_field(h, h->field);
        buf_clear(slot);
        return buf_append(slot, buf_bytes(&h->taken));
    }
    if (h->field == SYNC_SETTINGS)
        return take_settings(h);
    if (h->field == SYNC_NCT_SALT)
        return told(h, h->events.salt(h->events.ctx, buf_bytes(&h->taken)));
    return take_pair(h, h->field == SYNC_MAPPING ? h->events.mapping : h->events.push_name);
}

static int end_chat(struct wa_history *h)
{
    struct chat *c = &h->chat;
    const struct wa_history_chat said = {.id = buf_bytes(&c->id),
                                         .pn = buf_bytes(&c->pn),
                                         .lid = buf_bytes(&c->lid),
                                         .token = buf_bytes(&c->token),
                                         .token_s = c->token_s,
                                         .token_issued_s = c->token_issued_s,
                                         .expiration_s = c->expiration_s,
                                         .expiration_set = c->expiration_set};
    int rc = 0;
    h->in_chat = false;
    if (++h->chats > WA_HISTORY_CHATS_MAX)
        return ERR_LIMIT;
    if (h->events.chat && c->id.n)
        rc = told(h, h->events.chat(h->events.ctx, &said));
    buf_clear(&c->id);
    buf_clear(&c->token);
    buf_clear(&c->pn);
    buf_clear(&c->lid);
    c->token_s = c->token_issued_s = c->expiration_s = c->expiration_set = 0;
    return rc;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static int on_tag(struct wa_history *h)
{
    h->field = (uint32_t)(h->varint >> 3);
    h->need = 0;
    h->state = SKIP;
    switch (h->varint & 7) {
    case 0:
        h->state = NUMBER;
        return 0;
    case 1:
        h->need = 8;
        return 0;
    case 2:
        h->state = LENGTH;
        return 0;
    case 5:
        h->need = 4;
        return 0;
    default:
        return ERR_INVALID;
    }
}

static int on_length(struct wa_history *h)
{
    h->need = h->varint;
    if (h->in_chat && h->need > h->chat_left)
        return ERR_INVALID;
    if (!h->in_chat && h->field == SYNC_CONVERSATION) {
        h->in_chat = true;
        h->chat_left = h->need;
        h->state = TAG;
        return 0;
    }
    buf_clear(&h->taken);
    h->state = is_wanted(h, h->field, h->need) ? TAKE : SKIP;
    return 0;
}

static int on_varint(struct wa_history *h)
{
    if (h->state == TAG)
        return on_tag(h);
    if (h->state == LENGTH)
        return on_length(h);
    uint64_t *number = h->state == NUMBER && h->in_chat ? chat_number(h, h->field) : NULL;
    if (number)
        *number = h->varint;
    h->state = TAG;
    return 0;
}

static int read_varint(struct wa_history *h, uint8_t byte)
{
    if (h->varint_bytes == VARINT_MAX)
        return ERR_INVALID;
    h->varint |= (uint64_t)(byte & 0x7f) << 7 * h->varint_bytes++;
    if (byte & 0x80)
        return 0;
    int rc = on_varint(h);
    h->varint = 0;
    h->varint_bytes = 0;
    return rc;
}

static bool at_end_of_chat(const struct wa_history *h)
{
    return h->in_chat && h->chat_left == 0;
}

/* A field, or a chat, that has no bytes left. */
static int settle(struct wa_history *h)
{
    int rc = 0;
    if ((h->state == SKIP || h->state == TAKE) && h->need == 0) {
        rc = h->state == TAKE ? take_field(h) : 0;
        h->state = TAG;
    }
    if (rc == 0 && at_end_of_chat(h))
        rc = h->state == TAG && h->varint_bytes == 0 ? end_chat(h) : ERR_INVALID;
    return rc;
}

static int read_piece(struct wa_history *h, struct bytes piece)
{
    int rc = 0;
    while (rc == 0 && piece.n > 0) {
        size_t n = 1;
        if (h->state == SKIP || h->state == TAKE) {
            n = h->need < piece.n ? (size_t)h->need : piece.n;
            if (h->state == TAKE)
                buf_append(&h->taken, BYTES(piece.p, n));
            h->need -= n;
        }
        bool inside = h->in_chat;
        if (h->in_chat && n > h->chat_left)
            return ERR_INVALID;
        if (inside)
            h->chat_left -= n;
        if (h->state != SKIP && h->state != TAKE)
            rc = read_varint(h, piece.p[0]);
        piece = BYTES(piece.p + n, piece.n - n);
        if (rc == 0)
            rc = settle(h);
    }
    return rc;
}

/* Inflates and reads one piece. */
static int inflate_piece(struct wa_history *h, size_t *n)
{
    uint8_t piece[PIECE];
    h->z.next_out = piece;
    h->z.avail_out = sizeof(piece);
    int state = inflate(&h->z, Z_NO_FLUSH);
    *n = sizeof(piece) - h->z.avail_out;
    if (state == Z_MEM_ERROR)
        err_fatal("zlib: out of memory");
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
        return ERR_INVALID;
    h->over = state == Z_STREAM_END;
    if (*n > h->left_to_inflate)
        return ERR_LIMIT;
    h->left_to_inflate -= *n;
    return read_piece(h, BYTES(piece, *n));
}

int wa_history_read(struct wa_history *h, struct bytes *packed, size_t inflated, unsigned items)
{
    unsigned from = h->items;
    size_t done = 0, n = 0;
    int rc = 0;
    h->z.next_in = (Bytef *)(uintptr_t)packed->p;
    h->z.avail_in = (uInt)packed->n;
    bool more = !h->over;
    while (rc == 0 && more && done < inflated && h->items - from < items) {
        rc = inflate_piece(h, &n);
        done += n;
        more = !h->over && (h->z.avail_in > 0 || n == PIECE);
    }
    *packed = BYTES(h->z.next_in, h->over ? 0 : h->z.avail_in);
    return rc < 0 ? rc : more;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct wa_history *wa_history_open(const struct wa_history_events *events, uint64_t inflated_max)
{
    struct wa_history *h = err_calloc(1, sizeof(*h));
    h->events = *events;
    h->left_to_inflate = inflated_max;
    if (inflateInit(&h->z) != Z_OK)
        err_fatal("zlib: inflateInit failed");
    struct buf *fields[] = {&h->taken, &h->chat.id, &h->chat.token, &h->chat.pn, &h->chat.lid};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        buf_init(fields[i], WA_HISTORY_FIELD_MAX);
    h->taken.max = WA_HISTORY_MESSAGE_MAX;
    return h;
}

int wa_history_end(const struct wa_history *h)
{
    return h->over && h->state == TAG && h->varint_bytes == 0 && !h->in_chat ? 0 : ERR_INVALID;
}

void wa_history_close(struct wa_history *h)
{
    if (!h)
        return;
    inflateEnd(&h->z);
    struct buf *fields[] = {&h->taken, &h->chat.id, &h->chat.token, &h->chat.pn, &h->chat.lid};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        buf_deinit(fields[i]);
    free(h);
}
