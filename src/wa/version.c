/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/version.h"

#include <stdio.h>

#include "base/err.h"

#define KEY "client_revision"
#define REVISION_MIN 100000000u

/* Takes decimal digits up to a dot or the end. */
static bool take_number(struct bytes *text, uint32_t *out)
{
    uint64_t v;
    size_t n = 0;
    while (n < text->n && text->p[n] != '.')
        n++;
    if (!bytes_to_u64(BYTES(text->p, n), &v) || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    *text = BYTES(text->p + n, text->n - n);
    return true;
}

static bool take_dot(struct bytes *text)
{
    if (text->n == 0)
        return false;
    *text = BYTES(text->p + 1, text->n - 1);
    return true;
}

int wa_version_parse(struct wa_version *out, struct bytes text)
{
    struct wa_version v;
    if (!take_number(&text, &v.primary) || !take_dot(&text) || !take_number(&text, &v.secondary) ||
        !take_dot(&text) || !take_number(&text, &v.tertiary) || text.n > 0)
        return ERR_INVALID;
    *out = v;
    return 0;
}

const char *wa_version_text(const struct wa_version *v, char out[40])
{
    snprintf(out, 40, "%u.%u.%u", v->primary, v->secondary, v->tertiary);
    return out;
}

/* ---- the service worker --------------------------------------------------------------------- */

bool wa_version_is_revision(uint64_t revision)
{
    return revision >= REVISION_MIN && revision <= UINT32_MAX;
}

static size_t skip(struct bytes text, size_t at, char c)
{
    while (at < text.n && text.p[at] == c)
        at++;
    return at;
}

/* The digits behind the key that ends at `at`; BYTES_NONE when something else is there. */
static struct bytes digits_behind(struct bytes script, size_t at)
{
    at = skip(script, at, '\\');
    if (at >= script.n || script.p[at] != '"')
        return BYTES_NONE;
    at = skip(script, at + 1, ' ');
    if (at >= script.n || script.p[at] != ':')
        return BYTES_NONE;
    at = skip(script, at + 1, ' ');
    size_t end = at;
    while (end < script.n && script.p[end] >= '0' && script.p[end] <= '9')
        end++;
    return end > at ? BYTES(script.p + at, end - at) : BYTES_NONE;
}

int wa_version_find_revision(struct bytes script, uint32_t *out)
{
    const size_t length = sizeof(KEY) - 1;
    for (size_t at = 1; at + length < script.n; at++) {
        uint64_t revision;
        if (script.p[at] != KEY[0] || script.p[at - 1] != '"' ||
            memcmp(script.p + at, KEY, length) != 0)
            continue;
        struct bytes digits = digits_behind(script, at + length);
        if (!digits.p)
            continue;
        if (digits.p + digits.n == script.p + script.n || !bytes_to_u64(digits, &revision) ||
            !wa_version_is_revision(revision))
            return ERR_INVALID;
        *out = (uint32_t)revision;
        return 0;
    }
    return ERR_NOT_FOUND;
}
