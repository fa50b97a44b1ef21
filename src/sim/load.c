/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/load.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/histogram.h"

#define TICK_MS 2
#define SLICE_MS 10      /* of one tick, so that sockets get their turn */
#define UNTAKEN_MAX 2000 /* stanzas waiting at a connected device before the generator pauses */
#define ID_START_FORMAT "3A%08X"
#define ID_FORMAT ID_START_FORMAT "%010llX"
#define ID_LEN 20
#define ID_NONCE_LEN 10 /* "3A" and the run's eight digits */

enum { SENT = 1, ACKED = 2, REPLIED = 4 };

struct contact {
    struct sim_account *account;
    uint64_t next_reply; /* the first message of theirs without a reply */
};

struct sim_load {
    struct sim *sim;
    struct sim_account *to;
    struct contact *contacts;
    struct sim_table by_user; /* PN user -> struct contact */
    uint64_t first_contact, contact_count, messages, rate, window;
    char prefix[64];
    struct buf text;
    size_t text_bytes;
    bool paired;
    uint32_t nonce;
    char id_start[ID_NONCE_LEN + 1]; /* of all ids of this run */
    uint8_t *state;                  /* of message n at n */
    int64_t *sent_us;                /* the same */
    struct sim_histogram until_receipt, until_answer;
    struct sim_table reply_ids;
    uint64_t sent, acked, replies, reply_duplicates, replied_to;
    int64_t started_ms, ended_ms;
    struct sim_timer timer;
};

/* ---- sending ------------------------------------------------------------------------------------
 */

static struct contact *contact_of(const struct sim_load *l, uint64_t n)
{
    return &l->contacts[(n - 1) % l->contact_count];
}

static struct sim_account *make_account(struct sim *s, uint64_t number)
{
    char phone[24], name[32];
    struct sim_account_spec spec = {.phone = phone, .name = name};
    struct sim_account *a;
    struct err err;

    snprintf(phone, sizeof phone, "%llu",
             (unsigned long long)(SIM_LOAD_FIRST_CONTACT - 1 + number));
    snprintf(name, sizeof name, "Contact %llu", (unsigned long long)number);
    a = sim_account_by_phone(s, phone);
    if (!a && sim_account_create(s, &spec, &a, &err) != 0)
        err_fatal("load: %s", err.text); /* the number is good and free */
    return a;
}

/* The keys of 100,000 contacts take half a minute: each is made when it first writes. */
static struct sim_account *writer_of(struct sim_load *l, uint64_t n)
{
    struct contact *c = contact_of(l, n);

    if (!c->account) {
        c->account = make_account(l->sim, l->first_contact + (uint64_t)(c - l->contacts));
        c->next_reply = n;
        sim_table_put(&l->by_user, bytes_text(c->account->pn.user), c);
    }
    return c->account;
}

static bool device_is_behind(const struct sim_load *l)
{
    for (const struct sim_device *d = l->to->devices; d; d = d->next)
        if (d->queue.count > UNTAKEN_MAX && (d->client || sim_device_is_primary(d)))
            return true;
    return false;
}

/* With a rate: when message n is to be written. */
static int64_t due_ms(const struct sim_load *l, uint64_t n)
{
    return l->started_ms + (int64_t)((n * 1000 + l->rate - 1) / l->rate);
}

static bool may_send(const struct sim_load *l, int64_t now)
{
    uint64_t n = l->sent + 1;

    if (n > l->messages)
        return false;
    if (l->paired && n > l->contact_count && !(l->state[n - l->contact_count] & REPLIED))
        return false;
    if (l->window && l->sent - l->replied_to >= l->window)
        return false;
    if (l->rate)
        return now >= due_ms(l, n);
    return !device_is_behind(l);
}

