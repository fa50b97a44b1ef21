/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *err_name(int code)
{
    switch (code) {
    case ERR_OK:
        return "ok";
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ERR_CODES(X)
#undef X
    default:
        return "unknown";
    }
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
    int saved = errno;
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof(err->text))
            snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", strerror(saved));
    }
    errno = saved;
    return code;
}

void err_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("wabridge: fatal: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

void *err_malloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        err_fatal("out of memory (%zu bytes)", n);
    return p;
}

void *err_calloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        err_fatal("out of memory (%zu x %zu bytes)", count, size);
    return p;
}

void *err_realloc(void *p, size_t n)
{
    void *grown = realloc(p, n ? n : 1);
    if (!grown)
        err_fatal("out of memory (%zu bytes)", n);
    return grown;
}

char *err_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(err_malloc(n), s, n);
}
