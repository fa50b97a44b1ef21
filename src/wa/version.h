/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The version of WhatsApp Web that we say we are, and where newer ones are read (protocol/01
 * section 8). */
#ifndef WA_VERSION_H
#define WA_VERSION_H

#include "base/buf.h"

struct wa_version {
    uint32_t primary, secondary, tertiary; /* 2.3000.<revision> */
};

/* Compiled-in fallback. */
#define WA_VERSION_DEFAULT ((struct wa_version){2, 3000, 1045649367})

/* "2.3000.1045649367"; 0 or ERR_INVALID. */
int wa_version_parse(struct wa_version *out, struct bytes text);
const char *wa_version_text(const struct wa_version *v, char out[40]);

/* A revision has 9 to 11 digits and goes into 32 bits. */
bool wa_version_is_revision(uint64_t revision);
/*
 * Takes client_revision out of the service worker's script: the first such key, its quotes plain or
 * escaped, with a number behind it. 0; ERR_NOT_FOUND; ERR_INVALID when the number is no revision or
 * the script ends within it.
 */
int wa_version_find_revision(struct bytes script, uint32_t *out);

#endif
