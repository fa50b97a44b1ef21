/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/queue.h"

#include "base/err.h"

static const char *const class_texts[SIM_CLASS_COUNT] = {"message", "receipt", "notification",
                                                         "call"};

enum sim_class sim_class_of(struct bytes tag)
{
    for (int i = 0; i < SIM_CLASS_COUNT; i++)
        if (bytes_is(tag, class_texts[i]))
            return (enum sim_class)i;
    return SIM_CLASS_COUNT;
}

const char *sim_class_text(enum sim_class class)
{
    return class_texts[class];
}

static void unlink_item(struct sim_queue *q, struct sim_item *item)
{
    if (item->prev)
        item->prev->next = item->next;
    else
        q->first = item->next;
    if (item->next)
        item->next->prev = item->prev;
    else
        q->last = item->prev;
    q->count--;
    q->per_class[item->class]--;
    free(item);
}

void sim_queue_deinit(struct sim_queue *q)
{
    while (q->first)
        unlink_item(q, q->first);
    *q = (struct sim_queue){0};
}

int sim_queue_put(struct sim_queue *q, const struct wa_node *stanza, bool own_copy)
{
    struct buf AUTO_BUF encoded;
    struct sim_item *item;
    int rc;

    if (q->count >= SIM_QUEUE_MAX)
        return ERR_LIMIT;
    buf_init(&encoded, WA_STANZA_MAX);
    rc = wa_node_encode(stanza, &encoded);
    if (rc != 0)
        return rc;
    item = err_malloc(sizeof *item + encoded.n);
    *item = (struct sim_item){
        .prev = q->last, .class = sim_class_of(stanza->tag), .own_copy = own_copy, .n = encoded.n};
    memcpy(item->stanza, encoded.p, encoded.n);
    bytes_copy_text(wa_node_attr(stanza, "id"), item->id, sizeof item->id);
    bytes_copy_text(wa_node_attr(stanza, "from"), item->from, sizeof item->from);
    if (q->last)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    if (!q->unsent)
        q->unsent = item;
    q->count++;
    q->unsent_count++;
    q->per_class[item->class]++;
    return 0;
}

void sim_queue_rewind(struct sim_queue *q)
{
    q->unsent = q->first;
    q->unsent_count = q->count;
}

struct sim_item *sim_queue_take(struct sim_queue *q)
{
    struct sim_item *item = q->unsent;

    if (item) {
        q->unsent = item->next;
        q->unsent_count--;
    }
    return item;
}

size_t sim_queue_done(struct sim_queue *q, enum sim_class class, struct bytes id, bool receipt)
{
    struct sim_item *item = q->first;
    size_t gone = 0;

    while (item && item != q->unsent) {
        struct sim_item *next = item->next;

        if (item->class == class && bytes_is(id, item->id) && (receipt || !item->own_copy)) {
            unlink_item(q, item);
            gone++;
        }
        item = next;
    }
    return gone;
}
