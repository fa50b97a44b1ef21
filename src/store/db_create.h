/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a database that is not there yet. Internal to src/store. */
#ifndef STORE_DB_CREATE_H
#define STORE_DB_CREATE_H

#include "store/db.h"

/*
 * Makes file (a path without links in its directory) with all migrations under another name, and
 * gives it its name. From spec->blank that is one write and not synced, which the caller does
 * before the first write to the -wal (store_db_sync_file); by SQL it is synced. What is left behind
 * by a crash is made anew. Says nothing of failures: then the file is as it was, and who opens it
 * step by step meets them again.
 */
void store_db_create(const char *file, const struct store_db_spec *spec);
int store_db_sync_directory(const char *file); /* the one it is in: 0 or -1 and errno */

#endif
