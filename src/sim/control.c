/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/control.h"

#include "base/clock.h"
#include "base/text.h"
#include "sim/app_state.h"
#include "sim/authenticator.h"
#include "sim/gate.h"
#include "sim/group.h"
#include "sim/load.h"
#include "sim/login.h"
#include "sim/notify.h"
#include "sim/phone.h"
#include "sim/typing.h"
#include "sim/xml.h"

#define WAIT_MAX_MS 300000
#define LISTED_MAX 1000 /* messages or receipts in one answer */

/* ---- answering ----------------------------------------------------------------------------------
 */

static bool refuse(struct sim_request *r, int status, const char *sentence)
{
    struct json_writer w;

    buf_clear(&r->answer);
    json_writer_init(&w, &r->answer);
    json_open(&w, NULL, '{');
    json_put_text(&w, "error", sentence);
    json_close(&w, '}');
    r->status = status;
    return true;
}

static bool refuse_err(struct sim_request *r, const struct err *err)
{
    int status = err->code == ERR_NOT_FOUND ? 404 : err->code == ERR_EXISTS ? 409 : 422;

    return refuse(r, status, err->text);
}

static bool answer_ok(struct sim_request *r)
{
    r->status = 200;
    buf_append_text(&r->answer, "{\"ok\":true}");
    return true;
}

static void begin(struct sim_request *r, struct json_writer *w)
{
    buf_clear(&r->answer);
    json_writer_init(w, &r->answer);
    r->status = 200;
}

/* ---- asking -------------------------------------------------------------------------------------
 */

/* The value of a query parameter; BYTES_NONE. */
static struct bytes parameter(const struct sim_request *r, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = r->query; at && *at; at = strchr(at, '&')) {
        if (*at == '&')
            at++;
        if (strncmp(at, name, n) == 0 && at[n] == '=')
            return BYTES(at + n + 1, strcspn(at + n + 1, "&"));
    }
    return BYTES_NONE;
}

static int64_t number(const struct sim_request *r, const char *name)
{
    uint64_t v = 0;

    return bytes_to_u64(parameter(r, name), &v) && v <= INT64_MAX ? (int64_t)v : 0;
}

/* Whether a request that found nothing shall wait on. */
static bool keep_waiting(struct sim_request *r, int64_t wait_ms)
{
    int64_t now = clock_mono_ms();

    if (!r->waiting) {
        r->waiting = true;
        r->deadline_ms = now + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    }
    return now < r->deadline_ms;
}

static struct sim_account *account(struct sim_request *r)
{
    struct sim_account *a = sim_account_by_phone(r->sim, r->arg);

    if (!a)
        refuse(r, 404, "there is no such account");
    return a;
}

/* The body as an object; NULL when it is none, then the request is refused. */
static const struct json_value *body(struct sim_request *r, struct json_doc **doc)
{
    struct err err;

    if (json_doc_open(doc, buf_bytes(&r->body), &err) != 0) {
        *doc = NULL;
        refuse(r, 400, err.text);
        return NULL;
    }
    if (!json_value_is_object(json_root(*doc))) {
        refuse(r, 400, "the body must be a JSON object");
        return NULL;
    }
    return json_root(*doc);
}

static void close_doc(struct json_doc **doc)
{
    if (*doc)
        json_doc_close(*doc);
}
#define AUTO_DOC __attribute__((cleanup(close_doc)))

static void put_jid(struct json_writer *w, const char *key, const struct wa_jid *jid)
{
    char text[WA_JID_TEXT_SIZE];

    json_put_text(w, key, wa_jid_text(jid, text));
}

/* ---- the simulator ------------------------------------------------------------------------------
 */

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

static bool get_ready(struct sim_request *r)
{
    r->status = 200;
    sim_control_ready(r->sim, &r->answer);
    return true;
}

