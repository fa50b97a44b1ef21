/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/client.h"

#include "base/clock.h"
#include "base/text.h"
#include "sim/deflate.h"
#include "sim/login.h"
#include "sim/server.h"
#include "sim/stanza.h"
#include "sim/xml.h"
#include "wa/frame.h"

#define IN_MAX (20u << 20) /* a frame of 16 MiB and what came behind it */
#define OUT_MAX (64u << 20)
#define OUT_ENOUGH (256u << 10) /* the queue waits while this much is unsent */
#define COMPRESS_FROM 4096      /* stanzas of this size are sent zlib-compressed */
#define LINGER_MS 2000          /* for a client to take what was sent before the close */
#define PRIMER 5                /* backlog stanzas that come without being asked for */
#define NO_BATCH_MS 1000        /* then the backlog comes unasked */
#define ROUTING_SHOWN 128       /* hex digits of routing info in an event */
#define PREFACE_LEN 7           /* "ED", version, length (protocol/01 section 2) */

struct sim_delayed {
    struct sim_delayed *next;
    int64_t due_ms;
    size_t n;
    uint8_t stanza[];
};

/* ---- life ---------------------------------------------------------------------------------------
 */

struct sim_client *sim_client_open(struct sim *s, void *link)
{
    struct sim_client *c = err_calloc(1, sizeof *c);

    c->sim = s;
    c->link = link;
    c->at = &s->clients;
    c->next = s->clients;
    if (c->next)
        c->next->at = &c->next;
    s->clients = c;
    buf_init(&c->in, IN_MAX);
    buf_init(&c->out, OUT_MAX);
    buf_init(&c->plain, WA_STANZA_MAX);
    buf_init(&c->encoded, WA_STANZA_MAX);
    arena_init(&c->arena);
    c->delayed_end = &c->delayed;
    c->faults = s->next_connection;
    s->next_connection = (struct sim_faults){.left = {0}};
    s->stats.connections++;
    sim_note(s, "connected", NULL, BYTES_NONE, NULL);
    return c;
}

static void detach(struct sim_client *c)
{
    if (c->device && c->device->client == c)
        c->device->client = NULL;
    c->device = NULL;
    sim_timer_cancel(&c->backlog.timer);
}

void sim_client_free(struct sim_client *c)
{
    sim_note(c->sim, "closed", &c->who, BYTES_NONE, c->why ? c->why : "by the client");
    detach(c);
    sim_registration_free(c);
    sim_timer_cancel(&c->delay_timer);
    sim_timer_cancel(&c->close_timer);
    while (c->delayed) {
        struct sim_delayed *d = c->delayed;

        c->delayed = d->next;
        free(d);
    }
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    buf_deinit(&c->plain);
    buf_deinit(&c->encoded);
    arena_deinit(&c->arena);
    wa_cipher_deinit(&c->recv);
    wa_cipher_deinit(&c->send);
    free(c);
}

void sim_client_kill(struct sim_client *c, const char *why)
{
    if (c->phase == SIM_PHASE_DEAD)
        return;
    if (!c->why)
        c->why = why;
    c->phase = SIM_PHASE_DEAD;
    detach(c);
    sim_registration_free(c);
    sim_link_close(c->link);
}

static void linger_over(void *arg)
{
    sim_client_kill(arg, "lingered");
}

void sim_client_end(struct sim_client *c, const char *why)
{
    if (c->phase >= SIM_PHASE_CLOSING)
        return;
    c->why = why;
    c->phase = SIM_PHASE_CLOSING;
    detach(c);
    sim_registration_free(c);
    sim_timer_arm(&c->sim->timers, &c->close_timer, clock_mono_ms() + LINGER_MS, linger_over, c);
    sim_link_want_write(c->link);
}

/* ---- sending ------------------------------------------------------------------------------------
 */

