/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/history.h"

#include "sim/account.h"
#include "sim/deflate.h"
#include "sim/pb.h"
#include "sim/phone.h"

/* HistorySyncNotification */
enum {
    FILE_SHA256 = 1,
    FILE_LENGTH = 2,
    MEDIA_KEY = 3,
    FILE_ENC_SHA256 = 4,
    DIRECT_PATH = 5,
    SYNC_TYPE = 6,
    CHUNK_ORDER = 7,
    PROGRESS = 9,
    PAYLOAD = 11
};

static void put_file(struct buf *out, const struct sim_media *m, uint64_t length)
{
    sim_pb_put_bytes(out, FILE_SHA256, BYTES_ARRAY(m->sha256));
    sim_pb_put_uint(out, FILE_LENGTH, length ? length : m->length);
    sim_pb_put_bytes(out, MEDIA_KEY, BYTES_ARRAY(m->key));
    sim_pb_put_bytes(out, FILE_ENC_SHA256, BYTES_ARRAY(m->sealed_sha256));
    sim_pb_put_bytes(out, DIRECT_PATH, bytes_text(m->path));
}

static void tell(struct sim_device *d, uint32_t type, struct sim_media *m, uint64_t length,
                 struct bytes payload, char id[SIM_ID_MAX + 1])
{
    struct buf AUTO_BUF notification;

    buf_init(&notification, payload.n + 4096);
    if (m)
        put_file(&notification, m, length);
    sim_pb_put_uint(&notification, SYNC_TYPE, type);
    sim_pb_put_uint(&notification, CHUNK_ORDER, 1);
    sim_pb_put_uint(&notification, PROGRESS, 100);
    if (!m)
        sim_pb_put_bytes(&notification, PAYLOAD, payload);
    sim_phone_tell_history(d->account->phone, d, buf_bytes(&notification), id);
    if (m) {
        m->history_type = type;
        bytes_copy_text(bytes_text(id), m->id, sizeof m->id);
    }
}

int sim_history_send(struct sim_account *a, const struct sim_history *h, char id[SIM_ID_MAX + 1])
{
    struct buf AUTO_BUF packed;

    id[0] = '\0';
    buf_init(&packed, SIM_MEDIA_MAX);
    if ((h->raw ? buf_append(&packed, h->sync) : sim_deflate(&packed, h->sync)) != 0)
        return ERR_LIMIT;
    for (struct sim_device *d = a->devices; d; d = d->next) {
        if (sim_device_is_primary(d))
            continue;
        tell(d, h->type,
             h->within ? NULL : sim_media_add_history(a->sim, buf_bytes(&packed), h->fault),
             h->length, buf_bytes(&packed), id);
    }
    return 0;
}

void sim_history_again(const struct sim_sender *from, struct sim_media *m)
{
    char id[SIM_ID_MAX + 1];

    if (strcmp(m->fault, "missing") == 0 || strcmp(m->fault, "asleep") == 0)
        return;
    if (strcmp(m->fault, "corrupt") == 0)
        sim_media_damage(from->sim, bytes_text(m->id), "corrupt"); /* the same byte once more */
    m->fault[0] = '\0';
    tell(from->device, m->history_type, m, 0, BYTES_NONE, id);
}
