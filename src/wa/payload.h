/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ClientPayload, the introduction inside the handshake (protocol/01 section 7). */
#ifndef WA_PAYLOAD_H
#define WA_PAYLOAD_H

#include "wa/device.h"
#include "wa/version.h"

/* Appends the serialised payload of an unpaired device; label is the text that the phone shows in
 * "Linked devices" (UTF-8, at most 64 bytes). history_days: how far back the phone's history is of
 * use; 0: none of its messages is. 0 or ERR_LIMIT. */
int wa_payload_registration(struct buf *out, const struct wa_device *d, const struct wa_version *v,
                            const char *label, int64_t history_days);
/* Appends the serialised payload of a paired device: username is its phone number. ERR_STATE when
 * not paired or the PN is not a number. */
int wa_payload_login(struct buf *out, const struct wa_device *d, const struct wa_version *v);

#endif
