/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/account.h"

#include <stdio.h>

#include "sim/app_state.h"
#include "sim/authenticator.h"
#include "sim/notify.h"
#include "sim/phone.h"

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15
#define LID_DIGITS_MAX 18

/* ---- accounts -----------------------------------------------------------------------------------
 */

static bool digits(const char *text, size_t min, size_t max)
{
    size_t n = strlen(text);

    return n >= min && n <= max && strspn(text, "0123456789") == n && text[0] != '0';
}

/* A LID that looks like a real one and has nothing to do with the number. */
static void draw_lid(struct sim *s, char out[24])
{
    uint64_t v;

    do {
        sim_random_bytes(&s->random, (uint8_t *)&v, sizeof v);
        snprintf(out, 24, "1%014llu", (unsigned long long)(v % 100000000000000u));
    } while (sim_table_get(&s->by_lid, bytes_text(out)));
}

static int check_spec(struct sim *s, const struct sim_account_spec *spec, struct err *err)
{
    if (!spec->phone || !digits(spec->phone, PHONE_DIGITS_MIN, PHONE_DIGITS_MAX))
        return err_set(err, ERR_INVALID, "phone must be 7 to 15 digits, country code first");
    if (spec->lid && !digits(spec->lid, 1, LID_DIGITS_MAX))
        return err_set(err, ERR_INVALID, "lid must be 1 to 18 digits");
    if (strlen(spec->name) > SIM_NAME_MAX ||
        (spec->business && strlen(spec->business) > SIM_NAME_MAX))
        return err_set(err, ERR_INVALID, "names are at most %d bytes", SIM_NAME_MAX);
    if (sim_table_get(&s->by_pn, bytes_text(spec->phone)))
        return err_set(err, ERR_EXISTS, "there is an account %s already", spec->phone);
    if (spec->lid && sim_table_get(&s->by_lid, bytes_text(spec->lid)))
        return err_set(err, ERR_EXISTS, "there is an account with LID %s already", spec->lid);
    return 0;
}

int sim_account_create(struct sim *s, const struct sim_account_spec *spec, struct sim_account **out,
                       struct err *err)
{
    struct sim_account *a;
    char lid[24];
    int rc = check_spec(s, spec, err);

    if (rc != 0)
        return rc;
    if (!spec->lid)
        draw_lid(s, lid);
    a = err_calloc(1, sizeof *a);
    a->sim = s;
    a->pn = wa_jid_make(WA_SERVER_PN, spec->phone, 0);
    a->lid = wa_jid_make(WA_SERVER_LID, spec->lid ? spec->lid : lid, 0);
    bytes_copy_text(bytes_text(spec->name), a->name, sizeof a->name);
    if (spec->business)
        bytes_copy_text(bytes_text(spec->business), a->business, sizeof a->business);
    a->pn_addressed = spec->pn_addressed;
    a->created_s = a->devices_changed_s = sim_now_s();
    sim_random_bytes(&s->random, (uint8_t *)&a->adv_id, sizeof a->adv_id);
    a->adv_id &= 0x7fffffff;
    sim_table_put(&s->by_pn, bytes_text(a->pn.user), a);
    sim_table_put(&s->by_lid, bytes_text(a->lid.user), a);
    *s->accounts_end = a;
    s->accounts_end = &a->next;
    a->phone = sim_phone_new(sim_device_add(a, 0));
    *out = a;
    return 0;
}

void sim_account_free(struct sim_account *a)
{
    sim_phone_free(a->phone);
    sim_authenticator_free(a->authenticator);
    sim_app_state_free(a->app_state);
    while (a->devices)
        sim_device_remove(a->devices);
    sim_table_deinit(&a->peers, NULL);
    free(a);
}

struct sim_account *sim_account_by_phone(struct sim *s, const char *phone)
{
    return sim_table_get(&s->by_pn, bytes_text(phone));
}

struct sim_account *sim_account_by_jid(struct sim *s, const struct wa_jid *jid)
{
    if (wa_jid_is_lid(jid))
        return sim_table_get(&s->by_lid, bytes_text(jid->user));
    return wa_jid_is_pn(jid) ? sim_table_get(&s->by_pn, bytes_text(jid->user)) : NULL;
}

struct wa_jid sim_account_jid(const struct sim_account *a, const struct wa_jid *like)
{
    return wa_jid_is_lid(like) ? a->lid : a->pn;
}

