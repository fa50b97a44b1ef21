/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulator without its sockets: containers, protobuf, queue, handshake, control interface. */
#include "testing.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "sim/control.h"
#include "sim/deflate.h"
#include "sim/histogram.h"
#include "sim/load.h"
#include "sim/pb.h"
#include "sim/responder.h"
#include "sim/reuse.h"
#include "wa/frame.h"
#include "wa/handshake.h"
#include "wa/version.h"

/* ---- table ---------------------------------------------------------------------------------- */

START_TEST(test_table_put_many_keeps_each)
{
    struct sim_table t = {0};
    int values[500];
    char key[16];

    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "key %d", i);
        ck_assert_ptr_null(sim_table_put(&t, bytes_text(key), &values[i]));
    }
    ck_assert_uint_eq(t.count, 500);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "key %d", i);
        ck_assert_ptr_eq(sim_table_get(&t, bytes_text(key)), &values[i]);
    }
    ck_assert_ptr_null(sim_table_get(&t, bytes_text("key 500")));
    sim_table_deinit(&t, NULL);
}
END_TEST

START_TEST(test_table_put_same_key_returns_old)
{
    struct sim_table t = {0};
    int a, b;

    sim_table_put(&t, bytes_text("k"), &a);
    ck_assert_ptr_eq(sim_table_put(&t, bytes_text("k"), &b), &a);
    ck_assert_ptr_eq(sim_table_remove(&t, bytes_text("k")), &b);
    ck_assert_ptr_null(sim_table_remove(&t, bytes_text("k")));
    ck_assert_uint_eq(t.count, 0);
    sim_table_deinit(&t, NULL);
}
END_TEST

START_TEST(test_table_remove_prefix_leaves_others)
{
    struct sim_table t = {0};
    int v;

    sim_table_put(&t, bytes_text("a:1"), &v);
    sim_table_put(&t, bytes_text("a:2"), &v);
    sim_table_put(&t, bytes_text("b:1"), &v);
    sim_table_remove_prefix(&t, bytes_text("a:"), NULL);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_ptr_eq(sim_table_get(&t, bytes_text("b:1")), &v);
    sim_table_deinit(&t, NULL);
}
END_TEST

/* ---- ring ----------------------------------------------------------------------------------- */

static void count_release(void *record)
{
    int **counter = record;

    ++**counter;
}

/* Numbers from 1 on, each with its own square. */
START_TEST(test_ring_next_beyond_max_takes_the_place_of_the_oldest)
{
    struct sim_ring r;
    int *first = NULL;

    sim_ring_init(&r, sizeof(int), 64);
    ck_assert_ptr_null(sim_ring_after(&r, 0));
    ck_assert_ptr_null(sim_ring_after(&r, -1));
    for (int i = 1; i <= 64; i++) {
        int *record = sim_ring_next(&r);

        ck_assert_int_eq(*record, 0);
        *record = i * i;
        first = first ? first : record;
    }
    ck_assert_ptr_eq(sim_ring_after(&r, 0), first);
    ck_assert_int_eq(*(int *)sim_ring_after(&r, -1), 1);
    ck_assert_ptr_eq(sim_ring_next(&r), first);
    ck_assert_int_eq(*first, 1);
    *first = 65 * 65;
    ck_assert_int_eq(r.last, 65);
    for (int i = 1; i <= 64; i++)
        ck_assert_int_eq(*(int *)sim_ring_after(&r, i), (i + 1) * (i + 1));
    ck_assert_int_eq(*(int *)sim_ring_after(&r, 0), 4);
    ck_assert_ptr_null(sim_ring_after(&r, 65));
    ck_assert_ptr_null(sim_ring_after(&r, INT64_MAX));
    sim_ring_deinit(&r, NULL);
}
END_TEST

START_TEST(test_ring_deinit_releases_each_record_once)
{
    struct sim_ring r;
    int counters[100] = {0};

    sim_ring_init(&r, sizeof(int *), 16);
    for (int i = 0; i < 100; i++)
        *(int **)sim_ring_next(&r) = &counters[i];
    sim_ring_deinit(&r, count_release);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(counters[i], i >= 84);
    ck_assert_ptr_null(sim_ring_after(&r, 0));
}
END_TEST

/* ---- timers --------------------------------------------------------------------------------- */

struct order {
    int calls;
    struct sim_timers *timers;
    struct sim_timer *other;
};

static void count_call(void *arg)
{
    ((struct order *)arg)->calls++;
}

static void cancel_other(void *arg)
{
    sim_timer_cancel(((struct order *)arg)->other);
}

static void arm_again(void *arg)
{
    struct order *o = arg;

    o->calls++;
    sim_timer_arm(o->timers, o->other, 0, arm_again, o);
}

