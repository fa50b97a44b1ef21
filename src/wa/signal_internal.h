/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of wa/signal.h, shared by signal.c (pairwise sessions) and signal_group.c (sender
 * keys). Nobody else includes this.
 */
#ifndef WA_SIGNAL_INTERNAL_H
#define WA_SIGNAL_INTERNAL_H

#include "wa/overlay.h"
#include "wa/signal.h"

struct wa_signal_library;

struct wa_signal {
    const struct wa_device *device;
    struct wa_overlay overlay;           /* empty between two calls */
    struct buf scratch;                  /* the session record that is being written */
    uint64_t set_aside, setting_aside;   /* counted once the call went well */
    bool taking_identity, took_identity; /* in the call at work; since it was asked for */
    struct wa_signal_library *library;   /* NULL until the first sender key */
};

/* ---- signal.c -------------------------------------------------------------------------------- */
/* The key of a device's records: "<name>:<device>". */
void wa_signal_peer_key(const struct wa_jid *jid, char out[WA_KEY_MAX]);
/* The device of the host's next record after key (empty: the first) whose key is prefix and a
 * device number: 1, 0 when there is none, ERR_STORE. */
int wa_signal_next_device(struct wa_signal *s, enum wa_table table, const char *prefix,
                          struct buf *key, uint16_t *device);
/* Ends a call: commits when rc is 0, forgets in any case. rc, or ERR_STORE. */
int wa_signal_finish(struct wa_signal *s, int rc);
/* The same for a call that appended to out, which had before bytes: a failure takes them back. */
int wa_signal_finish_output(struct wa_signal *s, int rc, struct buf *out, size_t before);
/* Gives a record up within the call: it stays under WA_TABLE_SET_ASIDE for who wants to know what
 * happened to it; whether that went well. */
bool wa_signal_set_aside(struct wa_signal *s, enum wa_table table, const char *key);

/* ---- signal_group.c -------------------------------------------------------------------------- */
void wa_signal_library_close(struct wa_signal_library *library);

#endif
