/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs of phones: what they send and what came to them. */
#include "sim/control_verbs.h"

#include "base/text.h"
#include "sim/group.h"
#include "sim/phone.h"

#define LISTED_MAX 1000 /* messages or receipts in one answer */

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

bool sim_post_send(struct sim_request *r)
{
    struct sim_media_request media;
    struct buf AUTO_BUF plain = {.max = SIM_MEDIA_MAX + 1};
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
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
        return sim_refuse(r, 404, "to is no account, and no group of this one");
    if (json_get(v, "media") && read_media(json_get(v, "media"), &media, &plain) == 0)
        m.media = &media;
    if (m.text.n == 0 && !m.media)
        return sim_refuse(r, 422, "text is missing, or media cannot be read");
    if (sim_phone_send(a->phone, &m, id, &err) != 0)
        return sim_refuse_err(r, &err);
    sim_answer_begin(r, &w);
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
    sim_put_jid(w, "from_device", &m->from);
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

bool sim_get_messages(struct sim_request *r)
{
    struct sim_account *a = sim_request_account(r);
    int64_t last = sim_request_number(r, "after");
    struct json_writer w;
    size_t n;

    if (!a)
        return true;
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "messages", '[');
    n = write_arrivals(&w, a->phone, sim_request_parameter(r, "from"), &last);
    json_close(&w, ']');
    json_put_int(&w, "next", last);
    json_close(&w, '}');
    return n > 0 || !sim_request_keep_waiting(r, sim_request_number(r, "wait_ms"));
}

static void write_receipt(struct json_writer *w, const struct sim_phone_receipt *m)
{
    json_open(w, NULL, '{');
    json_put_int(w, "seq", m->seq);
    json_put_bytes(w, "id", bytes_text(m->id));
    sim_put_jid(w, "from", &m->from);
    json_put_bytes(w, "type", bytes_text(m->type));
    json_put_int(w, "at", m->at_ms);
    json_close(w, '}');
}

bool sim_get_receipts(struct sim_request *r)
{
    struct sim_account *a = sim_request_account(r);
    const struct sim_phone_receipt *m;
    int64_t last = sim_request_number(r, "after");
    struct json_writer w;
    size_t n = 0;

    if (!a)
        return true;
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "receipts", '[');
    for (; n < LISTED_MAX && (m = sim_phone_receipt(a->phone, last)) != NULL; n++) {
        write_receipt(&w, m);
        last = m->seq;
    }
    json_close(&w, ']');
    json_put_int(&w, "next", last);
    json_close(&w, '}');
    return n > 0 || !sim_request_keep_waiting(r, sim_request_number(r, "wait_ms"));
}
