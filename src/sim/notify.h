/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the server puts into the queues of devices: deliveries and its own notifications. */
#ifndef SIM_NOTIFY_H
#define SIM_NOTIFY_H

#include "sim/account.h"

/* Queues a message, receipt or notification for one device and sets it moving. 0, ERR_LIMIT,
 * ERR_INVALID. */
int sim_deliver(struct sim_device *to, const struct wa_node *stanza, bool own_copy);
/* A notification node of a type with id, t and from filled in. */
struct wa_node *sim_notification(struct sim *s, struct arena *arena, const char *type,
                                 const struct wa_jid *from);
/* <notification type="encrypt"><count value/>: few one-time keys are left. */
void sim_notify_prekeys(struct sim_device *d, size_t count);
/* <notification type="devices"> to the account's own companions and to those of whom it has written
 * with: companion was added or removed. */
void sim_notify_devices(struct sim_device *companion, bool added);
/* <notification type="privacy_token"> from one account to the companions of another. */
void sim_notify_privacy_token(struct sim_account *from, struct sim_account *to, uint64_t t_s);
/* Appends <device-list> and <key-index-list> of an account to a <devices> node; the hash is over
 * JIDs in the namespace of like. */
void sim_devices_describe(struct wa_node *devices, const struct sim_account *a,
                          const struct wa_jid *like);

#endif