static void send_next(struct sim_load *l)
{
    uint64_t n = ++l->sent;
    char id[SIM_ID_MAX + 1];
    struct sim_account *from = writer_of(l, n);
    struct sim_outgoing m = {.to = l->to, .id = id};
    struct err err;

    buf_clear(&l->text);
    buf_printf(&l->text, "%s %llu", l->prefix, (unsigned long long)n);
    if (l->text.n < l->text_bytes)
        buf_append_u8(&l->text, ' ');
    while (l->text.n < l->text_bytes)
        buf_append_u8(&l->text, '.');
    snprintf(id, sizeof id, ID_FORMAT, l->nonce, (unsigned long long)n);
    m.text = buf_bytes(&l->text);
    l->state[n] |= SENT;
    if (sim_phone_send(from->phone, &m, id, &err) != 0)
        log_event(LOG_WARN, "sim_load_send", LOG_STR("why", err.text));
    l->sent_us[n] = clock_mono_us(); /* nothing of it can have come back yet */
}

/* A slow rate needs no look between two messages. */
static int64_t next_tick_ms(const struct sim_load *l, int64_t now)
{
    int64_t due = l->rate ? due_ms(l, l->sent + 1) : 0;

    return due > now + TICK_MS ? due : now + TICK_MS;
}

static void tick(void *arg)
{
    struct sim_load *l = arg;
    int64_t now = clock_mono_ms(), stop = now + SLICE_MS;

    while (may_send(l, now) && now < stop) {
        send_next(l);
        now = clock_mono_ms();
    }
    if (l->sent < l->messages)
        sim_timer_arm(&l->sim->timers, &l->timer, next_tick_ms(l, now), tick, l);
    l->sim->activity++;
}

/* ---- starting -----------------------------------------------------------------------------------
 */

static int check_spec(const struct sim_load_spec *spec, struct err *err)
{
    if (spec->contacts < 1 || spec->contacts > SIM_LOAD_CONTACTS_MAX)
        return err_set(err, ERR_INVALID, "contacts must be 1 to %d", SIM_LOAD_CONTACTS_MAX);
    if (spec->first < 1 || spec->first > SIM_LOAD_CONTACTS_MAX)
        return err_set(err, ERR_INVALID, "first must be 1 to %d", SIM_LOAD_CONTACTS_MAX);
    if (spec->window < 0)
        return err_set(err, ERR_INVALID, "window must be 0 or more");
    if (spec->messages < 1 || spec->messages > SIM_LOAD_MESSAGES_MAX)
        return err_set(err, ERR_INVALID, "messages must be 1 to %d", SIM_LOAD_MESSAGES_MAX);
    if (spec->rate < 0 || spec->rate > 1000000)
        return err_set(err, ERR_INVALID, "rate must be 0 to 1000000");
    if (spec->bytes < 0 || spec->bytes > SIM_LOAD_BYTES_MAX)
        return err_set(err, ERR_INVALID, "bytes must be 0 to %d", SIM_LOAD_BYTES_MAX);
    if (!spec->prefix[0] || strlen(spec->prefix) >= sizeof((struct sim_load *)0)->prefix)
        return err_set(err, ERR_INVALID, "prefix must be 1 to 63 bytes");
    return 0;
}

int sim_load_start(struct sim *s, const struct sim_load_spec *spec, struct err *err)
{
    struct sim_load *l;
    int rc = check_spec(spec, err);

    if (rc != 0)
        return rc;
    l = err_calloc(1, sizeof *l);
    l->sim = s;
    l->to = spec->to;
    l->first_contact = (uint64_t)spec->first;
    l->contact_count = (uint64_t)spec->contacts;
    l->messages = (uint64_t)spec->messages;
    l->rate = (uint64_t)spec->rate;
    l->window = (uint64_t)spec->window;
    l->paired = spec->paired;
    l->text_bytes = (size_t)spec->bytes;
    buf_init(&l->text, SIM_LOAD_BYTES_MAX + sizeof l->prefix + 24);
    bytes_copy_text(bytes_text(spec->prefix), l->prefix, sizeof l->prefix);
    l->contacts = err_calloc(l->contact_count, sizeof *l->contacts);
    l->state = err_calloc(l->messages + 1, 1);
    l->sent_us = err_calloc(l->messages + 1, sizeof *l->sent_us);
    sim_random_bytes(&s->random, (uint8_t *)&l->nonce, sizeof l->nonce);
    snprintf(l->id_start, sizeof l->id_start, ID_START_FORMAT, l->nonce);
    sim_load_free(s->load);
    s->load = l;
    l->started_ms = clock_mono_ms();
    sim_timer_arm(&s->timers, &l->timer, l->started_ms, tick, l);
    return 0;
}

