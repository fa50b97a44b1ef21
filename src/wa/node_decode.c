/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Binary form to tree (protocol/02 sections 2 to 7). */
#include <stdio.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/node.h"
#include "wa/node_form.h"
#include "wa/tokens.h"

struct decoder {
    struct arena
        *arena; /* also holds the bytes that in reads, so that strings may point into them */
    struct reader in;
    size_t items_left; /* of WA_NODE_ITEMS_MAX */
};

/* Takes one node or attribute from the budget. */
static int spend_item(struct decoder *d)
{
    if (d->items_left == 0)
        return ERR_LIMIT;
    d->items_left--;
    return 0;
}

/* ---- strings -------------------------------------------------------------------------------- */

static int read_raw(struct decoder *d, size_t width, struct bytes *out)
{
    uint32_t n;
    int rc = reader_be(&d->in, width, &n);
    if (rc)
        return rc;
    if (width == 3)
        n &= WA_BINARY_20_MAX;
    return reader_take(&d->in, n, out);
}

static int read_packed(struct decoder *d, const char *alphabet, struct bytes *out)
{
    uint8_t head;
    struct bytes packed;
    if (reader_u8(&d->in, &head) || reader_take(&d->in, head & WA_PACKED_LEN, &packed))
        return ERR_INVALID;
    size_t odd = head & WA_PACKED_ODD ? 1 : 0;
    if (packed.n < odd)
        return ERR_INVALID;
    size_t n = 2 * packed.n - odd;
    char *text = arena_alloc(d->arena, 2 * packed.n + 1), *at = text;
    for (size_t i = 0; i < packed.n; i++) {
        *at++ = alphabet[packed.p[i] >> 4];
        *at++ = alphabet[packed.p[i] & 15];
    }
    text[n] = '\0';
    *out = BYTES(text, n);
    return memchr(text, WA_NO_NIBBLE, n) ? ERR_INVALID : 0;
}

static int read_token(struct decoder *d, uint8_t form, struct bytes *out)
{
    uint8_t index;
    if (form < WA_FORM_DICTIONARY_0) {
        *out = wa_token_single(form);
        return out->p ? 0 : ERR_INVALID;
    }
    if (form >= WA_FORM_DICTIONARY_0 + WA_TOKENS_DICTIONARIES || reader_u8(&d->in, &index))
        return ERR_INVALID;
    *out = wa_token_double((unsigned)form - WA_FORM_DICTIONARY_0, index);
    return 0;
}

/* A string whose form byte was read: token, packed or raw. */
static int read_string_as(struct decoder *d, uint8_t form, struct bytes *out)
{
    switch (form) {
    case WA_FORM_BINARY_8:
        return read_raw(d, 1, out);
    case WA_FORM_BINARY_20:
        return read_raw(d, 3, out);
    case WA_FORM_BINARY_32:
        return read_raw(d, 4, out);
    case WA_FORM_NIBBLE_8:
        return read_packed(d, wa_nibble_alphabet, out);
    case WA_FORM_HEX_8:
        return read_packed(d, wa_hex_alphabet, out);
    default:
        return read_token(d, form, out);
    }
}

static int read_string(struct decoder *d, struct bytes *out)
{
    uint8_t form;
    int rc = reader_u8(&d->in, &form);
    return rc ? rc : read_string_as(d, form, out);
}

/* A tag or key: not empty, valid UTF-8. */
static int read_name(struct decoder *d, struct bytes *out)
{
    int rc = read_string(d, out);
    return rc == 0 && (out->n == 0 || !text_utf8_valid(*out)) ? ERR_INVALID : rc;
}

/* ---- JIDs ----------------------------------------------------------------------------------- */

/* prefix user [":" device] "@" server */
static struct bytes jid_text(struct decoder *d, const char *prefix, struct bytes user,
                             uint32_t device, struct bytes server)
{
    char room[BYTES_DECIMAL_MAX];
    struct bytes colon = BYTES(":", device ? 1 : 0);
    struct bytes number = device ? bytes_decimal(device, room) : BYTES_NONE;
    struct bytes parts[] = {bytes_text(prefix), user, colon, number, BYTES("@", 1), server};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        n += parts[i].n;
    uint8_t *text = arena_alloc(d->arena, n + 1);
    uint8_t *at = text;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].n)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return BYTES(text, n);
}

