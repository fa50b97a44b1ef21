/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sender keys: one chain per (group, sending device) (protocol/04 section 11). */
#include <errno.h>
#include <signal/group_cipher.h>
#include <signal/group_session_builder.h>
#include <signal/protocol.h>
#include <signal/sender_key_state.h>

#include "base/err.h"
#include "wa/signal_library.h"

/* Whose chain: group and sender with the memory that the library's form points into; do not copy.
 */
struct chain_name {
    char group[WA_JID_TEXT_SIZE], sender[WA_JID_NAME_SIZE];
    signal_protocol_sender_key_name at;
};

static void chain_name_init(struct chain_name *n, const struct wa_jid *group,
                            const struct wa_jid *sender)
{
    wa_jid_text(group, n->group);
    wa_jid_signal_name(sender, n->sender);
    n->at = (signal_protocol_sender_key_name){
        .group_id = n->group,
        .group_id_len = strlen(n->group),
        .sender = {.name = n->sender, .name_len = strlen(n->sender), .device_id = sender->device}};
}

/* protocol/04 section 12 */
static enum wa_signal_fault fault_of(int rc)
{
    switch (rc) {
    case SG_ERR_NO_SESSION:
        return WA_FAULT_NO_SESSION;
    case SG_ERR_INVALID_KEY:
        return WA_FAULT_INVALID_KEY;
    case SG_ERR_INVALID_KEY_ID:
        return WA_FAULT_INVALID_KEY_ID;
    case SG_ERR_INVALID_MESSAGE:
    case SG_ERR_INVALID_VERSION:
    case SG_ERR_LEGACY_MESSAGE:
    case SG_ERR_INVALID_PROTO_BUF:
        return WA_FAULT_INVALID_MESSAGE;
    case SG_ERR_VRF_SIG_VERIF_FAILED:
        return WA_FAULT_INVALID_SIGNATURE;
    case SG_ERR_INVALID_MAC:
        return WA_FAULT_BAD_MAC;
    case SG_ERR_UNTRUSTED_IDENTITY:
        return WA_FAULT_UNTRUSTED;
    default:
        return WA_FAULT_UNKNOWN;
    }
}

static int append(struct buf *out, const signal_buffer *made)
{
    return buf_append(out, BYTES(signal_buffer_const_data(made), signal_buffer_len(made)));
}

/* The library's error code for a call that only builds: ERR_STORE, ERR_AUTH, ERR_LIMIT … */
static int error_of(const struct wa_signal *s, int rc)
{
    if (rc >= 0)
        return 0;
    if (s->overlay.failed)
        return ERR_STORE;
    if (s->overlay.too_large)
        return ERR_LIMIT;
    return rc == SG_ERR_INVALID_KEY ? ERR_AUTH : ERR_INVALID;
}

/* A chain record that cannot be read, or would outgrow its bound, is set aside for a second try. */
static bool mend(struct wa_signal *s, const struct chain_name *n, int rc)
{
    char key[WA_KEY_MAX];
    if (s->overlay.failed || !(rc == SG_ERR_INVALID_PROTO_BUF || s->overlay.too_large))
        return false;
    wa_signal_sender_key(&n->at, key);
    return wa_signal_set_aside(s, WA_TABLE_SENDER_KEY, key);
}

/* ---- distribution ---------------------------------------------------------------------------- */

/*
 * Some clients send the distribution with each message. Taking it again would lose the keys kept
 * for late messages and let old ones be opened twice.
 */
static int knows_distribution(struct wa_signal *s, const struct chain_name *n,
                              sender_key_distribution_message *message)
{
    sender_key_record *record = NULL;
    sender_key_state *state = NULL;
    int rc = signal_protocol_sender_key_load_key(wa_signal_library(s)->stores, &record, &n->at);
    bool known =
        rc >= 0 &&
        sender_key_record_get_sender_key_state_by_id(
            record, &state, sender_key_distribution_message_get_id(message)) >= 0 &&
        ec_public_key_compare(sender_key_state_get_signing_key_public(state),
                              sender_key_distribution_message_get_signature_key(message)) == 0;
    SIGNAL_UNREF(record);
    return rc < 0 ? rc : known;
}

