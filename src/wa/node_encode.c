/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tree to binary form, with the preferences of real clients (protocol/02 sections 4 to 6). */
#include "base/err.h"
#include "wa/node.h"
#include "wa/node_form.h"
#include "wa/tokens.h"

#define LIST_MAX 0xffff

/* ---- strings -------------------------------------------------------------------------------- */

static void put_raw(struct buf *out, struct bytes data)
{
    if (data.n <= UINT8_MAX) {
        buf_append(out, BYTES(((uint8_t[]){WA_FORM_BINARY_8, (uint8_t)data.n}), 2));
    } else if (data.n <= WA_BINARY_20_MAX) {
        buf_append_u8(out, WA_FORM_BINARY_20);
        buf_append_be(out, 3, (uint32_t)data.n);
    } else {
        buf_append_u8(out, WA_FORM_BINARY_32);
        buf_append_be(out, 4, (uint32_t)data.n);
    }
    buf_append(out, data);
}

/* A character that packs: its nibble and in which alphabets it is one; 0 for every other. '-' and
 * '.' have the nibbles of 'A' and 'B', and no text with both kinds packs. */
enum { IN_NIBBLES = 0x10, IN_HEX = 0x20, IN_BOTH = IN_NIBBLES | IN_HEX };
/* clang-format off */
static const uint8_t packs[256] = {
    ['-'] = IN_NIBBLES | 10, ['.'] = IN_NIBBLES | 11,
    ['0'] = IN_BOTH | 0, IN_BOTH | 1, IN_BOTH | 2, IN_BOTH | 3, IN_BOTH | 4,
    ['5'] = IN_BOTH | 5, IN_BOTH | 6, IN_BOTH | 7, IN_BOTH | 8, IN_BOTH | 9,
    ['A'] = IN_HEX | 10, IN_HEX | 11, IN_HEX | 12, IN_HEX | 13, IN_HEX | 14, IN_HEX | 15,
};
/* clang-format on */

/* The alphabets that have every character of text. */
static unsigned alphabets_of(struct bytes text)
{
    unsigned in = text.n > 0 && text.n <= WA_PACKED_CHARS_MAX ? IN_NIBBLES | IN_HEX : 0;
    for (size_t i = 0; i < text.n && in; i++)
        in &= packs[text.p[i]];
    return in;
}

static void put_packed(struct buf *out, uint8_t form, struct bytes text)
{
    size_t pairs = text.n / 2, odd = text.n % 2;
    uint8_t *at = buf_reserve(out, 2 + pairs + odd);
    if (!at)
        return;
    out->n += 2 + pairs + odd;
    *at++ = form;
    *at++ = (uint8_t)((pairs + odd) | (odd ? WA_PACKED_ODD : 0));
    for (const uint8_t *p = text.p; pairs > 0; pairs--, p += 2)
        *at++ = (uint8_t)(packs[p[0]] << 4 | (packs[p[1]] & 15));
    if (odd)
        *at = (uint8_t)(packs[text.p[text.n - 1]] << 4 | 15);
}

static void put_string(struct buf *out, struct bytes text)
{
    uint8_t token[2];
    size_t n = wa_token_find(text, token);
    unsigned in = n ? 0 : alphabets_of(text);
    if (n)
        buf_append(out, BYTES(token, n));
    else if (in & IN_NIBBLES)
        put_packed(out, WA_FORM_NIBBLE_8, text);
    else if (in & IN_HEX)
        put_packed(out, WA_FORM_HEX_8, text);
    else
        put_raw(out, text);
}

/* ---- JIDs ----------------------------------------------------------------------------------- */

static void put_jid_pair(struct buf *out, struct bytes user, struct bytes server)
{
    buf_append_u8(out, WA_FORM_JID_PAIR);
    if (user.n)
        put_string(out, user);
    else
        buf_append_u8(out, WA_FORM_LIST_EMPTY);
    put_string(out, server);
}

static void put_ad_jid(struct buf *out, uint8_t domain, const struct wa_jid *jid)
{
    buf_append_u8(out, WA_FORM_AD_JID);
    buf_append_u8(out, domain);
    buf_append_u8(out, (uint8_t)jid->device);
    put_string(out, bytes_text(jid->user));
}