/* The last '@' of a JID text stands before its server. */
static bool is_server(struct bytes server)
{
    return server.n > 0 && !memchr(server.p, '@', server.n);
}

static int read_jid_pair(struct decoder *d, struct bytes *out)
{
    uint8_t form;
    struct bytes user = BYTES_NONE, server;
    int rc = reader_u8(&d->in, &form);
    if (rc == 0 && form != WA_FORM_LIST_EMPTY)
        rc = read_string_as(d, form, &user);
    if (rc == 0)
        rc = read_string(d, &server);
    if (rc)
        return rc;
    if (!is_server(server))
        return ERR_INVALID;
    *out = user.n ? jid_text(d, "", user, 0, server) : server;
    return 0;
}

static int read_ad_jid(struct decoder *d, struct bytes *out)
{
    uint8_t domain, device;
    struct bytes user;
    if (reader_u8(&d->in, &domain) || reader_u8(&d->in, &device) || read_string(d, &user))
        return ERR_INVALID;
    enum wa_server server = wa_server_of_domain(domain);
    if (server == WA_SERVER_NONE || user.n == 0)
        return ERR_INVALID;
    *out = jid_text(d, "", user, device, bytes_text(wa_server_text(server)));
    return 0;
}

/* FB_JID, and INTEROP_JID with its integrator. */
static int read_foreign_jid(struct decoder *d, bool interop, struct bytes *out)
{
    char prefix[8] = "";
    uint32_t device, integrator;
    struct bytes user, server;
    if (read_string(d, &user) || reader_be(&d->in, 2, &device))
        return ERR_INVALID;
    if (interop) {
        if (reader_be(&d->in, 2, &integrator))
            return ERR_INVALID;
        snprintf(prefix, sizeof(prefix), "%u-", (unsigned)(integrator & 0xffff));
    }
    if (read_string(d, &server) || user.n == 0 ||
        !bytes_is(server, wa_server_text(interop ? WA_SERVER_INTEROP : WA_SERVER_MSGR)))
        return ERR_INVALID;
    *out = jid_text(d, prefix, user, device, server);
    return 0;
}

/* A string or a JID whose form byte was read. */
static int read_value_as(struct decoder *d, uint8_t form, struct bytes *out, bool *jid)
{
    *jid = true;
    switch (form) {
    case WA_FORM_JID_PAIR:
        return read_jid_pair(d, out);
    case WA_FORM_AD_JID:
        return read_ad_jid(d, out);
    case WA_FORM_FB_JID:
        return read_foreign_jid(d, false, out);
    case WA_FORM_INTEROP_JID:
        return read_foreign_jid(d, true, out);
    default:
        *jid = false;
        return read_string_as(d, form, out);
    }
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* The size behind a list form byte; each item takes at least one byte. */
static int read_list_size(struct decoder *d, uint8_t form, uint32_t *size)
{
    int rc = 0;
    *size = 0;
    if (form == WA_FORM_LIST_8)
        rc = reader_be(&d->in, 1, size);
    else if (form == WA_FORM_LIST_16)
        rc = reader_be(&d->in, 2, size);
    else if (form != WA_FORM_LIST_EMPTY)
        rc = ERR_INVALID;
    return rc == 0 && *size > reader_left(&d->in) ? ERR_INVALID : rc;
}

static int read_attr(struct decoder *d, struct wa_attr **out)
{
    uint8_t form;
    int rc = spend_item(d);
    if (rc)
        return rc;
    struct wa_attr *attr = *out = arena_alloc(d->arena, sizeof(*attr));
    rc = read_name(d, &attr->key);
    if (rc == 0)
        rc = reader_u8(&d->in, &form);
    if (rc)
        return rc;
    if (form == WA_FORM_LIST_EMPTY) {
        attr->value = BYTES("", 0);
        return 0;
    }
    return read_value_as(d, form, &attr->value, &attr->jid);
}

static int read_node(struct decoder *d, unsigned depth, struct wa_node **out);

static int read_content(struct decoder *d, unsigned depth, struct wa_node *node)
{
    uint8_t form;
    uint32_t count;
    bool jid;
    int rc = reader_u8(&d->in, &form);
    if (rc)
        return rc;
    if (form != WA_FORM_LIST_EMPTY && form != WA_FORM_LIST_8 && form != WA_FORM_LIST_16) {
        node->content = WA_CONTENT_BYTES;
        return read_value_as(d, form, &node->data, &jid);
    }
    node->content = WA_CONTENT_NODES;
    rc = read_list_size(d, form, &count);
    struct wa_node **at = &node->first;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        rc = read_node(d, depth + 1, at);
        if (rc == 0)
            at = &(*at)->next;
    }
    return rc;
}

