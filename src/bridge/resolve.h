/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names become addresses without holding up the loop: getaddrinfo runs in a thread of its own,
 * which knows nothing but its question, and the answer comes back through an eventfd. A name server
 * that does not answer costs such a thread, and there are at most BRIDGE_QUESTIONS_MAX.
 */
#ifndef BRIDGE_RESOLVE_H
#define BRIDGE_RESOLVE_H

#include <stddef.h>

#include "base/err.h"

#define BRIDGE_ADDRESSES_MAX 8
#define BRIDGE_ADDRESS_SIZE 46 /* of an IPv6 address as text, with its NUL */
#define BRIDGE_HOST_SIZE 256   /* of a name, with its NUL (RFC 1035 section 2.3.4) */
#define BRIDGE_QUESTIONS_MAX 6

struct bridge_loop;
struct bridge_resolver;
struct bridge_question;

/* Numeric, no two the same, to be tried in this order: the system's (RFC 6724), but with the
 * families taking turns, so that a broken one costs one attempt (RFC 8305 section 4). */
struct bridge_addresses {
    char text[BRIDGE_ADDRESSES_MAX][BRIDGE_ADDRESS_SIZE];
    size_t count;
};

/* Called from the loop. found is NULL when there are none, and why says why. The question is gone
 * then. */
typedef void (*bridge_resolved)(void *ctx, const struct bridge_addresses *found, const char *why);

/* 0 and an owned resolver that lives no longer than the loop; ERR_SYSTEM. */
int bridge_resolver_open(struct bridge_resolver **out, struct bridge_loop *loop, struct err *err);
/* Nothing is called any more; threads that still wait end by themselves. */
void bridge_resolver_close(struct bridge_resolver *r);

/* Asks for the addresses of a name; numeric ones are answered, too. 0 and a question, which is the
 * resolver's; ERR_INVALID for an empty or too long name; ERR_LIMIT when too many earlier questions
 * (also cancelled ones) have no answer yet; ERR_SYSTEM. done is never called from within. */
int bridge_resolve(struct bridge_resolver *r, const char *host, bridge_resolved done, void *ctx,
                   struct bridge_question **out, struct err *err);
/* done is not called any more. NULL is fine. */
void bridge_resolve_cancel(struct bridge_question *q);

#endif