static void put_frame(struct sim_client *c, struct bytes stanza)
{
    struct bytes body = stanza;

    buf_clear(&c->encoded);
    if (stanza.n >= COMPRESS_FROM && sim_deflate_stanza(&c->encoded, stanza) == 0)
        body = buf_bytes(&c->encoded);
    if (wa_frame_begin(&c->out, body.n + 16) != 0 || wa_cipher_seal(&c->send, body, &c->out) != 0) {
        sim_client_kill(c, "too much is unsent");
        return;
    }
    if (sim_fault_take(&c->faults, SIM_FAULT_BAD_SERVER_MAC))
        c->out.p[c->out.n - 1] ^= 1;
    c->sim->stats.stanzas_out++;
    sim_link_want_write(c->link);
}

static void delay_over(void *arg)
{
    struct sim_client *c = arg;
    int64_t now = clock_mono_ms();

    while (c->delayed && c->delayed->due_ms <= now) {
        struct sim_delayed *d = c->delayed;

        c->delayed = d->next;
        if (!c->delayed)
            c->delayed_end = &c->delayed;
        if (c->phase < SIM_PHASE_CLOSING)
            put_frame(c, BYTES(d->stanza, d->n));
        free(d);
    }
    if (c->delayed)
        sim_timer_arm(&c->sim->timers, &c->delay_timer, c->delayed->due_ms, delay_over, c);
}

static void hold_back(struct sim_client *c, struct bytes stanza)
{
    struct sim_delayed *d = err_malloc(sizeof *d + stanza.n);

    *d = (struct sim_delayed){.due_ms = clock_mono_ms() + c->faults.delay_ms, .n = stanza.n};
    memcpy(d->stanza, stanza.p, stanza.n);
    *c->delayed_end = d;
    c->delayed_end = &d->next;
    if (c->delayed == d)
        sim_timer_arm(&c->sim->timers, &c->delay_timer, d->due_ms, delay_over, c);
}

void sim_client_send_encoded(struct sim_client *c, struct bytes stanza)
{
    if (c->phase != SIM_PHASE_LINKED && c->phase != SIM_PHASE_UNPAIRED &&
        c->phase != SIM_PHASE_FINISH)
        return;
    if (c->faults.left[SIM_FAULT_DELAY])
        hold_back(c, stanza);
    else
        put_frame(c, stanza);
}

void sim_client_send(struct sim_client *c, const struct wa_node *node)
{
    buf_clear(&c->plain);
    if (wa_node_encode(node, &c->plain) != 0) {
        sim_client_kill(c, "cannot encode");
        return;
    }
    sim_client_send_encoded(c, buf_bytes(&c->plain));
}

void sim_client_stream_error(struct sim_client *c, const char *code, const char *conflict)
{
    struct wa_node *error = wa_node_new(&c->arena, "stream:error");

    if (code)
        wa_node_set(error, "code", code);
    if (conflict)
        wa_node_set(wa_node_child(error, "conflict"), "type", conflict);
    sim_client_send(c, error);
    sim_note(c->sim, "stream_error", &c->who, BYTES_NONE, code ? code : conflict);
    sim_client_end(c, "stream error");
}

bool sim_client_last_words(struct sim_client *c)
{
    struct wa_node *node;

    if (!c->faults.stanza[0] ||
        sim_xml_parse(&node, &c->arena, bytes_text(c->faults.stanza), NULL) != 0)
        return false;
    sim_client_send(c, node);
    sim_note(c->sim, wa_node_is(node, "failure") ? "failure" : "stream_error", &c->who, BYTES_NONE,
             c->faults.stanza);
    sim_client_end(c, "fault");
    return true;
}

struct wa_node *sim_client_ib(struct sim_client *c, const char *child, struct wa_node **ib)
{
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);

    *ib = wa_node_new(&c->arena, "ib");
    wa_node_set_jid(*ib, "from", &server);
    return wa_node_child(*ib, child);
}

/* ---- backlog and queue --------------------------------------------------------------------------
 */

