/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/fields.h"

#include "base/err.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static int take_long_varint(struct reader *in, uint64_t *out)
{
    uint8_t byte = 0x80;
    *out = 0;
    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (shift > 63 || reader_u8(in, &byte) < 0)
            return ERR_INVALID;
        *out |= (uint64_t)(byte & 0x7f) << shift;
    }
    return 0;
}

/* Most of them, and of all tags and lengths, are one byte. */
static inline int take_varint(struct reader *in, uint64_t *out)
{
    if (in->p == in->end || *in->p & 0x80)
        return take_long_varint(in, out);
    *out = *in->p++;
    return 0;
}

int wa_field_next(struct reader *in, struct wa_field *out)
{
    uint64_t tag, length;
    if (reader_left(in) == 0)
        return 0;
    *out = (struct wa_field){0};
    if (take_varint(in, &tag) < 0)
        return ERR_INVALID;
    out->number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(in, &out->value) < 0 ? ERR_INVALID : 1;
    case WIRE_64:
        return reader_take(in, 8, &out->bytes) < 0 ? ERR_INVALID : 1;
    case WIRE_32:
        return reader_take(in, 4, &out->bytes) < 0 ? ERR_INVALID : 1;
    case WIRE_BYTES:
        if (take_varint(in, &length) < 0 || length > reader_left(in))
            return ERR_INVALID;
        return reader_take(in, (size_t)length, &out->bytes) < 0 ? ERR_INVALID : 1;
    default:
        return ERR_INVALID;
    }
}

int wa_field_find(struct bytes message, uint64_t number, struct wa_field *out)
{
    struct reader in = reader_init(message);
    struct wa_field f;
    int rc;
    *out = (struct wa_field){0};
    while ((rc = wa_field_next(&in, &f)) == 1)
        if (f.number == number)
            *out = f;
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

#define VARINT_MAX 10

static size_t write_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Tag and length. */
static size_t write_head(uint8_t out[2 * VARINT_MAX], uint64_t number, size_t n)
{
    size_t tag = write_varint(out, number << 3 | WIRE_BYTES);
    return tag + write_varint(out + tag, n);
}

size_t wa_field_size(uint64_t number, size_t n)
{
    uint8_t head[2 * VARINT_MAX];
    return write_head(head, number, n) + n;
}

bool wa_field_put_head(struct buf *out, uint64_t number, size_t n)
{
    uint8_t head[2 * VARINT_MAX];
    size_t head_n = write_head(head, number, n);
    return buf_append(out, BYTES(head, head_n)) == 0;
}

bool wa_field_put(struct buf *out, uint64_t number, struct bytes data)
{
    if (!buf_reserve(out, wa_field_size(number, data.n)))
        return false;
    return wa_field_put_head(out, number, data.n) && buf_append(out, data) == 0;
}

bool wa_field_put_number(struct buf *out, uint64_t number, uint64_t value)
{
    uint8_t field[2 * VARINT_MAX];
    size_t n = write_varint(field, number << 3 | WIRE_VARINT);
    n += write_varint(field + n, value);
    return buf_append(out, BYTES(field, n)) == 0;
}

size_t wa_field_number_size(uint64_t number, uint64_t value)
{
    uint8_t field[2 * VARINT_MAX];
    size_t n = write_varint(field, number << 3 | WIRE_VARINT);
    return n + write_varint(field + n, value);
}
