/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Encrypted files: what a message says of one, its keys, and reading it piece by piece (protocol/07
 * sections 2 to 4). Fetching and keeping the file is the caller's.
 */
#ifndef WA_MEDIA_H
#define WA_MEDIA_H

#include "base/buf.h"
#include "wa/crypto.h"

/* X(symbol, "mms-type" of URLs, info text of the key derivation) */
#define WA_MEDIA_TYPES(X)                                                                          \
    X(WA_MEDIA_NONE, "", "")                                                                       \
    X(WA_MEDIA_IMAGE, "image", "WhatsApp Image Keys") /* stickers, too */                          \
    X(WA_MEDIA_VIDEO, "video", "WhatsApp Video Keys")                                              \
    X(WA_MEDIA_AUDIO, "audio", "WhatsApp Audio Keys")                                              \
    X(WA_MEDIA_DOCUMENT, "document", "WhatsApp Document Keys")                                     \
    X(WA_MEDIA_HISTORY, "md-msg-hist", "WhatsApp History Keys")                                    \
    X(WA_MEDIA_APP_STATE, "md-app-state", "WhatsApp App State Keys")                               \
    X(WA_MEDIA_LINK_THUMBNAIL, "thumbnail-link", "WhatsApp Link Thumbnail Keys")

enum wa_media_type {
#define X(symbol, mms, info) symbol,
    WA_MEDIA_TYPES(X)
#undef X
        WA_MEDIA_TYPE_COUNT
};

const char *wa_media_mms_type(enum wa_media_type type);
/* ERR_NOT_FOUND for a text that is none. */
int wa_media_type_parse(struct bytes mms_type, enum wa_media_type *out);

#define WA_MEDIA_KEY_LEN 32
#define WA_MEDIA_MAC_LEN 10
#define WA_MEDIA_PATH_MAX 1024 /* bytes of a directPath */
#define WA_MEDIA_NAME_MAX 255  /* bytes of a file name; longer ones are cut */
#define WA_MEDIA_MIME_MAX 127

/* What a message says of its file; kept as it was said, so nothing here is true before the file was
 * checked. Bytes are borrowed from the message. */
struct wa_media {
    enum wa_media_type type; /* NONE: no file */
    struct bytes mimetype;   /* printable ASCII, may be empty */
    struct bytes file_name;  /* document; valid UTF-8 without NUL */
    struct bytes direct_path;
    struct bytes key;                   /* 32 bytes; empty: the file is not encrypted */
    struct bytes sha256, sealed_sha256; /* 32 bytes each, of the plain and of the encrypted file */
    uint64_t length;                    /* of the plain file, 0 not said */
    uint32_t width, height, seconds;
    bool animated; /* gif, moving sticker */
    bool note;     /* voice note, round video */
};
/* Whether it can be fetched and checked: key, both hashes, and a path that begins with one '/'. */
bool wa_media_is_fetchable(const struct wa_media *m);

/* Appends https path and query below a host: "<directPath>&hash=…&mms-type=…&__wa-mms=". 0,
 * ERR_LIMIT, or ERR_INVALID for a path that cannot stand in a URL. */
int wa_media_append_path(struct buf *out, enum wa_media_type type, struct bytes direct_path,
                         struct bytes sealed_sha256);

struct wa_media_keys {
    uint8_t iv[16], cipher[32], mac[32], ref[32];
};
void wa_media_expand(struct wa_media_keys *out, enum wa_media_type type, const uint8_t key[32]);

/* Appends the encrypted file: 0 or ERR_LIMIT. */
int wa_media_seal(struct buf *out, enum wa_media_type type, const uint8_t key[32],
                  struct bytes plain);

/* ---- reading -------------------------------------------------------------------------------- */

/* A file that is being read; memory does not grow with it. Owned until wa_media_close. */
struct wa_media_reader;

struct wa_media_expected {
    enum wa_media_type type;
    const uint8_t *key, *sealed_sha256, *sha256; /* 32 bytes each, copied */
    uint64_t length;                             /* of the plain file; 0: any */
    uint64_t max;                                /* bytes of the plain file */
};
struct wa_media_reader *wa_media_open(const struct wa_media_expected *e);
/* Takes the next encrypted bytes and appends what they say to plain, at most 32 bytes more than
 * they are. Nothing of it may be believed before wa_media_end. 0; ERR_LIMIT (longer than max, or
 * plain is full). */
int wa_media_feed(struct wa_media_reader *r, struct bytes sealed, struct buf *plain);
/* After the last byte; appends the rest. 0: hashes, MAC, padding and length are as expected; else
 * ERR_AUTH, or ERR_LIMIT. */
int wa_media_end(struct wa_media_reader *r, struct buf *plain);
void wa_media_close(struct wa_media_reader *r); /* NULL is fine */

/* ---- asking the phone for a file that is gone (section 5) ------------------------------------ */

#define WA_MEDIA_RETRY_MAX 4096 /* bytes of an answer */

/* Appends the sealed ServerErrorReceipt of a message id. 0 or ERR_LIMIT. */
int wa_media_retry_seal(struct buf *out, const uint8_t key[32], const uint8_t nonce[12],
                        struct bytes message_id);
/* Opens a MediaRetryNotification into out: *path then is the new directPath in it, *result 1 for
 * success. 0; ERR_AUTH; ERR_INVALID for what is no answer to this message; ERR_LIMIT. */
int wa_media_retry_open(struct buf *out, const uint8_t key[32], struct bytes nonce,
                        struct bytes message_id, struct bytes sealed, struct bytes *path,
                        uint32_t *result);

#endif