static void send_preview(struct sim_client *c)
{
    const struct sim_queue *q = &c->device->queue;
    struct wa_node *ib, *preview = sim_client_ib(c, "offline_preview", &ib);

    wa_node_set_u64(preview, "count", q->count);
    wa_node_set_u64(preview, "message", q->per_class[SIM_MESSAGE]);
    wa_node_set_u64(preview, "receipt", q->per_class[SIM_RECEIPT]);
    wa_node_set_u64(preview, "notification", q->per_class[SIM_NOTIFICATION]);
    wa_node_set_u64(preview, "call", q->per_class[SIM_CALL]);
    wa_node_set(preview, "appdata", "0");
    sim_client_send(c, ib);
}

static void finish_backlog(struct sim_client *c)
{
    struct wa_node *ib, *offline = sim_client_ib(c, "offline", &ib);

    c->backlog.done = true;
    sim_timer_cancel(&c->backlog.timer);
    wa_node_set_u64(offline, "count", c->backlog.total);
    sim_client_send(c, ib);
    sim_note(c->sim, "offline_done", &c->who, BYTES_NONE, NULL);
}

static void no_batch_asked(void *arg)
{
    struct sim_client *c = arg;

    c->backlog.credit = c->backlog.left;
    sim_client_pump(c);
}

static void start_backlog(struct sim_client *c)
{
    struct sim_backlog *b = &c->backlog;

    b->started = true;
    b->left = b->total = c->device->queue.count;
    b->credit = PRIMER;
    send_preview(c);
    sim_timer_arm(&c->sim->timers, &b->timer, clock_mono_ms() + NO_BATCH_MS, no_batch_asked, c);
    sim_client_pump(c);
}

void sim_client_set_passive(struct sim_client *c, bool passive)
{
    c->passive = passive;
    if (passive || c->phase != SIM_PHASE_LINKED)
        return;
    if (!c->backlog.started)
        start_backlog(c);
    else
        sim_client_pump(c);
}

void sim_client_offline_batch(struct sim_client *c, uint64_t count)
{
    if (!c->backlog.started || c->backlog.done)
        return;
    c->backlog.credit += count < SIM_QUEUE_MAX ? (size_t)count : SIM_QUEUE_MAX;
    sim_client_pump(c);
}

/* The stored stanza with what only this delivery adds: the offline attribute, a fault. */
static void send_item(struct sim_client *c, const struct sim_item *item, bool offline)
{
    bool spoil =
        item->class == SIM_MESSAGE && sim_fault_take(&c->faults, SIM_FAULT_CORRUPT_NEXT_MESSAGE);
    bool empty = item->class == SIM_MESSAGE && sim_fault_take(&c->faults, SIM_FAULT_UNAVAILABLE);
    bool withhold = item->class == SIM_MESSAGE && c->faults.left[SIM_FAULT_WITHHOLD_LID];
    struct arena AUTO_ARENA arena;
    struct wa_node *node;

    arena_init(&arena);
    if (!offline && !spoil && !empty && !withhold) {
        sim_client_send_encoded(c, BYTES(item->stanza, item->n));
        return;
    }
    if (wa_node_decode(&arena, BYTES(item->stanza, item->n), &node) != 0)
        return;
    if (offline)
        wa_node_set_u64(node, "offline", c->backlog.total - c->backlog.left);
    if (withhold)
        sim_fault_withhold_lid(node);
    if (spoil)
        sim_fault_corrupt(node);
    if (empty)
        sim_fault_unavailable(node);
    sim_client_send(c, node);
}

/* Sends the next of the queue; false when backlog credit or faults forbid. */
static bool pump_one(struct sim_client *c)
{
    struct sim_backlog *b = &c->backlog;
    bool offline = !b->done;
    struct sim_item *item;

    if (offline && b->credit == 0)
        return false;
    item = sim_queue_take(&c->device->queue);
    if (!item)
        return false;
    send_item(c, item, offline);
    if (item->class == SIM_MESSAGE && sim_fault_take(&c->faults, SIM_FAULT_DUPLICATE))
        send_item(c, item, offline);
    if (offline) {
        b->credit--;
        b->left--;
    }
    return true;
}

