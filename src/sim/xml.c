/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/xml.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/text.h"

#define DEPTH_MAX 32
#define PART_MAX 65536 /* of a name, a value, a text */

struct parser {
    struct arena *arena;
    struct bytes text;
    size_t at;
    struct buf part; /* the name, value or text read last */
};

static int peek(const struct parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : -1;
}

static bool take(struct parser *p, const char *token)
{
    size_t n = strlen(token);
    if (p->text.n - p->at < n || memcmp(p->text.p + p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static void skip_blanks(struct parser *p)
{
    while (peek(p) >= 0 && isspace(peek(p)))
        p->at++;
}

static bool is_name(int c)
{
    return c >= 0 && (isalnum(c) || strchr(":_-.", c));
}

/* NUL-terminated, in p->part; NULL when there is none. */
static const char *read_name(struct parser *p)
{
    buf_clear(&p->part);
    while (is_name(peek(p)))
        buf_append_u8(&p->part, p->text.p[p->at++]);
    return p->part.n > 0 ? buf_text(&p->part) : NULL;
}

static bool read_entity(struct parser *p)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};
    uint8_t byte;
    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if (take(p, entities[i].name))
            return buf_append_u8(&p->part, (uint8_t)entities[i].c) == 0;
    if (!take(p, "&#x") || p->text.n - p->at < 3 ||
        text_hex_decode(BYTES(p->text.p + p->at, 2), &byte, 1) < 0)
        return false;
    p->at += 2;
    return take(p, ";") && buf_append_u8(&p->part, byte) == 0;
}

/* Up to, and without, the character `end`. */
static bool read_text(struct parser *p, char end)
{
    buf_clear(&p->part);
    while (peek(p) >= 0 && peek(p) != end) {
        if (peek(p) == '&') {
            if (!read_entity(p))
                return false;
        } else if (buf_append_u8(&p->part, p->text.p[p->at++]) < 0) {
            return false;
        }
    }
    return peek(p) == end;
}

static char *keep(struct parser *p, const char *name)
{
    size_t n = strlen(name) + 1;
    char *copy = arena_alloc(p->arena, n);
    memcpy(copy, name, n);
    return copy;
}

static bool read_attributes(struct parser *p, struct wa_node *node)
{
    struct wa_jid jid;
    for (skip_blanks(p); is_name(peek(p)); skip_blanks(p)) {
        const char *key = keep(p, read_name(p));
        if (!take(p, "=\"") || !read_text(p, '"') || !take(p, "\""))
            return false;
        struct bytes value = buf_bytes(&p->part);
        bool looks = memchr(value.p ? value.p : (const uint8_t *)"", '@', value.n) != NULL ||
                     bytes_is(value, "s.whatsapp.net");
        if (looks && wa_jid_parse(&jid, value) == 0)
            wa_node_set_jid(node, key, &jid);
        else
            wa_node_set_bytes(node, key, value);
    }
    return true;
}

static struct wa_node *read_node(struct parser *p, struct wa_node *parent, int depth);

static bool read_content(struct parser *p, struct wa_node *node, const char *tag, int depth)
{
    skip_blanks(p);
    if (peek(p) != '<') {
        if (!read_text(p, '<'))
            return false;
        wa_node_set_data(node, buf_bytes(&p->part));
    }
    while (!take(p, "</")) {
        if (!read_node(p, node, depth + 1))
            return false;
        skip_blanks(p);
    }
    return take(p, tag) && take(p, ">");
}

static struct wa_node *read_node(struct parser *p, struct wa_node *parent, int depth)
{
    if (depth > DEPTH_MAX || !take(p, "<"))
        return NULL;
    const char *name = read_name(p);
    if (!name)
        return NULL;
    const char *tag = keep(p, name);
    struct wa_node *node = parent ? wa_node_child(parent, tag) : wa_node_new(p->arena, tag);
    if (!read_attributes(p, node))
        return NULL;
    if (take(p, "/>"))
        return node;
    return take(p, ">") && read_content(p, node, tag, depth) ? node : NULL;
}

int sim_xml_parse(struct wa_node **out, struct arena *arena, struct bytes text, struct err *err)
{
    struct parser p = {.arena = arena, .text = text};
    buf_init(&p.part, PART_MAX);
    skip_blanks(&p);
    struct wa_node *node = read_node(&p, NULL, 0);
    skip_blanks(&p);
    buf_deinit(&p.part);
    if (!node || p.at != text.n)
        return err_set(err, ERR_INVALID, "the stanza cannot be read from byte %zu on", p.at);
    *out = node;
    return 0;
}