START_TEST(test_timers_run_calls_only_what_is_due)
{
    struct sim_timers ts = {0};
    struct sim_timer a = {0}, b = {0};
    struct order o = {0};

    sim_timer_arm(&ts, &b, 20, count_call, &o);
    sim_timer_arm(&ts, &a, 10, count_call, &o);
    ck_assert_int_eq(sim_timers_next(&ts), 10);
    sim_timers_run(&ts, 10);
    ck_assert_int_eq(o.calls, 1);
    ck_assert_int_eq(sim_timers_next(&ts), 20);
    sim_timer_cancel(&b);
    ck_assert_int_eq(sim_timers_next(&ts), CLOCK_NEVER);
}
END_TEST

START_TEST(test_timers_run_cancelled_by_another_is_not_called)
{
    struct sim_timers ts = {0};
    struct sim_timer a = {0}, b = {0};
    struct order o = {.other = &b};

    sim_timer_arm(&ts, &a, 1, cancel_other, &o);
    sim_timer_arm(&ts, &b, 2, count_call, &o);
    sim_timers_run(&ts, 5);
    ck_assert_int_eq(o.calls, 0);
}
END_TEST

START_TEST(test_timers_run_armed_again_waits_for_next_run)
{
    struct sim_timers ts = {0};
    struct sim_timer a = {0};
    struct order o = {.timers = &ts, .other = &a};

    sim_timer_arm(&ts, &a, 0, arm_again, &o);
    sim_timers_run(&ts, 5);
    ck_assert_int_eq(o.calls, 1);
    sim_timer_cancel(&a);
}
END_TEST

/* ---- protobuf ------------------------------------------------------------------------------- */

/* The examples of the encoding guide of Protocol Buffers: field 1 = 150, field 2 = "testing". */
static const char pb_example[] = "0896011207"
                                 "74657374696e67";

START_TEST(test_pb_put_matches_the_guide)
{
    struct buf AUTO_BUF out;

    buf_init(&out, 64);
    sim_pb_put_uint(&out, 1, 150);
    sim_pb_put_bytes(&out, 2, bytes_text("testing"));
    testing_assert_bytes(buf_bytes(&out), testing_unhex(pb_example), "message");
}
END_TEST

START_TEST(test_pb_read_of_the_guide_finds_both_fields)
{
    struct bytes m = testing_unhex(pb_example);

    ck_assert_uint_eq(sim_pb_uint(m, 1), 150);
    ck_assert(bytes_is(sim_pb_bytes(m, 2), "testing"));
    ck_assert_uint_eq(sim_pb_bytes(m, 3).n, 0);
}
END_TEST

START_TEST(test_pb_read_truncated_finds_nothing_beyond)
{
    struct bytes m = testing_unhex(pb_example);

    for (size_t n = 0; n < m.n; n++)
        ck_assert_uint_eq(sim_pb_bytes(BYTES(m.p, n), 2).n, 0);
}
END_TEST

START_TEST(test_pb_next_group_is_invalid)
{
    struct reader r = reader_init(testing_unhex("0b0c"));
    struct sim_pb_field f;

    ck_assert_int_eq(sim_pb_next(&r, &f), ERR_INVALID);
}
END_TEST

/* ---- queue ---------------------------------------------------------------------------------- */

static void put(struct sim_queue *q, const char *tag, const char *id, bool own_copy)
{
    struct arena AUTO_ARENA arena;
    struct buf AUTO_BUF scratch;
    struct wa_node *node;

    arena_init(&arena);
    buf_init(&scratch, WA_STANZA_MAX);
    node = wa_node_new(&arena, tag);
    wa_node_set(node, "id", id);
    ck_assert_int_eq(sim_queue_put(q, node, own_copy, &scratch), 0);
}

START_TEST(test_queue_done_before_it_was_sent_keeps_it)
{
    struct sim_queue q = {0};

    put(&q, "message", "A", false);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 0);
    ck_assert_str_eq(sim_queue_take(&q)->id, "A");
    ck_assert_uint_eq(sim_queue_done(&q, SIM_RECEIPT, bytes_text("A"), true), 0);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 1);
    ck_assert_uint_eq(q.count, 0);
    sim_queue_deinit(&q);
}
END_TEST

START_TEST(test_queue_done_own_copy_needs_a_receipt)
{
    struct sim_queue q = {0};

    put(&q, "message", "A", true);
    sim_queue_take(&q);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), false), 0);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 1);
    sim_queue_deinit(&q);
}
END_TEST

/* A message that was asked for again, a receipt about it, and one that is still to be sent. */
START_TEST(test_queue_done_same_id_takes_all_that_were_sent)
{
    struct sim_queue q = {0};

    put(&q, "message", "A", false);
    put(&q, "receipt", "A", false);
    put(&q, "message", "A", false);
    for (int i = 0; i < 3; i++)
        sim_queue_take(&q);
    put(&q, "message", "A", false);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 2);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 0);
    ck_assert_uint_eq(q.count, 2);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_RECEIPT, bytes_text("A"), true), 1);
    sim_queue_take(&q);
    ck_assert_uint_eq(sim_queue_done(&q, SIM_MESSAGE, bytes_text("A"), true), 1);
    ck_assert_uint_eq(q.count, 0);
    ck_assert_uint_eq(q.by_id.count, 0);
    sim_queue_deinit(&q);
}
END_TEST

