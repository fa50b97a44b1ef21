/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"

#define PROBES 4

/* The row with this id, or where it may be put: a free slot, else one whose row is forgotten. */
static struct store_left *find(struct store_left *rows, struct bytes wa_id)
{
    uint32_t hash = bytes_hash(wa_id);
    struct store_left *place = NULL;
    for (uint32_t i = 0; i < PROBES; i++) {
        struct store_left *row = &rows[(hash + i) % STORE_LEFT_SLOTS];
        if (row->id && bytes_equal(bytes_text(row->wa_id), wa_id))
            return row;
        if (!place || (place->id && !row->id))
            place = row;
    }
    return place;
}

void store_messages_note_left(struct store_messages *m, const struct store_left *row)
{
    if (row->wa_id[0] == '\0')
        return;
    if (!m->left)
        m->left = err_calloc(STORE_LEFT_SLOTS, sizeof(m->left[0]));
    *find(m->left, bytes_text(row->wa_id)) = *row;
}

struct store_left *store_messages_known_left(const struct store_messages *m, struct bytes wa_id)
{
    struct store_left *row = m->left ? find(m->left, wa_id) : NULL;
    return row && row->id && bytes_equal(bytes_text(row->wa_id), wa_id) ? row : NULL;
}

void store_messages_forget_left(struct store_messages *m)
{
    free(m->left);
    m->left = NULL;
    m->next = (struct store_left){0};
}
