/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulator's door to zlib: it only compresses. */
#ifndef SIM_DEFLATE_H
#define SIM_DEFLATE_H

#include "base/buf.h"

/* Appends a zlib stream of data: 0 or ERR_LIMIT. */
int sim_deflate(struct buf *out, struct bytes data);
/* Appends an encoded stanza (flag 00) in its compressed form (flag 02): 0 or ERR_LIMIT. */
int sim_deflate_stanza(struct buf *out, struct bytes stanza);
/* Appends a stanza of a few KiB that inflates to count bytes of one child's data. */
int sim_deflate_bomb(struct buf *out, size_t count);

#endif