static bool get_stats(struct sim_request *r)
{
    const struct sim_stats *st = &r->sim->stats;
    struct json_writer w;
    int64_t open = 0;

    for (const struct sim_client *c = r->sim->clients; c; c = c->next)
        open++;
    begin(r, &w);
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

static bool get_events(struct sim_request *r)
{
    struct json_writer w;

    begin(r, &w);
    return sim_events_write(&r->sim->events, number(r, "after"), &w) > 0 ||
           !keep_waiting(r, number(r, "wait_ms"));
}

/* ---- client versions ---------------------------------------------------------------------------
 */

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

static bool post_version(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    int64_t oldest = json_int(v, "oldest", r->sim->oldest_version);
    int64_t newest = json_int(v, "newest", r->sim->newest_version);

    if (!v)
        return true;
    if (oldest < 0 || oldest > UINT32_MAX || newest < 0 || newest > UINT32_MAX)
        return refuse(r, 422, "oldest and newest are revisions: 0 to 4294967295");
    r->sim->oldest_version = (uint32_t)oldest;
    r->sim->newest_version = (uint32_t)newest;
    if (json_int(v, "expires", 0) > 0)
        tell_expiration(r->sim, json_int(v, "expires", 0));
    return answer_ok(r);
}

/* As the real one has it: in a string of JSON inside of JavaScript (protocol/01 section 8). */
static bool get_service_worker(struct sim_request *r)
{
    r->sim->stats.sw_js++;
    if (r->sim->newest_version == 0)
        return refuse(r, 404, "no newest version was set");
    r->status = 200;
    buf_printf(&r->answer,
               "/*! service worker */self.__data=JSON.parse(\"{\\\"server_revision\\\":%u,"
               "\\\"client_revision\\\":%u,\\\"push_phase\\\":\\\"C3\\\"}\");\n",
               r->sim->newest_version, r->sim->newest_version);
    return true;
}

/* ---- accounts -----------------------------------------------------------------------------------
 */

static bool post_account(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    struct sim_account_spec spec = {.phone = json_text(v, "phone", NULL),
                                    .name = json_text(v, "name", ""),
                                    .lid = json_text(v, "lid", NULL),
                                    .business = json_text(v, "business", NULL)};
    const char *addressing = json_text(v, "addressing", "lid");
    struct sim_account *a;
    struct json_writer w;
    struct err err;

    if (!v)
        return true;
    if (strcmp(addressing, "lid") != 0 && strcmp(addressing, "pn") != 0)
        return refuse(r, 422, "addressing must be \"lid\" or \"pn\"");
    spec.pn_addressed = strcmp(addressing, "pn") == 0;
    if (sim_account_create(r->sim, &spec, &a, &err) != 0)
        return refuse_err(r, &err);
    begin(r, &w);
    r->status = 201;
    json_open(&w, NULL, '{');
    json_put_text(&w, "phone", a->pn.user);
    put_jid(&w, "pn", &a->pn);
    put_jid(&w, "lid", &a->lid);
    json_put_bytes(&w, "name", bytes_text(a->name));
    json_close(&w, '}');
    return true;
}

static void write_account(struct json_writer *w, const struct sim_account *a)
{
    json_open(w, NULL, '{');
    json_put_text(w, "phone", a->pn.user);
    put_jid(w, "pn", &a->pn);
    put_jid(w, "lid", &a->lid);
    json_put_bytes(w, "name", bytes_text(a->name));
    json_open(w, "devices", '[');
    for (const struct sim_device *d = a->devices; d; d = d->next) {
        struct wa_jid jid = sim_device_pn(d);

        json_open(w, NULL, '{');
        json_put_int(w, "id", d->id);
        put_jid(w, "jid", &jid);
        json_put_bool(w, "connected", d->client || sim_device_is_primary(d));
        json_put_int(w, "queued", (int64_t)d->queue.count);
        json_put_int(w, "prekeys", (int64_t)d->keys.count);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

static bool get_accounts(struct sim_request *r)
{
    struct json_writer w;

    begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "accounts", '[');
    for (const struct sim_account *a = r->sim->accounts; a; a = a->next)
        write_account(&w, a);
    json_close(&w, ']');
    json_close(&w, '}');
    return true;
}

static bool begin_scan(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    const char *qr = json_text(v, "qr", NULL);
    struct err err;

    if (!v)
        return true;
    if (!qr)
        return refuse(r, 422, "qr is missing");
    if (sim_scan_begin(a, bytes_text(qr), &r->scan, &err) != 0)
        return refuse_err(r, &err);
    if (!r->scan) {
        r->status = 202;
        buf_append_text(&r->answer, "{\"passkey\":\"wanted\"}");
        return true;
    }
    return !keep_waiting(r, SIM_SCAN_TIMEOUT_MS);
}

static bool post_scan(struct sim_request *r)
{
    struct json_writer w;
    struct wa_jid pn, lid;

    if (!r->scan)
        return begin_scan(r);
    if (r->scan->client)
        return keep_waiting(r, 0) ? false : refuse(r, 408, "the companion did not answer in time");
    if (r->scan->err.code != 0)
        return refuse_err(r, &r->scan->err);
    pn = wa_jid_with_device(&r->scan->account->pn, r->scan->device_id);
    lid = wa_jid_with_device(&r->scan->account->lid, r->scan->device_id);
    begin(r, &w);
    json_open(&w, NULL, '{');
    put_jid(&w, "device", &pn);
    put_jid(&w, "lid", &lid);
    json_close(&w, '}');
    return true;
}

static bool post_link_code(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct err err;

    if (!v)
        return true;
    if (sim_typing_type(a, json_text(v, "code", ""), &err) != 0)
        return refuse_err(r, &err);
    return answer_ok(r);
}

static bool post_refresh_code(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct err err;

    if (!v)
        return true;
    if (sim_typing_refresh(a, json_bool(v, "by_hand", false), &err) != 0)
        return refuse_err(r, &err);
    return answer_ok(r);
}

static bool post_passkey(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;

    if (!v)
        return true;
    a->gate = (struct sim_gate_rules){.on = json_bool(v, "gate", true),
                                      .no_options = json_bool(v, "no_options", false),
                                      .no_continuation = json_bool(v, "no_continuation", false),
                                      .bad_continuation = json_bool(v, "bad_continuation", false)};
    bytes_copy_text(bytes_text(json_text(v, "refuse", "")), a->gate.refuse, sizeof a->gate.refuse);
    if (!a->authenticator)
        a->authenticator = sim_authenticator_new(&r->sim->random);
    return answer_ok(r);
}

static bool get_passkey(struct sim_request *r)
{
    struct sim_account *a = account(r);
    struct json_writer w;

    if (!a)
        return true;
    begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_bool(&w, "gate", a->gate.on);
    json_put_text(&w, "code", sim_gate_code(a)[0] ? sim_gate_code(a) : NULL);
    json_close(&w, '}');
    return true;
}

/* The owner's browser, on a page of WhatsApp's. */
static bool post_assert(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct json_writer w;

    if (!v)
        return true;
    if (!a->authenticator)
        return refuse(r, 404, "this account has no passkey");
    begin(r, &w);
    json_open(&w, NULL, '{');
    if (sim_authenticator_use(a->authenticator, json_get(v, "public_key"),
                              json_text(v, "origin", "https://web.whatsapp.com"), &w,
                              "credential") != 0)
        return refuse(r, 422, "public_key has no challenge");
    json_close(&w, '}');
    return true;
}

/* ---- groups -------------------------------------------------------------------------------------
 */

static void write_group(struct json_writer *w, const struct sim_group *g)
{
    json_open(w, NULL, '{');
    put_jid(w, "id", &g->jid);
    json_put_bytes(w, "subject", bytes_text(g->subject));
    json_put_text(w, "addressing", g->pn_addressed ? "pn" : "lid");
    json_open(w, "members", '[');
    for (size_t i = 0; i < g->count; i++)
        json_put_text(w, NULL, g->members[i]->pn.user);
    json_close(w, ']');
    json_close(w, '}');
}

static bool get_groups(struct sim_request *r)
{
    struct json_writer w;

    begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "groups", '[');
    for (const struct sim_group *g = r->sim->groups; g; g = g->next)
        write_group(&w, g);
    json_close(&w, ']');
    json_close(&w, '}');
    return true;
}

static bool post_group(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    struct sim_account *creator =
        v ? sim_account_by_phone(r->sim, json_text(v, "creator", "")) : NULL;
    struct json_writer w;
    struct sim_group *g;

    if (!v)
        return true;
    if (!creator)
        return refuse(r, 404, "creator is no account");
    g = sim_group_create(creator, json_text(v, "subject", ""),
                         strcmp(json_text(v, "addressing", "lid"), "pn") == 0);
    begin(r, &w);
    r->status = 201;
    write_group(&w, g);
    return true;
}

/* One account joins or leaves. */
static bool change_group(struct sim_request *r,
                         int (*change)(struct sim_group *g, struct sim_account *a))
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    struct sim_group *g = NULL;
    struct sim_account *a;
    struct wa_jid jid;

    if (!v)
        return true;
    a = sim_account_by_phone(r->sim, json_text(v, "phone", ""));
    if (wa_jid_parse(&jid, bytes_text(r->arg)) == 0)
        g = sim_group_by_jid(r->sim, &jid);
    if (!g || !a)
        return refuse(r, 404, g ? "phone is no account" : "there is no such group");
    if (change(g, a) != 0)
        return refuse(r, 409, "it is in the group already, or is not in it, or the group is full");
    return answer_ok(r);
}

