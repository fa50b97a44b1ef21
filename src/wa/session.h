/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection of one linked device: received bytes in, bytes to send and events out. No I/O, no
 * thread, no clock of its own. What outlives the connection is in the host's records.
 *
 *   feed bytes -> wa_session_next until it returns 0 -> make records durable -> send the output
 *
 * Acks, receipts, pairing answers and ciphertexts are all in the output, so the one order "commit,
 * then send" keeps D1, D2, D4 and D5. Source of the flows: protocol/01 sections 4 to 14, 03, 05,
 * 06.
 */
#ifndef WA_SESSION_H
#define WA_SESSION_H

#include "base/err.h"
#include "wa/message.h"
#include "wa/passkey.h"
#include "wa/payload.h"

#define WA_MEDIA_HOSTS_MAX 4
#define WA_SENDS_MAX 64 /* messages under way at once; wa_session_send says ERR_LIMIT beyond */

struct wa_session_config {
    struct wa_version version;
    uint8_t noise_root[WA_KEY_LEN];
    const char *device_label; /* shown in the phone's linked devices; borrowed for life */
    int64_t history_days;     /* WA_EVENT_HISTORY for messages as old as that; 0: for none */
};

/* X(symbol, code for last_error, what the owner should do) */
#define WA_CLOSES(X)                                                                               \
    X(WA_CLOSE_RESTART, "restart_required", "")                                                    \
    X(WA_CLOSE_STREAM_END, "stream_end", "The server ended the connection; it is dialled again.")  \
    X(WA_CLOSE_HANDSHAKE, "handshake_failed",                                                      \
      "The server could not prove who it is; check the network path and whatsapp.noise_root.")     \
    X(WA_CLOSE_PROTOCOL, "protocol_error", "The server sent what cannot be read.")                 \
    X(WA_CLOSE_TIMEOUT, "server_silent", "The server stopped answering; it is dialled again.")     \
    X(WA_CLOSE_PAIRING_TIMEOUT, "pairing_timeout",                                                 \
      "Nobody scanned the QR in time; a new one follows.")                                         \
    X(WA_CLOSE_PAIRING_REFUSED, "pairing_refused",                                                 \
      "The pairing answer carried a wrong signature; scan the new QR.")                            \
    X(WA_CLOSE_PASSKEY, "passkey_failed", "Linking with the passkey came to nothing.")             \
    X(WA_CLOSE_UNCONFIRMED, "pairing_unconfirmed",                                                 \
      "The last pairing was cut off before WhatsApp had its answer; scan the new QR.")             \
    X(WA_CLOSE_LOGGED_OUT, "logged_out",                                                           \
      "Ask for a new QR (control/pair) and scan it with the phone of the account.")                \
    X(WA_CLOSE_REPLACED, "replaced", "Another process uses the same keys; stop one of the two.")   \
    X(WA_CLOSE_BANNED, "temporarily_banned",                                                       \
      "Wait until it ends; then the bridge tries again by itself. Send less, and only to people "  \
      "who wrote first.")                                                                          \
    X(WA_CLOSE_LOCKED, "account_locked",                                                           \
      "Open WhatsApp on the phone and follow it; then ask for a new QR (control/pair).")           \
    X(WA_CLOSE_VERSION, "version_rejected",                                                        \
      "The client version is too old; a newer one is looked for.")                                 \
    X(WA_CLOSE_REFUSED, "refused", "The server refused this client; see the log and report it.")   \
    X(WA_CLOSE_SERVER, "server_unavailable", "The server has trouble; it is dialled again.")       \
    X(WA_CLOSE_RATE, "too_many_connects",                                                          \
      "The bridge waits longer before it dials again. Is the same account run twice?")             \
    X(WA_CLOSE_STORE, "store_failed",                                                              \
      "Keys could not be read or written; check the private volume.")

enum wa_close {
#define X(symbol, code, advice) symbol,
    WA_CLOSES(X)
#undef X
};
const char *wa_close_code(enum wa_close why);
const char *wa_close_advice(enum wa_close why);

/* Where a message stands. chat and sender are as in the stanza; the _pn and _lid forms are bare and
 * none when unknown. Bytes are borrowed until the next wa_session_next
 * or wa_session_send. */