START_TEST(test_queue_rewind_sends_unfinished_again_in_order)
{
    struct sim_queue q = {0};

    put(&q, "message", "A", false);
    put(&q, "receipt", "B", false);
    put(&q, "notification", "C", false);
    while (sim_queue_take(&q))
        ;
    sim_queue_done(&q, SIM_RECEIPT, bytes_text("B"), false);
    sim_queue_rewind(&q);
    ck_assert_uint_eq(q.unsent_count, 2);
    ck_assert_str_eq(sim_queue_take(&q)->id, "A");
    ck_assert_str_eq(sim_queue_take(&q)->id, "C");
    ck_assert_ptr_null(sim_queue_take(&q));
    sim_queue_deinit(&q);
}
END_TEST

/* ---- faults --------------------------------------------------------------------------------- */

START_TEST(test_fault_parse_knows_every_name)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        enum sim_fault f;

        ck_assert_int_eq(sim_fault_parse(sim_fault_text((enum sim_fault)i), &f), 0);
        ck_assert_int_eq(f, i);
    }
}
END_TEST

START_TEST(test_fault_take_counts_down)
{
    struct sim_faults set = {.left = {[SIM_FAULT_DUPLICATE] = 2, [SIM_FAULT_DELAY] = UINT32_MAX}};

    ck_assert(sim_fault_take(&set, SIM_FAULT_DUPLICATE));
    ck_assert(sim_fault_take(&set, SIM_FAULT_DUPLICATE));
    ck_assert(!sim_fault_take(&set, SIM_FAULT_DUPLICATE));
    ck_assert(sim_fault_take(&set, SIM_FAULT_DELAY));
    ck_assert_uint_eq(set.left[SIM_FAULT_DELAY], UINT32_MAX);
}
END_TEST

START_TEST(test_deflate_stanza_is_read_by_the_decoder)
{
    struct arena AUTO_ARENA arena;
    struct buf AUTO_BUF plain, AUTO_BUF packed;
    struct wa_node *node, *back;

    arena_init(&arena);
    buf_init(&plain, 65536);
    buf_init(&packed, 65536);
    node = wa_node_new(&arena, "iq");
    for (int i = 0; i < 500; i++)
        wa_node_set(wa_node_child(node, "item"), "id", "same");
    ck_assert_int_eq(wa_node_encode(node, &plain), 0);
    ck_assert_int_eq(sim_deflate_stanza(&packed, buf_bytes(&plain)), 0);
    ck_assert_uint_lt(packed.n, plain.n);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&packed), &back), 0);
    ck_assert(wa_node_is(back, "iq"));
}
END_TEST

START_TEST(test_deflate_bomb_is_refused_by_the_decoder)
{
    struct arena AUTO_ARENA arena;
    struct buf AUTO_BUF bomb;
    struct wa_node *node;

    arena_init(&arena);
    buf_init(&bomb, 1u << 20);
    ck_assert_int_eq(sim_deflate_bomb(&bomb, 2u * WA_STANZA_MAX), 0);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&bomb), &node), ERR_LIMIT);
}
END_TEST

/* ---- message keys --------------------------------------------------------------------------- */

static struct bytes sealed_vector(const char *type, size_t skip)
{
    json_t *events = json_object_get(
        json_array_get(json_object_get(testing_vectors("signal-1to1.json"), "scenarios"), 0),
        "events");
    size_t i;
    json_t *event;

    json_array_foreach(events, i, event) if (strcmp(testing_text(event, "op"), "encrypt") == 0 &&
                                             strcmp(testing_text(event, "enc_type"), type) == 0 &&
                                             skip-- == 0) return testing_hex(event, "ciphertext");
    ck_abort_msg("no such vector");
}

START_TEST(test_reuse_look_other_ciphertext_under_one_key_is_told)
{
    struct sim_reuse r;
    struct wa_jid a = wa_jid_make(WA_SERVER_LID, "1001", 1), b = wa_jid_make(WA_SERVER_LID, "2", 0);
    struct bytes first = sealed_vector("msg", 0), cover = sealed_vector("pkmsg", 0);
    uint8_t other[512];

    ck_assert_uint_le(first.n, sizeof other);
    memcpy(other, first.p, first.n);
    other[first.n - 9] ^= 1; /* the last byte before the MAC */
    sim_reuse_init(&r);
    ck_assert(!sim_reuse_look(&r, &a, &b, WA_ENC_MSG, first));
    ck_assert(!sim_reuse_look(&r, &a, &b, WA_ENC_MSG, first));
    ck_assert(!sim_reuse_look(&r, &a, &b, WA_ENC_PKMSG, cover));
    ck_assert(!sim_reuse_look(&r, &a, &b, WA_ENC_PKMSG, sealed_vector("pkmsg", 1)));
    ck_assert(!sim_reuse_look(&r, &b, &a, WA_ENC_MSG, BYTES(other, first.n)));
    ck_assert(sim_reuse_look(&r, &a, &b, WA_ENC_MSG, BYTES(other, first.n)));
    for (size_t n = 0; n < cover.n; n++)
        ck_assert(!sim_reuse_look(&r, &b, &a, WA_ENC_PKMSG, BYTES(cover.p, n)));
    sim_reuse_deinit(&r);
}
END_TEST

