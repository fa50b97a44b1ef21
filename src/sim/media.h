/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The media host: encrypted files that phones send, served on the endpoint's port under /m/
 * (protocol/07 sections 1 to 5). */
#ifndef SIM_MEDIA_H
#define SIM_MEDIA_H

#include "sim/sim.h"
#include "sim/stanza.h"
#include "wa/media.h"

#define SIM_MEDIA_PATH "/m/"
#define SIM_MEDIA_AUTH "sim"      /* of media_conn, for uploads */
#define SIM_MEDIA_MAX (16u << 20) /* bytes of a plain file */

/* What is wrong with a file: "" nothing; "missing" 404, and the phone has it no more; "gone" 404,
 * and the phone uploads it again when asked; "asleep" 404, and the phone does not answer; "corrupt"
 * one byte is another; "truncated" the end is missing; "busy" 503 the first time; "denied" 403 the
 * first time; "stalled" the second half never comes. */
struct sim_media {
    char path[64], id[SIM_ID_MAX + 1]; /* of the message */
    uint8_t key[32], sha256[32], sealed_sha256[32];
    struct buf sealed;
    char fault[16];
    size_t length; /* of the plain file */
    unsigned gets;
    uint32_t history_type; /* of a part of the history */
};

/* Owned by s; NULL for an unknown kind (image, video, audio, voice, document, sticker). Appends the
 * Message that tells of it. Texts may be NULL. */
struct sim_media_request {
    const char *kind, *mimetype, *file_name, *caption, *fault;
    struct bytes plain;
};
struct sim_media *sim_media_add(struct sim *s, const struct sim_media_request *r,
                                struct buf *message);
/* A file that no message tells of; appends its ExternalBlobReference (protocol/07 section 8.3).
 * Owned by s. */
struct sim_media *sim_media_add_blob(struct sim *s, struct bytes plain, struct buf *reference);
/* A packed part of the history (sim/history.h). fault may be NULL. Owned by s. */
struct sim_media *sim_media_add_history(struct sim *s, struct bytes packed, const char *fault);
/* An encrypted file as it is, under a path of its own. Owned by s. */
struct sim_media *sim_media_store(struct sim *s, struct bytes sealed);
/* An upload to a path: the status of the answer, which is appended (media_upload.c). */
int sim_media_upload(struct sim *s, const char *path, const char *auth, struct bytes sealed,
                     struct buf *answer);
/* A phone got a message with a file that is here: it can upload it again (media_upload.c). */
void sim_media_arrived(struct sim *s, struct bytes message_id, const struct wa_media *media);
/* What is wrong with a file, or with that of a message, from now on. 0; ERR_NOT_FOUND. */
void sim_media_spoil(struct sim_media *m, const char *fault);
int sim_media_damage(struct sim *s, struct bytes message_id, const char *fault);
/* The status of the answer, and for 200 the bytes, of which so many at the end never come. */
int sim_media_get(struct sim *s, const char *path, struct bytes *out, size_t *held_back);
/* A server-error receipt: the phone uploads it again, or says that it cannot. */
void sim_media_again(const struct sim_sender *from, const struct wa_node *receipt);
void sim_media_deinit(struct sim *s);

#endif