static bool post_group_add(struct sim_request *r)
{
    return change_group(r, sim_group_add);
}

static bool post_group_remove(struct sim_request *r)
{
    return change_group(r, sim_group_remove);
}

static struct sim_device *companion(struct sim_request *r, const struct sim_account *a,
                                    const struct json_value *v)
{
    int64_t id = json_int(v, "device", 0);
    struct sim_device *d =
        id > 0 && id <= SIM_DEVICE_ID_MAX ? sim_device_find(a, (uint16_t)id) : NULL;

    if (!d)
        refuse(r, 404, "there is no such companion");
    return d;
}

static bool post_unlink(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct sim_device *d = v ? companion(r, a, v) : NULL;

    if (!d)
        return true;
    sim_unlink(d);
    return answer_ok(r);
}

static bool post_name(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    const char *name = json_text(v, "name", "");

    if (!v)
        return true;
    if (!name[0] || strlen(name) > SIM_NAME_MAX)
        return refuse(r, 422, "name is missing or too long");
    sim_app_state_rename(a, name);
    return answer_ok(r);
}

static bool post_refill(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    int64_t count = json_int(v, "count", 0);

    if (!v)
        return true;
    if (count < 0)
        return refuse(r, 422, "count must not be negative");
    for (struct sim_device *d = a->devices->next; d; d = d->next)
        sim_notify_prekeys(d, (size_t)count);
    return answer_ok(r);
}

