/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs of the simulator itself: where it listens, what it counted, which clients it takes. */
#include "sim/control_verbs.h"

#include "base/clock.h"
#include "base/text.h"

void sim_control_ready(struct sim *s, struct buf *out)
{
    struct json_writer w;
    struct buf AUTO_BUF root;

    buf_init(&root, 2 * WA_KEY_LEN);
    text_hex_append(&root, BYTES_ARRAY(s->keys.root.pub));
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "endpoint", s->endpoint);
    json_put_text(&w, "control", s->control);
    json_put_bytes(&w, "noise_root", buf_bytes(&root));
    json_put_int(&w, "pid", getpid());
    json_close(&w, '}');
}

bool sim_get_ready(struct sim_request *r)
{
    r->status = 200;
    sim_control_ready(r->sim, &r->answer);
    return true;
}

bool sim_get_stats(struct sim_request *r)
{
    const struct sim_stats *st = &r->sim->stats;
    struct json_writer w;
    int64_t open = 0;

    for (const struct sim_client *c = r->sim->clients; c; c = c->next)
        open++;
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_int(&w, "connections", open);
    json_put_int(&w, "connections_total", (int64_t)st->connections);
    json_put_int(&w, "stanzas_in", (int64_t)st->stanzas_in);
    json_put_int(&w, "stanzas_out", (int64_t)st->stanzas_out);
    json_put_int(&w, "bytes_in", (int64_t)st->bytes_in);
    json_put_int(&w, "bytes_out", (int64_t)st->bytes_out);
    json_put_int(&w, "key_reuse", (int64_t)st->key_reuse);
    json_put_int(&w, "undecryptable", (int64_t)st->undecryptable);
    json_put_int(&w, "retries", (int64_t)st->retries);
    json_put_int(&w, "handshakes_xx", (int64_t)st->handshakes[WA_HANDSHAKE_XX]);
    json_put_int(&w, "handshakes_ik", (int64_t)st->handshakes[WA_HANDSHAKE_IK]);
    json_put_int(&w, "handshakes_xxfallback", (int64_t)st->handshakes[WA_HANDSHAKE_XXFALLBACK]);
    json_put_int(&w, "routed", (int64_t)st->routed);
    json_put_int(&w, "sw_js", (int64_t)st->sw_js);
    json_put_int(&w, "accounts", (int64_t)r->sim->by_pn.count);
    json_put_int(&w, "uptime_ms", clock_mono_ms() - r->sim->started_ms);
    json_close(&w, '}');
    return true;
}

bool sim_get_events(struct sim_request *r)
{
    struct json_writer w;

    sim_answer_begin(r, &w);
    return sim_events_write(&r->sim->events, sim_request_number(r, "after"), &w) > 0 ||
           !sim_request_keep_waiting(r, sim_request_number(r, "wait_ms"));
}

/* Tells every companion when its version will be refused. */
static void tell_expiration(struct sim *s, int64_t at_s)
{
    for (struct sim_client *c = s->clients; c; c = c->next) {
        struct wa_node *ib, *expiration;

        if (c->phase != SIM_PHASE_LINKED)
            continue;
        expiration = sim_client_ib(c, "client_expiration", &ib);
        wa_node_set_u64(expiration, "t", (uint64_t)at_s);
        sim_client_send(c, ib);
    }
}

bool sim_post_version(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    int64_t oldest = json_int(v, "oldest", r->sim->oldest_version);
    int64_t newest = json_int(v, "newest", r->sim->newest_version);

    if (!v)
        return true;
    if (oldest < 0 || oldest > UINT32_MAX || newest < 0 || newest > UINT32_MAX)
        return sim_refuse(r, 422, "oldest and newest are revisions: 0 to 4294967295");
    r->sim->oldest_version = (uint32_t)oldest;
    r->sim->newest_version = (uint32_t)newest;
    if (json_int(v, "expires", 0) > 0)
        tell_expiration(r->sim, json_int(v, "expires", 0));
    return sim_answer_ok(r);
}

/* As the real one has it: in a string of JSON inside of JavaScript (protocol/01 section 8). */
bool sim_get_service_worker(struct sim_request *r)
{
    r->sim->stats.sw_js++;
    if (r->sim->newest_version == 0)
        return sim_refuse(r, 404, "no newest version was set");
    r->status = 200;
    buf_printf(&r->answer,
               "/*! service worker */self.__data=JSON.parse(\"{\\\"server_revision\\\":%u,"
               "\\\"client_revision\\\":%u,\\\"push_phase\\\":\\\"C3\\\"}\");\n",
               r->sim->newest_version, r->sim->newest_version);
    return true;
}
