/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connection: frames, the table of stanzas, timers, life and death. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "wa/frame.h"
#include "wa/session_internal.h"

#define HANDSHAKE_TIMEOUT_MS 20000
/* The protocol allows 16 MiB; nothing that is for a text companion comes near this. */
#define FRAME_ACCEPTED_MAX (4u << 20)
#define INPUT_MAX (FRAME_ACCEPTED_MAX + (1u << 16))
#define OUTPUT_MAX (32u << 20)
#define SERVER_TIME_MIN 1500000000 /* an earlier t is no time */
#define BUFFER_KEPT (64u << 10)    /* larger buffers are released when the work is done */

/* ---- small tools of all parts ---------------------------------------------------------------- */

int64_t wa_session_now(const struct wa_session *s)
{
    return s->host->mono_ms(s->host->ctx);
}

void wa_session_take_time(struct wa_session *s, const struct wa_node *node)
{
    uint64_t t;
    if (wa_node_attr_u64(node, "t", &t) && t >= SERVER_TIME_MIN && t <= UINT32_MAX)
        s->server_ms = (int64_t)t * 1000 - wa_session_now(s);
}

int64_t wa_session_server_ms(const struct wa_session *s)
{
    return s->server_ms ? wa_session_now(s) + s->server_ms : 0;
}

struct wa_node *wa_session_stanza(struct wa_session *s, const char *tag)
{
    return wa_node_new(&s->arena, tag);
}

struct wa_event *wa_session_emit(struct wa_session *s, enum wa_event_type type)
{
    if (s->phase == WA_PHASE_CLOSED) { /* what was under way when the store failed tells nobody */
        struct wa_event *unheard = arena_alloc(&s->arena, sizeof(*unheard));
        *unheard = (struct wa_event){.type = type};
        return unheard;
    }
    if (s->event_count == s->event_cap) {
        s->event_cap = s->event_cap ? s->event_cap * 2 : 8;
        s->events = err_realloc(s->events, s->event_cap * sizeof(*s->events));
    }
    struct wa_event *ev = &s->events[s->event_count++];
    *ev = (struct wa_event){.type = type};
    return ev;
}

void wa_session_end(struct wa_session *s, enum wa_close why, const char *fmt, ...)
{
    if (s->phase == WA_PHASE_CLOSED)
        return;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_CLOSED);
    s->phase = WA_PHASE_CLOSED;
    ev->u.closed.why = why;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ev->u.closed.err.text, sizeof(ev->u.closed.err.text), fmt, ap);
    va_end(ap);
    ev->u.closed.err.code = ERR_PROTOCOL;
    buf_clear(&s->in);
    s->in_used = 0;
}

void wa_session_end_store(struct wa_session *s)
{
    wa_session_end(s, WA_CLOSE_STORE, "the key records could not be read or written");
}

bool wa_session_hurries(const struct wa_session *s)
{
    return s->out.n > 0 && !s->patient;
}

void wa_session_put_patiently(struct wa_session *s, const struct wa_node *node)
{
    bool patient = s->out.n == 0 || s->patient;
    wa_session_put(s, node);
    s->patient = patient;
}

void wa_session_put(struct wa_session *s, const struct wa_node *node)
{
    s->patient = false;
    if (s->phase < WA_PHASE_LOGIN || s->phase == WA_PHASE_CLOSED)
        return;
    buf_clear(&s->scratch);
    int rc = wa_node_encode(node, &s->scratch);
    if (rc == 0)
        rc = wa_frame_begin(&s->out, s->scratch.n + WA_GCM_TAG_LEN);
    if (rc == 0)
        rc = wa_cipher_seal(&s->send_cipher, buf_bytes(&s->scratch), &s->out);
    if (rc < 0)
        wa_session_end(s, WA_CLOSE_PROTOCOL, "a <%.*s> stanza could not be sent: %s",
                       (int)node->tag.n, (const char *)node->tag.p, err_name(rc));
}

