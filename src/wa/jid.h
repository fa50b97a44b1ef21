/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JIDs: user[:device]@server (protocol/02 section 6, protocol/04 section 1). */
#ifndef WA_JID_H
#define WA_JID_H

#include "base/buf.h"

enum wa_server {
    WA_SERVER_NONE, /* no JID at all: a zeroed struct */
    WA_SERVER_PN,   /* s.whatsapp.net; with an empty user: "the server" itself */
    WA_SERVER_LID,
    WA_SERVER_GROUP,
    WA_SERVER_BROADCAST,
    WA_SERVER_NEWSLETTER,
    WA_SERVER_CALL,
    WA_SERVER_HOSTED,
    WA_SERVER_HOSTED_LID,
    WA_SERVER_MSGR,
    WA_SERVER_INTEROP,
    WA_SERVER_BOT,
};

#define WA_JID_USER_MAX 63
#define WA_JID_TEXT_SIZE 96 /* longest text form and its NUL */
#define WA_JID_NAME_SIZE 80 /* longest Signal name and its NUL */

struct wa_jid {
    enum wa_server server;
    uint16_t device;                /* 0 = primary, also when not given */
    char user[WA_JID_USER_MAX + 1]; /* "" for a bare server */
};

/* "s.whatsapp.net", … ; "" for WA_SERVER_NONE. Static storage. */
const char *wa_server_text(enum wa_server server);
/* Inverse; c.us counts as s.whatsapp.net. WA_SERVER_NONE when unknown. */
enum wa_server wa_server_parse(struct bytes text);

/* Accepts user[.agent][:device]@server (agent only on s.whatsapp.net and only 0; dots stay in a LID
 * user) or a server alone, UTF-8. 0; ERR_INVALID for an unknown server, a device over 65535, a user
 * that is empty, overlong, or has a blank, control byte or one of "@:/"; *out is zeroed then. */
int wa_jid_parse(struct wa_jid *out, struct bytes text);
/* Device 0 is not written. Returns out; "" for WA_SERVER_NONE. */
const char *wa_jid_text(const struct wa_jid *jid, char out[WA_JID_TEXT_SIZE]);

bool wa_jid_is_none(const struct wa_jid *jid);
bool wa_jid_equal(const struct wa_jid *a, const struct wa_jid *b); /* device included */
bool wa_jid_same_user(const struct wa_jid *a,
                      const struct wa_jid *b);       /* hosted counts as its base */
struct wa_jid wa_jid_bare(const struct wa_jid *jid); /* device 0, hosted -> base */
struct wa_jid wa_jid_with_device(const struct wa_jid *jid, uint16_t device);
struct wa_jid wa_jid_make(enum wa_server server, const char *user, uint16_t device);
/* A person or business: s.whatsapp.net, lid, hosted, hosted.lid with a user; not 0@s.whatsapp.net.
 */
bool wa_jid_is_user(const struct wa_jid *jid);
/* Phone-number namespace (s.whatsapp.net, hosted) / LID namespace (lid, hosted.lid). */
bool wa_jid_is_pn(const struct wa_jid *jid);
bool wa_jid_is_lid(const struct wa_jid *jid);
/* Name half of the Signal address: user, user_1, user_128, user_129 (protocol/04 section 1.2); the
 * servers without Signal sessions give user@server, which no other JID shares. */
const char *wa_jid_signal_name(const struct wa_jid *jid, char out[WA_JID_NAME_SIZE]);

#endif
