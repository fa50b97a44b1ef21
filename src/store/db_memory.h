/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where SQLite's memory comes from: malloc, but small blocks that it gives back are kept at hand by
 * their size. A statement makes its cursors anew each time it runs: for one answered message that
 * is more than a hundred blocks taken and given back. For one thread. Internal to src/store.
 */
#ifndef STORE_DB_MEMORY_H
#define STORE_DB_MEMORY_H

#include <stddef.h>

#define STORE_MEMORY_KEPT_BYTES 65536 /* at hand, at most, of all databases */

/* Before SQLite is used for the first time; later it has no effect. */
void store_memory_prepare(void);
/* Gives back what is at hand: so many bytes. */
size_t store_memory_rest(void);

#endif