struct wa_node *wa_session_query(struct wa_session *s, const char *type, const char *xmlns)
{
    struct wa_node *iq = wa_session_stanza(s, "iq");
    wa_node_set_jid(iq, "to", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_set(iq, "type", type);
    wa_node_set(iq, "xmlns", xmlns);
    return iq;
}

void wa_session_ask_until(struct wa_session *s, struct wa_node *iq, int64_t timeout_ms,
                          wa_iq_done done, void *arg)
{
    int rc = wa_iq_expect(&s->iq, iq, wa_session_now(s) + timeout_ms, done, s, arg);
    if (rc < 0)
        wa_session_end(s, WA_CLOSE_PROTOCOL, "too many requests are without an answer");
    else
        wa_session_put(s, iq);
}

void wa_session_ask(struct wa_session *s, struct wa_node *iq, wa_iq_done done, void *arg)
{
    wa_session_ask_until(s, iq, WA_IQ_TIMEOUT_MS, done, arg);
}

void wa_session_answer(struct wa_session *s, const struct wa_node *request)
{
    struct wa_node *iq = wa_session_stanza(s, "iq");
    wa_node_set_jid(iq, "to", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_copy_attr(iq, request, "id");
    wa_node_set(iq, "type", "result");
    wa_session_put(s, iq);
}

struct wa_event *wa_session_emit_account(struct wa_session *s, enum wa_event_type type)
{
    struct wa_event *ev = wa_session_emit(s, type);
    ev->u.account.pn = s->device.pn;
    ev->u.account.lid = s->device.lid;
    ev->u.account.push_name = s->device.push_name;
    ev->u.account.platform = s->device.platform;
    ev->u.account.business_name = s->device.business_name;
    return ev;
}

/* ---- iq -------------------------------------------------------------------------------------- */

static void on_iq(struct wa_session *s, const struct wa_node *node)
{
    if (wa_node_attr_is(node, "type", "result") || wa_node_attr_is(node, "type", "error")) {
        wa_iq_answer(&s->iq, node);
        return;
    }
    const struct wa_node *pair_device = wa_node_find(node, "pair-device");
    const struct wa_node *pair_success = wa_node_find(node, "pair-success");
    if (pair_device)
        wa_linking_refs(s, node, pair_device);
    else if (pair_success)
        wa_linking_success(s, node, pair_success);
    else if (wa_node_attr_is(node, "xmlns", "urn:xmpp:ping") ||
             wa_node_attr_is(node, "xmlns", "w:p") || wa_node_find(node, "ping"))
        wa_session_answer(s, node);
}

/* ---- the table of stanzas -------------------------------------------------------------------- */

static void dispatch(struct wa_session *s, const struct wa_node *node)
{
    static const struct {
        const char *tag;
        bool online; /* only once logged in */
        void (*handle)(struct wa_session *s, const struct wa_node *node);
    } table[] = {
        {"message", true, wa_receive_message},
        {"receipt", true, wa_receive_receipt},
        {"ack", true, wa_send_acked},
        {"iq", false, on_iq},
        {"notification", false, wa_notification},
        {"call", true, wa_call},
        {"ib", false, wa_online_ib},
        {"success", false, wa_online_success},
        {"failure", false, wa_ends_failure},
        {"stream:error", false, wa_ends_stream_error},
        {"xmlstreamend", false, wa_ends_stream_end},
    };
    enum wa_shape shape = wa_shape_of(node);
    s->malformed += shape != WA_SHAPE_GOOD;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!wa_node_is(node, table[i].tag))
            continue;
        if (table[i].online && s->phase != WA_PHASE_ONLINE)
            return;
        wa_online_count_backlog(s, node);
        if (shape == WA_SHAPE_NAMELESS)
            return;
        if (shape == WA_SHAPE_FOREIGN) {
            wa_receive_ack(s, node, 0);
            return;
        }
        table[i].handle(s, node);
        return;
    }
}

static void on_frame(struct wa_session *s, struct bytes payload)
{
    s->last_received = wa_session_now(s);
    if (s->phase == WA_PHASE_HELLO) {
        wa_hello_answer(s, payload);
        return;
    }
    buf_clear(&s->plain);
    struct wa_node *node;
    int rc = wa_cipher_open(&s->recv_cipher, payload, &s->plain);
    if (rc < 0)
        wa_session_end(s, WA_CLOSE_PROTOCOL, "a frame of the server does not decrypt (%s)",
                       err_name(rc));
    else if ((rc = wa_node_decode(&s->arena, buf_bytes(&s->plain), &node)) < 0)
        wa_session_end(s, WA_CLOSE_PROTOCOL, "a stanza of the server cannot be read (%s)",
                       err_name(rc));
    else
        dispatch(s, node);
}

