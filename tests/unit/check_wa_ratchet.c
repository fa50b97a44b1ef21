/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our ratchet and the Signal library through the same random conversations; see twins.h. */
#include "check_wa_ratchet.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "testing.h"
#include "twins.h"

/* ---- the steps of a schedule ----------------------------------------------------------------- */

static void step_renew(struct twins *w, struct twin *s)
{
    struct twin *peer = twins_other(w, s);
    uint32_t kind = twins_roll(w, 4);
    struct wa_bundle b = kind == 0 ? twins_bundle(peer) : twins_bundle_prekey(w, peer);
    if (kind == 3 && twins_roll(w, 4) == 0)
        b.signed_prekey_signature[twins_roll(w, 32)] ^= 1;
    twins_process(w, s, &b);
}

static void step_send(struct twins *w, struct twin *s)
{
    if (!twins_seal(w, s))
        step_renew(w, s);
}

static void step_deliver(struct twins *w, struct twin *s)
{
    (void)s;
    if (w->flight_count == 0)
        return;
    /* Mostly the oldest, so that they talk; and one in four will come again. */
    size_t at = twins_roll(w, 2) ? 0 : twins_roll(w, (uint32_t)w->flight_count);
    twins_receive(w, &w->flights[at]);
    if (twins_roll(w, 4) > 0)
        twins_forget(w, at);
}

static void step_lose(struct twins *w, struct twin *s)
{
    (void)s;
    if (w->flight_count > 0)
        twins_forget(w, twins_roll(w, (uint32_t)w->flight_count));
}

static void step_forge(struct twins *w, struct twin *s)
{
    struct twins_flight bad = {.forged = true, .sealed = {.max = 4096}};
    (void)s;
    if (w->flight_count == 0)
        return;
    const struct twins_flight *f = &w->flights[twins_roll(w, (uint32_t)w->flight_count)];
    bad.to = f->to;
    bad.type = twins_roll(w, 8) == 0 ? (enum wa_enc_type) !f->type : f->type;
    buf_append(&bad.sealed, buf_bytes(&f->sealed));
    if (twins_roll(w, 4) == 0)
        bad.sealed.n = twins_roll(w, (uint32_t)bad.sealed.n + 1);
    else
        bad.sealed.p[twins_roll(w, (uint32_t)bad.sealed.n)] ^= (uint8_t)(1u << twins_roll(w, 8));
    if (bad.sealed.n > 0)
        twins_receive(w, &bad);
    buf_deinit(&bad.sealed);
}

static void step_burst(struct twins *w, struct twin *s)
{
    for (uint32_t n = twins_roll(w, 12); n > 0 && twins_seal(w, s); n--) {
    }
}

/* Back and forth at once, so that chains come and go while older messages fly. */
static void step_talk(struct twins *w, struct twin *s)
{
    for (uint32_t n = 2 + twins_roll(w, 8); n > 0; n--, s = twins_other(w, s)) {
        if (!twins_seal(w, s))
            return;
        twins_receive(w, &w->flights[w->flight_count - 1]);
        twins_forget(w, w->flight_count - 1);
    }
}

static void step_archive(struct twins *w, struct twin *s)
{
    const struct wa_jid *peer = &twins_other(w, s)->jid;
    ck_assert_int_eq(wa_signal_archive_session(s->signal, peer), 0);
    ck_assert_int_eq(library_peer_archive(s->library, peer), 0);
    twins_assert_agree(w, s);
    ck_assert_int_eq(wa_signal_has_session(s->signal, peer), 0);
}

static void step_drop(struct twins *w, struct twin *s)
{
    char key[WA_KEY_MAX];
    twins_record_key(w, s, key);
    twins_del(s, WA_TABLE_SESSION, key);
    if (twins_roll(w, 2))
        twins_del(s, WA_TABLE_IDENTITY, key);
}

static void step_lose_prekey(struct twins *w, struct twin *s)
{
    char key[16];
    if (s->prekeys == 0)
        return;
    snprintf(key, sizeof(key), "%u", (unsigned)(1 + twins_roll(w, s->prekeys)));
    twins_del(s, WA_TABLE_PREKEY, key);
}

static void step_rotate(struct twins *w, struct twin *s)
{
    struct wa_device fresh;
    struct wa_signed_prekey *current = &s->device.signed_prekey;
    if (twins_roll(w, 4) > 0)
        twins_put_key(s, WA_TABLE_SIGNED_PREKEY, current->id, &current->key);
    uint32_t id = current->id + 1;
    struct wa_keypair identity = s->device.identity;
    wa_device_generate(&fresh, &w->maker.host);
    *current = fresh.signed_prekey;
    current->id = id;
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, current->key.pub);
    wa_curve_sign(current->signature, identity.priv, BYTES_ARRAY(typed), &w->maker.host);
}

/* Registers anew: nothing is left but the name. */
static void step_register(struct twins *w, struct twin *s)
{
    uint64_t counter = s->ours->counter;
    twins_close(s);
    fake_host_deinit(s->ours);
    fake_host_deinit(s->theirs);
    wa_device_generate(&s->device, &w->maker.host);
    ck_assert_uint_eq(s->theirs->counter, counter);
    twins_open(s);
}

static void step_swap(struct twins *w, struct twin *s)
{
    (void)w;
    twins_swap(s);
}

static const struct step {
    const char *name;
    void (*take)(struct twins *w, struct twin *s);
    unsigned weight;
} steps[] = {
    {"send", step_send, 300},   {"deliver", step_deliver, 380},
    {"lose", step_lose, 30},    {"forge", step_forge, 90},
    {"burst", step_burst, 25},  {"talk", step_talk, 60},
    {"renew", step_renew, 35},  {"archive", step_archive, 15},
    {"drop", step_drop, 6},     {"lose a prekey", step_lose_prekey, 6},
    {"rotate", step_rotate, 6}, {"register", step_register, 5},
    {"swap", step_swap, 40},
};

static const struct step *some_step(struct twins *w)
{
    unsigned sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        sum += steps[i].weight;
    unsigned at = twins_roll(w, sum);
    for (size_t i = 0;; i++) {
        if (at < steps[i].weight)
            return &steps[i];
        at -= steps[i].weight;
    }
}

#define SCHEDULES 16
#define SCHEDULE_STEPS 400

START_TEST(test_random_schedule_library_agrees)
{
    struct twins w;
    char doing[64];
    twins_init(&w, (uint64_t)_i + 1);
    for (int i = 0; i < SCHEDULE_STEPS; i++) {
        const struct step *step = some_step(&w);
        snprintf(doing, sizeof(doing), "schedule %d, step %d: %s", _i, i, step->name);
        w.doing = doing;
        step->take(&w, &w.sides[twins_roll(&w, 2)]);
    }
    /* A schedule in which nothing happens proves nothing. */
    ck_assert_uint_gt(w.sent, SCHEDULE_STEPS / 5);
    ck_assert_uint_gt(w.opened, SCHEDULE_STEPS / 10);
    ck_assert_uint_gt(w.duplicates, 0);
    ck_assert_uint_gt(w.refused, 20);
    if (getenv("RATCHET_FIGURES"))
        printf("# schedule %d: %u sent, %u opened, %u duplicates, %u refused (%u not by the "
               "library)\n",
               _i, w.sent, w.opened, w.duplicates, w.refused, w.stricter);
    twins_deinit(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wa_ratchet");
    TCase *cases = tcase_create("library");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_random_schedule_library_agrees, 0, SCHEDULES);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, limit_cases());
    suite_add_tcase(suite, envelope_cases());
    suite_add_tcase(suite, record_cases());
    return testing_run(suite);
}
