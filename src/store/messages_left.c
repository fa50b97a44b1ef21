/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

static size_t slot_of(struct bytes wa_id)
{
    uint32_t hash = FNV_BASIS;
    for (size_t i = 0; i < wa_id.n; i++)
        hash = (hash ^ wa_id.p[i]) * FNV_PRIME;
    return (hash ^ hash >> 16) % STORE_LEFT_SLOTS;
}

void store_messages_note_left(struct store_messages *m, const struct store_left *row)
{
    if (row->wa_id[0] == '\0')
        return;
    if (!m->left)
        m->left = err_calloc(STORE_LEFT_SLOTS, sizeof(m->left[0]));
    m->left[slot_of(bytes_text(row->wa_id))] = *row;
}

struct store_left *store_messages_known_left(const struct store_messages *m, struct bytes wa_id)
{
    struct store_left *row = m->left ? &m->left[slot_of(wa_id)] : NULL;
    return row && row->id && bytes_equal(bytes_text(row->wa_id), wa_id) ? row : NULL;
}

void store_messages_forget_left(struct store_messages *m)
{
    free(m->left);
    m->left = NULL;
    m->next = (struct store_left){0};
}
