/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/replies.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/replies_internal.h"

#define BUILT_IN_FALLBACK                                                                          \
    "Hello {customer_name}, thank you for your message. We have received it and will answer as "   \
    "soon as we can."

/* A file that is being read, and the one that extends it. */
struct source {
    const char *path;
    char real[PATH_MAX];
    const struct source *extended_by;
};

struct template_load {
    struct replies_load l;
    struct arena *trees;
    const char *directory;
};

const struct config_language *config_language_find(const struct config_replies *r, const char *tag)
{
    const struct config_language *i = r->languages;
    while (i && strcmp(i->tag, tag) != 0)
        i = i->next;
    return i;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static bool load_file(struct template_load *t, const char *path, const struct source *by);

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *template_path(struct template_load *t, const char *name)
{
    return arena_text(&t->l.out->arena, "%s/%s.yaml", t->directory, name);
}

/* A bare name is a template of the directory; a path is taken from where the file lies. */
static const char *extended_path(struct template_load *t, const char *value, const char *file)
{
    const char *slash = strrchr(file, '/');
    if (!strchr(value, '/') && !ends_with(value, ".yaml") && !ends_with(value, ".yml"))
        return template_path(t, value);
    if (*value == '/' || !slash)
        return arena_text(&t->l.out->arena, "%s", value);
    return arena_text(&t->l.out->arena, "%.*s/%s", (int)(slash - file), file, value);
}

/* Reports a file that is extended by itself, on whatever detour. */
static bool comes_back(struct template_load *t, const struct config_node *node, const char *path,
                       const struct source *from)
{
    char real[PATH_MAX];
    int depth = 1;
    if (!realpath(path, real))
        return false;
    for (const struct source *s = from; s; s = s->extended_by, depth++) {
        if (strcmp(s->real, real) == 0) {
            config_report_add(t->l.report, node->at,
                              "extends goes in a circle: %s is on the way already", path);
            return true;
        }
    }
    if (depth <= CONFIG_LAYERS_MAX)
        return false;
    config_report_add(t->l.report, node->at, "more than %d files extend one another",
                      CONFIG_LAYERS_MAX);
    return true;
}

static bool load_extended(struct template_load *t, const struct config_node *root,
                          const struct source *self)
{
    const struct config_node *node = replies_member(root, "extends");
    if (!node)
        return true;
    if (!replies_text_is_good(&t->l, node, "extends", 500))
        return false;
    const char *path = extended_path(t, (const char *)node->text.p, self->path);
    if (comes_back(t, node, path, self))
        return false;
    if (access(path, R_OK) == 0)
        return load_file(t, path, self);
    config_report_add(t->l.report, node->at, "extends: %s cannot be read", path);
    return false;
}

/* False when what it stands on could not be read: to go on would only bring up errors that follow
 * from that. */
static bool load_file(struct template_load *t, const char *path, const struct source *by)
{
    struct source self = {.path = path, .extended_by = by};
    const struct config_node *root = config_yaml_load(t->trees, path, t->l.report);
    if (!realpath(path, self.real))
        bytes_copy_text(bytes_text(path), self.real, sizeof(self.real));
    if (!root || !load_extended(t, root, &self))
        return false;
    t->l.layer++;
    replies_take_layer(&t->l, root);
    return true;
}

/* ---- what the configuration names --------------------------------------------------------------
 */

static struct config_place place_of(const struct config *c, enum config_key key)
{
    struct config_origin o = c->origins[key];
    return (struct config_place){o.from == CONFIG_FROM_FILE ? c->path : "", o.line, o.column};
}

static bool load_type(struct template_load *t, const struct config *c)
{
    const char *path = template_path(t, c->replies_type);
    if (access(path, R_OK) == 0)
        return load_file(t, path, NULL);
    config_report_add(t->l.report, place_of(c, CONFIG_KEY_replies_type),
                      "replies.type \"%s\" has no template: %s cannot be read (known: booking, "
                      "ecommerce, support, real-estate, restaurant, healthcare)",
                      c->replies_type, path);
    return false;
}

static void check_language(struct template_load *t, const struct config *c)
{
    AUTO_BUF struct buf known = {.max = 512};
    if (strcmp(c->replies_language, CONFIG_LANGUAGE_AUTO) == 0 ||
        config_language_find(t->l.out, c->replies_language))
        return;
    for (const struct config_language *i = t->l.out->languages; i; i = i->next)
        buf_printf(&known, "%s%s", known.n ? ", " : "", *i->tag ? i->tag : "one without a name");
    config_report_add(t->l.report, place_of(c, CONFIG_KEY_replies_language),
                      "replies.language \"%s\" is not in the template (there: %s)",
                      c->replies_language, buf_text(&known));
}

static void built_in(struct config_replies *out)
{
    out->languages = arena_alloc(&out->arena, sizeof(*out->languages));
    out->languages->tag = "en";
    out->languages->fallback.text = BUILT_IN_FALLBACK;
}

static bool is_silent(const struct config_replies *r)
{
    for (const struct config_language *i = r->languages; i; i = i->next)
        if (i->intents || i->fallback.text)
            return false;
    return true;
}

static void load_all(struct template_load *t, const struct config *c)
{
    int before = t->l.report->errors;
    const char *file = arena_text(&t->l.out->arena, "%s", c->replies_file);
    if (*c->replies_type && !load_type(t, c))
        return;
    if (*file && !load_file(t, file, NULL))
        return;
    if (t->l.layer > 0 && t->l.report->errors == before && is_silent(t->l.out))
        config_report_add(t->l.report, (struct config_place){file, 1, 1},
                          "there is no reply: intents or a fallback must be given");
    else if (t->l.layer > 0)
        replies_resolve(&t->l);
}

int config_replies_load(struct config_replies *out, const struct config *c,
                        struct config_report *report)
{
    AUTO_ARENA struct arena trees = {0};
    int before = report->errors;
    *out = (struct config_replies){0};
    arena_init(&out->arena);
    struct template_load t = {
        .l = {.out = out, .report = report, .language = ""},
        .trees = &trees,
        .directory = *c->replies_directory ? c->replies_directory : REPLIES_DIR,
    };
    load_all(&t, c);
    if (report->errors == before && !out->languages)
        built_in(out);
    if (report->errors == before)
        check_language(&t, c);
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
