/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree: building, reading, printing. Its binary form is in node_decode.c and node_encode.c. */
#include "wa/node.h"

#include "base/text.h"

/* ---- building ------------------------------------------------------------------------------- */

struct wa_node *wa_node_new(struct arena *arena, const char *tag)
{
    struct wa_node *node = arena_alloc(arena, sizeof(*node));
    node->arena = arena;
    node->tag = bytes_text(tag);
    return node;
}

struct wa_node *wa_node_child(struct wa_node *parent, const char *tag)
{
    struct wa_node *child = wa_node_new(parent->arena, tag);
    wa_node_append(parent, child);
    return child;
}

void wa_node_append(struct wa_node *parent, struct wa_node *child)
{
    struct wa_node **at = &parent->first;
    while (*at)
        at = &(*at)->next;
    *at = child;
    parent->content = WA_CONTENT_NODES;
}

static struct wa_attr *find_attr(const struct wa_node *node, struct bytes key)
{
    for (struct wa_attr *attr = node ? node->attrs : NULL; attr; attr = attr->next) {
        if (bytes_equal(attr->key, key))
            return attr;
    }
    return NULL;
}

/* The attribute of that key, new or to be overwritten. */
static struct wa_attr *put_attr(struct wa_node *node, struct bytes key)
{
    struct wa_attr **at = &node->attrs;
    while (*at && !bytes_equal((*at)->key, key))
        at = &(*at)->next;
    if (!*at) {
        *at = arena_alloc(node->arena, sizeof(**at));
        (*at)->key = key;
    }
    return *at;
}

static void set_attr(struct wa_node *node, const char *key, struct bytes value, bool jid)
{
    struct wa_attr *attr = put_attr(node, bytes_text(key));
    attr->value = arena_copy(node->arena, value);
    attr->jid = jid;
}

void wa_node_set(struct wa_node *node, const char *key, const char *value)
{
    set_attr(node, key, bytes_text(value), false);
}

void wa_node_set_bytes(struct wa_node *node, const char *key, struct bytes value)
{
    set_attr(node, key, value, false);
}

void wa_node_set_jid(struct wa_node *node, const char *key, const struct wa_jid *value)
{
    char text[WA_JID_TEXT_SIZE];
    set_attr(node, key, bytes_text(wa_jid_text(value, text)), true);
}

void wa_node_set_u64(struct wa_node *node, const char *key, uint64_t value)
{
    char room[BYTES_DECIMAL_MAX];
    set_attr(node, key, bytes_decimal(value, room), false);
}

void wa_node_copy_attr(struct wa_node *node, const struct wa_node *from, const char *key)
{
    const struct wa_attr *attr = find_attr(from, bytes_text(key));
    if (!attr)
        return;
    struct wa_attr *copy = put_attr(node, bytes_text(key));
    bool lives_as_long = from->arena == node->arena;
    copy->value = lives_as_long ? attr->value : arena_copy(node->arena, attr->value);
    copy->jid = attr->jid;
}

void wa_node_set_data(struct wa_node *node, struct bytes data)
{
    node->content = WA_CONTENT_BYTES;
    node->data = arena_copy(node->arena, data);
    node->first = NULL;
}

struct wa_node *wa_node_child_data(struct wa_node *parent, const char *tag, struct bytes data)
{
    struct wa_node *child = wa_node_child(parent, tag);
    wa_node_set_data(child, data);
    return child;
}

struct wa_node *wa_node_child_be(struct wa_node *parent, const char *tag, size_t width, uint32_t v)
{
    uint8_t data[4];
    for (size_t i = 0; i < width; i++)
        data[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    return wa_node_child_data(parent, tag, BYTES(data, width));
}

/* ---- reading -------------------------------------------------------------------------------- */

struct bytes wa_node_value(const struct wa_node *node, struct bytes key)
{
    const struct wa_attr *attr = find_attr(node, key);
    return attr ? attr->value : BYTES_NONE;
}

bool wa_node_attr_jid(const struct wa_node *node, const char *key, struct wa_jid *out)
{
    return wa_jid_parse(out, wa_node_attr(node, key)) == 0;
}

bool wa_node_attr_u64(const struct wa_node *node, const char *key, uint64_t *out)
{
    return bytes_to_u64(wa_node_attr(node, key), out);
}

static struct wa_node *first_with(struct wa_node *node, struct bytes tag)
{
    while (node && !bytes_equal(node->tag, tag))
        node = node->next;
    return node;
}

struct wa_node *wa_node_first(const struct wa_node *node, struct bytes tag)
{
    return node ? first_with(node->first, tag) : NULL;
}

struct wa_node *wa_node_later(const struct wa_node *node, struct bytes tag)
{
    return node ? first_with(node->next, tag) : NULL;
}

struct bytes wa_node_data(const struct wa_node *node)
{
    return node && node->content == WA_CONTENT_BYTES ? node->data : BYTES_NONE;
}

struct bytes wa_node_child_bytes(const struct wa_node *node, const char *tag)
{
    return wa_node_data(wa_node_find(node, tag));
}

bool wa_node_child_be_value(const struct wa_node *node, const char *tag, size_t width,
                            uint32_t *out)
{
    struct reader r = reader_init(wa_node_child_bytes(node, tag));
    return width >= 1 && width <= 4 && reader_left(&r) == width && reader_be(&r, width, out) == 0;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_text(struct bytes text, struct buf *out)
{
    bool utf8 = text_utf8_valid(text);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c < ' ' || c == 0x7f || c == '"' || c == '\\' || (c >= 0x80 && !utf8))
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_u8(out, c);
    }
}

static void print_data(struct bytes data, struct buf *out, size_t max_data)
{
    if (data.n <= max_data) {
        text_hex_append(out, data);
        return;
    }
    text_hex_append(out, BYTES(data.p, max_data));
    buf_printf(out, "...(%zu bytes)", data.n);
}

void wa_node_print(const struct wa_node *node, struct buf *out, size_t max_data)
{
    buf_append_text(out, "<");
    print_text(node->tag, out);
    for (const struct wa_attr *attr = node->attrs; attr; attr = attr->next) {
        buf_append_text(out, " ");
        print_text(attr->key, out);
        buf_append_text(out, "=\"");
        print_text(attr->value, out);
        buf_append_text(out, "\"");
    }
    if (node->content == WA_CONTENT_NONE) {
        buf_append_text(out, "/>");
        return;
    }
    buf_append_text(out, ">");
    if (node->content == WA_CONTENT_BYTES)
        print_data(node->data, out, max_data);
    for (const struct wa_node *child = node->first; child; child = child->next)
        wa_node_print(child, out, max_data);
    buf_append_text(out, "</");
    print_text(node->tag, out);
    buf_append_text(out, ">");
}