static int take_distribution(struct wa_signal *s, const struct chain_name *n,
                             sender_key_distribution_message *message)
{
    group_session_builder *builder = NULL;
    errno = 0;
    int rc = wa_signal_memory(knows_distribution(s, n, message));
    if (rc != 0)
        return rc;
    rc = wa_signal_memory(group_session_builder_create(&builder, wa_signal_library(s)->stores,
                                                       wa_signal_library(s)->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(group_session_builder_process_session(builder, &n->at, message));
    group_session_builder_free(builder);
    return rc;
}

int wa_signal_process_skdm(struct wa_signal *s, const struct wa_jid *group,
                           const struct wa_jid *sender, struct bytes axolotl_message)
{
    struct chain_name n;
    sender_key_distribution_message *message = NULL;
    chain_name_init(&n, group, sender);
    if (axolotl_message.n == 0 || axolotl_message.n > WA_ENC_MAX ||
        sender_key_distribution_message_deserialize(&message, axolotl_message.p, axolotl_message.n,
                                                    wa_signal_library(s)->context) < 0)
        return ERR_INVALID;
    int rc = take_distribution(s, &n, message);
    if (rc < 0 && mend(s, &n, rc))
        rc = take_distribution(s, &n, message);
    SIGNAL_UNREF(message);
    return wa_signal_finish(s, error_of(s, rc));
}

/* ---- decrypting ------------------------------------------------------------------------------ */

static int open_once(struct wa_signal *s, const struct chain_name *n, sender_key_message *message,
                     signal_buffer **opened)
{
    group_cipher *cipher = NULL;
    errno = 0;
    int rc = wa_signal_memory(group_cipher_create(&cipher, wa_signal_library(s)->stores, &n->at,
                                                  wa_signal_library(s)->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(group_cipher_decrypt(cipher, message, NULL, opened));
    group_cipher_free(cipher);
    return rc;
}

/* The library says "invalid message" for more than one thing. */
static int explain(struct wa_signal *s, const struct chain_name *n, sender_key_message *message,
                   int rc)
{
    sender_key_record *record = NULL;
    sender_key_state *state = NULL;
    if (rc != SG_ERR_INVALID_MESSAGE && rc != SG_ERR_INVALID_PROTO_BUF)
        return rc;
    if (signal_protocol_sender_key_load_key(wa_signal_library(s)->stores, &record, &n->at) < 0 ||
        sender_key_record_get_sender_key_state_by_id(record, &state,
                                                     sender_key_message_get_key_id(message)) < 0)
        rc = SG_ERR_NO_SESSION;
    else if (sender_key_message_verify_signature(
                 message, sender_key_state_get_signing_key_public(state)) < 0)
        rc = SG_ERR_VRF_SIG_VERIF_FAILED;
    SIGNAL_UNREF(record);
    return rc;
}

/* The stanza with the key may have named another device of the sender (protocol/04 section 11.2).
 */
static int open_from_siblings(struct wa_signal *s, const struct wa_jid *group,
                              const struct wa_jid *sender, sender_key_message *message,
                              signal_buffer **opened)
{
    struct wa_jid sibling = *sender;
    struct chain_name n;
    char prefix[WA_KEY_MAX];
    AUTO_BUF struct buf key;
    int found, rc = SG_ERR_NO_SESSION;
    buf_init(&key, WA_KEY_MAX);
    chain_name_init(&n, group, sender);
    wa_signal_sender_key(&n.at, prefix);
    strrchr(prefix, ':')[1] = '\0';
    while (rc == SG_ERR_NO_SESSION && (found = wa_signal_next_device(s, WA_TABLE_SENDER_KEY, prefix,
                                                                     &key, &sibling.device)) != 0) {
        if (found < 0) {
            s->overlay.failed = true;
            return SG_ERR_UNKNOWN;
        }
        chain_name_init(&n, group, &sibling);
        if (sibling.device != sender->device)
            rc = explain(s, &n, message, open_once(s, &n, message, opened));
    }
    return rc;
}

static int open_message(struct wa_signal *s, const struct wa_jid *group,
                        const struct wa_jid *sender, struct bytes sealed, signal_buffer **opened)
{
    struct chain_name n;
    sender_key_message *message = NULL;
    if (sealed.n == 0 || sealed.n > WA_ENC_MAX)
        return SG_ERR_INVALID_MESSAGE;
    int rc =
        sender_key_message_deserialize(&message, sealed.p, sealed.n, wa_signal_library(s)->context);
    if (rc < 0)
        return rc;
    chain_name_init(&n, group, sender);
    rc = explain(s, &n, message, open_once(s, &n, message, opened));
    if (rc == SG_ERR_NO_SESSION && !s->overlay.failed)
        rc = open_from_siblings(s, group, sender, message, opened);
    SIGNAL_UNREF(message);
    return rc;
}

int wa_signal_group_decrypt(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *sender, struct bytes sealed, struct buf *plain,
                            enum wa_signal_fault *fault)
{
    signal_buffer *opened = NULL;
    size_t before = plain->n;
    int rc = open_message(s, group, sender, sealed, &opened);
    *fault = WA_FAULT_UNKNOWN;
    if (rc == SG_ERR_DUPLICATE_MESSAGE) {
        rc = 1;
    } else if (rc < 0) {
        *fault = fault_of(rc);
        rc = s->overlay.failed ? ERR_STORE : ERR_AUTH;
    } else {
        rc = append(plain, opened);
    }
    signal_buffer_bzero_free(opened);
    return wa_signal_finish_output(s, rc, plain, before);
}

/* ---- encrypting ------------------------------------------------------------------------------ */

static int seal(struct wa_signal *s, const struct chain_name *n, struct bytes padded,
                ciphertext_message **sealed)
{
    group_cipher *cipher = NULL;
    errno = 0;
    int rc = wa_signal_memory(group_cipher_create(&cipher, wa_signal_library(s)->stores, &n->at,
                                                  wa_signal_library(s)->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(group_cipher_encrypt(cipher, padded.p, padded.n, sealed));
    group_cipher_free(cipher);
    return rc;
}

static int distribute(struct wa_signal *s, const struct chain_name *n,
                      sender_key_distribution_message **skdm)
{
    group_session_builder *builder = NULL;
    errno = 0;
    int rc = wa_signal_memory(group_session_builder_create(&builder, wa_signal_library(s)->stores,
                                                           wa_signal_library(s)->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(group_session_builder_create_session(builder, skdm, &n->at));
    group_session_builder_free(builder);
    return rc;
}

static int distribute_and_seal(struct wa_signal *s, const struct chain_name *n, struct bytes padded,
                               sender_key_distribution_message **skdm, ciphertext_message **sealed)
{
    int rc = distribute(s, n, skdm);
    return rc < 0 ? rc : seal(s, n, padded, sealed);
}

int wa_signal_group_encrypt(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *own, struct bytes padded, struct buf *sealed,
                            struct buf *skdm)
{
    struct chain_name n;
    sender_key_distribution_message *distribution = NULL;
    ciphertext_message *made = NULL;
    size_t sealed_before = sealed->n, skdm_before = skdm->n;
    chain_name_init(&n, group, own);
    int rc = distribute_and_seal(s, &n, padded, &distribution, &made);
    if (rc < 0 && mend(s, &n, rc)) {
        SIGNAL_UNREF(distribution);
        rc = distribute_and_seal(s, &n, padded, &distribution, &made);
    }
    rc = error_of(s, rc);
    if (rc == 0)
        rc = append(sealed, ciphertext_message_get_serialized(made));
    if (rc == 0)
        rc = append(skdm, ciphertext_message_get_serialized((ciphertext_message *)distribution));
    SIGNAL_UNREF(distribution);
    SIGNAL_UNREF(made);
    rc = wa_signal_finish(s, rc);
    if (rc < 0) {
        sealed->n = sealed_before;
        skdm->n = skdm_before;
    }
    return rc;
}

int wa_signal_group_distribution(struct wa_signal *s, const struct wa_jid *group,
                                 const struct wa_jid *own, struct buf *skdm)
{
    struct chain_name n;
    sender_key_distribution_message *made = NULL;
    size_t before = skdm->n;
    chain_name_init(&n, group, own);
    int rc = distribute(s, &n, &made);
    if (rc < 0 && mend(s, &n, rc))
        rc = distribute(s, &n, &made);
    rc = error_of(s, rc);
    if (rc == 0)
        rc = append(skdm, ciphertext_message_get_serialized((ciphertext_message *)made));
    SIGNAL_UNREF(made);
    rc = wa_signal_finish(s, rc);
    if (rc < 0)
        skdm->n = before;
    return rc;
}

static bool chain_is_usable(struct wa_signal *s, struct bytes value)
{
    sender_key_record *record = NULL;
    errno = 0;
    int rc = wa_signal_memory(
        sender_key_record_deserialize(&record, value.p, value.n, wa_signal_library(s)->context));
    bool usable = rc >= 0 && !sender_key_record_is_empty(record);
    SIGNAL_UNREF(record);
    return usable;
}

int wa_signal_group_has_key(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *own)
{
    struct chain_name n;
    struct bytes value;
    char key[WA_KEY_MAX];
    chain_name_init(&n, group, own);
    wa_signal_sender_key(&n.at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_SENDER_KEY, key, &value);
    if (rc == 1)
        rc = chain_is_usable(s, value);
    wa_overlay_reset(&s->overlay);
    return rc < 0 ? ERR_STORE : rc;
}

int wa_signal_group_forget(struct wa_signal *s, const struct wa_jid *group,
                           const struct wa_jid *sender)
{
    struct chain_name n;
    char key[WA_KEY_MAX];
    chain_name_init(&n, group, sender);
    wa_signal_sender_key(&n.at, key);
    return s->overlay.host->del(s->overlay.host->ctx, WA_TABLE_SENDER_KEY, key) < 0 ? ERR_STORE : 0;
}
