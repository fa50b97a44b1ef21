/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of messages.db share. Internal to src/store. */
#ifndef STORE_MESSAGES_INTERNAL_H
#define STORE_MESSAGES_INTERNAL_H

#include "base/arena.h"
#include "store/db.h"
#include "store/messages.h"

struct store_messages {
    struct store_db *db;
    struct arena row; /* texts of what was handed out last */
};

extern const struct store_db_spec store_messages_spec;

/* A column, copied to m->row: no read transaction stays open and holds back checkpoints. */
struct bytes store_messages_kept(struct store_messages *m, struct sqlite3_stmt *row, int column);
const char *store_messages_kept_text(struct store_messages *m, struct sqlite3_stmt *row,
                                     int column);
/* The number that the statement selects, or ERR_STORE. */
int64_t store_messages_count(struct store_messages *m, size_t statement,
                             struct store_values values);
/* Writes the one row a statement is about: 0, ERR_STATE when it is not as it should be, ERR_STORE.
 */
int store_messages_change(struct store_messages *m, size_t statement, struct store_values values);

#endif