/* One large stanza must not cost its memory for the life of the connection. */
static void release_large(struct wa_session *s)
{
    struct buf *buffers[] = {&s->in, &s->plain, &s->scratch, &s->out};
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        if (buffers[i]->cap > BUFFER_KEPT && (buffers[i]->n == 0 || i == 1 || i == 2))
            buf_deinit(buffers[i]);
}

void wa_session_rest(struct wa_session *s)
{
    struct buf *buffers[] = {&s->in, &s->plain, &s->scratch, &s->out};
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        if (buffers[i]->n == 0 || i == 1 || i == 2)
            buf_deinit(buffers[i]);
    if (s->event_next < s->event_count)
        return;
    arena_deinit(&s->arena);
    free(s->events);
    s->events = NULL;
    s->event_next = s->event_count = s->event_cap = 0;
    wa_signal_rest(s->signal);
}

/* Takes one frame off the input; false when there is no whole one. */
static bool next_frame(struct wa_session *s)
{
    struct bytes payload, left = BYTES_NONE;
    size_t used;
    if (s->in.n > s->in_used)
        left = BYTES(s->in.p + s->in_used, s->in.n - s->in_used);
    int rc = left.n ? wa_frame_next(left, FRAME_ACCEPTED_MAX, &payload, &used) : 0;
    if (rc == 1) {
        s->in_used += used;
        on_frame(s, payload);
        return true;
    }
    if (rc < 0) {
        wa_session_end(s, WA_CLOSE_PROTOCOL, "a frame is announced longer than %u bytes",
                       FRAME_ACCEPTED_MAX);
        return true;
    }
    if (s->in_used) {
        buf_drop_front(&s->in, s->in_used);
        s->in_used = 0;
    }
    release_large(s);
    return false;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void end_phase(struct wa_session *s)
{
    s->phase_until = CLOCK_NEVER;
    if (s->phase == WA_PHASE_PAIRED)
        wa_session_end(s, WA_CLOSE_RESTART, "paired; the server did not ask for the restart");
    else if (s->logging_out)
        wa_session_end(s, WA_CLOSE_LOGGED_OUT, "unlinked on request; the server did not answer");
    else
        wa_session_end(s, WA_CLOSE_TIMEOUT, "the server did not answer the %s",
                       s->phase == WA_PHASE_HELLO ? "handshake" : "login");
}

static const struct {
    size_t offset;
    void (*run)(struct wa_session *s);
} timers[] = {
    {offsetof(struct wa_session, phase_until), end_phase},
    {offsetof(struct wa_session, ref_until), wa_linking_rotate},
    {offsetof(struct wa_session, code_until), wa_linking_code_expire},
    {offsetof(struct wa_session, passkey_until), wa_linking_passkey_expire},
    {offsetof(struct wa_session, ping_at), wa_online_ping},
    {offsetof(struct wa_session, upload_at), wa_online_retry_upload},
    {offsetof(struct wa_session, rotate_at), wa_online_rotate},
    {offsetof(struct wa_session, history_at), wa_history_sync_begin},
    {offsetof(struct wa_session, app_state_at), wa_app_state_again},
    {offsetof(struct wa_session, offline_request_at), wa_online_request_backlog},
    {offsetof(struct wa_session, offline_until), wa_online_finish_backlog},
};

static int64_t *timer_of(struct wa_session *s, size_t i)
{
    return (int64_t *)((char *)s + timers[i].offset);
}

static int64_t timer_at(const struct wa_session *s, size_t i)
{
    return *(const int64_t *)((const char *)s + timers[i].offset);
}

static void run_timers(struct wa_session *s)
{
    int64_t now = wa_session_now(s);
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        if (s->phase != WA_PHASE_CLOSED && timer_at(s, i) <= now)
            timers[i].run(s);
    while (s->phase != WA_PHASE_CLOSED && wa_iq_expire(&s->iq, now))
        continue;
    if (s->phase != WA_PHASE_CLOSED)
        wa_send_expire(s, now);
}

int64_t wa_session_deadline(const struct wa_session *s)
{
    if (s->phase == WA_PHASE_CLOSED)
        return CLOCK_NEVER;
    int64_t first = wa_iq_deadline(&s->iq), sends = wa_send_deadline(s);
    if (sends < first)
        first = sends;
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        if (timer_at(s, i) < first)
            first = timer_at(s, i);
    return first;
}

/* ---- life ------------------------------------------------------------------------------------ */

int wa_session_open(struct wa_session **out, const struct wa_session_config *config,
                    const struct wa_host *host, struct err *err)
{
    struct wa_session *s = err_calloc(1, sizeof(*s));
    s->config = *config;
    s->host = host;
    buf_init(&s->in, INPUT_MAX);
    buf_init(&s->out, OUTPUT_MAX);
    buf_init_secret(&s->plain, WA_FRAME_MAX);
    buf_init_secret(&s->scratch, WA_FRAME_MAX);
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        *timer_of(s, i) = CLOCK_NEVER;
    s->last_received = wa_session_now(s);
    s->phase_until = s->last_received + HANDSHAKE_TIMEOUT_MS;
    wa_iq_init(&s->iq, host);
    int rc = wa_device_load(&s->device, host);
    if (rc == 0) /* stored by the pairing: a QR outlives neither this connection nor its keys */
        wa_device_generate(&s->device, host);
    if (rc >= 0)
        rc = wa_hello_begin(s);
    s->signal = wa_signal_open(&s->device, host);
    s->devices = wa_device_cache_open();
    s->groups = wa_group_cache_open();
    if (rc < 0) {
        wa_session_close(s);
        return err_set(err, rc, "the device's keys could not be read or made (%s)", err_name(rc));
    }
    *out = s;
    return 0;
}

void wa_session_close(struct wa_session *s)
{
    if (!s)
        return;
    wa_send_free_all(s);
    wa_iq_deinit(&s->iq);
    wa_device_cache_close(s->devices);
    wa_group_cache_close(s->groups);
    wa_signal_close(s->signal);
    wa_handshake_deinit(&s->handshake);
    wa_cipher_deinit(&s->send_cipher);
    wa_cipher_deinit(&s->recv_cipher);
    wa_device_wipe(&s->device);
    wa_linking_passkey_clear(s);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
    buf_deinit(&s->plain);
    buf_deinit(&s->scratch);
    buf_deinit(&s->app_state.patch);
    wa_history_sync_clear(s);
    for (unsigned i = 0; i < WA_FILE_OWNERS; i++)
        wa_files_forget(s, i);
    arena_deinit(&s->arena);
    free(s->events);
    buf_wipe(s, sizeof(*s));
    free(s);
}

void wa_session_feed(struct wa_session *s, struct bytes data)
{
    if (s->phase == WA_PHASE_CLOSED)
        return;
    if (s->in_used) {
        buf_drop_front(&s->in, s->in_used);
        s->in_used = 0;
    }
    if (buf_append(&s->in, data) < 0)
        wa_session_end(s, WA_CLOSE_PROTOCOL, "more was received than one frame may hold");
}

int wa_session_next(struct wa_session *s, struct wa_event *ev)
{
    while (s->event_next == s->event_count) {
        s->event_next = s->event_count = 0;
        arena_reset(&s->arena);
        if (s->phase == WA_PHASE_CLOSED)
            return 0;
        run_timers(s);
        if (s->event_count == 0 && !next_frame(s))
            return 0;
    }
    *ev = s->events[s->event_next++];
    return 1;
}

struct buf *wa_session_output(struct wa_session *s)
{
    return &s->out;
}

bool wa_session_connected(const struct wa_session *s)
{
    return s->phase == WA_PHASE_ONLINE;
}

const struct wa_device *wa_session_device(const struct wa_session *s)
{
    return &s->device;
}

const char *wa_session_handshake(const struct wa_session *s)
{
    return wa_handshake_way_text(s->way);
}

uint64_t wa_session_malformed(const struct wa_session *s)
{
    return s->malformed;
}

uint64_t wa_session_set_aside(const struct wa_session *s)
{
    return wa_signal_set_aside_count(s->signal);
}