/* ---- any stanza ---------------------------------------------------------------------------------
 */

/* Through the queue where the kind is one that is acknowledged, unless raw. */
static int give_stanza(struct sim_device *d, struct wa_node *node, bool raw)
{
    char id[24];

    if (!raw && sim_class_of(node->tag) != SIM_CLASS_COUNT) {
        if (!wa_node_attr(node, "id").p)
            wa_node_set(node, "id", sim_stanza_id(d->account->sim, id));
        return sim_deliver(d, node, false);
    }
    if (!d->client)
        return ERR_STATE;
    sim_client_send(d->client, node);
    return 0;
}

static bool post_stanza(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct sim_device *d = v ? companion(r, a, v) : NULL;
    struct arena AUTO_ARENA arena;
    struct json_writer w;
    struct wa_node *node;
    struct err err;

    arena_init(&arena);
    if (!d)
        return true;
    if (sim_xml_parse(&node, &arena, bytes_text(json_text(v, "stanza", "")), &err) != 0)
        return refuse_err(r, &err);
    if (give_stanza(d, node, json_bool(v, "raw", false)) != 0)
        return refuse(r, 409, "the device is not connected, or its queue is full");
    begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_bytes(&w, "id", wa_node_attr(node, "id"));
    json_close(&w, '}');
    return true;
}

/* ---- messages and receipts ----------------------------------------------------------------------
 */

/* "media": {"kind", "mimetype", "file_name", "caption", "fault", and "base64" or "bytes": a file of
 * so many bytes of one letter}. */
static int read_media(const struct json_value *v, struct sim_media_request *out, struct buf *plain)
{
    const char *base64 = json_text(v, "base64", NULL);
    int64_t bytes = json_int(v, "bytes", 0);

    *out = (struct sim_media_request){.kind = json_text(v, "kind", NULL),
                                      .mimetype = json_text(v, "mimetype", NULL),
                                      .file_name = json_text(v, "file_name", NULL),
                                      .caption = json_text(v, "caption", NULL),
                                      .fault = json_text(v, "fault", NULL)};
    if (base64 && text_base64_decode(bytes_text(base64), plain) != 0)
        return ERR_INVALID;
    if (bytes < 0 || bytes > SIM_MEDIA_MAX)
        return ERR_INVALID;
    if (!base64) {
        memset(buf_reserve(plain, (size_t)bytes + 1), 'm', (size_t)bytes);
        plain->n += (size_t)bytes;
    }
    out->plain = buf_bytes(plain);
    return 0;
}

