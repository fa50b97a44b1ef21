/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/replies.h"

#include "config/check.h"
#include "config/yaml.h"

#define BUILT_IN_FALLBACK                                                                          \
    "Hello {customer_name}, thank you for your message. We have received it and will answer as "   \
    "soon as we can."

#define LANGUAGE_MAX 35

struct load {
    struct config_replies *out;
    struct config_report *report;
};

static const char *const variables[CONFIG_VARIABLE_COUNT] = {
    [CONFIG_VARIABLE_BUSINESS_NAME] = "{business_name}",
    [CONFIG_VARIABLE_CUSTOMER_NAME] = "{customer_name}",
    [CONFIG_VARIABLE_MESSAGE] = "{message}",
};

bool config_variable_at(const char *at, enum config_variable *out, size_t *length)
{
    for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++) {
        size_t n = strlen(variables[i]);
        if (strncmp(at, variables[i], n) == 0) {
            *out = (enum config_variable)i;
            *length = n;
            return true;
        }
    }
    return false;
}

/* ---- texts -------------------------------------------------------------------------------------
 */

/* A non-empty text of at most max bytes that can be shown; else says why not and is false. */
static bool text_is_good(struct load *l, const struct config_node *node, const char *what,
                         size_t max)
{
    if (node->type == CONFIG_NODE_REFUSED)
        return false;
    if (node->type != CONFIG_NODE_TEXT)
        config_report_add(
            l->report, node->at, "%s must be text, not %s%s", what, config_node_kind(node),
            node->type == CONFIG_NODE_MAP ? " (a text with { or : in it needs quotes)" : "");
    else if (node->text.n == 0)
        config_report_add(l->report, node->at, "%s must not be empty", what);
    else if (node->text.n > max)
        config_report_add(l->report, node->at, "%s must be at most %zu bytes long, not %zu", what,
                          max, node->text.n);
    else if (!config_check_printable(node->text))
        config_report_add(l->report, node->at, "%s contains control characters", what);
    else
        return true;
    return false;
}

static bool braces_are_good(struct load *l, const struct config_node *node)
{
    char quoted[CONFIG_QUOTE_SIZE];
    const char *text = (const char *)node->text.p;
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{')) {
        enum config_variable variable;
        size_t length, n = strcspn(p, "}\n");
        if (config_variable_at(p, &variable, &length))
            continue;
        config_report_add(
            l->report, node->at,
            "unknown variable %s (known: {business_name}, {customer_name}, {message})",
            config_quote(BYTES(p, n + (p[n] == '}')), quoted));
        return false;
    }
    return true;
}

/* A copy in the arena of the template, or NULL when it is no good reply. */
static const char *take_reply(struct load *l, const struct config_node *node)
{
    if (!text_is_good(l, node, "reply", CONFIG_REPLY_MAX) || !braces_are_good(l, node))
        return NULL;
    struct bytes text = node->text;
    while (text.n > 0 && strchr(" \t\n", text.p[text.n - 1]))
        text.n--;
    if (text.n == 0) {
        config_report_add(l->report, node->at, "reply must not be empty");
        return NULL;
    }
    return (const char *)arena_copy(&l->out->arena, text).p;
}

/* ---- intents -----------------------------------------------------------------------------------
 */

static const char *take_name(struct load *l, const struct config_node *node)
{
    char quoted[CONFIG_QUOTE_SIZE];
    if (!text_is_good(l, node, "name", CONFIG_INTENT_NAME_MAX))
        return NULL;
    const char *name = (const char *)node->text.p;
    config_quote(node->text, quoted);
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")]) {
        config_report_add(l->report, node->at, "name %s may contain only a-z, 0-9, _ and -",
                          quoted);
        return NULL;
    }
    if (strcmp(name, CONFIG_FALLBACK) == 0) {
        config_report_add(l->report, node->at, "name %s is taken by the fallback", quoted);
        return NULL;
    }
    for (const struct config_intent *i = l->out->intents; i; i = i->next) {
        if (strcmp(i->name, name) == 0) {
            config_report_add(l->report, node->at, "a second intent with the name %s", quoted);
            return NULL;
        }
    }
    return (const char *)arena_copy(&l->out->arena, node->text).p;
}

/* Punctuation is no word, so it would never match. */
static bool has_word(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i], lower = c | 0x20;
        if (c >= 0x80 || (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z'))
            return true;
    }
    return false;
}

static const char *take_keyword(struct load *l, const struct config_node *node)
{
    char quoted[CONFIG_QUOTE_SIZE];
    if (!text_is_good(l, node, "a keyword", CONFIG_KEYWORD_MAX))
        return NULL;
    if (has_word(node->text))
        return (const char *)arena_copy(&l->out->arena, node->text).p;
    config_report_add(l->report, node->at, "keyword %s has no letter or digit",
                      config_quote(node->text, quoted));
    return NULL;
}

