/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection of a client: frames, handshake, transport cipher, and the pump that moves the
 * device's queue onto the wire. Bytes come from and go to the event loop (sim/server.h).
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "sim/account.h"

#define SIM_REFS 6

enum sim_phase {
    SIM_PHASE_HELLO,    /* waits for the ClientHello */
    SIM_PHASE_FINISH,   /* … and for the ClientFinish */
    SIM_PHASE_UNPAIRED, /* offered refs */
    SIM_PHASE_LINKED,   /* logged in */
    SIM_PHASE_CLOSING,  /* what is in out still goes, then the socket is closed */
    SIM_PHASE_DEAD,     /* closed now; or half open: nothing goes in or out */
};

/* What an unpaired client introduced itself with. */
struct sim_registration {
    struct sim_bundle_keys keys;
    struct bytes refs[SIM_REFS]; /* borrowed from ref_text */
    char ref_text[SIM_REFS][64];
    int64_t ref_until_ms[SIM_REFS]; /* monotonic */
    struct sim_timer expiry;
    struct sim_scan *scan;     /* being answered; NULL otherwise */
    struct sim_gate *gate;     /* the passkey step, when it is open */
    struct sim_typing *typing; /* the pairing code that it shows; NULL when none */
};

/* Position in the backlog after login (protocol/01 section 13). */
struct sim_backlog {
    bool started, done;
    size_t left, total; /* stanzas that were waiting at login */
    size_t credit;      /* how many the client asked for and has not got yet */
    struct sim_timer timer;
};

struct sim_client {
    struct sim_client *next, **at;
    struct sim *sim;
    void *link; /* the event loop's, for sim/server.h */
    enum sim_phase phase;
    struct buf in, out;
    bool prologue_seen;
    struct sim_responder responder;
    struct wa_cipher recv, send;
    struct arena arena;        /* of the stanza at hand */
    struct buf plain, encoded; /* scratch */
    uint8_t noise_key[WA_KEY_LEN];
    struct sim_registration *registration; /* UNPAIRED */
    struct sim_device *device;             /* LINKED */
    struct wa_jid who; /* its PN, also after it was detached; none before login */
    const char *why;   /* it ends, static; NULL as long as nobody wants that */
    bool passive, available;
    struct sim_backlog backlog;
    struct sim_faults faults;
    struct sim_delayed *delayed, **delayed_end; /* stanzas held back by the delay fault */
    struct sim_timer delay_timer, close_timer;
};

struct sim_client *sim_client_open(struct sim *s, void *link);
void sim_client_free(struct sim_client *c);
/* Takes received bytes, any cut. */
void sim_client_received(struct sim_client *c, struct bytes data);
/* The socket has taken what was in out: moves on with the queue. */
void sim_client_drained(struct sim_client *c);

/* Encrypts and queues one stanza; ignored once the client is closing. */
void sim_client_send(struct sim_client *c, const struct wa_node *node);
/* As above, for a stanza that is encoded already. */
void sim_client_send_encoded(struct sim_client *c, struct bytes stanza);
/* Moves the device's queue as far as backlog credit and socket allow. */
void sim_client_pump(struct sim_client *c);
/* Sends what is waiting, then closes. why is static text for the events. */
void sim_client_end(struct sim_client *c, const char *why);
/* Closes at once. */
void sim_client_kill(struct sim_client *c, const char *why);
/* <stream:error code> with an optional <conflict type>, then the end. */
void sim_client_stream_error(struct sim_client *c, const char *code, const char *conflict);
/* Says the stanza that a fault asks for, then the end; false when it asks for none. */
bool sim_client_last_words(struct sim_client *c);
/* Lets the faults act that do so at once on an open connection. */
void sim_client_faults(struct sim_client *c);
/* <ib from> with one child, which is returned. */
struct wa_node *sim_client_ib(struct sim_client *c, const char *child, struct wa_node **ib);
/* The client asked for more of the backlog. */
void sim_client_offline_batch(struct sim_client *c, uint64_t count);
/* <active/> or <passive/>. */
void sim_client_set_passive(struct sim_client *c, bool passive);

#endif