static bool post_send(struct sim_request *r)
{
    struct sim_media_request media;
    struct buf AUTO_BUF plain = {.max = SIM_MEDIA_MAX + 1};
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = account(r);
    const struct json_value *v = a ? body(r, &doc) : NULL;
    struct sim_outgoing m = {.text = bytes_text(json_text(v, "text", NULL)),
                             .id = json_text(v, "id", NULL),
                             .quote = json_text(v, "quote", NULL),
                             .expiration_s = (uint32_t)json_int(v, "expiration", 0)};
    struct wa_jid group;
    struct json_writer w;
    char id[SIM_ID_MAX + 1];
    struct err err;

    if (!v)
        return true;
    m.to = sim_account_by_phone(r->sim, json_text(v, "to", ""));
    if (!m.to && wa_jid_parse(&group, bytes_text(json_text(v, "to", ""))) == 0)
        m.group = sim_group_by_jid(r->sim, &group);
    if (!m.to && (!m.group || !sim_group_has(m.group, a)))
        return refuse(r, 404, "to is no account, and no group of this one");
    if (json_get(v, "media") && read_media(json_get(v, "media"), &media, &plain) == 0)
        m.media = &media;
    if (m.text.n == 0 && !m.media)
        return refuse(r, 422, "text is missing, or media cannot be read");
    if (sim_phone_send(a->phone, &m, id, &err) != 0)
        return refuse_err(r, &err);
    begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_bytes(&w, "id", bytes_text(id));
    json_close(&w, '}');
    return true;
}

static void write_arrival(struct json_writer *w, const struct sim_arrival *m)
{
    json_open(w, NULL, '{');
    json_put_int(w, "seq", m->seq);
    json_put_bytes(w, "id", bytes_text(m->id));
    json_put_text(w, "from", m->from.user);
    put_jid(w, "from_device", &m->from);
    json_put_bytes(w, "to", bytes_text(m->to));
    json_put_bytes(w, "text", bytes_text(m->text));
    json_put_text(w, "kind", m->kind);
    json_put_text(w, "enc", m->enc);
    json_put_int(w, "at", m->at_ms);
    json_put_bool(w, "own", m->own);
    json_put_bool(w, "duplicate", m->duplicate);
    json_put_bytes(w, "quoted", bytes_text(m->quoted));
    json_put_int(w, "expiration", m->expiration_s);
    json_close(w, '}');
}

/* Writes what passes the filter; returns how many, and in *last the newest that was looked at. */
static size_t write_arrivals(struct json_writer *w, const struct sim_phone *p, struct bytes from,
                             int64_t *last)
{
    const struct sim_arrival *m;
    size_t n = 0;

    while (n < LISTED_MAX && (m = sim_phone_arrival(p, *last)) != NULL) {
        *last = m->seq;
        if (from.n && !bytes_is(from, m->from.user))
            continue;
        write_arrival(w, m);
        n++;
    }
    return n;
}

static bool get_messages(struct sim_request *r)
{
    struct sim_account *a = account(r);
    int64_t last = number(r, "after");
    struct json_writer w;
    size_t n;

    if (!a)
        return true;
    begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "messages", '[');
    n = write_arrivals(&w, a->phone, parameter(r, "from"), &last);
    json_close(&w, ']');
    json_put_int(&w, "next", last);
    json_close(&w, '}');
    return n > 0 || !keep_waiting(r, number(r, "wait_ms"));
}

static void write_receipt(struct json_writer *w, const struct sim_phone_receipt *m)
{
    json_open(w, NULL, '{');
    json_put_int(w, "seq", m->seq);
    json_put_bytes(w, "id", bytes_text(m->id));
    put_jid(w, "from", &m->from);
    json_put_bytes(w, "type", bytes_text(m->type));
    json_put_int(w, "at", m->at_ms);
    json_close(w, '}');
}