/* ---- handshake ------------------------------------------------------------------------------ */

static struct bytes scripted; /* randomness to hand out first; then it counts */
static uint8_t counter;

static void scripted_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        out[i] = scripted.n ? *scripted.p : counter++;
        if (scripted.n)
            scripted = BYTES(scripted.p + 1, scripted.n - 1);
    }
}

static const struct wa_host host = {.random = scripted_random};

static void take_key(struct wa_keypair *out, const json_t *keys, const char *name)
{
    const json_t *pair = json_object_get(keys, name);

    memcpy(out->priv, testing_hex(pair, "private").p, WA_KEY_LEN);
    memcpy(out->pub, testing_hex(pair, "public").p, WA_KEY_LEN);
}

/* The keys of a resume by an independent client; only the ciphertexts of our answer differ. */
START_TEST(test_histogram_at_is_right_within_a_class)
{
    static struct sim_histogram h;
    ck_assert_uint_eq(sim_histogram_at(&h, 0.5), 0);
    for (int64_t us = 1; us <= 100000; us++)
        sim_histogram_add(&h, us);
    for (double share = 0.001; share < 1; share += 0.001) {
        double right = share * 100000, got = (double)sim_histogram_at(&h, share);
        ck_assert_msg(got >= right - 1 && got <= right * 1.04 + 1, "%f: %f", share, got);
    }
    ck_assert_uint_eq(sim_histogram_at(&h, 1), 100000);
    sim_histogram_add(&h, INT64_MAX);
    sim_histogram_add(&h, -5);
    ck_assert_uint_eq(sim_histogram_at(&h, 1), INT64_MAX);
    ck_assert_uint_eq(sim_histogram_at(&h, 0), 0);
}
END_TEST

START_TEST(test_responder_hello_resume_vector_gives_its_transport_keys)
{
    const json_t *v = testing_vectors("noise-xx.json"), *keys = json_object_get(v, "keys");
    const json_t *ik = json_object_get(v, "ik"), *want = json_object_get(ik, "transport");
    struct sim_server_keys server = {0};
    struct sim_responder r = {0};
    struct buf AUTO_BUF reply, AUTO_BUF payload;
    struct wa_cipher recv, send;

    buf_init(&reply, 4096);
    buf_init(&payload, 4096);
    take_key(&server.fixed, keys, "server_static");
    scripted = testing_hex(json_object_get(keys, "server_ephemeral"), "private");
    ck_assert_int_eq(sim_responder_hello(&r, &server, SIM_CHAIN_GOOD, 1800000000, &host,
                                         testing_hex(ik, "client_hello"), &reply, &payload),
                     1);
    testing_assert_bytes(BYTES_ARRAY(r.client_key),
                         testing_hex(json_object_get(keys, "client_static"), "public"), "client");
    sim_responder_split(&r, &recv, &send);
    testing_assert_bytes(BYTES_ARRAY(recv.key), testing_hex(want, "client_to_server_key"), "c2s");
    testing_assert_bytes(BYTES_ARRAY(send.key), testing_hex(want, "server_to_client_key"), "s2c");
}
END_TEST

START_TEST(test_responder_hello_resume_for_another_key_falls_back)
{
    const json_t *v = testing_vectors("noise-xx.json"), *keys = json_object_get(v, "keys");
    const json_t *fallback = json_object_get(v, "xxfallback");
    struct sim_server_keys server = {0};
    struct sim_responder r = {0};
    struct buf AUTO_BUF reply, AUTO_BUF payload;

    buf_init(&reply, 4096);
    buf_init(&payload, 4096);
    take_key(&server.fixed, keys, "server_static");
    scripted = BYTES_NONE;
    ck_assert_int_eq(sim_responder_hello(&r, &server, SIM_CHAIN_GOOD, 1800000000, &host,
                                         testing_hex(fallback, "client_hello"), &reply, &payload),
                     0);
    ck_assert_uint_gt(reply.n, 0);
    ck_assert_uint_eq(payload.n, 0);
}
END_TEST

START_TEST(test_responder_hello_truncated_is_refused)
{
    const json_t *ik = json_object_get(testing_vectors("noise-xx.json"), "ik");
    struct bytes hello = testing_hex(ik, "client_hello");
    struct sim_server_keys server;

    scripted = BYTES_NONE;
    sim_server_keys_init(&server, &host);
    for (size_t n = 0; n < hello.n; n++) {
        struct sim_responder r = {0};
        struct buf AUTO_BUF reply, AUTO_BUF payload;

        buf_init(&reply, 4096);
        buf_init(&payload, 4096);
        ck_assert_int_eq(sim_responder_hello(&r, &server, SIM_CHAIN_GOOD, 1800000000, &host,
                                             BYTES(hello.p, n), &reply, &payload),
                         ERR_INVALID);
    }
}
END_TEST

