/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end-to-end payload: padding, the Message protobuf, its wrappers, and the text that a person
 * would see (protocol/04 section 6.1, protocol/05 sections 9 to 11, protos-message.md).
 *
 * Wrapper fields are bytes in our schema and are opened one level at a time, so that nesting cannot
 * exhaust the stack: at most WA_WRAPPERS_MAX levels, ERR_LIMIT beyond.
 */
#ifndef WA_MESSAGE_H
#define WA_MESSAGE_H

#include "base/buf.h"
#include "base/arena.h"
#include "wa/jid.h"
#include "wa/media.h"

#define WA_WRAPPERS_MAX 8
#define WA_MESSAGE_MAX (1u << 20) /* bytes of a serialised Message */
#define WA_TEXT_MAX 65536         /* bytes of text that we send */

/* Appends message and 1..16 bytes of padding; random is one random byte. 0 or ERR_LIMIT. */
int wa_padding_add(struct buf *out, struct bytes message, uint8_t random);
/* Cuts the padding off *padded: 0, or ERR_INVALID (strict: every pad byte is looked at). */
int wa_padding_remove(struct bytes *padded);

/* X(symbol, name as written to messages.db) */
#define WA_KINDS(X)                                                                                \
    X(WA_KIND_NONE, "none") /* nothing for a person: key distribution, pin, album header */        \
    X(WA_KIND_TEXT, "text")                                                                        \
    X(WA_KIND_IMAGE, "image")                                                                      \
    X(WA_KIND_VIDEO, "video")                                                                      \
    X(WA_KIND_AUDIO, "audio")                                                                      \
    X(WA_KIND_VOICE, "voice")                                                                      \
    X(WA_KIND_DOCUMENT, "document")                                                                \
    X(WA_KIND_STICKER, "sticker")                                                                  \
    X(WA_KIND_CONTACT, "contact")                                                                  \
    X(WA_KIND_LOCATION, "location")                                                                \
    X(WA_KIND_BUTTON, "button")           /* a choice among buttons, lists, templates */           \
    X(WA_KIND_INTERACTIVE, "interactive") /* buttons, lists, templates shown to us */              \
    X(WA_KIND_POLL, "poll")               /* a vote has no text but a target_id */                 \
    X(WA_KIND_EVENT, "event")                                                                      \
    X(WA_KIND_ORDER, "order") /* product, order, invoice, payment */                               \
    X(WA_KIND_INVITE, "invite")                                                                    \
    X(WA_KIND_CALL, "call")                                                                        \
    X(WA_KIND_REACTION, "reaction")       /* text: the emoji, empty when removed; target_id */     \
    X(WA_KIND_EDIT, "edit")               /* text: the new text; target_id */                      \
    X(WA_KIND_REVOKE, "revoke")           /* target_id */                                          \
    X(WA_KIND_PLACEHOLDER, "placeholder") /* masked for linked devices */                          \
    X(WA_KIND_PROTOCOL, "protocol")       /* the rest of ProtocolMessage; protocol_type */         \
    X(WA_KIND_OTHER, "other")             /* content that we do not know */                        \
    X(WA_KIND_UNDECRYPTABLE, "undecryptable")

enum wa_kind {
#define X(symbol, name) symbol,
    WA_KINDS(X)
#undef X
};

const char *wa_kind_text(enum wa_kind kind);

#define WA_MESSAGE_SECRET_LEN 32

/* Content that is encrypted under the secret of the message target_id (protocol/05 section 9.3). */
struct wa_sealed {
    const char *use; /* static: "Message Edit" …; NULL: nothing is sealed */
    struct bytes payload, iv;
};

/* What a Message says once unwrapped. Bytes live in the arena given to wa_message_parse. */
struct wa_content {
    enum wa_kind kind;
    struct bytes text;      /* valid UTF-8 without NUL, may be empty; lines joined by \n */
    struct bytes quoted_id; /* contextInfo.stanzaId */
    struct bytes target_id; /* reaction, edit, revoke, vote */
    struct wa_media media;  /* image, video, audio, voice, document, sticker */
    bool ephemeral, view_once, edited;
    bool timer_set;           /* the message is the setting of the timer itself */
    uint32_t expiration_s;    /* disappearing timer of the chat as this message tells it, 0 none */
    int64_t expiration_set_s; /* when that was set, Unix s, as the sender has it; 0 not told */
    bool device_sent;         /* a copy of what our account sent elsewhere … */
    struct bytes destination; /* … to this JID text */
    struct bytes protocol;    /* WA_KIND_PROTOCOL: the serialised ProtocolMessage */
    struct bytes skdm_group, skdm; /* sender key distribution, present beside or without content */
    struct bytes secret;           /* 32 bytes, or none: what comes later may be sealed under it */
    struct wa_sealed sealed;       /* WA_KIND_EDIT: the new content, to be opened: wa/secrets.h */
    int32_t protocol_type;         /* WA_KIND_PROTOCOL: protocolMessage.type; else -1 */
    bool has_history_sync;         /* protocolMessage.historySyncNotification */
};

/* 0; ERR_INVALID (not a Message), ERR_LIMIT (size, nesting). Reads the unpadded protobuf. */
int wa_message_parse(struct bytes message, struct arena *arena, struct wa_content *out);

/* Appends a Message that carries text (UTF-8): `conversation`, or extendedTextMessage when
 * quoted_id is given (quoted_author: bare JID text) or expiration_s is not 0. 0, ERR_INVALID,
 * ERR_LIMIT. */
struct wa_text {
    struct bytes text;
    struct bytes quoted_id, quoted_author, quoted_text;
    uint32_t expiration_s;    /* disappearing timer of the chat, 0 none … */
    int64_t expiration_set_s; /* … and when it was set, Unix s, 0 not known */
};
int wa_message_build_text(struct buf *out, const struct wa_text *t);
/* Wraps a serialised Message for our own other devices (protocol/06 section 6 step 4). */
int wa_message_build_device_sent(struct buf *out, const char *destination, struct bytes message);
/* Message with only a senderKeyDistributionMessage. */
int wa_message_build_skdm(struct buf *out, const char *group, struct bytes skdm);

/* "3EB0" + 18 hex digits (protocol/06 section 2); random is 16 bytes. */
#define WA_MESSAGE_ID_SIZE 23
void wa_message_id(char out[WA_MESSAGE_ID_SIZE], int64_t unix_s, const char *own_user,
                   const uint8_t random[16]);

#endif
