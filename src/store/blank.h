/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A database that holds nothing yet, as the bytes of its file. The build makes them once by SQL
 * (bridge/mkblank.c), so that the first start of a tenant does not have to.
 */
#ifndef STORE_BLANK_H
#define STORE_BLANK_H

#include "base/buf.h"

/* What is not zero in the file: runs of offset (4 bytes, big-endian), length (2), bytes. */
struct store_blank {
    const uint8_t *runs;
    size_t runs_n;
    size_t size; /* of the file; 0: not known, SQL makes it */
};

extern const struct store_blank store_blank_keys, store_blank_messages;

/* The file into out, which has b->size bytes that are all zero. */
void store_blank_expand(const struct store_blank *b, uint8_t *out);

#endif