/* Runs XX between the client side and ours; the client's verdict. */
static int shake_hands(enum sim_chain_flaw flaw, struct err *err)
{
    struct sim_server_keys server;
    struct sim_responder r = {0};
    struct wa_handshake client;
    struct wa_keypair noise_key;
    struct wa_handshake_result result;
    struct wa_cipher recv, send;
    struct buf AUTO_BUF wire, AUTO_BUF reply, AUTO_BUF payload;
    struct bytes frame;
    size_t used;
    int rc;

    buf_init(&wire, 8192);
    buf_init(&reply, 8192);
    buf_init(&payload, 8192);
    scripted = testing_unhex("c0ffee");
    sim_server_keys_init(&server, &host);
    wa_curve_generate(&noise_key, &host);
    ck_assert_int_eq(wa_handshake_begin(&client, &host, &noise_key, server.root.pub, &wire), 0);
    buf_drop_front(&wire, WA_NOISE_PROLOGUE_LEN);
    ck_assert_int_eq(wa_frame_next(buf_bytes(&wire), WA_FRAME_MAX, &frame, &used), 1);
    ck_assert_int_eq(
        sim_responder_hello(&r, &server, flaw, 1800000000, &host, frame, &reply, &payload), 0);
    buf_clear(&wire);
    rc = wa_handshake_finish(&client, buf_bytes(&reply), bytes_text("payload"), 1800000000, &wire,
                             &result, err);
    if (rc != 0)
        return rc;
    ck_assert_int_eq(wa_frame_next(buf_bytes(&wire), WA_FRAME_MAX, &frame, &used), 1);
    ck_assert_int_eq(sim_responder_finish(&r, frame, &payload), 0);
    ck_assert(bytes_is(buf_bytes(&payload), "payload"));
    testing_assert_bytes(BYTES_ARRAY(r.client_key), BYTES_ARRAY(noise_key.pub), "client key");
    sim_responder_split(&r, &recv, &send);
    testing_assert_bytes(BYTES_ARRAY(recv.key), BYTES_ARRAY(result.send.key), "c2s");
    testing_assert_bytes(BYTES_ARRAY(send.key), BYTES_ARRAY(result.recv.key), "s2c");
    return 0;
}

