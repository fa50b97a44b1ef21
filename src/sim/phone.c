/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"
#include "base/log.h"
#include "sim/phone_internal.h"

#define INBOX_AT_ONCE 32 /* stanzas before the loop goes on with other things */
#define PREKEYS_AT_ONCE 8

static void release_arrival(void *record)
{
    struct sim_arrival *a = record;

    free(a->text);
    free(a->quoted);
}

static void release_sent(void *record)
{
    struct sim_sent **sent = record;

    free(*sent);
}

/* What the server gets to know of the phone when it registers. */
static void register_keys(struct sim_phone *p)
{
    struct sim_bundle_keys *k = &p->device->keys;
    const struct wa_signed_prekey *s = &p->creds.signed_prekey;

    k->registration_id = p->creds.registration_id;
    memcpy(k->identity, p->creds.identity.pub, sizeof k->identity);
    k->signed_id = s->id;
    memcpy(k->signed_key, s->key.pub, sizeof k->signed_key);
    memcpy(k->signed_signature, s->signature, sizeof k->signed_signature);
}

struct sim_phone *sim_phone_new(struct sim_device *device)
{
    struct sim_phone *p = err_calloc(1, sizeof *p);

    p->sim = device->account->sim;
    p->device = device;
    p->store.random = &p->sim->random;
    p->host = sim_store_host(&p->store);
    wa_device_generate(&p->creds, &p->host);
    p->creds.pn = device->account->pn;
    p->creds.lid = device->account->lid;
    p->signal = wa_signal_open(&p->creds, &p->host);
    sim_ring_init(&p->arrivals, sizeof(struct sim_arrival), SIM_PHONE_KEPT);
    sim_ring_init(&p->receipts, sizeof(struct sim_phone_receipt), SIM_PHONE_KEPT);
    sim_ring_init(&p->sent, sizeof(struct sim_sent *), SIM_PHONE_SENT);
    register_keys(p);
    return p;
}

void sim_phone_free(struct sim_phone *p)
{
    sim_timer_cancel(&p->inbox);
    wa_signal_close(p->signal);
    sim_store_deinit(&p->store);
    wa_device_wipe(&p->creds);
    sim_table_deinit(&p->seen, NULL);
    sim_table_deinit(&p->sent_by_id, NULL);
    sim_table_deinit(&p->retries, free);
    sim_table_deinit(&p->tokens, NULL);
    sim_ring_deinit(&p->arrivals, release_arrival);
    sim_ring_deinit(&p->receipts, NULL);
    sim_ring_deinit(&p->sent, release_sent);
    free(p);
}

const struct wa_keypair *sim_phone_identity(const struct sim_phone *p)
{
    return &p->creds.identity;
}

struct wa_jid sim_phone_peer(const struct sim_device *d)
{
    return sim_device_lid(d);
}

void sim_phone_offer_prekey(struct sim_phone *p)
{
    struct sim_bundle_keys *k = &p->device->keys;
    struct wa_keypair key;
    uint32_t id;

    for (int i = 0; k->count == 0 && i < PREKEYS_AT_ONCE; i++)
        if (wa_prekey_generate(&p->creds, &p->host, &id, &key) == 0)
            sim_keys_add(k, id, key.pub);
}

static void read_item(struct sim_phone *p, const struct sim_item *item)
{
    struct wa_node *node;

    arena_reset(&p->sim->reading);
    if (wa_node_decode(&p->sim->reading, BYTES(item->stanza, item->n), &node) != 0)
        return;
    if (item->class == SIM_MESSAGE &&
        sim_fault_take(&p->device->faults, SIM_FAULT_CORRUPT_NEXT_MESSAGE))
        sim_fault_corrupt(node);
    sim_phone_receive(p, node);
}

static void read_inbox(void *arg)
{
    struct sim_phone *p = arg;
    const struct sim_item *item;

    for (int i = 0; i < INBOX_AT_ONCE && (item = sim_queue_take(&p->device->queue)) != NULL; i++)
        read_item(p, item);
    if (p->device->queue.unsent)
        sim_phone_wake(p);
    else
        wa_signal_rest(p->signal); /* most phones have nothing to do for long */
}

void sim_phone_wake(struct sim_phone *p)
{
    if (!p->inbox.at)
        sim_timer_arm(&p->sim->timers, &p->inbox, clock_mono_ms(), read_inbox, p);
}

void sim_phone_direct(struct sim_phone *p, const struct wa_node *node)
{
    struct wa_jid pn = sim_device_pn(p->device);
    struct bytes error = wa_node_attr(node, "error");

    if (error.n)
        sim_note(p->sim, "phone_refused", &pn, wa_node_attr(node, "id"), NULL);
}

const struct sim_arrival *sim_phone_arrival(const struct sim_phone *p, int64_t after)
{
    return sim_ring_after(&p->arrivals, after);
}

const struct sim_phone_receipt *sim_phone_receipt(const struct sim_phone *p, int64_t after)
{
    return sim_ring_after(&p->receipts, after);
}
