/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/pb.h"

#include "base/err.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_varint(struct buf *out, uint64_t v)
{
    while (v >= 0x80) {
        buf_append_u8(out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_append_u8(out, (uint8_t)v);
}

void sim_pb_put_uint(struct buf *out, uint32_t field, uint64_t v)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(out, v);
}

void sim_pb_put_bytes(struct buf *out, uint32_t field, struct bytes v)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(out, v.n);
    buf_append(out, v);
}

static int take_varint(struct reader *r, uint64_t *out)
{
    uint64_t v = 0;
    uint8_t byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader_u8(r, &byte) != 0)
            return ERR_INVALID;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = v;
            return 0;
        }
    }
    return ERR_INVALID;
}

int sim_pb_next(struct reader *r, struct sim_pb_field *out)
{
    uint64_t key, n;

    if (reader_left(r) == 0)
        return 0;
    if (take_varint(r, &key) != 0 || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return ERR_INVALID;
    *out = (struct sim_pb_field){.number = (uint32_t)(key >> 3), .wire = (unsigned)(key & 7)};
    switch (out->wire) {
    case WIRE_VARINT:
        return take_varint(r, &out->number_value) == 0 ? 1 : ERR_INVALID;
    case WIRE_64:
    case WIRE_32:
        return reader_take(r, out->wire == WIRE_64 ? 8 : 4, &out->bytes) == 0 ? 1 : ERR_INVALID;
    case WIRE_BYTES:
        if (take_varint(r, &n) != 0 || n > reader_left(r))
            return ERR_INVALID;
        return reader_take(r, (size_t)n, &out->bytes) == 0 ? 1 : ERR_INVALID;
    default:
        return ERR_INVALID;
    }
}

static bool find(struct bytes message, uint32_t field, unsigned wire, struct sim_pb_field *out)
{
    struct reader r = reader_init(message);
    struct sim_pb_field f;
    bool found = false;
    int got;

    while ((got = sim_pb_next(&r, &f)) == 1) {
        if (f.number == field && f.wire == wire) {
            *out = f;
            found = true;
        }
    }
    return got == 0 && found;
}

struct bytes sim_pb_bytes(struct bytes message, uint32_t field)
{
    struct sim_pb_field f;

    return find(message, field, WIRE_BYTES, &f) ? f.bytes : BYTES_NONE;
}

uint64_t sim_pb_uint(struct bytes message, uint32_t field)
{
    struct sim_pb_field f;

    return find(message, field, WIRE_VARINT, &f) ? f.number_value : 0;
}
