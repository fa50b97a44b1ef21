/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One enum of results for the whole program and one error object for the edges that a person
 * reads about. Functions return 0 when done, a documented positive value for "need more" or
 * "nothing there", and one of these negative codes otherwise.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#include "base/attr.h"

#define ERR_CODES(X)                                                                               \
    X(ERR_INVALID, -1, "invalid")          /* malformed input */                                   \
    X(ERR_LIMIT, -2, "limit")              /* a bound was reached */                               \
    X(ERR_AUTH, -3, "auth")                /* MAC, signature or certificate refused */             \
    X(ERR_SYSTEM, -4, "system")            /* a system call failed */                              \
    X(ERR_STATE, -5, "state")              /* not possible in this state */                        \
    X(ERR_NOT_FOUND, -6, "not_found")      /* no such record, file or key */                       \
    X(ERR_EXISTS, -7, "exists")            /* already there */                                     \
    X(ERR_LOCKED, -8, "locked")            /* held by another process */                           \
    X(ERR_CONFIG, -9, "config")            /* configuration refused */                             \
    X(ERR_STORE, -10, "store")             /* the database refused; disk full included */          \
    X(ERR_TIMEOUT, -11, "timeout")         /* no answer in time */                                 \
    X(ERR_PROTOCOL, -12, "protocol")       /* the peer broke the protocol */                       \
    X(ERR_UNSUPPORTED, -13, "unsupported") /* valid, but not for us */                             \
    X(ERR_INTERNAL, -14, "internal")       /* a bug of ours */

enum err_code {
    ERR_OK = 0,
#define X(name, value, text) name = value,
    ERR_CODES(X)
#undef X
};

/* Fixed size, never allocated; text is always NUL-terminated valid UTF-8 as far as its inputs are.
 */
struct err {
    int code;
    char text[512];
};

/* The lower-case name of a code ("ok", "invalid", …); static storage. */
const char *err_name(int code);

/* Sets *err (may be NULL) from a format; returns code, so that `return err_set(…)` works. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set with ": <strerror(errno)>" appended; errno is read first and left unchanged. */
int err_sys(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Writes to stderr and aborts: out of memory, broken invariants. Never for input from outside. */
_Noreturn void err_fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Allocation that aborts instead of failing; results owned by the caller (free). */
void *err_malloc(size_t n);
void *err_calloc(size_t count, size_t size);
void *err_realloc(void *p, size_t n);
char *err_strdup(const char *s);

#endif
