/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/reply.h"

#include <utf8proc.h>

#include "base/err.h"
#include "base/text.h"

/* ---- matching ----------------------------------------------------------------------------------
 */

/* Code points of a text after folding, with one 0 between words, before the first and after the
 * last. */
struct folded {
    utf8proc_int32_t *p, few[48]; /* p is few where that is enough, as it is for keywords */
    size_t n;
};

static void folded_deinit(struct folded *f)
{
    if (f->p != f->few)
        free(f->p);
}

#define AUTO_FOLDED __attribute__((cleanup(folded_deinit)))

enum kind { KIND_WORD, KIND_SYMBOL, KIND_BETWEEN };

static enum kind kind_of(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return KIND_WORD;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SO:
        return KIND_SYMBOL;
    default:
        return KIND_BETWEEN;
    }
}

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] >= 0x80)
            return false;
    return true;
}

static utf8proc_int32_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Code points decomposed, case-folded and without marks; none when the text is not UTF-8. */
static size_t decompose(struct bytes text, utf8proc_int32_t **out)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                      UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK | UTF8PROC_IGNORE;
    utf8proc_ssize_t size = (utf8proc_ssize_t)text.n;
    *out = NULL;
    utf8proc_ssize_t n = utf8proc_decompose(text.p, size, NULL, 0, options);
    if (n <= 0)
        return 0;
    *out = err_calloc((size_t)n, sizeof(**out));
    utf8proc_decompose(text.p, size, *out, n, options);
    return (size_t)n;
}

/* Of ASCII, small letters are all that decompose makes. */
static void fold(struct folded *f, struct bytes whole)
{
    AUTO_FREE utf8proc_int32_t *points = NULL;
    struct bytes text = text_utf8_cut(whole, BRIDGE_REPLY_TEXT_MAX);
    bool ascii = is_ascii(text);
    size_t count = ascii ? text.n : decompose(text, &points), room = 2 * count + 2;
    enum kind last = KIND_BETWEEN;
    f->n = 0;
    f->p = room <= ARRAY_LEN(f->few) ? f->few : err_calloc(room, sizeof(*f->p));
    f->p[f->n++] = 0;
    for (size_t i = 0; i < count; i++) {
        utf8proc_int32_t point = ascii ? lower(text.p[i]) : points[i];
        enum kind kind = kind_of(point);
        bool joins = kind == KIND_WORD && last == KIND_WORD;
        if (!joins && f->p[f->n - 1] != 0)
            f->p[f->n++] = 0;
        if (kind != KIND_BETWEEN)
            f->p[f->n++] = point;
        last = kind;
    }
    if (f->p[f->n - 1] != 0)
        f->p[f->n++] = 0;
}

/* The separators at both ends of the needle are what makes it match whole words only. */
static bool contains(const struct folded *text, const struct folded *needle)
{
    if (needle->n < 2)
        return false;
    for (size_t at = 0; at + needle->n <= text->n; at++)
        if (memcmp(text->p + at, needle->p, needle->n * sizeof(*needle->p)) == 0)
            return true;
    return false;
}

static bool contains_text(const struct folded *text, const char *words)
{
    AUTO_FOLDED struct folded folded;
    fold(&folded, bytes_text(words));
    return contains(text, &folded);
}

static size_t count_matches(const char *const *words, size_t count, const struct folded *text)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += contains_text(text, words[i]);
    return found;
}

static bool intent_matches(const struct config_intent *intent, const struct folded *text)
{
    for (size_t i = 0; i < intent->keyword_count; i++)
        if (contains_text(text, intent->keywords[i]))
            return true;
    return false;
}

/* ---- the language ------------------------------------------------------------------------------
 */

static size_t score(const struct config_language *language, const struct folded *text)
{
    size_t found = count_matches(language->words, language->word_count, text);
    for (const struct config_intent *i = language->intents; i; i = i->next)
        found += count_matches(i->keywords, i->keyword_count, text);
    return found;
}

/* On a draw the language used before stays. */
static const struct config_language *detect(const struct config_replies *replies,
                                            const struct config_language *usual,
                                            const struct folded *text)
{
    const struct config_language *best = usual;
    if (!replies->languages->next)
        return usual;
    size_t most = score(usual, text);
    for (const struct config_language *i = replies->languages; i; i = i->next) {
        size_t found = i == usual ? 0 : score(i, text);
        if (found > most) {
            most = found;
            best = i;
        }
    }
    return best;
}

static const struct config_language *find_language(const struct config_replies *replies,
                                                   const struct bridge_reply_asked *asked,
                                                   const struct bridge_reply_chat *chat,
                                                   const struct folded *text)
{
    bool fixed = strcmp(asked->language, CONFIG_LANGUAGE_AUTO) != 0;
    const struct config_language *usual =
        config_language_find(replies, fixed ? asked->language : chat->language);
    if (!usual)
        usual = replies->languages;
    return fixed ? usual : detect(replies, usual, text);
}

/* ---- the intent --------------------------------------------------------------------------------
 */

