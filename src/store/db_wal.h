/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An SQLite VFS over the default one, for databases in WAL mode with synchronous=FULL: what is
 * written to a -wal file one piece after another is gathered, and leaves in one write before the
 * file is synced, read, measured, cut or closed. SQLite writes each page of a commit as two pieces,
 * 24 bytes and the page.
 *
 * Nothing else changes: until the sync nobody but the writer looks at what a commit has added to
 * the -wal file, and nothing of it counts after a crash (sqlite.org/walformat.html, 4.3). All other
 * files are the default VFS's own. Internal to src/store.
 */
#ifndef STORE_DB_WAL_H
#define STORE_DB_WAL_H

/* 31 pages of 4096 bytes with their headers; the default VFS takes no more than 131071 at once. */
#define STORE_WAL_GATHERED_BYTES 127720

/* Its name, for sqlite3_open_v2; registered when first asked for. NULL: the default one. */
const char *store_wal_vfs(void);

#endif
