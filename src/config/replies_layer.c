/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "config/check.h"
#include "config/replies_internal.h"

#define TITLE_MAX 100
#define VARIABLE_NAME_MAX 64

/* The keys of one language, which may stand at the top of a file, too. */
static const char *const language_keys[] = {"words", "intents", "fallback", "closed"};

/* ---- texts -------------------------------------------------------------------------------------
 */

bool replies_text_is_good(struct replies_load *l, const struct config_node *node, const char *what,
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

static const char *keep(struct replies_load *l, struct bytes text)
{
    return (const char *)arena_copy(&l->out->arena, text).p;
}

/* A copy without blanks and newlines at its end, or NULL when it is no good text. */
static const char *take_text(struct replies_load *l, const struct config_node *node,
                             const char *what, size_t max)
{
    if (!replies_text_is_good(l, node, what, max))
        return NULL;
    struct bytes text = node->text;
    while (text.n > 0 && strchr(" \t\n", text.p[text.n - 1]))
        text.n--;
    if (text.n > 0)
        return keep(l, text);
    config_report_add(l->report, node->at, "%s must not be empty", what);
    return NULL;
}

/* A text of these characters only. */
static const char *take_name(struct replies_load *l, const struct config_node *node,
                             const char *what, size_t max, const char *allowed, const char *said)
{
    char quoted[CONFIG_QUOTE_SIZE];
    if (!replies_text_is_good(l, node, what, max))
        return NULL;
    const char *name = (const char *)node->text.p;
    if (!name[strspn(name, allowed)])
        return keep(l, node->text);
    config_report_add(l->report, node->at, "%s %s may contain only %s", what,
                      config_quote(node->text, quoted), said);
    return NULL;
}

static void take_bool(struct replies_load *l, const struct config_node *map, const char *key,
                      bool *out)
{
    const struct config_node *node = replies_member(map, key);
    if (!node || node->type == CONFIG_NODE_REFUSED)
        return;
    bool text = node->type == CONFIG_NODE_TEXT && node->plain;
    if (text && (bytes_is(node->text, "true") || bytes_is(node->text, "false")))
        *out = bytes_is(node->text, "true");
    else
        config_report_add(l->report, node->at, "%s must be true or false, without quotes", key);
}

/* ---- maps and lists ----------------------------------------------------------------------------
 */

const struct config_node *replies_member(const struct config_node *map, const char *key)
{
    for (const struct config_node *m = map->first; m; m = m->next)
        if (bytes_is(m->key, key))
            return m;
    return NULL;
}

/* Reports keys that are not known, and known ones that must be there and are not. */
static void check_members(struct replies_load *l, const struct config_node *map,
                          const char *const *known, size_t count, size_t required)
{
    for (const struct config_node *m = map->first; m; m = m->next) {
        size_t i = 0;
        while (i < count && !bytes_is(m->key, known[i]))
            i++;
        if (i == count)
            config_report_unknown(l->report, m->key_at, m->key, known, count);
    }
    for (size_t i = 0; i < required; i++)
        if (!replies_member(map, known[i]))
            config_report_add(l->report, map->at, "%s is missing", known[i]);
}

/* A list of min to max things; what: "keywords", example: "[hello, hi]". */
static bool list_is_good(struct replies_load *l, const struct config_node *node, const char *what,
                         const char *example, size_t min, size_t max)
{
    if (node->type == CONFIG_NODE_REFUSED)
        return false;
    if (node->type != CONFIG_NODE_LIST)
        config_report_add(l->report, node->at, "%s must be a list (%s), not %s", what, example,
                          config_node_kind(node));
    else if (node->count > max || node->count < min)
        config_report_add(l->report, node->at, "%s must be %zu to %zu, not %zu", what, min, max,
                          node->count);
    else
        return true;
    return false;
}

/* ---- words and keywords ------------------------------------------------------------------------
 */

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

static const char *take_keyword(struct replies_load *l, const struct config_node *node,
                                const char *what)
{
    char quoted[CONFIG_QUOTE_SIZE], name[32];
    snprintf(name, sizeof(name), "a %s", what);
    if (!replies_text_is_good(l, node, name, CONFIG_KEYWORD_MAX))
        return NULL;
    if (has_word(node->text))
        return keep(l, node->text);
    config_report_add(l->report, node->at, "%s %s has no letter or digit", what,
                      config_quote(node->text, quoted));
    return NULL;
}

/* what: "keyword" or "word", of which the list is the plural. */
static void take_keywords(struct replies_load *l, const struct config_node *node, const char *what,
                          size_t max, const char ***out, size_t *count)
{
    char plural[32];
    snprintf(plural, sizeof(plural), "%ss", what);
    if (!list_is_good(l, node, plural, "[hello, hi]", 1, max))
        return;
    *out = arena_alloc(&l->out->arena, node->count * sizeof(**out));
    *count = 0;
    for (const struct config_node *k = node->first; k; k = k->next) {
        const char *keyword = take_keyword(l, k, what);
        if (keyword)
            (*out)[(*count)++] = keyword;
    }
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static void take_menu(struct replies_load *l, const struct config_node *node,
                      struct config_answer *out)
{
    if (!list_is_good(l, node, "menu", "[hours, prices]", 0, CONFIG_MENU_MAX))
        return;
    out->menu = arena_alloc(&l->out->arena, (node->count + 1) * sizeof(*out->menu));
    out->menu_count = 0;
    for (const struct config_node *n = node->first; n; n = n->next) {
        if (!replies_text_is_good(l, n, "the name of an intent", CONFIG_INTENT_NAME_MAX))
            continue;
        out->menu[out->menu_count++] =
            (struct config_choice){.name = keep(l, n->text), .at = n->at};
    }
}

/* The reply and menu of an intent, the fallback or the out-of-hours answer. */
static void take_answer(struct replies_load *l, const struct config_node *map,
                        struct config_answer *out)
{
    const struct config_node *reply = replies_member(map, "reply"),
                             *menu = replies_member(map, "menu");
    if (reply) {
        out->text = take_text(l, reply, "reply", CONFIG_REPLY_MAX);
        out->at = reply->at;
    }
    if (menu)
        take_menu(l, menu, out);
}

/* An answer without an intent. */
static void take_plain_answer(struct replies_load *l, const struct config_node *section,
                              const char *key, struct config_answer *out)
{
    static const char *const known[] = {"reply", "menu"};
    const struct config_node *map = replies_member(section, key);
    if (!map || map->type == CONFIG_NODE_REFUSED)
        return;
    if (map->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, map->at, "%s must be a map with a reply, not %s", key,
                          config_node_kind(map));
        return;
    }
    check_members(l, map, known, ARRAY_LEN(known), out->text ? 0 : 1);
    take_answer(l, map, out);
}

/* ---- intents -----------------------------------------------------------------------------------
 */

static const char *take_intent_name(struct replies_load *l, const struct config_node *node)
{
    const char *name = take_name(l, node, "name", CONFIG_INTENT_NAME_MAX,
                                 "abcdefghijklmnopqrstuvwxyz0123456789_-", "a-z, 0-9, _ and -");
    if (name && (strcmp(name, CONFIG_FALLBACK) == 0 || strcmp(name, CONFIG_CLOSED) == 0)) {
        config_report_add(l->report, node->at, "name \"%s\" is taken by the %s", name, name);
        return NULL;
    }
    return name;
}

static struct config_intent *known_intent(const struct config_language *language, const char *name)
{
    struct config_intent *i = language->intents;
    while (i && strcmp(i->name, name) != 0)
        i = i->next;
    return i;
}

static struct config_intent *add_intent(struct replies_load *l, struct config_language *language,
                                        const char *name)
{
    struct config_intent **end = &language->intents;
    while (*end)
        end = &(*end)->next;
    *end = arena_alloc(&l->out->arena, sizeof(**end));
    (*end)->name = name;
    (*end)->layer = l->layer;
    return *end;
}

static void take_intent_members(struct replies_load *l, const struct config_node *map,
                                struct config_intent *intent)
{
    const struct config_node *keywords = replies_member(map, "keywords"),
                             *title = replies_member(map, "title");
    if (keywords)
        take_keywords(l, keywords, "keyword", CONFIG_KEYWORDS_MAX, &intent->keywords,
                      &intent->keyword_count);
    take_answer(l, map, &intent->reply);
    if (title) {
        intent->title = take_text(l, title, "title", TITLE_MAX);
        intent->title_at = title->at;
    }
    take_bool(l, map, "handover", &intent->handover);
    take_bool(l, map, "urgent", &intent->urgent);
    take_bool(l, map, "always", &intent->always);
}

/* One that an earlier layer brought needs its name only, and what is to be different. */
static void take_intent(struct replies_load *l, const struct config_node *map,
                        struct config_language *language)
{
    static const char *const known[] = {"name", "keywords", "reply",  "title",
                                        "menu", "handover", "urgent", "always"};
    struct config_intent unnamed = {0};
    if (map->type == CONFIG_NODE_REFUSED)
        return;
    if (map->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, map->at,
                          "an intent must be a map with name, keywords and reply, not %s",
                          config_node_kind(map));
        return;
    }
    const struct config_node *node = replies_member(map, "name");
    const char *name = node ? take_intent_name(l, node) : NULL;
    struct config_intent *intent = name ? known_intent(language, name) : NULL;
    check_members(l, map, known, ARRAY_LEN(known), intent ? 1 : 3);
    if (intent && intent->touched == l->layer)
        config_report_add(l->report, node->at, "a second intent with the name \"%s\"", name);
    if (!intent)
        intent = name ? add_intent(l, language, name) : &unnamed;
    intent->touched = l->layer;
    take_intent_members(l, map, intent);
}

