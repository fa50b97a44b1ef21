/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What waits for one device: stanzas stay until the device took them over with a receipt or ack,
 * and those that were not are sent again after its next login (protocol/05 section 15).
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "sim/table.h"
#include "wa/node.h"

#define SIM_QUEUE_MAX 200000 /* stanzas per device */
#define SIM_ID_MAX 127       /* bytes of a message id */

enum sim_class { SIM_MESSAGE, SIM_RECEIPT, SIM_NOTIFICATION, SIM_CALL, SIM_CLASS_COUNT };

struct sim_item {
    struct sim_item *prev, *next;
    struct sim_item *same_id; /* the next older one of this id, whatever its class */
    uint64_t number;          /* grows along the queue */
    enum sim_class class;
    bool
        own_copy; /* from another device of the account: a receipt takes it away, a plain ack not */
    const char *id; /* in the same block, behind the stanza */
    size_t n;
    uint8_t stanza[]; /* encoded, without the offline attribute */
};

struct sim_queue {
    struct sim_item *first, *last;
    struct sim_item *unsent; /* first that this connection has not seen; NULL when none */
    struct sim_table by_id;  /* id -> its newest struct sim_item */
    uint64_t last_number;
    size_t count, unsent_count;
    size_t per_class[SIM_CLASS_COUNT];
};

void sim_queue_deinit(struct sim_queue *q);
/* The class of a stanza by its tag; SIM_CLASS_COUNT when it is not a queued one. */
enum sim_class sim_class_of(struct bytes tag);
const char *sim_class_text(enum sim_class class);
/* Encodes, in scratch, and appends: 0, ERR_LIMIT when the queue is full, ERR_INVALID. */
int sim_queue_put(struct sim_queue *q, const struct wa_node *stanza, bool own_copy,
                  struct buf *scratch);
/* A new connection has seen nothing yet. */
void sim_queue_rewind(struct sim_queue *q);
/* The next unsent item, now counted as sent; NULL when there is none. */
struct sim_item *sim_queue_take(struct sim_queue *q);
/* Removes what was sent with this class and id; receipt says whether a receipt (not an ack) asks
 * for it. Returns how many items went. */
size_t sim_queue_done(struct sim_queue *q, enum sim_class class, struct bytes id, bool receipt);

#endif