static bool get_receipts(struct sim_request *r)
{
    struct sim_account *a = account(r);
    const struct sim_phone_receipt *m;
    int64_t last = number(r, "after");
    struct json_writer w;
    size_t n = 0;

    if (!a)
        return true;
    begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "receipts", '[');
    for (; n < LISTED_MAX && (m = sim_phone_receipt(a->phone, last)) != NULL; n++) {
        write_receipt(&w, m);
        last = m->seq;
    }
    json_close(&w, ']');
    json_put_int(&w, "next", last);
    json_close(&w, '}');
    return n > 0 || !keep_waiting(r, number(r, "wait_ms"));
}

/* ---- faults and load ----------------------------------------------------------------------------
 */

static bool until_cleared(enum sim_fault f)
{
    return f == SIM_FAULT_DELAY || f == SIM_FAULT_NO_PREKEYS || f == SIM_FAULT_SILENT ||
           f == SIM_FAULT_WITHHOLD_LID;
}

static int read_fault_stanza(const char *text, struct sim_faults *out, struct err *err)
{
    struct arena AUTO_ARENA arena;
    struct wa_node *node;

    arena_init(&arena);
    if (!bytes_copy_text(bytes_text(text), out->stanza, sizeof out->stanza))
        return err_set(err, ERR_LIMIT, "stanza is longer than %d bytes", SIM_FAULT_STANZA_SIZE - 1);
    return text[0] ? sim_xml_parse(&node, &arena, bytes_text(text), err) : 0;
}

static int read_fault(const struct json_value *v, struct sim_faults *out, struct err *err)
{
    const char *kind = json_text(v, "kind", "");
    int64_t count = json_int(v, "count", 1), ms = json_int(v, "ms", 0);
    enum sim_fault f;

    *out = (struct sim_faults){.left = {0}};
    if (sim_fault_parse(kind, &f) != 0)
        return err_set(err, ERR_INVALID, "unknown kind \"%s\"", kind);
    if (count < 1 || count >= UINT32_MAX || ms < 0 || ms > 3600000)
        return err_set(err, ERR_INVALID, "count must be 1 or more, ms 0 to 3600000");
    out->left[f] = until_cleared(f) ? UINT32_MAX : (uint32_t)count;
    out->delay_ms = (uint32_t)ms;
    bytes_copy_text(bytes_text(json_text(v, "code", "503")), out->code, sizeof out->code);
    memcpy(out->ack_code, out->code, sizeof out->code);
    memcpy(out->keys_code, out->code, sizeof out->code);
    bytes_copy_text(bytes_text(json_text(v, "reason", "405")), out->reason, sizeof out->reason);
    return read_fault_stanza(json_text(v, "stanza", ""), out, err);
}

/* "PHONE:1", or "PHONE" for the phone itself. */
static struct sim_device *fault_target(struct sim *s, const char *target)
{
    char phone[WA_JID_USER_MAX + 1];
    size_t n = strcspn(target, ":");
    uint64_t id = 0;
    const struct sim_account *a;

    if (n >= sizeof phone || (target[n] && !bytes_to_u64(bytes_text(target + n + 1), &id)) ||
        id > SIM_DEVICE_ID_MAX)
        return NULL;
    memcpy(phone, target, n);
    phone[n] = '\0';
    a = sim_account_by_phone(s, phone);
    return a ? sim_device_find(a, (uint16_t)id) : NULL;
}

/* What is about keys or the next login stays with the device; the rest is for its connection. */
static void give_fault(struct sim_device *d, const struct sim_faults *fault)
{
    bool later = fault->left[SIM_FAULT_NO_PREKEYS] || fault->left[SIM_FAULT_FAILURE];

    if (!d->client || later) {
        sim_faults_merge(&d->faults, fault);
    } else {
        sim_faults_merge(&d->client->faults, fault);
        sim_client_faults(d->client);
    }
}

static void clear_faults(struct sim_device *d)
{
    d->faults = (struct sim_faults){.left = {0}};
    if (d->client)
        d->client->faults = (struct sim_faults){.left = {0}};
}

static bool post_fault(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    const char *target = json_text(v, "target", "");
    bool clear = strcmp(json_text(v, "kind", ""), "clear") == 0;
    bool next = strcmp(target, "next_connection") == 0;
    struct sim_device *d = next ? NULL : fault_target(r->sim, target);
    struct sim_faults fault = {.left = {0}};
    struct err err;

    if (!v)
        return true;
    if (!next && !d)
        return refuse(r, 404, "target must be \"next_connection\" or \"PHONE:DEVICE\"");
    if (!clear && read_fault(v, &fault, &err) != 0)
        return refuse_err(r, &err);
    if (clear && next)
        r->sim->next_connection = fault;
    else if (clear)
        clear_faults(d);
    else if (next)
        sim_faults_merge(&r->sim->next_connection, &fault);
    else
        give_fault(d, &fault);
    return answer_ok(r);
}