START_TEST(test_responder_good_chain_is_accepted)
{
    struct err err = {0};

    ck_assert_msg(shake_hands(SIM_CHAIN_GOOD, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(test_responder_flawed_chains_are_refused)
{
    struct err err;

    ck_assert_int_eq(shake_hands(SIM_CHAIN_WRONG_KEY, &err), ERR_AUTH);
    ck_assert_int_eq(shake_hands(SIM_CHAIN_WRONG_SIGNATURE, &err), ERR_AUTH);
}
END_TEST

/* A resume by our client against each kind of server; the client's verdict. */
static int resume(enum sim_resume met, struct wa_handshake_result *result)
{
    struct sim_server_keys server;
    struct sim_responder r = {.resume = met};
    struct wa_handshake client;
    struct wa_server_key known = {.window = {0, INT64_MAX}};
    struct wa_keypair noise_key;
    struct wa_cipher recv, send;
    struct buf AUTO_BUF wire, AUTO_BUF reply, AUTO_BUF payload;
    struct bytes frame;
    struct err err;
    size_t used;

    buf_init(&wire, 8192);
    buf_init(&reply, 8192);
    buf_init(&payload, 8192);
    scripted = testing_unhex("c0ffee");
    sim_server_keys_init(&server, &host);
    wa_curve_generate(&noise_key, &host);
    memcpy(known.key, server.fixed.pub, WA_KEY_LEN);
    memcpy(known.root, server.root.pub, WA_KEY_LEN);
    ck_assert_int_eq(
        wa_handshake_resume(&client, &host, &noise_key, &known, bytes_text("payload"), &wire), 0);
    buf_drop_front(&wire, WA_NOISE_PROLOGUE_LEN);
    ck_assert_int_eq(wa_frame_next(buf_bytes(&wire), WA_FRAME_MAX, &frame, &used), 1);
    ck_assert(sim_responder_is_resume(frame));
    ck_assert_int_ge(sim_responder_hello(&r, &server, SIM_CHAIN_GOOD, 1800000000, &host, frame,
                                         &reply, &payload),
                     0);
    buf_clear(&wire);
    int rc = wa_handshake_finish(&client, buf_bytes(&reply), bytes_text("payload"), 1800000000,
                                 &wire, result, &err);
    if (rc != 0)
        return rc;
    ck_assert_int_eq(result->way, r.way);
    if (r.way != WA_HANDSHAKE_IK) {
        ck_assert_int_eq(wa_frame_next(buf_bytes(&wire), WA_FRAME_MAX, &frame, &used), 1);
        ck_assert_int_eq(sim_responder_finish(&r, frame, &payload), 0);
    }
    ck_assert(bytes_is(buf_bytes(&payload), "payload"));
    sim_responder_split(&r, &recv, &send);
    testing_assert_bytes(BYTES_ARRAY(recv.key), BYTES_ARRAY(result->send.key), "c2s");
    testing_assert_bytes(BYTES_ARRAY(send.key), BYTES_ARRAY(result->recv.key), "s2c");
    return 0;
}

START_TEST(test_responder_resume_of_our_client_meets_every_kind_of_server)
{
    struct wa_handshake_result result;

    ck_assert_int_eq(resume(SIM_RESUME_SERVED, &result), 0);
    ck_assert_int_eq(result.way, WA_HANDSHAKE_IK);
    ck_assert_int_eq(resume(SIM_RESUME_REFUSED, &result), 0);
    ck_assert_int_eq(result.way, WA_HANDSHAKE_XXFALLBACK);
    ck_assert_int_eq(resume(SIM_RESUME_IGNORED, &result), 0);
    ck_assert_int_eq(result.way, WA_HANDSHAKE_XX);
    ck_assert_int_eq(resume(SIM_RESUME_SPOILED, &result), ERR_AUTH);
}
END_TEST

/* ---- control -------------------------------------------------------------------------------- */

static struct sim sim;

static void open_sim(void)
{
    sim_init(&sim, SIM_REF_SECONDS, true, 7);
}

static void close_sim(void)
{
    sim_deinit(&sim);
}

/* Runs what the event loop would until nothing is due. */
static void settle(void)
{
    for (int i = 0; i < 1000 && sim_timers_next(&sim.timers) <= clock_mono_ms(); i++)
        sim_timers_run(&sim.timers, clock_mono_ms());
}

/* One request; the answer as JSON lives until exit. */
static json_t *ask(const char *method, const char *path, const char *query, const char *body,
                   int status)
{
    struct sim_request r;
    json_t *answer;

    sim_request_init(&r, &sim);
    snprintf(r.method, sizeof r.method, "%s", method);
    snprintf(r.path, sizeof r.path, "%s", path);
    snprintf(r.query, sizeof r.query, "%s", query);
    buf_append_text(&r.body, body);
    ck_assert(sim_control(&r));
    ck_assert_msg(r.status == status, "%s %s: %d %s", method, path, r.status, buf_text(&r.answer));
    answer = json_loads(buf_text(&r.answer), 0, NULL);
    ck_assert_ptr_nonnull(answer);
    sim_request_deinit(&r);
    return answer;
}

static void make_two(void)
{
    json_decref(
        ask("POST", "/accounts", "", "{\"phone\":\"4915100000001\",\"name\":\"Ann\"}", 201));
    json_decref(ask("POST", "/accounts", "",
                    "{\"phone\":\"4915100000002\",\"name\":\"Bob\",\"addressing\":\"pn\"}", 201));
}

/* protocol/01 section 8, read by the reader of the bridge. */
START_TEST(test_control_service_worker_names_the_newest_version)
{
    struct sim_request r;
    uint32_t revision = 0;

    json_decref(ask("GET", "/sw.js", "", "", 404));
    json_decref(ask("POST", "/version", "", "{\"newest\":4294967296}", 422));
    json_decref(ask("POST", "/version", "", "{\"newest\":2000000001}", 200));
    sim_request_init(&r, &sim);
    snprintf(r.method, sizeof r.method, "GET");
    snprintf(r.path, sizeof r.path, "/sw.js");
    ck_assert(sim_control(&r));
    ck_assert_int_eq(r.status, 200);
    ck_assert_int_eq(wa_version_find_revision(buf_bytes(&r.answer), &revision), 0);
    ck_assert_uint_eq(revision, 2000000001);
    sim_request_deinit(&r);
}
END_TEST

START_TEST(test_control_accounts_are_made_and_listed)
{
    json_t *list;

    make_two();
    list = ask("GET", "/accounts", "", "", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(list, "accounts")), 2);
    json_decref(list);
}
END_TEST

START_TEST(test_control_bad_requests_are_explained)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } cases[] = {
        {"GET", "/nope", "", 404},
        {"PUT", "/accounts", "", 405},
        {"POST", "/accounts", "nonsense", 400},
        {"POST", "/accounts", "[]", 400},
        {"POST", "/accounts", "{\"phone\":\"12\"}", 422},
        {"POST", "/accounts", "{\"phone\":\"4915100000001\"}", 409},
        {"POST", "/accounts", "{\"phone\":\"4915100000009\",\"addressing\":\"x\"}", 422},
        {"GET", "/accounts/1/messages", "", 404},
        {"POST", "/accounts/4915100000001/send", "{\"to\":\"1\",\"text\":\"x\"}", 404},
        {"POST", "/accounts/4915100000001/send", "{\"to\":\"4915100000002\"}", 422},
        {"POST", "/accounts/4915100000001/scan", "{}", 422},
        {"POST", "/accounts/4915100000001/scan", "{\"qr\":\"a,b,c\"}", 422},
        {"POST", "/accounts/4915100000001/unlink", "{\"device\":1}", 404},
        {"POST", "/faults", "{\"target\":\"4915100000001:1\",\"kind\":\"close\"}", 404},
        {"POST", "/faults", "{\"target\":\"next_connection\",\"kind\":\"nope\"}", 422},
        {"POST", "/load", "{\"to\":\"4915100000001\",\"contacts\":0}", 422},
    };

    make_two();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *answer = ask(cases[i].method, cases[i].path, "", cases[i].body, cases[i].status);

        ck_assert_str_ne(testing_text(answer, "error"), "");
        json_decref(answer);
    }
}
END_TEST

