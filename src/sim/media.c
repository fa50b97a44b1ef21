/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/media.h"

#include <stdio.h>

#include "base/text.h"
#include "sim/history.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "wa/media.h"
#include "wa/message.h"

/* Field numbers of each kind, 0 where it has none (protos-message.md). */
static const struct kind {
    const char *name;
    enum wa_media_type type;
    uint32_t field, mimetype, caption, sha256, length, width, height, seconds, flag, key, sealed,
        path, file_name;
    const char *usual;
} kinds[] = {
    {"image", WA_MEDIA_IMAGE, 3, 2, 3, 4, 5, 7, 6, 0, 0, 8, 9, 11, 0, "image/jpeg"},
    {"video", WA_MEDIA_VIDEO, 9, 2, 7, 3, 4, 10, 9, 5, 0, 6, 11, 13, 0, "video/mp4"},
    {"audio", WA_MEDIA_AUDIO, 8, 2, 0, 3, 4, 0, 0, 5, 0, 7, 8, 9, 0, "audio/mp4"},
    {"voice", WA_MEDIA_AUDIO, 8, 2, 0, 3, 4, 0, 0, 5, 6, 7, 8, 9, 0, "audio/ogg; codecs=opus"},
    {"document", WA_MEDIA_DOCUMENT, 7, 2, 20, 4, 5, 0, 0, 0, 0, 7, 9, 10, 8, "application/pdf"},
    {"sticker", WA_MEDIA_IMAGE, 26, 5, 0, 2, 9, 7, 6, 0, 0, 4, 3, 8, 0, "image/webp"},
};

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (name && strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static void put_uint(struct buf *out, uint32_t field, uint64_t v)
{
    if (field)
        sim_pb_put_uint(out, field, v);
}

static void put_bytes(struct buf *out, uint32_t field, struct bytes v)
{
    if (field && v.p)
        sim_pb_put_bytes(out, field, v);
}

static void put_message(struct buf *out, const struct kind *k, const struct sim_media *m,
                        const struct sim_media_request *r)
{
    struct buf AUTO_BUF part;

    buf_init(&part, WA_MESSAGE_MAX);
    put_bytes(&part, k->mimetype, bytes_text(r->mimetype ? r->mimetype : k->usual));
    put_bytes(&part, k->caption, bytes_text(r->caption));
    put_bytes(&part, k->sha256, BYTES_ARRAY(m->sha256));
    put_uint(&part, k->length, m->length);
    put_uint(&part, k->width, 640);
    put_uint(&part, k->height, 480);
    put_uint(&part, k->seconds, 7);
    put_uint(&part, k->flag, 1);
    put_bytes(&part, k->key, BYTES_ARRAY(m->key));
    put_bytes(&part, k->sealed, BYTES_ARRAY(m->sealed_sha256));
    put_bytes(&part, k->path, bytes_text(m->path));
    put_bytes(&part, k->file_name, bytes_text(r->file_name));
    sim_pb_put_bytes(out, k->field, buf_bytes(&part));
}

struct sim_media *sim_media_store(struct sim *s, struct bytes sealed)
{
    struct sim_media *m = err_calloc(1, sizeof *m);

    snprintf(m->path, sizeof m->path, SIM_MEDIA_PATH "%zu?ccb=1&oh=2", s->media.count + 1);
    buf_init(&m->sealed, SIM_MEDIA_MAX + 64);
    buf_append(&m->sealed, sealed);
    wa_sha256(m->sealed_sha256, &sealed, 1);
    sim_table_put(&s->media, BYTES(m->path, strcspn(m->path, "?")), m);
    return m;
}

static struct sim_media *upload(struct sim *s, enum wa_media_type type, struct bytes plain)
{
    struct buf AUTO_BUF sealed;
    struct sim_media *m;
    uint8_t key[WA_MEDIA_KEY_LEN];

    buf_init(&sealed, SIM_MEDIA_MAX + 64);
    sim_random_bytes(&s->random, key, sizeof key);
    wa_media_seal(&sealed, type, key, plain);
    m = sim_media_store(s, buf_bytes(&sealed));
    memcpy(m->key, key, sizeof m->key);
    m->length = plain.n;
    wa_sha256(m->sha256, &plain, 1);
    return m;
}

void sim_media_spoil(struct sim_media *m, const char *fault)
{
    bytes_copy_text(bytes_text(fault), m->fault, sizeof m->fault);
    m->gets = 0;
    if (strcmp(fault, "corrupt") == 0)
        m->sealed.p[m->sealed.n / 2] ^= 1;
    if (strcmp(fault, "truncated") == 0)
        m->sealed.n -= 20;
}

struct sim_media *sim_media_add_blob(struct sim *s, struct bytes plain, struct buf *reference)
{
    struct sim_media *m = upload(s, WA_MEDIA_APP_STATE, plain);

    sim_pb_put_bytes(reference, 1, BYTES_ARRAY(m->key));
    sim_pb_put_bytes(reference, 2, bytes_text(m->path));
    sim_pb_put_uint(reference, 4, m->sealed.n);
    sim_pb_put_bytes(reference, 5, BYTES_ARRAY(m->sha256));
    sim_pb_put_bytes(reference, 6, BYTES_ARRAY(m->sealed_sha256));
    return m;
}

struct sim_media *sim_media_add_history(struct sim *s, struct bytes packed, const char *fault)
{
    struct sim_media *m = upload(s, WA_MEDIA_HISTORY, packed);

    sim_media_spoil(m, fault ? fault : "");
    return m;
}

struct sim_media *sim_media_add(struct sim *s, const struct sim_media_request *r,
                                struct buf *message)
{
    const struct kind *k = kind_named(r->kind);
    struct sim_media *m;

    if (!k || r->plain.n > SIM_MEDIA_MAX)
        return NULL;
    m = upload(s, k->type, r->plain);
    sim_media_spoil(m, r->fault ? r->fault : "");
    put_message(message, k, m, r);
    return m;
}

int sim_media_get(struct sim *s, const char *path, struct bytes *out, size_t *held_back)
{
    struct sim_media *m = sim_table_get(&s->media, bytes_text(path));
    const char *fault = m ? m->fault : "missing";
    unsigned before = m ? m->gets++ : 0;

    *held_back = 0;
    if (strcmp(fault, "missing") == 0 || strcmp(fault, "gone") == 0 || strcmp(fault, "asleep") == 0)
        return 404;
    if (strcmp(fault, "busy") == 0 && before < 1)
        return 503;
    if (strcmp(fault, "denied") == 0 && before < 1)
        return 403;
    if (strcmp(fault, "stalled") == 0) {
        *held_back = m->sealed.n / 2;
        sim_note(s, "media_stalled", NULL, bytes_text(m->id), NULL);
    }
    *out = buf_bytes(&m->sealed);
    return 200;
}

/* ---- section 5 ----------------------------------------------------------------------------------
 */

struct search {
    struct bytes id;
    struct sim_media *found;
};

static void look_at(void *ctx, struct bytes key, void *value)
{
    struct search *search = ctx;
    struct sim_media *m = value;

    (void)key;
    if (bytes_is(search->id, m->id))
        search->found = m;
}

static struct sim_media *of_message(struct sim *s, struct bytes id)
{
    struct search search = {.id = id};

    sim_table_each(&s->media, look_at, &search);
    return search.found;
}

int sim_media_damage(struct sim *s, struct bytes id, const char *fault)
{
    struct sim_media *m = of_message(s, id);

    if (!m)
        return ERR_NOT_FOUND;
    sim_media_spoil(m, fault);
    return 0;
}

static int open_request(const uint8_t key[32], struct bytes id, const struct wa_node *encrypt)
{
    struct bytes nonce = wa_node_data(wa_node_find(encrypt, "enc_iv"));
    struct buf AUTO_BUF plain;

    buf_init(&plain, WA_MEDIA_RETRY_MAX);
    if (nonce.n != WA_GCM_NONCE_LEN ||
        wa_gcm_open(&plain, key, nonce.p, id, wa_node_data(wa_node_find(encrypt, "enc_p"))) != 0)
        return ERR_AUTH;
    return bytes_equal(sim_pb_bytes(buf_bytes(&plain), 1), id) ? 0 : ERR_INVALID;
}

/* For whoever wants to play the phone. */
static void note_request(const struct sim_sender *from, struct bytes id,
                         const struct wa_node *encrypt)
{
    struct wa_jid pn = sim_device_pn(from->device);
    struct buf AUTO_BUF text;

    buf_init(&text, 256);
    text_base64_append(&text, wa_node_data(wa_node_find(encrypt, "enc_p")));
    buf_append_u8(&text, ' ');
    text_base64_append(&text, wa_node_data(wa_node_find(encrypt, "enc_iv")));
    sim_note(from->sim, "media_again", &pn, id, buf_text(&text));
}

/* The phone has it still and uploads it once more, to another place. */
static void upload_again(const struct sim_sender *from, const struct sim_media *m, struct bytes id,
                         const uint8_t key[32], struct wa_node *node)
{
    struct buf AUTO_BUF plain = {.max = WA_MEDIA_RETRY_MAX};
    struct buf AUTO_BUF sealed = {.max = WA_MEDIA_RETRY_MAX};
    struct wa_node *encrypt = wa_node_child(node, "encrypt");
    uint8_t nonce[WA_GCM_NONCE_LEN];

    sim_pb_put_bytes(&plain, 1, id);
    sim_pb_put_bytes(&plain, 2,
                     bytes_text(sim_media_store(from->sim, buf_bytes(&m->sealed))->path));
    sim_pb_put_uint(&plain, 3, 1);
    sim_random_bytes(&from->sim->random, nonce, sizeof nonce);
    wa_gcm_seal(&sealed, key, nonce, id, buf_bytes(&plain));
    wa_node_child_data(encrypt, "enc_p", buf_bytes(&sealed));
    wa_node_child_data(encrypt, "enc_iv", BYTES_ARRAY(nonce));
}

void sim_media_again(const struct sim_sender *from, const struct wa_node *receipt)
{
    struct bytes id = wa_node_attr(receipt, "id");
    const struct wa_node *encrypt = wa_node_find(receipt, "encrypt");
    struct wa_jid own = sim_account_jid(from->device->account, &from->device->account->pn);
    struct sim_media *m = of_message(from->sim, id);
    struct wa_node *node;
    uint8_t key[32];

    note_request(from, id, encrypt);
    if (!m || strcmp(m->fault, "asleep") == 0)
        return;
    wa_hkdf_sha256(key, sizeof key, BYTES_ARRAY(m->key), BYTES_NONE,
                   bytes_text("WhatsApp Media Retry Notification"));
    if (open_request(key, id, encrypt) != 0) {
        sim_violation(from, id, "a server-error receipt that does not open");
        return;
    }
    if (wa_node_attr_is(receipt, "category", "peer")) {
        sim_history_again(from, m);
        return;
    }
    node = sim_notification(from->sim, from->arena, "mediaretry", &own);
    wa_node_set_bytes(node, "id", id);
    if (strcmp(m->fault, "gone") == 0)
        upload_again(from, m, id, key, node);
    else
        wa_node_set(wa_node_child(node, "error"), "code", "2");
    if (wa_node_find(receipt, "rmr"))
        wa_node_append(node, sim_shallow(wa_node_find(receipt, "rmr")));
    sim_deliver(from->device, node, false);
}

static void release(void *value)
{
    struct sim_media *m = value;

    buf_deinit(&m->sealed);
    free(m);
}

void sim_media_deinit(struct sim *s)
{
    sim_table_deinit(&s->media, release);
}
