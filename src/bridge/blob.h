/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file that a session wants for itself, fetched into memory; one at a time. */
#ifndef BRIDGE_BLOB_H
#define BRIDGE_BLOB_H

#include "wa/session.h"

struct bridge;
struct bridge_blob;

void bridge_blob_want(struct bridge *b, const struct wa_event *ev); /* WA_EVENT_FILE_WANTED */
/* Begins what waits for hosts. */
void bridge_blob_tend(struct bridge *b, int64_t now);
/* The session is gone. */
void bridge_blob_drop(struct bridge *b);

#endif