START_TEST(test_control_send_arrives_at_the_other_phone_with_receipt)
{
    json_t *messages, *m, *receipts;

    make_two();
    json_decref(ask("POST", "/accounts/4915100000001/send", "",
                    "{\"to\":\"4915100000002\",\"text\":\"hello\",\"id\":\"X1\"}", 200));
    json_decref(ask("POST", "/accounts/4915100000001/send", "",
                    "{\"to\":\"4915100000002\",\"text\":\"again\",\"id\":\"X1\"}", 409));
    settle();
    messages =
        ask("GET", "/accounts/4915100000002/messages", "after=0&from=4915100000001", "", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(messages, "messages")), 1);
    m = json_array_get(json_object_get(messages, "messages"), 0);
    ck_assert_str_eq(testing_text(m, "text"), "hello");
    ck_assert_str_eq(testing_text(m, "enc"), "pkmsg");
    ck_assert_str_eq(testing_text(m, "from_device"), "4915100000001@s.whatsapp.net");
    receipts = ask("GET", "/accounts/4915100000001/receipts", "", "", 200);
    m = json_array_get(json_object_get(receipts, "receipts"), 0);
    ck_assert_str_eq(testing_text(m, "id"), "X1");
    ck_assert_str_eq(testing_text(m, "type"), "delivery");
    json_decref(messages);
    json_decref(receipts);
}
END_TEST

START_TEST(test_control_corrupted_at_the_phone_is_asked_for_again)
{
    json_t *messages, *m;

    make_two();
    json_decref(ask("POST", "/faults", "",
                    "{\"target\":\"4915100000002\",\"kind\":\"corrupt_next_message\",\"count\":2}",
                    200));
    json_decref(ask("POST", "/accounts/4915100000001/send", "",
                    "{\"to\":\"4915100000002\",\"text\":\"third time\",\"id\":\"X1\"}", 200));
    settle();
    messages = ask("GET", "/accounts/4915100000002/messages", "", "", 200);
    ck_assert_uint_eq(json_array_size(json_object_get(messages, "messages")), 1);
    m = json_array_get(json_object_get(messages, "messages"), 0);
    ck_assert_str_eq(testing_text(m, "text"), "third time");
    ck_assert(json_is_false(json_object_get(m, "duplicate")));
    json_decref(messages);
}
END_TEST

START_TEST(test_control_messages_with_nothing_there_waits)
{
    struct sim_request r;

    make_two();
    sim_request_init(&r, &sim);
    memcpy(r.method, "GET", 4);
    snprintf(r.path, sizeof r.path, "/accounts/4915100000001/messages");
    snprintf(r.query, sizeof r.query, "after=0&wait_ms=60000");
    ck_assert(!sim_control(&r));
    r.deadline_ms = clock_mono_ms();
    ck_assert(sim_control(&r));
    ck_assert_int_eq(r.status, 200);
    sim_request_deinit(&r);
}
END_TEST

START_TEST(test_load_replies_are_matched_and_duplicates_counted)
{
    json_t *load;
    struct sim_account *owner;

    make_two();
    owner = sim_account_by_phone(&sim, "4915100000001");
    json_decref(
        ask("POST", "/load", "", "{\"to\":\"4915100000001\",\"contacts\":2,\"messages\":4}", 200));
    while (sim_timers_next(&sim.timers) != CLOCK_NEVER)
        sim_timers_run(&sim.timers, clock_mono_ms());
    for (int i = 0; i < 2; i++) {
        struct sim_outgoing reply = {
            .to = sim_account_by_phone(&sim, i ? "9990000002" : "9990000001"),
            .text = bytes_text(i ? "you said load 4" : "thanks")};
        char id[SIM_ID_MAX + 1];
        struct err err;

        ck_assert_int_eq(sim_phone_send(owner->phone, &reply, id, &err), 0);
    }
    settle();
    load = ask("GET", "/load", "", "", 200);
    ck_assert_int_eq(json_integer_value(json_object_get(load, "sent")), 4);
    ck_assert_int_eq(json_integer_value(json_object_get(load, "replies")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(load, "replied_to")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(load, "reply_duplicates")), 0);
    json_decref(load);
}
END_TEST