/* FB_JID, or INTEROP_JID whose user text is "<integrator>-<user>". False when it is not. */
static bool put_foreign_jid(struct buf *out, const struct wa_jid *jid)
{
    uint64_t integrator = 0;
    const char *user = jid->user;
    bool interop = jid->server == WA_SERVER_INTEROP;
    if (interop) {
        const char *dash = strchr(user, '-');
        if (!dash || dash[1] == '\0' ||
            !bytes_to_u64(BYTES(user, (size_t)(dash - user)), &integrator) ||
            integrator > UINT16_MAX)
            return false;
        user = dash + 1;
    }
    buf_append_u8(out, interop ? WA_FORM_INTEROP_JID : WA_FORM_FB_JID);
    put_string(out, bytes_text(user));
    buf_append_be(out, 2, jid->device);
    if (interop)
        buf_append_be(out, 2, (uint32_t)integrator);
    put_string(out, bytes_text(wa_server_text(jid->server)));
    return true;
}

/* As JID_PAIR, split at the last '@'; a text without one is a server alone. */
static int put_jid_text(struct buf *out, struct bytes text)
{
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != '@')
        at--;
    if (at == text.n)
        return ERR_INVALID;
    put_jid_pair(out, BYTES(text.p, at ? at - 1 : 0), BYTES(text.p + at, text.n - at));
    return 0;
}

static int put_jid(struct buf *out, struct bytes text)
{
    uint8_t domain;
    struct wa_jid jid;
    if (wa_jid_parse(&jid, text) == 0 && jid.user[0]) {
        if (jid.device > 0 && jid.device <= UINT8_MAX && wa_domain_of_server(jid.server, &domain)) {
            put_ad_jid(out, domain, &jid);
            return 0;
        }
        if ((jid.server == WA_SERVER_MSGR || jid.server == WA_SERVER_INTEROP) &&
            put_foreign_jid(out, &jid))
            return 0;
    }
    /* What a server that we do not know yet addresses, goes back as it came. */
    return put_jid_text(out, text);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static int put_list(struct buf *out, size_t size)
{
    if (size > LIST_MAX)
        return ERR_INVALID;
    if (size == 0) {
        buf_append_u8(out, WA_FORM_LIST_EMPTY);
    } else if (size <= UINT8_MAX) {
        buf_append(out, BYTES(((uint8_t[]){WA_FORM_LIST_8, (uint8_t)size}), 2));
    } else {
        buf_append_u8(out, WA_FORM_LIST_16);
        buf_append_be(out, 2, (uint32_t)size);
    }
    return 0;
}

static size_t node_size(const struct wa_node *node)
{
    size_t size = node->content == WA_CONTENT_NONE ? 1 : 2;
    for (const struct wa_attr *attr = node->attrs; attr; attr = attr->next)
        size += 2;
    return size;
}

static int put_node(struct buf *out, const struct wa_node *node);

static int put_children(struct buf *out, const struct wa_node *node)
{
    size_t count = 0;
    for (const struct wa_node *child = node->first; child; child = child->next)
        count++;
    int rc = put_list(out, count);
    for (const struct wa_node *child = node->first; rc == 0 && child; child = child->next)
        rc = put_node(out, child);
    return rc;
}

static int put_node(struct buf *out, const struct wa_node *node)
{
    int rc = put_list(out, node_size(node));
    if (rc)
        return rc;
    put_string(out, node->tag);
    for (const struct wa_attr *attr = node->attrs; attr; attr = attr->next) {
        put_string(out, attr->key);
        if (!attr->jid)
            put_string(out, attr->value);
        else if ((rc = put_jid(out, attr->value)) != 0)
            return rc;
    }
    if (node->content == WA_CONTENT_NODES)
        return put_children(out, node);
    if (node->content == WA_CONTENT_BYTES)
        put_raw(out, node->data);
    return 0;
}

int wa_node_encode(const struct wa_node *node, struct buf *out)
{
    size_t before = out->n;
    buf_append_u8(out, 0);
    int rc = put_node(out, node);
    if (rc == 0 && out->full)
        rc = ERR_LIMIT;
    if (rc)
        out->n = before;
    return rc;
}
