/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys.db: the secrets of one linked device as blobs in named tables, each (key TEXT PRIMARY KEY,
 * value BLOB). Writes gather, in memory and in one transaction, until store_keys_commit.
 * WAL, synchronous=FULL, secure_delete, mode 0600. PRAGMA user_version carries the schema version.
 */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "base/buf.h"
#include "base/err.h"
#include "store/blank.h"

struct store_keys;

/* Opens or creates path with one table per name (small letters and '_'); tables that are missing
 * are added. blank is the file with these tables, or NULL, and borrowed for the call. 0 and an
 * owned handle; ERR_STORE, ERR_UNSUPPORTED (a newer version's) with err. */
int store_keys_open(struct store_keys **out, const char *path, const char *const *tables,
                    size_t count, const struct store_blank *blank, struct err *err);
/* Rolls back what was not committed. */
void store_keys_close(struct store_keys *k);

/*
 * table is the index into the list given to open. get appends: 1 found, 0 absent, ERR_STORE,
 * ERR_LIMIT when out is full. The others: 0 (also when nothing changed) or ERR_STORE. Most writes
 * are tried only by the commit. After one that failed before, everything is ERR_STORE until a
 * commit, which fails and rolls back, or a rollback.
 */
int store_keys_get(struct store_keys *k, size_t table, const char *key, struct buf *out);
/* The record whose key comes after (byte order; "": the first) into key and value, which are
 * cleared: as get. value may be NULL. Records may be written meanwhile. */
int store_keys_next(struct store_keys *k, size_t table, const char *after, struct buf *key,
                    struct buf *value);
int store_keys_put(struct store_keys *k, size_t table, const char *key, struct bytes value);
int store_keys_del(struct store_keys *k, size_t table, const char *key);
int store_keys_del_prefix(struct store_keys *k, size_t table, const char *prefix);

bool store_keys_dirty(const struct store_keys *k); /* writes wait for a commit */
/* Durable on return: 0, or ERR_STORE (then everything since the last commit was rolled back).
 * Without writes it does nothing and costs no sync. */
int store_keys_commit(struct store_keys *k, struct err *err);
/* Moves what was committed from the -wal file into the database and empties the file, so that old
 * values are not left in it: 0 or ERR_STORE. Not inside a transaction. */
int store_keys_flush_log(struct store_keys *k, struct err *err);
void store_keys_rollback(struct store_keys *k);
void store_keys_tend(struct store_keys *k); /* as store_db_tend: a checkpoint when one is due */
/* Gives back what is kept for the next call; what was handed out before is gone. */
void store_keys_rest(struct store_keys *k);
/* SQLite's words for the last ERR_STORE; borrowed until the next call. */
const char *store_keys_error(const struct store_keys *k);

#endif