static bool get_load(struct sim_request *r)
{
    struct json_writer w;

    begin(r, &w);
    json_open(&w, NULL, '{');
    sim_load_write(r->sim->load, &w);
    json_close(&w, '}');
    return true;
}

static bool post_load(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = body(r, &doc);
    struct sim_load_spec spec = {.contacts = json_int(v, "contacts", 1),
                                 .messages = json_int(v, "messages", 1),
                                 .rate = json_int(v, "rate", 0),
                                 .bytes = json_int(v, "bytes", 0),
                                 .prefix = json_text(v, "prefix", "load"),
                                 .paired = json_bool(v, "paired", false)};
    struct err err;

    if (!v)
        return true;
    spec.to = sim_account_by_phone(r->sim, json_text(v, "to", ""));
    if (!spec.to)
        return refuse(r, 404, "to is no account");
    if (sim_load_start(r->sim, &spec, &err) != 0)
        return refuse_err(r, &err);
    return get_load(r);
}

/* ---- dispatch -----------------------------------------------------------------------------------
 */

static const struct {
    const char *method, *path; /* * stands for one part */
    bool (*fn)(struct sim_request *r);
} table[] = {
    {"GET", "/", get_ready},
    {"GET", "/stats", get_stats},
    {"GET", "/events", get_events},
    {"GET", "/sw.js", get_service_worker},
    {"POST", "/version", post_version},
    {"GET", "/accounts", get_accounts},
    {"POST", "/accounts", post_account},
    {"POST", "/accounts/*/scan", post_scan},
    {"POST", "/accounts/*/link_code", post_link_code},
    {"POST", "/accounts/*/refresh_code", post_refresh_code},
    {"GET", "/accounts/*/passkey", get_passkey},
    {"POST", "/accounts/*/passkey", post_passkey},
    {"POST", "/accounts/*/assert", post_assert},
    {"POST", "/accounts/*/send", post_send},
    {"GET", "/accounts/*/messages", get_messages},
    {"GET", "/accounts/*/receipts", get_receipts},
    {"POST", "/accounts/*/unlink", post_unlink},
    {"POST", "/accounts/*/name", post_name},
    {"POST", "/accounts/*/refill", post_refill},
    {"POST", "/accounts/*/stanza", post_stanza},
    {"GET", "/groups", get_groups},
    {"POST", "/groups", post_group},
    {"POST", "/groups/*/add", post_group_add},
    {"POST", "/groups/*/remove", post_group_remove},
    {"POST", "/faults", post_fault},
    {"GET", "/load", get_load},
    {"POST", "/load", post_load},
};

static bool path_matches(struct sim_request *r, const char *pattern)
{
    const char *star = strchr(pattern, '*');
    size_t head = star ? (size_t)(star - pattern) : 0, arg;

    if (!star)
        return strcmp(r->path, pattern) == 0;
    if (strncmp(r->path, pattern, head) != 0)
        return false;
    arg = strcspn(r->path + head, "/");
    if (arg == 0 || arg >= sizeof r->arg || strcmp(r->path + head + arg, star + 1) != 0)
        return false;
    memcpy(r->arg, r->path + head, arg);
    r->arg[arg] = '\0';
    return true;
}

bool sim_control(struct sim_request *r)
{
    bool known = false;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!path_matches(r, table[i].path))
            continue;
        known = true;
        if (strcmp(r->method, table[i].method) == 0)
            return table[i].fn(r);
    }
    return known ? refuse(r, 405, "not with this method") : refuse(r, 404, "there is no such path");
}

void sim_request_init(struct sim_request *r, struct sim *s)
{
    *r = (struct sim_request){.sim = s};
    buf_init(&r->body, SIM_BODY_MAX);
    buf_init(&r->answer, SIM_ANSWER_MAX);
}

void sim_request_deinit(struct sim_request *r)
{
    sim_scan_free(r->scan);
    buf_deinit(&r->body);
    buf_deinit(&r->answer);
}
