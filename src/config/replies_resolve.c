/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/replies_internal.h"

static const char *const built_in[CONFIG_VARIABLE_COUNT] = {
    [CONFIG_VARIABLE_BUSINESS_NAME] = "{business_name}",
    [CONFIG_VARIABLE_CUSTOMER_NAME] = "{customer_name}",
    [CONFIG_VARIABLE_MESSAGE] = "{message}",
};

bool config_variable_at(const char *at, enum config_variable *out, size_t *length)
{
    for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++) {
        size_t n = strlen(built_in[i]);
        if (strncmp(at, built_in[i], n) == 0) {
            *out = (enum config_variable)i;
            *length = n;
            return true;
        }
    }
    return false;
}

bool replies_is_built_in(const char *name)
{
    for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++) {
        size_t n = strlen(built_in[i]) - 2;
        if (strlen(name) == n && strncmp(name, built_in[i] + 1, n) == 0)
            return true;
    }
    return false;
}

/* ---- variables ---------------------------------------------------------------------------------
 */

/* One text that is being filled in; the variables inside one another are a chain. */
struct filling {
    struct replies_load *l;
    const char *tag;
    struct config_place at; /* of the text all of it is for */
    struct buf *out;
};

struct open_variable {
    const struct replies_variable *variable;
    const struct open_variable *outer;
};

static bool fill(const struct filling *f, const char *text, const struct open_variable *outer);

static bool is_for(const struct replies_variable *v, const char *tag)
{
    return !v->tag || strcmp(v->tag, tag) == 0;
}

/* Of the last layer that has it for this language; there its own text before that for all. */
static struct replies_variable *find_variable(const struct filling *f, struct bytes name)
{
    struct replies_variable *best = NULL;
    for (struct replies_variable *v = f->l->variables; v; v = v->next) {
        if (!is_for(v, f->tag) || !bytes_is(name, v->name))
            continue;
        v->used = true;
        if (!best || v->layer > best->layer || (v->layer == best->layer && v->tag && !best->tag))
            best = v;
    }
    return best;
}

static bool is_first(const struct filling *f, const struct replies_variable *v)
{
    const struct replies_variable *i = f->l->variables;
    while (i != v && !(is_for(i, f->tag) && strcmp(i->name, v->name) == 0))
        i = i->next;
    return i == v;
}

static bool refuse_unknown(const struct filling *f, const char *at, size_t n)
{
    char quoted[CONFIG_QUOTE_SIZE];
    AUTO_BUF struct buf known = {.max = 600};
    for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", built_in[i]);
    for (const struct replies_variable *v = f->l->variables; v; v = v->next)
        if (is_for(v, f->tag) && is_first(f, v))
            buf_printf(&known, ", {%s}", v->name);
    config_report_add(f->l->report, f->at, "unknown variable %s (known: %s)",
                      config_quote(BYTES(at, n), quoted), buf_text(&known));
    return false;
}

static bool fill_variable(const struct filling *f, struct replies_variable *v,
                          const struct open_variable *outer)
{
    const struct open_variable self = {v, outer};
    for (const struct open_variable *i = outer; i; i = i->outer) {
        if (i->variable == v) {
            config_report_add(f->l->report, v->at,
                              "variable {%s} goes in a circle: its text leads back to it", v->name);
            return false;
        }
    }
    return fill(f, v->text, &self);
}

/* Writes the text with the variables of the template filled in; the built-in ones stay. */
static bool fill(const struct filling *f, const char *text, const struct open_variable *outer)
{
    for (const char *p = text; *p;) {
        enum config_variable ignored;
        size_t n = strcspn(p, "{");
        if (n == 0 && !config_variable_at(p, &ignored, &n)) {
            size_t inside = strcspn(p, "}\n");
            n = inside + (p[inside] == '}');
            struct replies_variable *v =
                p[inside] == '}' ? find_variable(f, BYTES(p + 1, inside - 1)) : NULL;
            if (!v)
                return refuse_unknown(f, p, n);
            if (!fill_variable(f, v, outer))
                return false;
        } else if (buf_append(f->out, BYTES(p, n)) < 0) {
            config_report_add(f->l->report, f->at,
                              "reply must be at most %d bytes long with its variables and menu",
                              CONFIG_REPLY_MAX);
            return false;
        }
        p += n;
    }
    return true;
}

