/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The owner scans a QR: the phone vouches for the new companion (protocol/03 sections 2.2 to 2.5).
 */
#ifndef SIM_SCAN_H
#define SIM_SCAN_H

#include "sim/client.h"

#define SIM_SCAN_TIMEOUT_MS 10000

struct sim_scan {
    struct sim_account *account;
    struct sim_client *client; /* NULL once it is over */
    struct sim_device *device; /* when it went well */
    char iq_id[24];
    uint8_t details[64]; /* ADVDeviceIdentity as it was signed */
    size_t details_len;
    uint8_t account_signature[WA_SIGNATURE_LEN];
    uint32_t key_index;
    uint16_t device_id;
    struct err err; /* when it did not; code 0 otherwise */
};

/* The phone vouches for an unpaired client by pair-success; secret: its ADV secret, as the phone
 * knows it. 0 and an owned scan (sim_scan_free), whose client becomes NULL when it is decided;
 * ERR_LIMIT. */
int sim_scan_vouch(struct sim_account *a, struct sim_client *c, const uint8_t secret[WA_KEY_LEN],
                   struct sim_scan **out, struct err *err);
/* Checks the QR, then vouches as above; or, where the account has a passkey, opens its gate: 0 and
 * NULL then. Else a code with err. */
int sim_scan_begin(struct sim_account *a, struct bytes qr, struct sim_scan **out, struct err *err);
void sim_scan_free(struct sim_scan *scan);
/* The companion answered pair-success. */
void sim_scan_answer(struct sim_scan *scan, const struct wa_node *iq);
/* The companion's connection went away. */
void sim_scan_gone(struct sim_scan *scan);

#endif