struct wa_incoming {
    struct bytes id;
    struct wa_jid chat; /* bare; the address to answer to */
    struct wa_jid chat_pn, chat_lid;
    struct wa_jid sender; /* device JID */
    struct wa_jid sender_pn, sender_lid;
    bool from_me; /* sent by another device of this account */
    bool group;
    bool admin;             /* group: the server says that an admin revokes what another wrote */
    bool offline;           /* came from the queue */
    int64_t timestamp_s;    /* server's */
    struct bytes push_name; /* valid UTF-8; may be BYTES_NONE */
    const struct wa_content *content;
    const char *fault; /* content->kind UNDECRYPTABLE: why, static text; else NULL */
    unsigned retry;    /* UNDECRYPTABLE: which retry was asked for, 0 = none left */
};

/* How far the passkey step is (protocol/08 section 13.1). X(symbol, name) */
#define WA_PASSKEY_PHASES(X)                                                                       \
    X(WA_PASSKEY_AWAIT_ASSERTION, "await_assertion") /* the owner uses the passkey */              \
    X(WA_PASSKEY_SUBMITTING, "submitting")           /* the server judges it */                    \
    X(WA_PASSKEY_AWAIT_PHONE, "await_phone")                                                       \
    X(WA_PASSKEY_AWAIT_OWNER, "await_owner") /* the owner compares the codes */                    \
    X(WA_PASSKEY_COMPLETING, "completing")

enum wa_passkey_phase {
#define X(symbol, name) symbol,
    WA_PASSKEY_PHASES(X)
#undef X
};
const char *wa_passkey_phase_name(enum wa_passkey_phase phase);

enum wa_event_type {
    WA_EVENT_QR,      /* u.qr: show this payload */
    WA_EVENT_CODE,    /* u.code: show this pairing code, or none any more */
    WA_EVENT_PASSKEY, /* u.passkey: show this step; the QR and the pairing code are of no use now */
    WA_EVENT_PAIRED,  /* credentials are in the records; the answer is in the output; closes soon */
    WA_EVENT_CONNECTED,       /* logged in */
    WA_EVENT_OFFLINE_DONE,    /* the backlog is through; safe to answer */
    WA_EVENT_MESSAGE,         /* u.message: record it (duplicates included: the record decides);
                                 also a call: kind CALL, text "voice" or "video", id that of the
                                 call */
    WA_EVENT_PHONE_TOO_OLD,   /* a phone without linked devices scanned; the QR stays valid */
    WA_EVENT_LIMIT,           /* u.limit: nobody new may be written to, or may again */
    WA_EVENT_ACKED,           /* u.ack: the server has message u.ack.id, or refuses it */
    WA_EVENT_SEND_FAILED,     /* u.ack: never reached the wire (no device, no session) */
    WA_EVENT_RECEIPT,         /* u.receipt */
    WA_EVENT_VERSION_EXPIRES, /* u.expires: then this client version is refused */
    WA_EVENT_RESEND,   /* u.resend: a device asks again; answer with wa_session_resend or ignore */
    WA_EVENT_IDENTITY, /* u.identity: the contact has set up WhatsApp anew, with new keys */
    WA_EVENT_MEDIA_HOSTS, /* u.hosts: answers wa_session_ask_media_hosts */
    WA_EVENT_MEDIA_AGAIN, /* u.media_again: the phone's answer to wa_session_ask_media_again */
    WA_EVENT_ACCOUNT,     /* u.account: its name is another one now */
    WA_EVENT_FILE_WANTED, /* u.file: fetch it and answer with wa_session_file; one at a time */
    WA_EVENT_HISTORY,     /* u.message: of the phone's history; record it, answer nothing. Or, kind
                             PROTOCOL with timer_set, only what the timer of the chat is */
    WA_EVENT_HISTORY_END, /* u.history_end: a part of the history is through, or given up */
    WA_EVENT_CLOSED,      /* u.closed: drain the output, then close the socket; no event follows */
};

enum wa_receipt_type { WA_RECEIPT_DELIVERED, WA_RECEIPT_READ, WA_RECEIPT_PLAYED };