void sim_client_pump(struct sim_client *c)
{
    struct sim_backlog *b = &c->backlog;
    bool moved = false;

    if (c->phase != SIM_PHASE_LINKED || c->passive || !b->started)
        return;
    while (c->phase == SIM_PHASE_LINKED && c->out.n < OUT_ENOUGH) {
        if (!b->done && b->left == 0)
            finish_backlog(c);
        else if (!pump_one(c))
            break;
        moved = true;
    }
    if (moved && c->phase == SIM_PHASE_LINKED && !b->done && b->credit == 0)
        sim_timer_arm(&c->sim->timers, &b->timer, clock_mono_ms() + NO_BATCH_MS, no_batch_asked, c);
}

void sim_client_drained(struct sim_client *c)
{
    if (c->phase == SIM_PHASE_LINKED)
        sim_client_pump(c);
}

/* ---- receiving ----------------------------------------------------------------------------------
 */

static void handshake_done(struct sim_client *c, struct bytes payload)
{
    c->sim->stats.handshakes[c->responder.way]++;
    sim_responder_split(&c->responder, &c->recv, &c->send);
    wa_cipher_prepare(&c->recv);
    wa_cipher_prepare(&c->send);
    c->phase = SIM_PHASE_FINISH;
    sim_login(c, payload);
}

static enum sim_chain_flaw chain_flaw(struct sim_client *c)
{
    if (sim_fault_take(&c->faults, SIM_FAULT_BAD_CERTIFICATE))
        return SIM_CHAIN_WRONG_KEY;
    if (sim_fault_take(&c->faults, SIM_FAULT_BAD_CERTIFICATE_SIGNATURE))
        return SIM_CHAIN_WRONG_SIGNATURE;
    return SIM_CHAIN_GOOD;
}

static enum sim_resume resume_met(struct sim_client *c)
{
    if (sim_fault_take(&c->faults, SIM_FAULT_RESUME_REFUSED))
        return SIM_RESUME_REFUSED;
    if (sim_fault_take(&c->faults, SIM_FAULT_RESUME_IGNORED))
        return SIM_RESUME_IGNORED;
    if (sim_fault_take(&c->faults, SIM_FAULT_RESUME_SPOILED))
        return SIM_RESUME_SPOILED;
    return SIM_RESUME_SERVED;
}

static void on_hello(struct sim_client *c, struct bytes frame)
{
    struct buf AUTO_BUF reply, AUTO_BUF payload;
    int rc;

    buf_init(&reply, WA_FRAME_MAX);
    buf_init(&payload, WA_FRAME_MAX);
    if (sim_responder_is_resume(frame)) {
        if (sim_fault_take(&c->faults, SIM_FAULT_RESUME_CLOSED)) {
            sim_client_kill(c, "fault");
            return;
        }
        c->responder.resume = resume_met(c);
    }
    rc = sim_responder_hello(&c->responder, &c->sim->keys, chain_flaw(c), sim_now_s(),
                             &c->sim->host, frame, &reply, &payload);
    if (rc < 0 || wa_frame_append(&c->out, buf_bytes(&reply)) != 0) {
        sim_client_kill(c, "bad ClientHello");
        return;
    }
    sim_link_want_write(c->link);
    c->phase = SIM_PHASE_FINISH;
    if (rc == 1)
        handshake_done(c, buf_bytes(&payload));
}

static void on_finish(struct sim_client *c, struct bytes frame)
{
    struct buf AUTO_BUF payload;

    buf_init(&payload, WA_FRAME_MAX);
    if (sim_responder_finish(&c->responder, frame, &payload) != 0)
        sim_client_kill(c, "bad ClientFinish");
    else
        handshake_done(c, buf_bytes(&payload));
}

