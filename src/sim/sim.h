/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulator as a whole: what every part of it shares. One thread, one event loop. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/arena.h"
#include "sim/event.h"
#include "sim/fault.h"
#include "sim/responder.h"
#include "sim/reuse.h"
#include "sim/store.h"
#include "sim/table.h"
#include "sim/timer.h"
#include "wa/jid.h"

#define SIM_REF_SECONDS                                                                            \
    60 /* life of the first pairing ref; each next has a third (protocol/03 2.1) */

#define SIM_MEDIA_HOSTS 3

struct sim_account;
struct sim_client;
struct sim_group;
struct sim_load;

struct sim_stats {
    uint64_t connections, stanzas_in, stanzas_out, bytes_in, bytes_out;
    uint64_t key_reuse;     /* message keys of clients that came to a phone for a second message */
    uint64_t undecryptable; /* messages that a phone could not read */
    uint64_t retries;       /* messages that a client could not read */
    uint64_t handshakes[3]; /* completed, by enum wa_handshake_way */
    uint64_t routed;        /* connections with a preface */
    uint64_t sw_js;         /* requests for the service worker */
};

struct sim {
    unsigned ref_seconds;
    bool log_stanzas;
    struct sim_random random;
    struct sim_store own; /* records of no phone: randomness for the server's keys */
    struct wa_host host;  /* over own */
    struct sim_server_keys keys;
    struct sim_timers timers;
    /* Kept from stanza to stanza: of one that a phone reads, that it sends, that is queued. */
    struct arena reading, sending;
    struct buf encoded;
    struct sim_ring events; /* of struct sim_event */
    struct sim_stats stats;
    struct sim_reuse reuse;
    int64_t started_ms; /* monotonic */
    uint64_t activity;  /* grows whenever a waiting control request might be answered */
    uint64_t stanza_seq;

    struct sim_table by_pn, by_lid; /* user part -> struct sim_account, owned by the list below */
    struct sim_account *accounts, **accounts_end;
    struct sim_group *groups; /* in the order of their making */
    struct sim_client *clients;
    struct sim_table media; /* path -> struct sim_media */
    struct sim_faults next_connection;
    struct sim_load *load;                   /* the last one; NULL before */
    uint32_t oldest_version, newest_version; /* revisions: taken at login; told by /sw.js */
    char endpoint[64], control[64];
    char media_hosts[SIM_MEDIA_HOSTS][64]; /* host:port as clients are told; "" ends them */
    uint32_t media_ttl_s;
};

void sim_init(struct sim *s, unsigned ref_seconds, bool seeded, uint64_t seed);
void sim_deinit(struct sim *s);
int64_t sim_now_s(void); /* Unix seconds */
/* Logs at debug, appends to the events and wakes waiting requests. device may be NULL. */
void sim_note(struct sim *s, const char *name, const struct wa_jid *device, struct bytes id,
              const char *detail);
/* A new stanza id, 10 digits. */
const char *sim_stanza_id(struct sim *s, char out[24]);

#endif
