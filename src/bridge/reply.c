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
    utf8proc_int32_t *p;
    size_t n;
};

static void folded_deinit(struct folded *f)
{
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

static void fold(struct folded *f, struct bytes text)
{
    AUTO_FREE utf8proc_int32_t *points;
    size_t count = decompose(text_utf8_cut(text, BRIDGE_REPLY_TEXT_MAX), &points);
    enum kind last = KIND_BETWEEN;
    f->n = 0;
    f->p = err_calloc(2 * count + 2, sizeof(*f->p));
    f->p[f->n++] = 0;
    for (size_t i = 0; i < count; i++) {
        enum kind kind = kind_of(points[i]);
        bool joins = kind == KIND_WORD && last == KIND_WORD;
        if (!joins && f->p[f->n - 1] != 0)
            f->p[f->n++] = 0;
        if (kind != KIND_BETWEEN)
            f->p[f->n++] = points[i];
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

static bool intent_matches(const struct config_intent *intent, const struct folded *text)
{
    for (size_t i = 0; i < intent->keyword_count; i++) {
        AUTO_FOLDED struct folded keyword;
        fold(&keyword, bytes_text(intent->keywords[i]));
        if (contains(text, &keyword))
            return true;
    }
    return false;
}

const char *bridge_reply_match(const struct config_replies *replies, struct bytes text,
                               const char **intent)
{
    AUTO_FOLDED struct folded folded;
    fold(&folded, text);
    for (const struct config_intent *i = replies->intents; i; i = i->next) {
        if (intent_matches(i, &folded)) {
            *intent = i->name;
            return i->reply;
        }
    }
    *intent = replies->fallback ? CONFIG_FALLBACK : NULL;
    return replies->fallback;
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

int bridge_reply(const struct config_replies *replies, struct bytes text,
                 const struct bridge_reply_values *values, const char **intent, struct buf *out)
{
    const char *reply = bridge_reply_match(replies, text, intent);
    return reply ? bridge_reply_render(reply, text, values, out) : 1;
}