static void on_transport(struct sim_client *c, struct bytes frame)
{
    struct wa_node *node;

    buf_clear(&c->plain);
    if (wa_cipher_open(&c->recv, frame, &c->plain) != 0) {
        sim_client_kill(c, "a frame does not decrypt");
        return;
    }
    if (wa_node_decode(&c->arena, buf_bytes(&c->plain), &node) != 0) {
        sim_note(c->sim, "violation", &c->who, BYTES_NONE, "a stanza does not decode");
        wa_node_child(node = wa_node_new(&c->arena, "stream:error"), "xml-not-well-formed");
        sim_client_send(c, node);
        sim_client_end(c, "not well-formed");
        return;
    }
    c->sim->stats.stanzas_in++;
    sim_stanza_from_client(c, node);
}

static void on_frame(struct sim_client *c, struct bytes frame)
{
    arena_reset(&c->arena);
    if (c->phase == SIM_PHASE_HELLO)
        on_hello(c, frame);
    else if (c->phase == SIM_PHASE_FINISH)
        on_finish(c, frame);
    else
        on_transport(c, frame);
}

static void note_routing(struct sim_client *c, struct bytes routing)
{
    struct buf AUTO_BUF hex;

    buf_init(&hex, ROUTING_SHOWN);
    text_hex_append(&hex, BYTES(routing.p, routing.n < ROUTING_SHOWN / 2 ? routing.n : 0));
    c->sim->stats.routed++;
    sim_note(c->sim, "routed", NULL, BYTES_NONE, buf_text(&hex));
}

/* Drops the optional preface and the prologue: 1 done, 0 more is needed, ERR_INVALID. */
static int take_prologue(struct sim_client *c)
{
    struct bytes got = buf_bytes(&c->in);
    size_t skip = 0;

    if (got.n >= 2 && got.p[0] == 'E' && got.p[1] == 'D') {
        if (got.n < PREFACE_LEN)
            return 0;
        skip = PREFACE_LEN + ((size_t)got.p[4] << 16 | (size_t)got.p[5] << 8 | got.p[6]);
    }
    if (got.n < skip + WA_NOISE_PROLOGUE_LEN)
        return 0;
    if (memcmp(got.p + skip, WA_NOISE_PROLOGUE, WA_NOISE_PROLOGUE_LEN) != 0)
        return ERR_INVALID;
    if (skip > 0) {
        note_routing(c, BYTES(got.p + PREFACE_LEN, skip - PREFACE_LEN));
        if (sim_fault_take(&c->faults, SIM_FAULT_ROUTING_CLOSED))
            return ERR_STATE;
    }
    buf_drop_front(&c->in, skip + WA_NOISE_PROLOGUE_LEN);
    return 1;
}

static bool ready_for_frames(struct sim_client *c)
{
    int rc;

    if (c->prologue_seen)
        return true;
    rc = take_prologue(c);
    if (rc < 0)
        sim_client_kill(c, rc == ERR_STATE ? "fault" : "wrong prologue");
    c->prologue_seen = rc == 1;
    return c->prologue_seen;
}

void sim_client_received(struct sim_client *c, struct bytes data)
{
    struct bytes frame;
    size_t used, done = 0;
    int rc = 0;

    c->sim->stats.bytes_in += data.n;
    if (c->phase >= SIM_PHASE_CLOSING || c->faults.left[SIM_FAULT_SILENT])
        return;
    if (buf_append(&c->in, data) != 0) {
        sim_client_kill(c, "more than a frame can hold");
        return;
    }
    if (!ready_for_frames(c))
        return;
    while (c->phase < SIM_PHASE_CLOSING &&
           (rc = wa_frame_next(BYTES(c->in.p + done, c->in.n - done), WA_FRAME_MAX, &frame,
                               &used)) == 1) {
        on_frame(c, frame);
        done += used;
    }
    buf_drop_front(&c->in, done);
    if (rc < 0)
        sim_client_kill(c, "frame too long");
}
