/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The SQLite door: opening with the durability that D1 to D6 need, versioned migrations, prepared
 * statements from one list per database, grouped transactions. Internal to src/store.
 *
 * WAL with synchronous=FULL: a commit costs one sync of the -wal file (two when the file starts
 * anew) and is durable on return. Checkpoints are no part of a commit: store_db_tend makes them.
 *
 * A group of writes stands or falls as one. The first write that fails spoils the group: every
 * later read and write is ERR_STORE until store_db_rollback, or store_db_commit, which then rolls
 * back.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "store/blank.h"

#define STORE_DB_CACHE_KIB 1024       /* page cache of one database; given back by store_db_rest */
#define STORE_DB_CHECKPOINT_PAGES 500 /* of 4096 bytes, in the -wal file */
#define STORE_DB_WAL_BYTES 4194304    /* the -wal file is cut back to this */
#define STORE_DB_BUSY_MS 2000 /* how long another writer (an operator's tool) is waited for */

struct sqlite3_stmt;
struct store_db;

struct store_db_spec {
    uint32_t application_id; /* PRAGMA application_id: whose file this is */
    unsigned mode;           /* of the file, its -wal and its -shm */
    bool shared;             /* others read it: -wal and -shm stay there when it is closed */
    bool shrinks;            /* PRAGMA incremental_vacuum gives free pages back */
    bool search;        /* triggers write FTS5 tables, which SQLite calls trusting the schema */
    bool secure_delete; /* what is deleted is overwritten with zeros */
    /* SQL that brings PRAGMA user_version from i to i + 1, each run in one transaction. */
    const char *const *migrations;
    int version;
    const struct store_blank *blank; /* what all of that makes of an empty file; or NULL */
    const char *each_open; /* SQL that adds what may be missing, in one transaction; or NULL */
    const char *const *statements; /* borrowed for life; prepared when first used */
    size_t statement_count;
};

/*
 * Opens or creates path and brings it to spec->version. 0 and an owned handle (store_db_close);
 * ERR_UNSUPPORTED when a newer version made it; ERR_STORE otherwise, a file of another program or
 * one that is not a regular file included. read_only creates, changes and migrates nothing.
 */
int store_db_open(struct store_db **out, const char *path, const struct store_db_spec *spec,
                  bool read_only, struct err *err);
/* Rolls back what was not committed. */
void store_db_close(struct store_db *db);

enum store_type { STORE_TYPE_NULL, STORE_TYPE_INT, STORE_TYPE_TEXT, STORE_TYPE_BLOB };

/* One value for ?1, ?2, … of a statement; its bytes are borrowed until the statement is used up. */
struct store_value {
    enum store_type type;
    int64_t number;
    struct bytes bytes;
};

static inline struct store_value store_value_of(enum store_type type, struct bytes b)
{
    return (struct store_value){.type = type, .bytes = b};
}
static inline struct store_value store_value_text(const char *s)
{
    return store_value_of(s ? STORE_TYPE_TEXT : STORE_TYPE_NULL, bytes_text(s));
}
static inline struct store_value store_value_time(int64_t ms)
{
    return (struct store_value){.type = ms ? STORE_TYPE_INT : STORE_TYPE_NULL, .number = ms};
}

#define STORE_INT(v) ((struct store_value){.type = STORE_TYPE_INT, .number = (v)})
#define STORE_TIME(ms) store_value_time(ms) /* 0 is NULL */
#define STORE_BYTES(b) store_value_of((b).p ? STORE_TYPE_TEXT : STORE_TYPE_NULL, (b))
#define STORE_TEXT(s) store_value_text(s)                  /* NULL is NULL */
#define STORE_BLOB(b) store_value_of(STORE_TYPE_BLOB, (b)) /* never NULL */

struct store_values {
    const struct store_value *p;
    size_t n;
};
#define STORE_VALUES_(...) ((const struct store_value[]){{.type = STORE_TYPE_NULL}, ##__VA_ARGS__})
#define STORE_VALUES(...)                                                                          \
    ((struct store_values){STORE_VALUES_(__VA_ARGS__) + 1,                                         \
                           sizeof(STORE_VALUES_(__VA_ARGS__)) / sizeof(struct store_value) - 1})

/* Runs a statement of the list inside the group, which the first write opens: rows changed, without
 * those of triggers, or ERR_STORE. */
int store_db_write(struct store_db *db, size_t statement, struct store_values values);
int64_t store_db_last_id(const struct store_db *db); /* of the row inserted last */
/* SQL outside the list, inside the group: 0 or ERR_STORE. */
int store_db_write_sql(struct store_db *db, const char *sql);

/*
 * Reading: select, then next until it is not 1. Columns are borrowed until the next call on the
 * same statement. A statement that is left early is given to store_db_end, else it holds back
 * checkpoints.
 */
struct sqlite3_stmt *store_db_select(struct store_db *db, size_t statement,
                                     struct store_values values);
/* 1 a row, 0 no more, ERR_STORE. */
int store_db_next(struct store_db *db, struct sqlite3_stmt *row);
void store_db_end(struct sqlite3_stmt *row);
int64_t store_db_int(struct sqlite3_stmt *row, int column); /* NULL is 0 */
/* NULL is BYTES_NONE; text has a NUL behind it that is not counted. */
struct bytes store_db_bytes(struct sqlite3_stmt *row, int column);
const char *store_db_text(struct sqlite3_stmt *row, int column);
/* The first column of the first row, 0 when there is none; 0 or ERR_STORE. */
int store_db_number(struct store_db *db, int64_t *out, size_t statement,
                    struct store_values values);

bool store_db_failed(const struct store_db *db); /* a write failed: the group cannot be committed */
bool store_db_dirty(const struct store_db *db);  /* a group is open */
uint64_t store_db_changes(const struct store_db *db); /* rows written so far */
/* Durable on return: 0 (at once and without a sync when no group is open), or ERR_STORE and the
 * whole group is rolled back. */
int store_db_commit(struct store_db *db, struct err *err);
void store_db_rollback(struct store_db *db);
/* A checkpoint when STORE_DB_CHECKPOINT_PAGES wait in the -wal file: two syncs, for a moment when
 * nobody waits. Nothing inside a group. One that fails costs nothing but space; it is tried again
 * after the next commit. */
void store_db_tend(struct store_db *db);
/* A checkpoint that leaves an empty -wal file; no group may be open. 0 or ERR_STORE. */
int store_db_flush_log(struct store_db *db, struct err *err);
/* Gives back the page cache; it fills again when it is needed. */
void store_db_rest(struct store_db *db);
/* What SQLite said last when something was ERR_STORE: path, words, code. */
const char *store_db_error(const struct store_db *db);

#endif
