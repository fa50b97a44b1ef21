/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The history that a phone gives its companions: a notification for each part, and its bytes within
 * or on the media host (protocol/07 section 7). */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "sim/media.h"

#define SIM_HISTORY_MAX (64u << 20) /* bytes of a HistorySync */

struct sim_history {
    uint32_t type;     /* syncType */
    struct bytes sync; /* a serialised HistorySync */
    bool within;       /* in the notification instead of a file */
    bool raw;          /* sync is sent as it is, without being packed */
    uint64_t length;   /* of the file, as it is told; 0: the true one */
    const char *fault; /* of the file: sim/media.h; NULL none */
};
/* To every companion of the account; *id is that of the last notification, "" when there is no
 * companion. 0 or ERR_LIMIT. */
int sim_history_send(struct sim_account *a, const struct sim_history *h, char id[SIM_ID_MAX + 1]);
/* A companion could not use the file: the phone, when it has it still, uploads it and tells of it
 * anew. */
void sim_history_again(const struct sim_sender *from, struct sim_media *m);

#endif