static json_int_t sent_of_load(void)
{
    json_t *load;
    json_int_t sent;

    for (int i = 0; i < 10; i++) /* what is due, and what that arms */
        sim_timers_run(&sim.timers, sim_timers_next(&sim.timers));
    load = ask("GET", "/load", "", "", 200);
    sent = json_integer_value(json_object_get(load, "sent"));
    json_decref(load);
    return sent;
}

START_TEST(test_load_window_holds_the_next_contact_back_until_an_answer)
{
    struct sim_outgoing reply = {.text = bytes_text("you said load 1")};
    char id[SIM_ID_MAX + 1];
    struct err err;

    make_two();
    json_decref(ask("POST", "/load", "",
                    "{\"to\":\"4915100000001\",\"contacts\":2,\"messages\":2,\"first\":5,"
                    "\"window\":1}",
                    200));
    ck_assert_int_eq(sent_of_load(), 1);
    reply.to = sim_account_by_phone(&sim, "9990000005");
    ck_assert_ptr_nonnull(reply.to);
    ck_assert_ptr_null(sim_account_by_phone(&sim, "9990000006"));
    ck_assert_int_eq(
        sim_phone_send(sim_account_by_phone(&sim, "4915100000001")->phone, &reply, id, &err), 0);
    ck_assert_int_eq(sent_of_load(), 2);
    ck_assert_ptr_nonnull(sim_account_by_phone(&sim, "9990000006"));
}
END_TEST

START_TEST(test_sim_same_seed_gives_same_root)
{
    struct sim other;

    sim_init(&other, SIM_REF_SECONDS, true, 7);
    testing_assert_bytes(BYTES_ARRAY(other.keys.root.pub), BYTES_ARRAY(sim.keys.root.pub), "root");
    sim_deinit(&other);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sim");
    TCase *parts = tcase_create("parts"), *control = tcase_create("control");

    tcase_add_test(parts, test_table_put_many_keeps_each);
    tcase_add_test(parts, test_table_put_same_key_returns_old);
    tcase_add_test(parts, test_table_remove_prefix_leaves_others);
    tcase_add_test(parts, test_ring_next_beyond_max_takes_the_place_of_the_oldest);
    tcase_add_test(parts, test_ring_deinit_releases_each_record_once);
    tcase_add_test(parts, test_timers_run_calls_only_what_is_due);
    tcase_add_test(parts, test_timers_run_cancelled_by_another_is_not_called);
    tcase_add_test(parts, test_timers_run_armed_again_waits_for_next_run);
    tcase_add_test(parts, test_pb_put_matches_the_guide);
    tcase_add_test(parts, test_pb_read_of_the_guide_finds_both_fields);
    tcase_add_test(parts, test_pb_read_truncated_finds_nothing_beyond);
    tcase_add_test(parts, test_pb_next_group_is_invalid);
    tcase_add_test(parts, test_queue_done_before_it_was_sent_keeps_it);
    tcase_add_test(parts, test_queue_done_own_copy_needs_a_receipt);
    tcase_add_test(parts, test_queue_done_same_id_takes_all_that_were_sent);
    tcase_add_test(parts, test_queue_rewind_sends_unfinished_again_in_order);
    tcase_add_test(parts, test_fault_parse_knows_every_name);
    tcase_add_test(parts, test_fault_take_counts_down);
    tcase_add_test(parts, test_deflate_stanza_is_read_by_the_decoder);
    tcase_add_test(parts, test_deflate_bomb_is_refused_by_the_decoder);
    tcase_add_test(parts, test_histogram_at_is_right_within_a_class);
    tcase_add_test(parts, test_reuse_look_other_ciphertext_under_one_key_is_told);
    tcase_add_test(parts, test_responder_hello_resume_vector_gives_its_transport_keys);
    tcase_add_test(parts, test_responder_hello_resume_for_another_key_falls_back);
    tcase_add_test(parts, test_responder_resume_of_our_client_meets_every_kind_of_server);
    tcase_add_test(parts, test_responder_hello_truncated_is_refused);
    tcase_add_test(parts, test_responder_good_chain_is_accepted);
    tcase_add_test(parts, test_responder_flawed_chains_are_refused);
    tcase_add_checked_fixture(control, open_sim, close_sim);
    tcase_add_test(control, test_control_accounts_are_made_and_listed);
    tcase_add_test(control, test_control_service_worker_names_the_newest_version);
    tcase_add_test(control, test_control_bad_requests_are_explained);
    tcase_add_test(control, test_control_send_arrives_at_the_other_phone_with_receipt);
    tcase_add_test(control, test_control_corrupted_at_the_phone_is_asked_for_again);
    tcase_add_test(control, test_control_messages_with_nothing_there_waits);
    tcase_add_test(control, test_load_replies_are_matched_and_duplicates_counted);
    tcase_add_test(control, test_load_window_holds_the_next_contact_back_until_an_answer);
    tcase_add_test(control, test_sim_same_seed_gives_same_root);
    suite_add_tcase(s, parts);
    suite_add_tcase(s, control);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
