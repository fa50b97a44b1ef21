/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a stanza must look like before anybody relies on it. What does not is counted, answered as
 * far as it can be, and never more than that. */
#include "wa/session_internal.h"

#define VALUE_MAX 4096 /* bytes of an attribute; real ones have some hundred */
#define ID_MAX 255
#define ATTRS_MAX 64

/* Stanzas that are answered by <ack> (protocol/01 section 14): they need a name and a sender. */
static bool is_acked(const struct wa_node *node)
{
    return wa_node_is(node, "message") || wa_node_is(node, "receipt") ||
           wa_node_is(node, "notification") || wa_node_is(node, "call");
}

static bool is_number(struct bytes value)
{
    uint64_t n;
    return bytes_to_u64(value, &n);
}

static bool holds_number(struct bytes key)
{
    return bytes_is(key, "t") || bytes_is(key, "offline") || bytes_is(key, "count") ||
           bytes_is(key, "code") || bytes_is(key, "reason");
}

static bool attrs_are_odd(const struct wa_node *node)
{
    size_t count = 0;
    for (const struct wa_attr *a = node->attrs; a; a = a->next) {
        if (++count > ATTRS_MAX || a->key.n == 0 || a->value.n > VALUE_MAX)
            return true;
        for (const struct wa_attr *b = a->next; b && count < ATTRS_MAX; b = b->next)
            if (bytes_equal(a->key, b->key))
                return true;
        if (holds_number(a->key) && !is_number(a->value))
            return true;
    }
    return false;
}

enum wa_shape wa_shape_of(const struct wa_node *node)
{
    struct bytes id = wa_node_attr(node, "id");
    struct wa_jid jid;
    bool readable = wa_node_attr_jid(node, "from", &jid);
    if (!is_acked(node))
        return attrs_are_odd(node) ? WA_SHAPE_ODD : WA_SHAPE_GOOD;
    if (id.n == 0 || id.n > ID_MAX)
        return WA_SHAPE_NAMELESS;
    if (!readable)
        return WA_SHAPE_FOREIGN;
    bool group = jid.server == WA_SERVER_GROUP && wa_node_is(node, "message");
    if (attrs_are_odd(node) || (group && !wa_node_attr_jid(node, "participant", &jid)))
        return WA_SHAPE_ODD;
    return WA_SHAPE_GOOD;
}
