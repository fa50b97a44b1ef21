/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stanzas as trees of nodes, and their binary form with token dictionary version 3
 * (protocol/02). A tree lives in one arena; strings in it are bytes without NUL.
 */
#ifndef WA_NODE_H
#define WA_NODE_H

#include "base/arena.h"
#include "wa/jid.h"

#define WA_NODE_DEPTH_MAX 128
#define WA_STANZA_MAX (16u << 20) /* bytes of one stanza, after inflating */
/* Nodes and attributes of one stanza, together: a stanza of tiny nodes would else take ten times
 * its bytes in memory. The largest real ones (groups, device lists) have some ten thousand. */
#define WA_NODE_ITEMS_MAX 200000

struct wa_attr {
    struct bytes key;
    struct bytes value; /* text; a JID in text form when jid is set */
    bool jid;           /* encoded as JID_PAIR or AD_JID; set by the decoder for JID forms */
    struct wa_attr *next;
};

struct wa_node {
    struct arena *arena;
    struct bytes tag;
    struct wa_attr *attrs;
    enum { WA_CONTENT_NONE, WA_CONTENT_BYTES, WA_CONTENT_NODES } content;
    struct bytes data;     /* WA_CONTENT_BYTES: raw bytes, or text as its bytes */
    struct wa_node *first; /* WA_CONTENT_NODES: children in order; NULL for an empty list */
    struct wa_node *next;  /* sibling */
};

/* ---- building: values and data are copied into the arena, tags and keys, which are literals, are
 * borrowed; setting a key again replaces it ---- */
struct wa_node *wa_node_new(struct arena *arena, const char *tag);
/* Appends a new child; parent's content becomes WA_CONTENT_NODES. */
struct wa_node *wa_node_child(struct wa_node *parent, const char *tag);
void wa_node_append(struct wa_node *parent, struct wa_node *child);
void wa_node_set(struct wa_node *node, const char *key, const char *value);
void wa_node_set_bytes(struct wa_node *node, const char *key,
                       struct bytes value); /* text, not a JID */
void wa_node_set_jid(struct wa_node *node, const char *key, const struct wa_jid *value);
void wa_node_set_u64(struct wa_node *node, const char *key, uint64_t value);
/* Copies an attribute (with its JID flag) from another node, when it is there. */
void wa_node_copy_attr(struct wa_node *node, const struct wa_node *from, const char *key);
void wa_node_set_data(struct wa_node *node, struct bytes data); /* copied */
/* Child with data: <tag>data</tag>. */
struct wa_node *wa_node_child_data(struct wa_node *parent, const char *tag, struct bytes data);
/* Child whose data is v as width (1..4) bytes big-endian. */
struct wa_node *wa_node_child_be(struct wa_node *parent, const char *tag, size_t width, uint32_t v);

/* ---- reading: absent is BYTES_NONE, false or NULL; node may be NULL everywhere ----------------
 */
/* Where the names are literals, these know their lengths when they are compiled. */
struct bytes wa_node_value(const struct wa_node *node, struct bytes key);
struct wa_node *wa_node_first(const struct wa_node *node, struct bytes tag);
struct wa_node *wa_node_later(const struct wa_node *node, struct bytes tag);

static inline bool wa_node_is(const struct wa_node *node, const char *tag)
{
    return node && bytes_is(node->tag, tag);
}
static inline struct bytes wa_node_attr(const struct wa_node *node, const char *key)
{
    return wa_node_value(node, bytes_text(key));
}
static inline bool wa_node_attr_is(const struct wa_node *node, const char *key, const char *value)
{
    return bytes_is(wa_node_attr(node, key), value);
}
/* Parses a JID from either form of attribute. False, and *out zeroed, when absent or not a JID. */
bool wa_node_attr_jid(const struct wa_node *node, const char *key, struct wa_jid *out);
bool wa_node_attr_u64(const struct wa_node *node, const char *key, uint64_t *out);
/* First child with it. */
static inline struct wa_node *wa_node_find(const struct wa_node *node, const char *tag)
{
    return wa_node_first(node, bytes_text(tag));
}
/* Next sibling with it. */
static inline struct wa_node *wa_node_next(const struct wa_node *node, const char *tag)
{
    return wa_node_later(node, bytes_text(tag));
}
struct bytes wa_node_data(const struct wa_node *node);
/* Data of the named child. */
struct bytes wa_node_child_bytes(const struct wa_node *node, const char *tag);
/* Data of the named child as exactly width bytes big-endian; false otherwise. */
bool wa_node_child_be_value(const struct wa_node *node, const char *tag, size_t width,
                            uint32_t *out);

/* ---- binary form -------------------------------------------------------------------------------
 */
/*
 * Decodes one decrypted frame: flag byte, then node bytes or (flag 0x02) a zlib stream of them.
 * *out lives in the arena and borrows nothing from stanza. 0; ERR_INVALID for each case of
 * protocol/02 section 7; ERR_LIMIT when it inflates beyond WA_STANZA_MAX, nests deeper than
 * WA_NODE_DEPTH_MAX or has more than WA_NODE_ITEMS_MAX items; *out is NULL then. A stanza that
 * is only 0x02, or whose tag is token 2, gives the tag "xmlstreamend".
 */
int wa_node_decode(struct arena *arena, struct bytes stanza, struct wa_node **out);
/* Appends flag byte 00 and the node, with the encoder preferences of protocol/02 section 5.2. 0, or
 * ERR_LIMIT when out is full, or ERR_INVALID when a list has more than 65535 items or a JID
 * attribute is empty or ends in '@'; then nothing was appended. JIDs of servers that we do not know
 * go out as they were received, so that their stanzas can be answered. */
int wa_node_encode(const struct wa_node *node, struct buf *out);
/* XML-like one-line text for logs and tests: byte content in hex, cut to max_data bytes each. */
void wa_node_print(const struct wa_node *node, struct buf *out, size_t max_data);

#endif