/* The number, when the text is one of at most two digits and nothing else; or 0. */
static int number_alone(const struct folded *text)
{
    int number = 0;
    if (text->n < 3 || text->n > 4)
        return 0;
    for (size_t i = 1; i + 1 < text->n; i++) {
        if (text->p[i] < '0' || text->p[i] > '9')
            return 0;
        number = number * 10 + (int)(text->p[i] - '0');
    }
    return number;
}

static const struct config_intent *named(const struct config_language *language, const char *name)
{
    const struct config_intent *i = language->intents;
    while (i && strcmp(i->name, name) != 0)
        i = i->next;
    return i;
}

/* The menu shown last; when none was, or it is no more, that of the fallback. */
static const struct config_answer *menu_of(const struct config_language *language, const char *name)
{
    const struct config_intent *intent = named(language, name);
    if (strcmp(name, CONFIG_CLOSED) == 0 && language->closed.menu_count > 0)
        return &language->closed;
    return intent && intent->reply.menu_count > 0 ? &intent->reply : &language->fallback;
}

static const struct config_intent *choose(const struct config_language *language,
                                          const struct bridge_reply_chat *chat,
                                          const struct folded *text, int *choice)
{
    int number = number_alone(text);
    const struct config_answer *shown = menu_of(language, chat->menu);
    if (number < 1 || (size_t)number > shown->menu_count)
        return NULL;
    *choice = number;
    return shown->menu[number - 1].intent;
}

static const struct config_intent *match(const struct config_language *language,
                                         const struct folded *text, bool urgent)
{
    for (const struct config_intent *i = language->intents; i; i = i->next)
        if ((i->urgent || !urgent) && intent_matches(i, text))
            return i;
    return NULL;
}

/* An emergency counts in every language, the one found first. */
static bool find_urgent(const struct config_replies *replies, const struct folded *text,
                        struct bridge_reply_answer *out)
{
    const struct config_language *found = out->language;
    out->intent = match(found, text, true);
    for (const struct config_language *i = replies->languages; i && !out->intent; i = i->next) {
        found = i;
        out->intent = match(i, text, true);
    }
    if (out->intent)
        out->language = found;
    return out->intent != NULL;
}

/* ---- the answer --------------------------------------------------------------------------------
 */

static const struct config_answer *answer_to(struct bridge_reply_answer *out, bool open)
{
    const struct config_intent *intent = out->intent;
    const struct config_language *language = out->language;
    bool at_any_time = intent && (intent->urgent || intent->always);
    if (!open && !at_any_time && language->closed.text) {
        out->name = CONFIG_CLOSED;
        return &language->closed;
    }
    out->name = intent ? intent->name : CONFIG_FALLBACK;
    return intent ? &intent->reply : &language->fallback;
}

void bridge_reply_find(const struct config_replies *replies, const struct bridge_reply_asked *asked,
                       struct bridge_reply_chat *chat, struct bridge_reply_answer *out)
{
    AUTO_FOLDED struct folded text;
    fold(&text, asked->text);
    *out = (struct bridge_reply_answer){
        .language = find_language(replies, asked, chat, &text),
    };
    if (!find_urgent(replies, &text, out)) {
        out->intent = choose(out->language, chat, &text, &out->choice);
        if (!out->intent)
            out->intent = match(out->language, &text, false);
    }
    const struct config_answer *answer = answer_to(out, asked->open);
    out->text = answer->text;
    bytes_copy_text(bytes_text(out->language->tag), chat->language, sizeof(chat->language));
    if (answer->menu_count > 0)
        bytes_copy_text(bytes_text(out->name), chat->menu, sizeof(chat->menu));
}

/* ---- rendering ---------------------------------------------------------------------------------
 */

static struct bytes value_of(enum config_variable variable, struct bytes text,
                             const struct bridge_reply_values *values)
{
    struct bytes value = variable == CONFIG_VARIABLE_BUSINESS_NAME   ? values->business_name
                         : variable == CONFIG_VARIABLE_CUSTOMER_NAME ? values->customer_name
                                                                     : text;
    if (value.n == 0 || !text_utf8_valid(value))
        return BYTES_NONE;
    return variable == CONFIG_VARIABLE_MESSAGE ? value
                                               : text_utf8_cut(value, BRIDGE_REPLY_NAME_MAX);
}

/* Cut, if need be, so that the rest of the reply still fits. */
static void append_value(struct buf *out, size_t start, struct bytes value, size_t rest)
{
    size_t used = out->n + rest;
    if (value.n == 0 && out->n > start && out->p[out->n - 1] == ' ')
        out->n--;
    buf_append(out, text_utf8_cut(value, used < out->max ? out->max - used : 0));
}

int bridge_reply_render(const char *reply, struct bytes text,
                        const struct bridge_reply_values *values, struct buf *out)
{
    size_t start = out->n;
    out->full = false;
    for (const char *p = reply; *p;) {
        enum config_variable variable;
        size_t n = strcspn(p, "{");
        if (n > 0) {
            buf_append(out, BYTES(p, n));
        } else if (config_variable_at(p, &variable, &n)) {
            append_value(out, start, value_of(variable, text, values), strlen(p + n));
        } else {
            n = 1;
            buf_append_u8(out, (uint8_t)*p);
        }
        p += n;
    }
    if (!out->full)
        return 0;
    out->n = start;
    out->full = false;
    return ERR_LIMIT;
}