void sim_account_meet(struct sim_account *a, struct sim_account *other)
{
    if (a == other)
        return;
    sim_table_put(&a->peers, bytes_text(other->pn.user), other);
    sim_table_put(&other->peers, bytes_text(a->pn.user), a);
}

/* ---- devices ------------------------------------------------------------------------------------
 */

struct sim_device *sim_device_find(const struct sim_account *a, uint16_t id)
{
    struct sim_device *d = a->devices;

    while (d && d->id != id)
        d = d->next;
    return d;
}

struct sim_device *sim_device_by_jid(struct sim *s, const struct wa_jid *jid)
{
    const struct sim_account *a = sim_account_by_jid(s, jid);

    return a ? sim_device_find(a, jid->device) : NULL;
}

struct sim_device *sim_device_add(struct sim_account *a, uint16_t id)
{
    struct sim_device *d = err_calloc(1, sizeof *d), **at = &a->devices;

    while (*at)
        at = &(*at)->next;
    d->account = a;
    d->id = id;
    d->keys.end = &d->keys.first;
    *at = d;
    return d;
}

void sim_device_remove(struct sim_device *d)
{
    struct sim_device **at = &d->account->devices;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    sim_keys_clear(&d->keys);
    sim_queue_deinit(&d->queue);
    free(d);
}

struct wa_jid sim_device_pn(const struct sim_device *d)
{
    return wa_jid_with_device(&d->account->pn, d->id);
}

struct wa_jid sim_device_lid(const struct sim_device *d)
{
    return wa_jid_with_device(&d->account->lid, d->id);
}

struct wa_jid sim_device_jid(const struct sim_device *d, const struct wa_jid *like)
{
    return wa_jid_is_lid(like) ? sim_device_lid(d) : sim_device_pn(d);
}

bool sim_device_is_primary(const struct sim_device *d)
{
    return d->id == 0;
}

/* ---- keys ---------------------------------------------------------------------------------------
 */

struct sim_prekey {
    struct sim_prekey *next;
    uint32_t id;
    uint8_t key[WA_KEY_LEN];
};

int sim_keys_add(struct sim_bundle_keys *k, uint32_t id, const uint8_t key[WA_KEY_LEN])
{
    struct sim_prekey *p;

    if (k->count >= SIM_PREKEYS_MAX)
        return ERR_LIMIT;
    for (p = k->first; p; p = p->next)
        if (p->id == id)
            return ERR_EXISTS;
    p = err_malloc(sizeof *p);
    p->next = NULL;
    p->id = id;
    memcpy(p->key, key, WA_KEY_LEN);
    *k->end = p;
    k->end = &p->next;
    k->count++;
    return 0;
}

static void drop_first(struct sim_bundle_keys *k)
{
    struct sim_prekey *p = k->first;

    k->first = p->next;
    if (!k->first)
        k->end = &k->first;
    k->count--;
    free(p);
}

void sim_keys_clear(struct sim_bundle_keys *k)
{
    while (k->first)
        drop_first(k);
}

void sim_keys_each(const struct sim_bundle_keys *k,
                   void (*fn)(void *ctx, uint32_t id, const uint8_t key[WA_KEY_LEN]), void *ctx)
{
    for (const struct sim_prekey *p = k->first; p; p = p->next)
        fn(ctx, p->id, p->key);
}

int sim_device_take_bundle(struct sim_device *d, struct wa_bundle *out)
{
    struct sim_bundle_keys *k = &d->keys;

    if (sim_device_is_primary(d))
        sim_phone_offer_prekey(d->account->phone);
    if (k->signed_id == 0)
        return ERR_NOT_FOUND;
    *out =
        (struct wa_bundle){.registration_id = k->registration_id, .signed_prekey_id = k->signed_id};
    memcpy(out->identity, k->identity, sizeof out->identity);
    memcpy(out->signed_prekey, k->signed_key, sizeof out->signed_prekey);
    memcpy(out->signed_prekey_signature, k->signed_signature, sizeof out->signed_prekey_signature);
    if (!k->first || d->faults.left[SIM_FAULT_NO_PREKEYS])
        return 0;
    out->has_prekey = true;
    out->prekey_id = k->first->id;
    memcpy(out->prekey, k->first->key, sizeof out->prekey);
    drop_first(k);
    if (k->count < WA_PREKEYS_MINIMUM && !sim_device_is_primary(d))
        sim_notify_prekeys(d, k->count);
    return 0;
}