static int read_node(struct decoder *d, unsigned depth, struct wa_node **out)
{
    uint8_t form;
    uint32_t size;
    int rc = depth > WA_NODE_DEPTH_MAX ? ERR_LIMIT : spend_item(d);
    if (rc)
        return rc;
    if (reader_u8(&d->in, &form) || read_list_size(d, form, &size) || size == 0)
        return ERR_INVALID;
    struct wa_node *node = *out = arena_alloc(d->arena, sizeof(*node));
    node->arena = d->arena;
    rc = read_name(d, &node->tag);
    struct wa_attr **at = &node->attrs;
    for (uint32_t i = 0; rc == 0 && i < (size - 1) / 2; i++) {
        rc = read_attr(d, at);
        if (rc == 0)
            at = &(*at)->next;
    }
    return rc == 0 && size % 2 == 0 ? read_content(d, depth, node) : rc;
}

/* ---- the envelope --------------------------------------------------------------------------- */

static int inflate_all(z_stream *z, struct buf *out)
{
    uint8_t chunk[16384];
    int state;
    do {
        z->next_out = chunk;
        z->avail_out = sizeof(chunk);
        state = inflate(z, Z_NO_FLUSH);
        if (state == Z_MEM_ERROR)
            err_fatal("zlib: out of memory");
        if (state != Z_OK && state != Z_STREAM_END)
            return ERR_INVALID;
        if (buf_append(out, BYTES(chunk, sizeof(chunk) - z->avail_out)))
            return ERR_LIMIT;
    } while (state == Z_OK);
    return z->avail_in == 0 ? 0 : ERR_INVALID;
}

static int inflate_stanza(struct bytes packed, struct buf *out)
{
    z_stream z = {.next_in = packed.p, .avail_in = (uInt)packed.n};
    if (packed.n > WA_STANZA_MAX)
        return ERR_LIMIT;
    if (inflateInit(&z) != Z_OK)
        err_fatal("zlib: inflateInit failed");
    int rc = inflate_all(&z, out);
    inflateEnd(&z);
    return rc;
}

static int decode_nodes(struct arena *arena, struct bytes nodes, struct wa_node **out)
{
    struct decoder d = {.arena = arena, .items_left = WA_NODE_ITEMS_MAX};
    struct wa_node *root = NULL;
    if (nodes.n > WA_STANZA_MAX)
        return ERR_LIMIT;
    d.in = reader_init(arena_copy(arena, nodes));
    int rc = read_node(&d, 1, &root);
    if (rc == 0 && reader_left(&d.in) > 0)
        rc = ERR_INVALID;
    if (rc == 0)
        *out = root;
    return rc;
}

int wa_node_decode(struct arena *arena, struct bytes stanza, struct wa_node **out)
{
    AUTO_BUF struct buf inflated;
    buf_init(&inflated, WA_STANZA_MAX);
    *out = NULL;
    if (stanza.n == 0)
        return ERR_INVALID;
    struct bytes rest = BYTES(stanza.p + 1, stanza.n - 1);
    if ((stanza.p[0] & WA_STANZA_DEFLATED) == 0)
        return decode_nodes(arena, rest, out);
    if (rest.n == 0) {
        *out = wa_node_new(arena, "xmlstreamend");
        return 0;
    }
    int rc = inflate_stanza(rest, &inflated);
    return rc ? rc : decode_nodes(arena, buf_bytes(&inflated), out);
}