struct wa_event {
    enum wa_event_type type;
    union {
        struct {
            struct bytes payload;
            unsigned index; /* 0 for the first ref of this connection */
            int64_t ttl_ms;
        } qr;
        struct {
            const char *shown; /* "XXXX-XXXX"; NULL: it ran out or was refused. Borrowed */
            int64_t ttl_ms;
            unsigned error; /* of the server's, 0 none: protocol/03 section 4.3 */
        } code;
        struct {
            enum wa_passkey_phase phase;
            bool fresh; /* a new challenge */
            struct bytes
                options;      /* AWAIT_ASSERTION: JSON for navigator.credentials.get; borrowed */
            const char *code; /* "XXXX-XXXX" from AWAIT_OWNER on, else NULL; borrowed */
            bool confirm;     /* the owner must say that the phone shows the same code */
            int64_t ttl_ms;   /* how long this phase may take */
            int64_t handoff_ttl_ms; /* AWAIT_ASSERTION: later the codes have to be compared */
        } passkey;
        struct {
            struct wa_jid pn, lid;
            const char *push_name, *platform, *business_name;
        } account; /* PAIRED, CONNECTED, ACCOUNT; borrowed */
        struct wa_incoming message;
        struct {
            struct bytes id;
            int64_t timestamp_s; /* server's, 0 unknown */
            unsigned error;      /* 0 accepted; else code of protocol/06 section 9; SEND_FAILED: 404
                                    nobody there, else 0 */
            const char *text;    /* SEND_FAILED: why */
        } ack;
        struct {
            int64_t at_s; /* 0: withdrawn */
        } expires;
        struct {
            struct wa_jid user; /* bare */
        } identity;
        struct {
            enum wa_receipt_type type;
            const struct bytes *ids;
            size_t count;
            struct wa_jid from;
            int64_t timestamp_s;
        } receipt;
        struct {
            struct bytes id;
            struct wa_jid device; /* who asks */
            struct wa_jid chat;   /* bare */
            unsigned count;
        } resend;
        struct {
            const char *kind; /* static: new_chats_locked, new_chats_capped */
            bool active;      /* else it is over */
            bool warning;     /* not active, but near */
            int64_t until_s;  /* Unix time; 0 not said */
        } limit;
        struct {
            const struct bytes *names; /* as the server said them, primary first */
            size_t count;              /* 0: it named none */
            int64_t ttl_s;             /* 0 to 86400 */
        } hosts;
        struct {
            struct bytes id;            /* of the message */
            unsigned error;             /* not 0: refused */
            struct bytes sealed, nonce; /* wa_media_retry_open */
        } media_again;
        struct {
            unsigned id;
            const struct wa_media *media; /* wa_media_is_fetchable */
            uint64_t max;                 /* bytes of the plain file */
        } file;
        struct {
            uint32_t type;            /* syncType of protocol/07 section 7.1 */
            unsigned chats, messages; /* that were in it; messages: that an event told of */
            const char *trouble;      /* static text: why it was given up, else NULL */
        } history_end;
        struct {
            enum wa_close why;
            struct err err;                /* sentence with the particulars */
            int64_t retry_after_s;         /* BANNED, PASSKEY: how long, 0 not said; else 0 */
            enum wa_passkey_error passkey; /* PASSKEY: what went wrong */
        } closed;
    } u;
};

struct wa_session;

/*
 * Starts a connection: loads the device (or makes and stores a new unpaired one) and puts the
 * ClientHello into the output. config and host are borrowed for life, copied where small. 0 and an
 * owned session (wa_session_close), or ERR_STORE / ERR_INVALID with err.
 */
int wa_session_open(struct wa_session **out, const struct wa_session_config *config,
                    const struct wa_host *host, struct err *err);
void wa_session_close(struct wa_session *s);

/* Takes received bytes, any cut. Copies. After a close they are ignored. */
void wa_session_feed(struct wa_session *s, struct bytes data);
/* Works until one event is ready: 1 and *ev, or 0 when all input is used up and no timer is due.
 * Call it also when wa_session_deadline has passed. */
int wa_session_next(struct wa_session *s, struct wa_event *ev);
/* When to call wa_session_next at the latest, on the host's monotonic clock; CLOCK_NEVER. */
int64_t wa_session_deadline(const struct wa_session *s);
/* The host is awake for something else: a keepalive that would be due soon goes along, so that it
 * need not wake again for it. Whether one did. */
bool wa_session_awake(struct wa_session *s);
/* Gives back buffers that are kept for the next work. Not between wa_session_next and the use of
 * its event. */
void wa_session_rest(struct wa_session *s);
/* Bytes for the wire; the caller drains with buf_drop_front or buf_clear once durable and sent. */
struct buf *wa_session_output(struct wa_session *s);

/* Whether the output holds more than acknowledgements of receipts, which nobody waits for: those
 * may be kept for a moment, to become durable and leave with what comes next. */
bool wa_session_hurries(const struct wa_session *s);

