/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table from byte strings to pointers; the keys are copied, the values are the caller's. */
#ifndef SIM_TABLE_H
#define SIM_TABLE_H

#include "base/buf.h"

struct sim_table_entry;

struct sim_table {
    struct sim_table_entry **slots;
    size_t slot_count, count;
};

/* A zeroed table is empty. release (may be NULL) is called for each value. */
void sim_table_deinit(struct sim_table *t, void (*release)(void *value));
void *sim_table_get(const struct sim_table *t, struct bytes key);
/* Returns the value that was replaced, or NULL. value must not be NULL. */
void *sim_table_put(struct sim_table *t, struct bytes key, void *value);
/* Returns the value that was taken out, or NULL. */
void *sim_table_remove(struct sim_table *t, struct bytes key);
/* Takes out the entries whose key begins with prefix; release as above. */
void sim_table_remove_prefix(struct sim_table *t, struct bytes prefix,
                             void (*release)(void *value));
/* Calls fn for each entry, in no order; fn must not change the table. */
void sim_table_each(const struct sim_table *t, void (*fn)(void *ctx, struct bytes key, void *value),
                    void *ctx);

#endif
