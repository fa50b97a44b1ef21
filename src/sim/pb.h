/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Protobuf by field number, as little as a server and a phone need. The simulator does not share
 * the client's schema, so that a wrong field number there does not go unnoticed here.
 */
#ifndef SIM_PB_H
#define SIM_PB_H

#include "base/buf.h"

void sim_pb_put_uint(struct buf *out, uint32_t field, uint64_t v);
void sim_pb_put_bytes(struct buf *out, uint32_t field, struct bytes v);

struct sim_pb_field {
    uint32_t number;
    unsigned wire; /* 0 varint, 1 and 5 fixed, 2 bytes */
    uint64_t number_value;
    struct bytes bytes; /* wire 2: the content; 1 and 5: the raw bytes */
};
/* Reads one field: 1, 0 at the end, ERR_INVALID. */
int sim_pb_next(struct reader *r, struct sim_pb_field *out);
/* Last occurrence of a field; BYTES_NONE or 0 when absent or the message is malformed. */
struct bytes sim_pb_bytes(struct bytes message, uint32_t field);
uint64_t sim_pb_uint(struct bytes message, uint32_t field);

#endif
