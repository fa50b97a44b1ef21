/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <yaml.h>

struct loader {
    yaml_parser_t parser;
    struct arena *arena;
    const char *path;
    struct bytes text;
    struct config_report *report;
    int depth, nodes;
};

#define AUTO_EVENT __attribute__((cleanup(yaml_event_delete)))

static int build(struct loader *l, const yaml_event_t *event, struct config_node *out);

bool config_node_is_empty(const struct config_node *node)
{
    return node->type == CONFIG_NODE_TEXT && node->plain && node->text.n == 0;
}

const char *config_node_kind(const struct config_node *node)
{
    return node->type == CONFIG_NODE_TEXT   ? "text"
           : node->type == CONFIG_NODE_LIST ? "a list"
                                            : "a map";
}

static struct config_place place(const struct loader *l, yaml_mark_t mark)
{
    return (struct config_place){l->path, (int)mark.line + 1, (int)mark.column + 1};
}

/* libyaml gives bytes that are not text an offset only. */
static struct config_place place_of_offset(const struct loader *l, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < l->text.n; i++) {
        if (l->text.p[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((l->text.p[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return place(l, mark);
}

static int refuse_syntax(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    if (p->error == YAML_MEMORY_ERROR)
        err_fatal("out of memory");
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR)
        config_report_add(l->report, place_of_offset(l, p->problem_offset), "%s", problem);
    else if (p->context)
        config_report_add(l->report, place(l, p->problem_mark), "%s (%s)", problem, p->context);
    else
        config_report_add(l->report, place(l, p->problem_mark), "%s", problem);
    return ERR_CONFIG;
}

static int next_event(struct loader *l, yaml_event_t *event)
{
    return yaml_parser_parse(&l->parser, event) ? 0 : refuse_syntax(l);
}

static void refuse_decoration(struct loader *l, struct config_place at, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor)
        config_report_add(l->report, at, "anchors (&name) are not supported");
    if (tag)
        config_report_add(l->report, at, "tags (!name) are not supported");
}

static void build_text(struct loader *l, const yaml_event_t *event, struct config_node *out)
{
    struct bytes text = BYTES(event->data.scalar.value, event->data.scalar.length);
    refuse_decoration(l, out->at, event->data.scalar.anchor, event->data.scalar.tag);
    out->type = CONFIG_NODE_TEXT;
    out->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (text.n && memchr(text.p, 0, text.n)) {
        config_report_add(l->report, out->at, "a text may not contain the NUL character");
        out->type = CONFIG_NODE_REFUSED;
        return;
    }
    out->text = arena_copy(l->arena, text);
}

static struct config_node *append(struct loader *l, struct config_node *parent,
                                  struct config_node **last)
{
    struct config_node *child = arena_alloc(l->arena, sizeof(*child));
    if (*last)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->count++;
    return child;
}

static int build_list(struct loader *l, struct config_node *out)
{
    struct config_node *last = NULL;
    out->type = CONFIG_NODE_LIST;
    for (;;) {
        AUTO_EVENT yaml_event_t event = {0};
        if (next_event(l, &event) < 0)
            return ERR_CONFIG;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        if (build(l, &event, append(l, out, &last)) < 0)
            return ERR_CONFIG;
    }
}

static const struct config_node *find(const struct config_node *map, struct bytes key)
{
    for (const struct config_node *m = map->first; m; m = m->next)
        if (bytes_equal(m->key, key))
            return m;
    return NULL;
}

/* Says what is wrong with a key, if anything; the member is then left out of the map. */
static bool key_is_good(struct loader *l, const struct config_node *map,
                        const struct config_node *key)
{
    const struct config_node *first;
    char quoted[CONFIG_QUOTE_SIZE];
    if (key->type == CONFIG_NODE_LIST || key->type == CONFIG_NODE_MAP) {
        config_report_add(l->report, key->at, "a key must be text, not %s", config_node_kind(key));
        return false;
    }
    if (key->type == CONFIG_NODE_REFUSED)
        return false;
    if (key->plain && bytes_is(key->text, "<<")) {
        config_report_add(l->report, key->at, "merge keys (<<) are not supported");
        return false;
    }
    first = find(map, key->text);
    if (first)
        config_report_add(l->report, key->at, "repeated key %s (first on line %d)",
                          config_quote(key->text, quoted), first->key_at.line);
    return !first;
}

static int build_member(struct loader *l, const yaml_event_t *key_event, struct config_node *map,
                        struct config_node **last)
{
    AUTO_EVENT yaml_event_t event = {0};
    struct config_node key = {0}, value = {0};
    if (build(l, key_event, &key) < 0 || next_event(l, &event) < 0)
        return ERR_CONFIG;
    bool good = key_is_good(l, map, &key);
    if (good && map->count == CONFIG_YAML_KEYS_MAX) {
        config_report_add(l->report, key.at, "more than %d keys in one map", CONFIG_YAML_KEYS_MAX);
        return ERR_CONFIG;
    }
    if (build(l, &event, &value) < 0)
        return ERR_CONFIG;
    if (!good)
        return 0;
    value.key = key.text;
    value.key_at = key.at;
    *append(l, map, last) = value;
    return 0;
}

static int build_map(struct loader *l, struct config_node *out)
{
    struct config_node *last = NULL;
    out->type = CONFIG_NODE_MAP;
    for (;;) {
        AUTO_EVENT yaml_event_t event = {0};
        if (next_event(l, &event) < 0)
            return ERR_CONFIG;
        if (event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (build_member(l, &event, out, &last) < 0)
            return ERR_CONFIG;
    }
}

static int build_container(struct loader *l, const yaml_event_t *event, struct config_node *out)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    if (list)
        refuse_decoration(l, out->at, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
    else
        refuse_decoration(l, out->at, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
    if (l->depth == CONFIG_YAML_DEPTH_MAX) {
        config_report_add(l->report, out->at, "more than %d levels deep", CONFIG_YAML_DEPTH_MAX);
        return ERR_CONFIG;
    }
    l->depth++;
    int rc = list ? build_list(l, out) : build_map(l, out);
    l->depth--;
    return rc;
}

/* The node that begins with this event, and all below it. */
static int build(struct loader *l, const yaml_event_t *event, struct config_node *out)
{
    out->at = place(l, event->start_mark);
    if (++l->nodes > CONFIG_YAML_NODES_MAX) {
        config_report_add(l->report, out->at, "more than %d values", CONFIG_YAML_NODES_MAX);
        return ERR_CONFIG;
    }
    if (event->type == YAML_SCALAR_EVENT) {
        build_text(l, event, out);
        return 0;
    }
    if (event->type == YAML_ALIAS_EVENT) {
        config_report_add(l->report, out->at, "aliases (*name) are not supported");
        out->type = CONFIG_NODE_REFUSED;
        return 0;
    }
    return build_container(l, event, out);
}

/* After the root: the end of its document, then the end of the text. */
static int expect_end(struct loader *l)
{
    AUTO_EVENT yaml_event_t document = {0}, stream = {0};
    if (next_event(l, &document) < 0 || next_event(l, &stream) < 0)
        return ERR_CONFIG;
    if (stream.type != YAML_STREAM_END_EVENT)
        config_report_add(l->report, place(l, stream.start_mark),
                          "only one document (---) may be in a file");
    return 0;
}

static int build_document(struct loader *l, struct config_node *root)
{
    AUTO_EVENT yaml_event_t stream = {0}, document = {0}, event = {0};
    root->at = (struct config_place){l->path, 1, 1};
    if (next_event(l, &stream) < 0 || next_event(l, &document) < 0)
        return ERR_CONFIG;
    if (document.type == YAML_STREAM_END_EVENT) {
        root->type = CONFIG_NODE_MAP;
        return 0;
    }
    if (next_event(l, &event) < 0 || build(l, &event, root) < 0 || expect_end(l) < 0)
        return ERR_CONFIG;
    if (config_node_is_empty(root))
        root->type = CONFIG_NODE_MAP;
    if (root->type == CONFIG_NODE_MAP)
        return 0;
    if (root->type != CONFIG_NODE_REFUSED)
        config_report_add(l->report, root->at, "the file must be a map (\"key: value\"), not %s",
                          config_node_kind(root));
    return ERR_CONFIG;
}

struct config_node *config_yaml_parse(struct arena *a, const char *path, struct bytes text,
                                      struct config_report *report)
{
    /* libyaml counts a byte order mark as a column, which breaks the indentation of the first line.
     */
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = BYTES(text.p + 3, text.n - 3);
    struct loader l = {.arena = a, .path = path, .text = text, .report = report};
    if (text.n > CONFIG_YAML_BYTES_MAX) {
        config_report_add(report, (struct config_place){path, 0, 0}, "larger than %u bytes",
                          CONFIG_YAML_BYTES_MAX);
        return NULL;
    }
    if (!yaml_parser_initialize(&l.parser))
        err_fatal("out of memory");
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, text.p ? text.p : (const uint8_t *)"", text.n);
    struct config_node *root = arena_alloc(a, sizeof(*root));
    int rc = build_document(&l, root);
    yaml_parser_delete(&l.parser);
    return rc < 0 ? NULL : root;
}

/* Reads one byte more than is allowed, so that a file that is too large shows. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *at = buf_reserve(out, 1);
        if (!at)
            return 0;
        size_t room = out->cap - out->n;
        if (room > out->max - out->n)
            room = out->max - out->n;
        ssize_t got = read(fd, at, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        out->n += (size_t)got;
    }
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    /* Not blocking: a FIFO in place of the file is an error, not a halt. */
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, ERR_CONFIG, "cannot be read");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CONFIG, "cannot be read: not a regular file");
    if (read_all(fd, out) < 0)
        return err_sys(err, ERR_CONFIG, "cannot be read");
    return 0;
}

struct config_node *config_yaml_load(struct arena *a, const char *path,
                                     struct config_report *report)
{
    AUTO_BUF struct buf text;
    struct err err;
    buf_init(&text, CONFIG_YAML_BYTES_MAX + 1);
    if (read_file(path, &text, &err) < 0) {
        config_report_add(report, (struct config_place){path, 0, 0}, "%s", err.text);
        return NULL;
    }
    return config_yaml_parse(a, path, buf_bytes(&text), report);
}
