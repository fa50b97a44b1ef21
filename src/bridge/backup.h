/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy of a tenant, running or not, that can be put back (docs/operations.md). */
#ifndef BRIDGE_BACKUP_H
#define BRIDGE_BACKUP_H

#include "config/config.h"

/*
 * Copies keys.db, then messages.db, into dir (made with mode 0700 when missing). In this order, the
 * rows are at least as new as the keys, as D1 has it after any crash. The copy holds no ratchets:
 * what was sent after it would be sent again under the same message keys; without them new sessions
 * are made and retry receipts bring back what comes under the old ones. 0; ERR_EXISTS when dir
 * holds a backup; ERR_STORE or ERR_SYSTEM.
 */
int bridge_backup(const struct config *config, const char *dir, struct err *err);

#endif