static void take_intents(struct replies_load *l, const struct config_node *list,
                         struct config_language *language)
{
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
    for (const struct config_node *item = list->first; item; item = item->next)
        take_intent(l, item, language);
}

/* ---- variables ---------------------------------------------------------------------------------
 */

static void take_variable(struct replies_load *l, const struct config_node *node, const char *tag)
{
    char quoted[CONFIG_QUOTE_SIZE];
    const char *name = (const char *)node->key.p;
    const char *text = take_text(l, node, "the text of a variable", CONFIG_REPLY_MAX);
    config_quote(node->key, quoted);
    if (node->key.n == 0 || node->key.n > VARIABLE_NAME_MAX ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")]) {
        config_report_add(l->report, node->key_at,
                          "the name of a variable must be 1 to %d of a-z, 0-9 and _, not %s",
                          VARIABLE_NAME_MAX, quoted);
        return;
    }
    if (replies_is_built_in(name)) {
        config_report_add(l->report, node->key_at, "variable %s is built in", quoted);
        return;
    }
    if (!text)
        return;
    struct replies_variable *v = arena_alloc(&l->out->arena, sizeof(*v));
    *v = (struct replies_variable){.name = keep(l, node->key),
                                   .text = text,
                                   .tag = tag,
                                   .at = node->at,
                                   .layer = l->layer,
                                   .next = l->variables};
    l->variables = v;
}

