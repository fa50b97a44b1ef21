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

static void index_item(struct sim_queue *q, struct sim_item *item)
{
    item->same_id = sim_table_put(&q->by_id, bytes_text(item->id), item);
}

static void unindex_item(struct sim_queue *q, const struct sim_item *item)
{
    struct bytes id = bytes_text(item->id);
    struct sim_item *newer = sim_table_get(&q->by_id, id);

    if (newer != item) {
        while (newer->same_id != item)
            newer = newer->same_id;
        newer->same_id = item->same_id;
    } else if (item->same_id) {
        sim_table_put(&q->by_id, id, item->same_id);
    } else {
        sim_table_remove(&q->by_id, id);
    }
}

static void unlink_item(struct sim_queue *q, struct sim_item *item)
{
    unindex_item(q, item);
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
    while (q->first) {
        struct sim_item *item = q->first;

        q->first = item->next;
        free(item);
    }
    sim_table_deinit(&q->by_id, NULL);
    *q = (struct sim_queue){0};
}

/* One block for all of it. */
static struct sim_item *new_item(struct bytes stanza, struct bytes id)
{
    struct sim_item *item;
    char *text;

    if (id.n > SIM_ID_MAX)
        id.n = SIM_ID_MAX;
    item = err_malloc(sizeof *item + stanza.n + id.n + 1);
    text = (char *)item->stanza + stanza.n;
    *item = (struct sim_item){.id = text, .n = stanza.n};
    memcpy(item->stanza, stanza.p, stanza.n);
    bytes_copy_text(id, text, id.n + 1);
    return item;
}

int sim_queue_put(struct sim_queue *q, const struct wa_node *stanza, bool own_copy,
                  struct buf *scratch)
{
    struct sim_item *item;
    int rc;

    if (q->count >= SIM_QUEUE_MAX)
        return ERR_LIMIT;
    buf_clear(scratch);
    rc = wa_node_encode(stanza, scratch);
    if (rc != 0)
        return rc;
    item = new_item(buf_bytes(scratch), wa_node_attr(stanza, "id"));
    item->prev = q->last;
    item->class = sim_class_of(stanza->tag);
    item->own_copy = own_copy;
    item->number = ++q->last_number;
    if (q->last)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    if (!q->unsent)
        q->unsent = item;
    index_item(q, item);
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

static bool is_sent(const struct sim_queue *q, const struct sim_item *item)
{
    return !q->unsent || item->number < q->unsent->number;
}

size_t sim_queue_done(struct sim_queue *q, enum sim_class class, struct bytes id, bool receipt)
{
    struct sim_item *item = sim_table_get(&q->by_id, id);
    size_t gone = 0;

    while (item) {
        struct sim_item *older = item->same_id;

        if (item->class == class && is_sent(q, item) && (receipt || !item->own_copy)) {
            unlink_item(q, item);
            gone++;
        }
        item = older;
    }
    return gone;
}