bool wa_session_connected(const struct wa_session *s); /* after WA_EVENT_CONNECTED, until closed */
/* How the server proved itself: "XX", "IK" or "XXfallback"; "XX" before it did. */
const char *wa_session_handshake(const struct wa_session *s);
const struct wa_device *wa_session_device(const struct wa_session *s);
/* The server's clock, Unix ms; 0 unknown. This machine's may be wrong, or be set while we run. */
int64_t wa_session_server_ms(const struct wa_session *s);
/* Stanzas with missing, repeated, oversized or nonsensical attributes since it was opened. */
uint64_t wa_session_malformed(const struct wa_session *s);
/* Records of sessions and sender keys that were given up since it was opened, as they could not be
 * read; a new session took their place. */
uint64_t wa_session_set_aside(const struct wa_session *s);

/*
 * Asks for a code that the owner of the phone number types instead of scanning the QR; valid for
 * 180 s. 0, then WA_EVENT_CODE follows; ERR_STATE while no QR is shown; ERR_INVALID for a number
 * that is none (digits, international); ERR_LIMIT after three codes on one connection.
 */
int wa_session_pair_code(struct wa_session *s, const char *phone);

/*
 * The owner's part of the passkey step. Each answers WA_PASSKEY_OK, or why the answer is not taken,
 * and then nothing has changed: WA_PASSKEY_STALE when the step does not wait for it.
 *   assert:  credential is what PublicKeyCredential.toJSON() gave
 *   confirm: code as the phone shows it; case and dash do not matter
 *   reject:  the codes differ;  cancel: at any time. Both end the session.
 */
enum wa_passkey_error wa_session_passkey_assert(struct wa_session *s,
                                                const struct json_value *credential);
enum wa_passkey_error wa_session_passkey_confirm(struct wa_session *s, const char *code);
enum wa_passkey_error wa_session_passkey_reject(struct wa_session *s);
enum wa_passkey_error wa_session_passkey_cancel(struct wa_session *s);

/*
 * Sends text to a user (bare JID) or a group. Members, device lists and bundles are fetched as
 * needed, so the stanza may leave later; the end is one WA_EVENT_ACKED or WA_EVENT_SEND_FAILED with
 * this id. The same id may be given again on a later connection. 0; ERR_STATE when not connected;
 * ERR_LIMIT when WA_SENDS_MAX are under way; ERR_INVALID for a bad JID, id or text; ERR_UNSUPPORTED
 * for broadcasts.
 */
struct wa_outgoing {
    const char *id; /* WA_MESSAGE_ID_SIZE - 1 characters */
    struct wa_jid to;
    struct wa_text text;
};
int wa_session_send(struct wa_session *s, const struct wa_outgoing *m);
/* Answers WA_EVENT_RESEND for the one device (protocol/06 section 11). */
int wa_session_resend(struct wa_session *s, const struct wa_event *request,
                      const struct wa_outgoing *m);
/* Typing indicator: composing or paused. */
void wa_session_typing(struct wa_session *s, const struct wa_jid *chat, bool composing);
/* Read receipt for one message of chat (sender: participant in groups, else none). */
void wa_session_mark_read(struct wa_session *s, const struct wa_jid *chat,
                          const struct wa_jid *sender, struct bytes id);
/* Unlinks this device: asks the server, then closes with WA_CLOSE_LOGGED_OUT (at most 3 s later).
 */
int wa_session_logout(struct wa_session *s);

/* Asks for the hosts that have files (protocol/07 section 1). Nothing unless connected. */
void wa_session_ask_media_hosts(struct wa_session *s);
/* Asks our phone to upload a file again (protocol/07 section 5); author: none but in groups.
 * Nothing unless connected. */
struct wa_media_again {
    struct bytes id;
    struct wa_jid chat, author;
    bool from_me;
    const uint8_t *key; /* 32 bytes */
};
void wa_session_ask_media_again(struct wa_session *s, const struct wa_media_again *m);
/* Answers WA_EVENT_FILE_WANTED. CAME: plain is the file, checked, and the session may take it out
 * of the buffer. */
enum wa_file_end {
    WA_FILE_CAME,
    WA_FILE_MISSING, /* not to be had, now or at all */
    WA_FILE_DAMAGED, /* it is not what it should be, or too long */
};
void wa_session_file(struct wa_session *s, unsigned id, enum wa_file_end how, struct buf *plain);

/*
 * Reads on in the phone's history, some milliseconds' worth. Call it once per wake-up, when
 * wa_session_next has returned 0, and then that again: what is live goes first. Whether there is
 * more to be read.
 */
bool wa_session_step(struct wa_session *s);
/* Changes wa_session_config.history_days for what is begun later. */
void wa_session_set_history(struct wa_session *s, int64_t days);

#endif
