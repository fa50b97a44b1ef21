/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The load generator: contacts write numbered texts to one account; replies are matched to them. */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include "base/json.h"
#include "sim/phone.h"

#define SIM_LOAD_CONTACTS_MAX 100000
#define SIM_LOAD_MESSAGES_MAX 10000000
#define SIM_LOAD_BYTES_MAX 60000
#define SIM_LOAD_FIRST_CONTACT 9990000001u

struct sim_load_spec {
    struct sim_account *to;
    int64_t first; /* number of the first contact, from 1: its phone is 9990000000 + first */
    int64_t contacts, messages;
    int64_t rate;       /* messages per second; 0: as fast as it goes */
    int64_t bytes;      /* to which a text is filled up with dots; 0: not at all */
    const char *prefix; /* texts are "PREFIX <n>", n from 1 */
    int64_t window;     /* messages without an answer at a time; 0: any number */
    bool paired;        /* a contact writes again only after it was answered */
};

/* Starts a run, which takes the place of an earlier one. Contacts are made when they first write.
 * 0 or ERR_INVALID with err. */
int sim_load_start(struct sim *s, const struct sim_load_spec *spec, struct err *err);
void sim_load_free(struct sim_load *l);
/* Writes the members of GET /load. l may be NULL: all zero, done. */
void sim_load_write(const struct sim_load *l, struct json_writer *w);

/* What reached a phone; ignored unless it belongs to the run. l may be NULL. */
void sim_load_arrival(struct sim_load *l, const struct sim_account *contact,
                      const struct sim_arrival *a);
void sim_load_receipt(struct sim_load *l, const struct sim_phone_receipt *r);

#endif