static const char *filled(struct replies_load *l, const struct config_language *language,
                          const char *text, struct config_place at)
{
    AUTO_BUF struct buf out = {.max = CONFIG_REPLY_MAX};
    const struct filling f = {.l = l, .tag = language->tag, .at = at, .out = &out};
    if (!fill(&f, text, NULL))
        return text;
    return (const char *)arena_copy(&l->out->arena, buf_bytes(&out)).p;
}

/* A variable nobody asks for is a misspelt one. One that an earlier file has may have been in a
 * reply that a later file replaced. */
static void check_unused(struct replies_load *l)
{
    for (const struct replies_variable *v = l->variables; v; v = v->next)
        if (!v->used && v->layer == l->layer)
            config_report_add(l->report, v->at, "variable {%s} is used in no reply", v->name);
}

/* ---- menus -------------------------------------------------------------------------------------
 */

static const struct config_intent *choice_intent(struct replies_load *l,
                                                 const struct config_language *language,
                                                 const struct config_choice *choice)
{
    const char *names[CONFIG_INTENTS_MAX];
    size_t n = 0;
    for (const struct config_intent *i = language->intents; i; i = i->next) {
        if (strcmp(i->name, choice->name) == 0)
            return i;
        if (n < ARRAY_LEN(names))
            names[n++] = i->name;
    }
    char quoted[CONFIG_QUOTE_SIZE];
    const char *near = config_nearest(bytes_text(choice->name), names, n);
    config_quote(bytes_text(choice->name), quoted);
    if (near)
        config_report_add(l->report, choice->at, "there is no intent %s (did you mean \"%s\"?)",
                          quoted, near);
    else
        config_report_add(l->report, choice->at, "there is no intent %s", quoted);
    return NULL;
}

/* The reply and, after an empty line, a line for each choice. */
static void resolve_answer(struct replies_load *l, const struct config_language *language,
                           struct config_answer *answer)
{
    AUTO_BUF struct buf text = {.max = 4 * CONFIG_REPLY_MAX};
    if (!answer->text)
        return;
    buf_printf(&text, "%s%s", answer->text, answer->menu_count ? "\n" : "");
    for (size_t i = 0; i < answer->menu_count; i++) {
        struct config_choice *choice = &answer->menu[i];
        choice->intent = choice_intent(l, language, choice);
        if (choice->intent && !choice->intent->title)
            config_report_add(l->report, choice->at, "intent \"%s\" needs a title to be in a menu",
                              choice->name);
        else if (choice->intent)
            buf_printf(&text, "\n%zu %s", i + 1, choice->intent->title);
    }
    answer->text = filled(l, language, buf_text(&text), answer->at);
}

/* ---- order -------------------------------------------------------------------------------------
 */

static void move_all(struct config_intent **from, struct config_intent ***end, bool urgent,
                     int layer)
{
    while (*from) {
        struct config_intent *i = *from;
        if (i->urgent != urgent || (!urgent && i->layer != layer)) {
            from = &i->next;
            continue;
        }
        *from = i->next;
        i->next = NULL;
        **end = i;
        *end = &i->next;
    }
}

/* What is urgent, then the tenant's own, then what it stands on; each as in its file. */
static void sort_intents(const struct replies_load *l, struct config_language *language)
{
    struct config_intent *rest = language->intents, **end = &language->intents;
    language->intents = NULL;
    move_all(&rest, &end, true, 0);
    for (int layer = l->layer; layer > 0; layer--)
        move_all(&rest, &end, false, layer);
}

static void default_first(const struct replies_load *l)
{
    struct config_language **at = &l->out->languages, *language;
    while (*at && strcmp((*at)->tag, l->language) != 0)
        at = &(*at)->next;
    language = *at;
    if (!language)
        return;
    *at = language->next;
    language->next = l->out->languages;
    l->out->languages = language;
}

void replies_resolve(struct replies_load *l)
{
    for (struct config_language *i = l->out->languages; i; i = i->next) {
        sort_intents(l, i);
        for (struct config_intent *intent = i->intents; intent; intent = intent->next)
            resolve_answer(l, i, &intent->reply);
        resolve_answer(l, i, &i->fallback);
        resolve_answer(l, i, &i->closed);
    }
    check_unused(l);
    default_first(l);
}
