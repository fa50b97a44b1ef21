/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames: 3-byte big-endian length, then payload (protocol/01 section 3). */
#ifndef WA_FRAME_H
#define WA_FRAME_H

#include "base/buf.h"

#define WA_FRAME_MAX 0xffffffu /* bytes of payload */

/* Appends the length and reserves nothing more; the caller appends exactly n bytes. 0 or ERR_LIMIT.
 */
int wa_frame_begin(struct buf *out, size_t n);
int wa_frame_append(struct buf *out, struct bytes payload);
/*
 * Cuts the next frame off the front of received (which grows as data arrives; announced lengths
 * allocate nothing). 1 and *payload, borrowed until received changes, with *used the bytes to drop
 * afterwards; 0 when more is needed; ERR_LIMIT when the announced length is above max.
 */
int wa_frame_next(struct bytes received, size_t max, struct bytes *payload, size_t *used);

#endif
