/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of messages into media/ of the volume, when the configuration says so (docs/volume.md). */
#ifndef BRIDGE_MEDIA_H
#define BRIDGE_MEDIA_H

#include "wa/session.h"

struct bridge;
struct bridge_fetch;
struct bridge_fetch_events;
struct bridge_media;

void bridge_media_open(struct bridge *b);
void bridge_media_close(struct bridge *b);
/* A row of messages has a file: into the open groups of messages.db and keys.db. 0 or negative. */
int bridge_media_listed(struct bridge *b, const struct wa_incoming *in, int64_t row);
void bridge_media_hosts(struct bridge *b, const struct wa_event *ev); /* WA_EVENT_MEDIA_HOSTS */
void bridge_media_again(struct bridge *b, const struct wa_event *ev); /* WA_EVENT_MEDIA_AGAIN */
/* What is due: ends, begins, deletes. Commits groups of its own, so only where none is open. */
void bridge_media_tend(struct bridge *b, int64_t now);

/* For files that are not of messages: whether there are hosts now, else they are asked for, and
 * bridge_media_tend is due when they come; and the fetch of one (bridge_fetch_start). */
bool bridge_media_have_hosts(struct bridge *b, int64_t now);
struct bridge_media_source {
    enum wa_media_type type;
    const char *path;             /* directPath */
    const uint8_t *sealed_sha256; /* 32 bytes */
    size_t host;                  /* which one, in turn */
    size_t body_max;              /* bytes */
};
struct bridge_fetch *bridge_media_fetch(struct bridge *b, const struct bridge_media_source *source,
                                        const struct bridge_fetch_events *events, struct err *err);

#endif