/* tag NULL: for all languages. */
static void take_variables(struct replies_load *l, const struct config_node *map, const char *tag)
{
    const struct config_node *node = replies_member(map, "variables");
    if (!node || node->type == CONFIG_NODE_REFUSED || config_node_is_empty(node))
        return;
    if (node->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, node->at, "variables must be a map (name: text), not %s",
                          config_node_kind(node));
        return;
    }
    for (const struct config_node *m = node->first; m; m = m->next)
        take_variable(l, m, tag);
}

/* ---- languages ---------------------------------------------------------------------------------
 */

static struct config_language *language_of(struct replies_load *l, const char *tag)
{
    struct config_language **end = &l->out->languages;
    while (*end && strcmp((*end)->tag, tag) != 0)
        end = &(*end)->next;
    if (!*end) {
        *end = arena_alloc(&l->out->arena, sizeof(**end));
        (*end)->tag = tag;
    }
    return *end;
}

static bool has_language_keys(const struct config_node *map)
{
    for (size_t i = 0; i < ARRAY_LEN(language_keys); i++)
        if (replies_member(map, language_keys[i]))
            return true;
    return false;
}

static void take_language(struct replies_load *l, const struct config_node *map, const char *tag)
{
    struct config_language *language = language_of(l, tag);
    const struct config_node *words = replies_member(map, "words"),
                             *intents = replies_member(map, "intents");
    if (words)
        take_keywords(l, words, "word", CONFIG_WORDS_MAX, &language->words, &language->word_count);
    if (intents)
        take_intents(l, intents, language);
    take_plain_answer(l, map, CONFIG_FALLBACK, &language->fallback);
    take_plain_answer(l, map, CONFIG_CLOSED, &language->closed);
}

static const char *take_tag(struct replies_load *l, const struct config_node *node)
{
    return take_name(l, node, "language", CONFIG_LANGUAGE_MAX,
                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-",
                     "letters, digits and -");
}

static void take_section(struct replies_load *l, const struct config_node *section, bool repeated)
{
    static const char *const known[] = {"words", "intents", "fallback", "closed", "variables"};
    const struct config_node name = {
        .type = CONFIG_NODE_TEXT, .at = section->key_at, .text = section->key};
    const char *tag = take_tag(l, &name);
    if (!tag || section->type == CONFIG_NODE_REFUSED)
        return;
    if (section->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, section->at,
                          "a language must be a map with intents and fallback, not %s",
                          config_node_kind(section));
        return;
    }
    if (repeated && strcmp(tag, l->language) == 0)
        config_report_add(l->report, section->key_at,
                          "language \"%s\" stands at the top of the file already", tag);
    check_members(l, section, known, ARRAY_LEN(known), 0);
    take_variables(l, section, tag);
    take_language(l, section, tag);
}

static void take_languages(struct replies_load *l, const struct config_node *map, bool repeated)
{
    if (map->type == CONFIG_NODE_REFUSED || config_node_is_empty(map))
        return;
    if (map->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, map->at, "languages must be a map (en: …), not %s",
                          config_node_kind(map));
        return;
    }
    for (const struct config_node *section = map->first; section; section = section->next)
        take_section(l, section, repeated);
}

void replies_take_layer(struct replies_load *l, const struct config_node *root)
{
    static const char *const known[] = {"extends", "language", "languages", "variables",
                                        "words",   "intents",  "fallback",  "closed"};
    const struct config_node *tag = replies_member(root, "language"),
                             *languages = replies_member(root, "languages");
    bool at_top = has_language_keys(root);
    check_members(l, root, known, ARRAY_LEN(known), 0);
    const char *language = tag ? take_tag(l, tag) : NULL;
    if (language)
        l->language = language;
    take_variables(l, root, NULL);
    if (at_top)
        take_language(l, root, l->language);
    if (languages)
        take_languages(l, languages, at_top);
}
