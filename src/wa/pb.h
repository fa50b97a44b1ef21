/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the files that read or write protobufs: between our bytes and protobuf-c's. Its
 * structs have no const, but packing only reads them.
 */
#ifndef WA_PB_H
#define WA_PB_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/err.h"

/* Borrowed, for a bytes field of a message that will be packed. */
static inline ProtobufCBinaryData wa_pb_data(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.n, .data = (uint8_t *)(uintptr_t)b.p};
}

/* Borrowed, for a string field of a message that will be packed. */
static inline char *wa_pb_text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Borrowed from an unpacked message. */
static inline struct bytes wa_pb_bytes(ProtobufCBinaryData d)
{
    return BYTES(d.data, d.len);
}

static inline void *wa_pb_alloc(void *ctx, size_t n)
{
    (void)ctx;
    return err_malloc(n);
}

static inline void wa_pb_release(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

/* Owned, NULL when the bytes are no such message; release with wa_pb_free, or hold it as AUTO_PB.
 */
static inline void *wa_pb_unpack(const ProtobufCMessageDescriptor *type, struct bytes b)
{
    /* Its own allocator would make "out of memory" look like a malformed message. */
    ProtobufCAllocator allocator = {.alloc = wa_pb_alloc, .free = wa_pb_release};
    return protobuf_c_message_unpack(type, &allocator, b.n, b.p);
}

static inline void wa_pb_free(void *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}

static inline void wa_pb_free_slot(void *slot)
{
    void *message;
    memcpy(&message, slot, sizeof(message));
    wa_pb_free(message);
}

#define AUTO_PB __attribute__((cleanup(wa_pb_free_slot)))

/* Appends the packed message: 0 or ERR_LIMIT. */
static inline int wa_pb_append(struct buf *out, const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *at = n ? buf_reserve(out, n) : NULL;
    if (!at)
        return n ? ERR_LIMIT : 0;
    out->n += protobuf_c_message_pack(message, at);
    return 0;
}

#endif
