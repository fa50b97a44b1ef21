/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/envelope.h"

#include "base/err.h"
#include "wa/fields.h"

#define KEY_TYPE 0x05
#define VERSION_OF(byte) ((byte) >> 4)

enum { MESSAGE_RATCHET = 1, MESSAGE_COUNTER, MESSAGE_PREVIOUS, MESSAGE_CIPHERTEXT };
enum {
    PREKEY_ID = 1,
    PREKEY_BASE,
    PREKEY_IDENTITY,
    PREKEY_MESSAGE,
    PREKEY_REGISTRATION,
    PREKEY_SIGNED_ID
};

#define BIT(number) (1u << (number))
#define MESSAGE_NEEDS (BIT(MESSAGE_RATCHET) | BIT(MESSAGE_COUNTER) | BIT(MESSAGE_CIPHERTEXT))
#define PREKEY_NEEDS                                                                               \
    (BIT(PREKEY_BASE) | BIT(PREKEY_IDENTITY) | BIT(PREKEY_MESSAGE) | BIT(PREKEY_SIGNED_ID))

/* ---- keys ------------------------------------------------------------------------------------ */

bool wa_typed_key_open(struct bytes typed, uint8_t key[WA_KEY_LEN])
{
    if (typed.n != WA_TYPED_KEY_LEN || typed.p[0] != KEY_TYPE)
        return false;
    memcpy(key, typed.p + 1, WA_KEY_LEN);
    return true;
}

void wa_typed_key(uint8_t out[WA_TYPED_KEY_LEN], const uint8_t key[WA_KEY_LEN])
{
    out[0] = KEY_TYPE;
    memcpy(out + 1, key, WA_KEY_LEN);
}

void wa_field_put_key(struct buf *out, uint64_t number, const uint8_t key[WA_KEY_LEN])
{
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, key);
    wa_field_put(out, number, BYTES_ARRAY(typed));
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* Behind the version byte; needs at least one byte more. */
static int open_body(struct bytes sealed, struct reader *body)
{
    if (sealed.n < 2 || VERSION_OF(sealed.p[0]) != VERSION_OF(WA_ENVELOPE_VERSION))
        return ERR_INVALID;
    *body = reader_init(BYTES(sealed.p + 1, sealed.n - 1));
    return 0;
}

static int take_key(const struct wa_field *f, uint8_t key[WA_KEY_LEN])
{
    if (!f->bytes.p)
        return ERR_INVALID;
    return wa_typed_key_open(f->bytes, key) ? 0 : ERR_AUTH;
}

static int take_number(const struct wa_field *f, uint32_t *out)
{
    *out = (uint32_t)f->value;
    return f->bytes.p || f->value > UINT32_MAX ? ERR_INVALID : 0;
}

static int take_message_field(const struct wa_field *f, struct wa_signal_message *out)
{
    switch (f->number) {
    case MESSAGE_RATCHET:
        return take_key(f, out->ratchet);
    case MESSAGE_COUNTER:
        return take_number(f, &out->counter);
    case MESSAGE_CIPHERTEXT:
        out->ciphertext = f->bytes;
        return f->bytes.p ? 0 : ERR_INVALID;
    default:
        return 0;
    }
}

int wa_signal_message_parse(struct bytes sealed, struct wa_signal_message *out)
{
    struct reader in;
    struct wa_field f;
    unsigned seen = 0;
    int rc;
    *out = (struct wa_signal_message){0};
    if (sealed.n <= WA_ENVELOPE_MAC_LEN)
        return ERR_INVALID;
    out->covered = BYTES(sealed.p, sealed.n - WA_ENVELOPE_MAC_LEN);
    out->mac = BYTES(sealed.p + out->covered.n, WA_ENVELOPE_MAC_LEN);
    if (open_body(out->covered, &in) < 0)
        return ERR_INVALID;
    while ((rc = wa_field_next(&in, &f)) == 1) {
        if ((rc = take_message_field(&f, out)) < 0)
            return rc;
        seen |= f.number < 32 ? BIT(f.number) : 0;
    }
    return rc == 0 && (seen & MESSAGE_NEEDS) == MESSAGE_NEEDS ? 0 : ERR_INVALID;
}

static int take_prekey_field(const struct wa_field *f, struct wa_prekey_message *out)
{
    switch (f->number) {
    case PREKEY_ID:
        out->has_prekey = true;
        return take_number(f, &out->prekey_id);
    case PREKEY_BASE:
        return take_key(f, out->base_key);
    case PREKEY_IDENTITY:
        return take_key(f, out->identity);
    case PREKEY_MESSAGE:
        return f->bytes.p ? wa_signal_message_parse(f->bytes, &out->message) : ERR_INVALID;
    case PREKEY_REGISTRATION:
        return take_number(f, &out->registration_id);
    case PREKEY_SIGNED_ID:
        return take_number(f, &out->signed_prekey_id);
    default:
        return 0;
    }
}

int wa_prekey_message_parse(struct bytes sealed, struct wa_prekey_message *out)
{
    struct reader in;
    struct wa_field f;
    unsigned seen = 0;
    int rc;
    *out = (struct wa_prekey_message){0};
    if (open_body(sealed, &in) < 0)
        return ERR_INVALID;
    while ((rc = wa_field_next(&in, &f)) == 1) {
        if ((rc = take_prekey_field(&f, out)) < 0)
            return rc;
        seen |= f.number < 32 ? BIT(f.number) : 0;
    }
    return rc == 0 && (seen & PREKEY_NEEDS) == PREKEY_NEEDS ? 0 : ERR_INVALID;
}

/* ---- writing --------------------------------------------------------------------------------- */

size_t wa_signal_message_size(uint32_t counter, uint32_t previous, size_t ciphertext_n)
{
    return 1 + wa_field_size(MESSAGE_RATCHET, WA_TYPED_KEY_LEN) +
           wa_field_number_size(MESSAGE_COUNTER, counter) +
           wa_field_number_size(MESSAGE_PREVIOUS, previous) +
           wa_field_size(MESSAGE_CIPHERTEXT, ciphertext_n) + WA_ENVELOPE_MAC_LEN;
}

void wa_signal_message_put_head(struct buf *out, const uint8_t ratchet[WA_KEY_LEN],
                                uint32_t counter, uint32_t previous, size_t ciphertext_n)
{
    buf_append_u8(out, WA_ENVELOPE_VERSION);
    wa_field_put_key(out, MESSAGE_RATCHET, ratchet);
    wa_field_put_number(out, MESSAGE_COUNTER, counter);
    wa_field_put_number(out, MESSAGE_PREVIOUS, previous);
    wa_field_put_head(out, MESSAGE_CIPHERTEXT, ciphertext_n);
}

void wa_prekey_message_put_head(struct buf *out, const struct wa_prekey_message *head,
                                size_t message_n)
{
    buf_append_u8(out, WA_ENVELOPE_VERSION);
    if (head->has_prekey)
        wa_field_put_number(out, PREKEY_ID, head->prekey_id);
    wa_field_put_key(out, PREKEY_BASE, head->base_key);
    wa_field_put_key(out, PREKEY_IDENTITY, head->identity);
    wa_field_put_head(out, PREKEY_MESSAGE, message_n);
}

void wa_prekey_message_put_tail(struct buf *out, const struct wa_prekey_message *head)
{
    wa_field_put_number(out, PREKEY_REGISTRATION, head->registration_id);
    wa_field_put_number(out, PREKEY_SIGNED_ID, head->signed_prekey_id);
}
