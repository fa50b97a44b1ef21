/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy of one database while others read and write it. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "base/err.h"

struct store_left_out {
    const char *table;
    const char *key; /* of one record of keys.db; NULL: all rows */
};

/*
 * Copies the database `from`, as one commit left it, into the new file `to` (mode 0600, one file
 * without -wal, durable on return, checked by SQLite), without what is left out; that list ends
 * with a table NULL, or is NULL. Writers go on meanwhile. 0; ERR_EXISTS when `to` is there;
 * ERR_STORE with err, `to` is removed then.
 */
int store_backup(const char *from, const char *to, const struct store_left_out *left_out,
                 struct err *err);

#endif
