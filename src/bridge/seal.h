/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private values at rest. With a key, a record of keys.db is
 *
 *   0x01 | 12 bytes nonce | AES-256-GCM ciphertext | 16 bytes tag
 *
 * under HKDF-SHA256(key file, no salt, "wabridge keys.db 1"), with "<table>\0<key>" as associated
 * data: a value moved to another place does not open. Without a key a record is the plain value.
 */
#ifndef BRIDGE_SEAL_H
#define BRIDGE_SEAL_H

#include "base/buf.h"
#include "base/err.h"

#define BRIDGE_SEAL_OVERHEAD 29 /* bytes */

struct bridge_seal {
    bool on;
    uint8_t key[32];
};

/* Reads a key file: 32 bytes, or 64 hexadecimal digits and at most a line end. path "": no key. 0,
 * or ERR_CONFIG with path and reason. */
int bridge_seal_init(struct bridge_seal *s, const char *path, struct err *err);
/* Wipes; a zeroed one is fine. */
void bridge_seal_deinit(struct bridge_seal *s);

/* Both append to out and return ERR_LIMIT when it is full; open ERR_AUTH for what was not sealed
 * with this key for this place. */
int bridge_seal_close(const struct bridge_seal *s, const char *table, const char *key,
                      struct bytes plain, struct buf *out);
int bridge_seal_open(const struct bridge_seal *s, const char *table, const char *key,
                     struct bytes sealed, struct buf *out);

#endif
