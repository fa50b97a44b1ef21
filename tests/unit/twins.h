/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two devices that write to each other, each of them twice: by wa/signal.h and by the Signal
 * library. Both twins of a device get the same input and the same draws, and must agree on the
 * result, the fault, what comes out, how much was drawn, and on every stored record to the byte. A
 * call that fails must have changed none.
 */
#ifndef TESTS_TWINS_H
#define TESTS_TWINS_H

#include "fake_host.h"
#include "library_peer.h"

#define TWINS_FLIGHTS 96

struct twin {
    struct wa_device device;
    struct wa_jid jid;
    struct fake_host hosts[2];
    struct fake_host *ours, *theirs; /* one each of hosts */
    struct wa_signal *signal;
    struct library_peer *library;
    uint32_t prekeys; /* ids that were given out: 1 … */
};

/* A message on its way. */
struct twins_flight {
    size_t to; /* which of sides */
    enum wa_enc_type type;
    bool forged; /* on its way: see twins_receive */
    struct buf sealed;
};

struct twins {
    struct twin sides[2];
    struct fake_host maker; /* draws what no twin draws: the keys of devices */
    uint64_t dice;
    struct twins_flight flights[TWINS_FLIGHTS]; /* oldest first; one more, and the first is lost */
    size_t flight_count;
    unsigned sent, opened, duplicates, refused, stricter; /* so far */
    const char *doing;                                    /* for who reads a failure */
};

void twins_init(struct twins *w, uint64_t seed);
void twins_deinit(struct twins *w);
/* 0 … sides - 1 */
uint32_t twins_roll(struct twins *w, uint32_t sides);
struct twin *twins_other(struct twins *w, const struct twin *s);

/* Both objects of a device, over its hosts. */
void twins_open(struct twin *s);
void twins_close(struct twin *s);
/* Each of the two goes on with what the other has written. */
void twins_swap(struct twin *s);
void twins_assert_agree(const struct twins *w, const struct twin *s);

/* The key of what s has stored about its peer: identity and session. */
void twins_record_key(struct twins *w, const struct twin *s, char out[WA_KEY_MAX]);
/* The session record in one of its hosts; owned by the caller (buf_deinit). */
void twins_record(struct twins *w, const struct twin *s, struct fake_host *h, struct buf *out);

void twins_put_key(struct twin *s, enum wa_table table, uint32_t id, const struct wa_keypair *k);
void twins_del(struct twin *s, enum wa_table table, const char *key);
/* Of s, without a one-time prekey; with the next one. */
struct wa_bundle twins_bundle(const struct twin *s);
struct wa_bundle twins_bundle_prekey(struct twins *w, struct twin *s);
/* s processes one of its peer: the result. */
int twins_process(struct twins *w, struct twin *s, const struct wa_bundle *b);

/* s seals something for its peer: what flies now, or NULL when there is no session. */
struct twins_flight *twins_seal(struct twins *w, struct twin *s);
/* One arrives, and stays: the result. We may be stricter with a forged one, in the ways that are
 * listed in twins.c. */
int twins_receive(struct twins *w, const struct twins_flight *f);
void twins_forget(struct twins *w, size_t at);
/* s seals and its peer receives, which must go well. */
void twins_say(struct twins *w, struct twin *s);

#endif