static void take_keywords(struct load *l, const struct config_node *node,
                          struct config_intent *intent)
{
    if (node->type == CONFIG_NODE_REFUSED)
        return;
    if (node->type != CONFIG_NODE_LIST) {
        config_report_add(l->report, node->at, "keywords must be a list ([hello, hi]), not %s",
                          config_node_kind(node));
        return;
    }
    if (node->count < 1 || node->count > CONFIG_KEYWORDS_MAX) {
        config_report_add(l->report, node->at, "keywords must be 1 to %d, not %zu",
                          CONFIG_KEYWORDS_MAX, node->count);
        return;
    }
    intent->keywords = arena_alloc(&l->out->arena, node->count * sizeof(*intent->keywords));
    for (const struct config_node *k = node->first; k; k = k->next) {
        const char *keyword = take_keyword(l, k);
        if (keyword)
            intent->keywords[intent->keyword_count++] = keyword;
    }
}

static const struct config_node *member(const struct config_node *map, const char *key)
{
    for (const struct config_node *m = map->first; m; m = m->next)
        if (bytes_is(m->key, key))
            return m;
    return NULL;
}

/* Reports keys that are not known, and known ones that must be there and are not. */
static void check_members(struct load *l, const struct config_node *map, const char *const *known,
                          size_t count, size_t required)
{
    for (const struct config_node *m = map->first; m; m = m->next) {
        size_t i = 0;
        while (i < count && !bytes_is(m->key, known[i]))
            i++;
        if (i == count)
            config_report_unknown(l->report, m->key_at, m->key, known, count);
    }
    for (size_t i = 0; i < required; i++)
        if (!member(map, known[i]))
            config_report_add(l->report, map->at, "%s is missing", known[i]);
}

/* NULL when it has no good name. Other parts may be missing: what was reported fails the load in
 * the end. */
static struct config_intent *take_intent(struct load *l, const struct config_node *map)
{
    static const char *const known[] = {"name", "keywords", "reply"};
    if (map->type == CONFIG_NODE_REFUSED)
        return NULL;
    if (map->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, map->at,
                          "an intent must be a map with name, keywords and reply, not %s",
                          config_node_kind(map));
        return NULL;
    }
    struct config_intent *intent = arena_alloc(&l->out->arena, sizeof(*intent));
    const struct config_node *name = member(map, "name"), *keywords = member(map, "keywords"),
                             *reply = member(map, "reply");
    check_members(l, map, known, ARRAY_LEN(known), ARRAY_LEN(known));
    intent->name = name ? take_name(l, name) : NULL;
    if (keywords)
        take_keywords(l, keywords, intent);
    intent->reply = reply ? take_reply(l, reply) : NULL;
    return intent->name ? intent : NULL;
}

static void take_intents(struct load *l, const struct config_node *list)
{
    struct config_intent **end = &l->out->intents;
    if (config_node_is_empty(list) || list->type == CONFIG_NODE_REFUSED)
        return;
    if (list->type != CONFIG_NODE_LIST) {
        config_report_add(l->report, list->at, "intents must be a list (- name: …), not %s",
                          config_node_kind(list));
        return;
    }
    if (list->count > CONFIG_INTENTS_MAX) {
        config_report_add(l->report, list->at, "intents must be at most %d, not %zu",
                          CONFIG_INTENTS_MAX, list->count);
        return;
    }
    for (const struct config_node *item = list->first; item; item = item->next) {
        *end = take_intent(l, item);
        if (*end)
            end = &(*end)->next;
    }
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static void take_fallback(struct load *l, const struct config_node *map)
{
    static const char *const known[] = {"reply"};
    if (map->type == CONFIG_NODE_REFUSED)
        return;
    if (map->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, map->at, "fallback must be a map with a reply, not %s",
                          config_node_kind(map));
        return;
    }
    check_members(l, map, known, ARRAY_LEN(known), ARRAY_LEN(known));
    const struct config_node *reply = member(map, "reply");
    if (reply)
        l->out->fallback = take_reply(l, reply);
}

static void take_language(struct load *l, const struct config_node *node)
{
    if (text_is_good(l, node, "language", LANGUAGE_MAX))
        l->out->language = (const char *)arena_copy(&l->out->arena, node->text).p;
}

static void take_file(struct load *l, const struct config_node *root)
{
    static const char *const known[] = {"language", "intents", "fallback"};
    const struct config_node *language = member(root, "language"),
                             *intents = member(root, "intents"),
                             *fallback = member(root, "fallback");
    check_members(l, root, known, ARRAY_LEN(known), 0);
    if (language)
        take_language(l, language);
    if (intents)
        take_intents(l, intents);
    if (fallback)
        take_fallback(l, fallback);
    if ((!intents || config_node_is_empty(intents) || intents->count == 0) && !fallback)
        config_report_add(l->report, root->at,
                          "there is no reply: intents or a fallback must be given");
}

int config_replies_load(struct config_replies *out, const char *path, struct config_report *report)
{
    AUTO_ARENA struct arena arena = {0};
    struct load l = {.out = out, .report = report};
    int before = report->errors;
    *out = (struct config_replies){.language = ""};
    arena_init(&out->arena);
    if (!*path) {
        out->fallback = BUILT_IN_FALLBACK;
        return 0;
    }
    const struct config_node *root = config_yaml_load(&arena, path, report);
    if (root)
        take_file(&l, root);
    if (report->errors == before)
        return 0;
    config_replies_deinit(out);
    return ERR_CONFIG;
}

void config_replies_deinit(struct config_replies *r)
{
    arena_deinit(&r->arena);
    *r = (struct config_replies){0};
}
