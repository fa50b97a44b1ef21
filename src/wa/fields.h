/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fields of a serialised protobuf one after the other: read, where unpacking it as a whole
 * would cost memory that its sender chooses; written, where packing it would walk all fields that
 * it could have. */
#ifndef WA_FIELDS_H
#define WA_FIELDS_H

#include "base/buf.h"

struct wa_field {
    uint64_t number; /* which field */
    uint64_t value;  /* of a varint; else 0 */
    struct bytes
        bytes; /* of a length-delimited field, borrowed; else BYTES_NONE or its 4, 8 bytes */
};
/* Takes one from the front: 1, 0 at the end, or ERR_INVALID. */
int wa_field_next(struct reader *in, struct wa_field *out);
/* The last field of that number, zeroed when there is none: 0 or ERR_INVALID. */
int wa_field_find(struct bytes message, uint64_t number, struct wa_field *out);

/* Appends a length-delimited field; false, and nothing was appended, when out is full. */
bool wa_field_put(struct buf *out, uint64_t number, struct bytes data);
/* Appends only the tag and length of one whose n bytes come next; the same. */
bool wa_field_put_head(struct buf *out, uint64_t number, size_t n);
/* The bytes that wa_field_put appends for n. */
size_t wa_field_size(uint64_t number, size_t n);
/* The same two for a varint. */
bool wa_field_put_number(struct buf *out, uint64_t number, uint64_t value);
size_t wa_field_number_size(uint64_t number, uint64_t value);

#endif
