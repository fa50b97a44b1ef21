/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a database that is not there yet. Internal to src/store. */
#ifndef STORE_DB_CREATE_H
#define STORE_DB_CREATE_H

#include "store/db.h"

/*
 * Makes file (a path without links in its directory) with all migrations under another name,
 * durable, and gives it its name; nothing when there is a file. From spec->blank where that is
 * known, else by SQL. What is left behind by a crash is made anew. Says nothing of failures: then
 * there is no file, and who opens it step by step meets them again.
 */
void store_db_create(const char *file, const struct store_db_spec *spec);

#endif
