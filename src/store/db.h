/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The SQLite door: opening with the durability that D1 to D6 need, versioned migrations, prepared
 * statements from one list per database, grouped transactions. Internal to src/store.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/buf.h"
#include "base/err.h"

#endif
