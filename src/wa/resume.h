/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What earlier connections of a paired device left behind to make the next one shorter: the
 * server's static key for IK (protocol/01 section 15) and the routing info (section 2). Optional
 * records of WA_TABLE_DEVICE; what cannot be read counts as absent:
 *
 *   "server_key"     key, root, from, until: 32 + 32 + 8 + 8 bytes, numbers big-endian
 *   "plain_dials"    1 byte: so many connections to come are plain XX
 *   "routing_info"   as received
 *   "routing_tried"  empty: a connection used the routing info and has not logged in yet
 *
 * Both marks are written before the hello may leave and taken back by success, so every end of a
 * connection leaves them: close, reset, silence, the death of the process.
 */
#ifndef WA_RESUME_H
#define WA_RESUME_H

#include "wa/handshake.h"

#define WA_ROUTING_MAX 512  /* bytes of routing info; longer ones are not kept */
#define WA_RESUME_SKIPPED 2 /* plain connections after a resume that nobody answered */
#define WA_RESUME_PREFACE "ED\0\1"
#define WA_RESUME_PREFACE_LEN 4

struct wa_resume {
    struct wa_server_key server;
    uint8_t routing[WA_ROUTING_MAX];
    size_t routing_len;        /* 0: none */
    bool use_key, use_routing; /* by this connection */
    bool has_key;
    uint8_t plain_dials;
    bool routing_tried;
};

/* Loads, decides what this connection uses, and leaves the marks. A key is used that was verified
 * under this root and whose certificates are valid now. 0, or negative when the store failed. */
int wa_resume_begin(struct wa_resume *r, const struct wa_host *host, const uint8_t root[WA_KEY_LEN],
                    int64_t now_s);
/* Appends the preface with the routing info, when this connection uses it. 0 or ERR_LIMIT. */
int wa_resume_append_preface(const struct wa_resume *r, struct buf *out);
/* The server proved itself: keeps the key that was verified, and takes back the mark. */
int wa_resume_answered(struct wa_resume *r, const struct wa_host *host,
                       const struct wa_handshake_result *result);
/* The answer to a resume was no good: forgets the key. */
int wa_resume_refused(struct wa_resume *r, const struct wa_host *host);
int wa_resume_logged_in(struct wa_resume *r, const struct wa_host *host);
/* Keeps routing info of the server. */
int wa_resume_route(struct wa_resume *r, const struct wa_host *host, struct bytes info);

#endif