void sim_load_free(struct sim_load *l)
{
    if (!l)
        return;
    sim_timer_cancel(&l->timer);
    sim_table_deinit(&l->by_user, NULL);
    sim_table_deinit(&l->reply_ids, NULL);
    free(l->contacts);
    free(l->state);
    free(l->sent_us);
    buf_deinit(&l->text);
    free(l);
}

/* ---- what comes back ----------------------------------------------------------------------------
 */

static bool done(const struct sim_load *l)
{
    return l->acked == l->messages;
}

void sim_load_receipt(struct sim_load *l, const struct sim_phone_receipt *r)
{
    uint64_t n;

    if (!l || r->from.device == 0 || strcmp(r->from.user, l->to->pn.user) != 0 ||
        strcmp(r->type, "retry") == 0 || strlen(r->id) != ID_LEN)
        return;
    if (strncmp(r->id, l->id_start, ID_NONCE_LEN) != 0)
        return;
    n = strtoull(r->id + ID_NONCE_LEN, NULL, 16);
    if (n < 1 || n > l->messages || l->state[n] & ACKED)
        return;
    l->state[n] |= ACKED;
    sim_histogram_add(&l->until_receipt, clock_mono_us() - l->sent_us[n]);
    l->acked++;
    if (done(l))
        l->ended_ms = clock_mono_ms();
}

/* The n of the first "PREFIX <n>" in text that this contact has sent; 0. */
static uint64_t named_in(const struct sim_load *l, const struct contact *c, const char *text)
{
    size_t prefix = strlen(l->prefix);

    for (const char *at = text; (at = strstr(at, l->prefix)) != NULL; at++) {
        const char *digits = at + prefix + 1;
        uint64_t n;

        if (at[prefix] != ' ' || *digits < '0' || *digits > '9')
            continue;
        n = strtoull(digits, NULL, 10);
        if (n >= 1 && n <= l->sent && contact_of(l, n) == c)
            return n;
    }
    return 0;
}

static void mark_replied(struct sim_load *l, uint64_t n)
{
    if (n < 1 || n > l->sent || l->state[n] & REPLIED)
        return;
    l->state[n] |= REPLIED;
    sim_histogram_add(&l->until_answer, clock_mono_us() - l->sent_us[n]);
    l->replied_to++;
}

static void match_reply(struct sim_load *l, struct contact *c, const char *text)
{
    uint64_t n = named_in(l, c, text);

    if (!n) {
        while (c->next_reply <= l->sent && l->state[c->next_reply] & REPLIED)
            c->next_reply += l->contact_count;
        n = c->next_reply;
    }
    mark_replied(l, n);
}

void sim_load_arrival(struct sim_load *l, const struct sim_account *contact,
                      const struct sim_arrival *a)
{
    struct contact *c;
    char key[SIM_ID_MAX + WA_JID_USER_MAX + 2];

    if (!l || a->own || strcmp(a->from.user, l->to->pn.user) != 0)
        return;
    c = sim_table_get(&l->by_user, bytes_text(contact->pn.user));
    if (!c)
        return;
    snprintf(key, sizeof key, "%s %s", contact->pn.user, a->id);
    if (sim_table_put(&l->reply_ids, bytes_text(key), l)) {
        l->reply_duplicates++;
        return;
    }
    l->replies++;
    match_reply(l, c, a->text);
}

void sim_load_write(const struct sim_load *l, struct json_writer *w)
{
    static const struct sim_load none = {.contacts = NULL};
    int64_t until;

    if (!l)
        l = &none;
    until = done(l) ? l->ended_ms : clock_mono_ms();
    json_put_int(w, "sent", (int64_t)l->sent);
    json_put_int(w, "acked", (int64_t)l->acked);
    json_put_int(w, "replies", (int64_t)l->replies);
    json_put_int(w, "reply_duplicates", (int64_t)l->reply_duplicates);
    json_put_int(w, "replied_to", (int64_t)l->replied_to);
    json_put_bool(w, "done", done(l));
    json_put_int(w, "elapsed_ms", until - l->started_ms);
    sim_histogram_write(&l->until_receipt, "until_receipt_us", w);
    sim_histogram_write(&l->until_answer, "until_answer_us", w);
}
