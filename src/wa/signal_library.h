/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The door to the Signal library (libsignal-protocol-c), which has sender keys for us; opened with
 * the first of them. signal_group.c is the one who comes in here.
 */
#ifndef WA_SIGNAL_LIBRARY_H
#define WA_SIGNAL_LIBRARY_H

#include <signal/signal_protocol.h>

#include "wa/signal_internal.h"

struct wa_signal_library {
    signal_context *context;
    signal_protocol_store_context *stores;
};

/* Owned by s. */
struct wa_signal_library *wa_signal_library(struct wa_signal *s);
/* The key of a record: "<group>/<name>:<device>". */
void wa_signal_sender_key(const signal_protocol_sender_key_name *name, char out[WA_KEY_MAX]);
/*
 * Around every call of the library: it tells some failures to allocate as malformed data, and then
 * a good chain would be given up. errno must be 0 before. rc.
 */
int wa_signal_memory(int rc);

#endif
