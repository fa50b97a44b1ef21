/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a session, shared by its parts: session.c (connection), hello.c, linking*.c,
 * online.c, notifications.c, protocol.c, ends.c, users.c, receive.c (message stanzas), edits.c,
 * placeholder.c, receipts.c, send.c, send_group.c and send_peer.c (outgoing messages). Nobody else
 * includes this.
 */
#ifndef WA_SESSION_INTERNAL_H
#define WA_SESSION_INTERNAL_H

#include "wa/crypto.h"
#include "wa/devices.h"
#include "wa/groups.h"
#include "wa/handshake.h"
#include "wa/history_slots.h"
#include "wa/iq.h"
#include "wa/link_code.h"
#include "wa/prekeys.h"
#include "wa/resends.h"
#include "wa/resume.h"
#include "wa/secrets.h"
#include "wa/session.h"
#include "wa/signal.h"

enum wa_phase {
    WA_PHASE_HELLO,   /* ClientHello is out */
    WA_PHASE_LOGIN,   /* ClientFinish is out: success, failure or pair-device comes */
    WA_PHASE_PAIRING, /* QR is shown */
    WA_PHASE_PAIRED,  /* pair-success answered: 515 comes */
    WA_PHASE_ONLINE,
    WA_PHASE_CLOSED,
};

#define WA_REFS_MAX 16
#define WA_REF_MAX 512 /* bytes of one ref */

/* One outgoing message; see send.c for its way through the states. */
struct wa_send;

/* The pairing code that is live; see linking_code.c. */
struct wa_linking_code {
    char code[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE], phone[16];
    struct wa_keypair ephemeral;
    uint8_t ref[WA_REF_MAX];
    size_t ref_length;
    unsigned hellos; /* of the phone */
    unsigned made;   /* codes on this connection */
};

/* The passkey step that is open; see linking_passkey.c. Wiped when it ends. */
struct wa_linking_passkey {
    enum {
        WA_STEP_NONE,
        WA_STEP_FETCHING,  /* the server is asked for the options */
        WA_STEP_ASKING,    /* the owner's assertion is waited for */
        WA_STEP_REF,       /* the server is asked for a ref */
        WA_STEP_PROLOGUE,  /* sent */
        WA_STEP_PHONE,     /* accepted; the phone's continuation is waited for */
        WA_STEP_COMPARING, /* the owner's yes is waited for */
        WA_STEP_FINISHING, /* nothing more is needed of the owner */
    } step;
    char push_id[64]; /* of the server's last push */
    struct wa_passkey_options options;
    uint8_t handoff_key[32];
    uint8_t next_adv_secret[WA_ADV_SECRET_LEN]; /* becomes the current one with the last request */
    int64_t proof_until;
    struct wa_passkey_assertion assertion;
    bool ref_asked_again, proof_sent, nonce_accepted;
    struct wa_keypair ephemeral;
    uint8_t nonce[WA_PASSKEY_NONCE_LEN];
    uint8_t ref[WA_REF_MAX];
    size_t ref_length;
    uint8_t key[32];
    char code[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE];
};

/* What is under way about our own prekeys; see online_prekeys.c. */
struct wa_online_prekeys {
    bool uploading, rotating, digest_asked, mended;
    uint32_t first;            /* id of the first key of an upload that has no answer yet … */
    size_t count;              /* … and how many they are, 0: none */
    unsigned wait_s, wait_ago; /* the last two steps of the back-off */
    uint8_t signature[WA_SIGNATURE_LEN]; /* of the signed prekey that is offered */
};

/* Who in the session wants a file. */
enum wa_file_owner { WA_FILE_OF_APP_STATE, WA_FILE_OF_HISTORY, WA_FILE_OWNERS };

/* See files.c. */
struct wa_file_request;
struct wa_files {
    struct wa_file_request *wanted[WA_FILE_OWNERS]; /* owned; NULL none */
    enum wa_file_owner owner;                       /* whose is under way … */
    unsigned id;                                    /* … under this id, 0 none */
    unsigned made;                                  /* ids so far */
};

/* A part of the history that is fetched (no reader) or read; see history_sync.c. */
struct wa_history;
struct wa_history_sync {
    struct wa_history_note note;
    struct buf packed; /* the blob */
    struct bytes left; /* of it, to be read */
    struct wa_history *reader;
    bool in_messages; /* the second pass over it */
    int64_t since_s;  /* messages from then on are told of; 0: none is */
    unsigned chats, messages;
};

#define WA_APP_STATE_COLLECTIONS 2

/* See app_state_sync.c; each array has one element per collection. */
struct wa_app_state_sync {
    bool wanted[WA_APP_STATE_COLLECTIONS];
    bool parked[WA_APP_STATE_COLLECTIONS]; /* until a key comes */
    bool later[WA_APP_STATE_COLLECTIONS];  /* until app_state_at */
    bool begun, fetching;
    unsigned fetched; /* which one; the last or the one under way */
    unsigned fetches, resets[WA_APP_STATE_COLLECTIONS];
    bool file;        /* one is waited for … */
    unsigned file_of; /* … and whose it is */
    struct buf patch; /* that the file belongs to; empty: it is a snapshot */
};

/* The other name of a user as the records have it, "" when they have none. Several questions of
 * each message are about the same few; wa/users.c alone writes these records. */
#define WA_ALIASES_KEPT 8
struct wa_alias {
    enum wa_table table;
    char user[WA_JID_USER_MAX + 1], other[WA_JID_USER_MAX + 1];
};

struct wa_session {
    struct wa_session_config config;
    const struct wa_host *host;
    struct wa_device device;
    struct wa_signal *signal;
    enum wa_phase phase;

    struct wa_handshake handshake;
    struct wa_resume resume;
    enum wa_handshake_way way; /* once the transport keys are there */
    struct wa_cipher send_cipher, recv_cipher;
    struct buf in, out;
    size_t in_used;     /* consumed front of `in` */
    struct buf plain;   /* one decrypted frame */
    struct buf scratch; /* one encoded stanza */
    bool patient;       /* what is in out can wait: wa_session_hurries */
    struct arena arena; /* stanza at work and events taken from it */

    struct wa_event *events; /* ready, in order */
    size_t event_count, event_next, event_cap;

    struct wa_iq iq;
    struct wa_device_cache *devices;
    struct wa_group_cache *groups;
    struct wa_alias aliases[WA_ALIASES_KEPT];
    unsigned alias_next;   /* the one that is given up next */
    unsigned key_renewals; /* of our sender keys, whichever group */
    struct wa_send *sends;
    size_t send_count;
    struct wa_resends resends;
    struct wa_bucket phone_requests; /* wa_placeholder_ask */
    struct wa_secrets secrets;

    /* deadlines on the monotonic clock; CLOCK_NEVER = off */
    int64_t phase_until;        /* the current phase must be over by then */
    int64_t ping_from, ping_at; /* the keepalive: when the host is awake anyway; at the latest */
    int64_t upload_at, rotate_at;
    int64_t last_received;
    unsigned pings_failed;
    uint64_t malformed; /* stanzas that did not look as they must */
    int64_t server_ms;  /* what the server's clock (Unix ms) is ahead of the monotonic one */

    uint8_t refs[WA_REFS_MAX][WA_REF_MAX];
    size_t ref_length[WA_REFS_MAX];
    size_t ref_count, ref_index;
    int64_t ref_until;
    struct wa_linking_code code;
    int64_t code_until; /* CLOCK_NEVER: none */
    struct wa_linking_passkey passkey;
    int64_t passkey_until; /* the current step must be over by then */

    uint64_t offline_expected, offline_seen;
    bool offline_done, offline_awaiting_first;
    int64_t offline_request_at, offline_until;

    struct wa_online_prekeys prekeys;
    struct wa_app_state_sync app_state;
    struct wa_files files;
    struct wa_history_sync *history; /* NULL: none is at work */
    int64_t history_at;              /* the next one is due */
    int64_t app_state_at;            /* what could not be had is tried again */
    bool logging_out;
    bool available; /* presence, decides the type of delivery receipts */
};

/* ---- session.c, used by the parts --------------------------------------------------------------
 */
int64_t wa_session_now(const struct wa_session *s);
/* Learns the server's clock from the attribute t of <success> or of a pong. */
void wa_session_take_time(struct wa_session *s, const struct wa_node *node);
struct wa_node *wa_session_stanza(struct wa_session *s, const char *tag);
/* Encodes, seals and frames into the output; on failure the session closes itself. */
void wa_session_put(struct wa_session *s, const struct wa_node *node);
/* The same for what nobody waits for: wa_session_hurries. */
void wa_session_put_patiently(struct wa_session *s, const struct wa_node *node);
/* <iq to="s.whatsapp.net" type xmlns>; send it with wa_session_ask. */
struct wa_node *wa_session_query(struct wa_session *s, const char *type, const char *xmlns);
void wa_session_ask(struct wa_session *s, struct wa_node *iq, wa_iq_done done, void *arg);
void wa_session_ask_until(struct wa_session *s, struct wa_node *iq, int64_t timeout_ms,
                          wa_iq_done done, void *arg);
/* <iq type="result"> with the id of the server's request. */
void wa_session_answer(struct wa_session *s, const struct wa_node *request);
/* New event at the end of the queue, zeroed but for its type. Once the session has ended it is
 * heard by nobody: WA_EVENT_CLOSED is the last one. */
struct wa_event *wa_session_emit(struct wa_session *s, enum wa_event_type type);
/* PAIRED or CONNECTED, filled in from the device. */
struct wa_event *wa_session_emit_account(struct wa_session *s, enum wa_event_type type);
/* Ends the session: the CLOSED event is the last one. Only the first call counts. */
void wa_session_end(struct wa_session *s, enum wa_close why, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The host failed to read or write records. */
void wa_session_end_store(struct wa_session *s);

/* ---- hello.c -----------------------------------------------------------------------------------
 */
/* Appends the ClientHello, and what comes before it. 0 or negative. */
int wa_hello_begin(struct wa_session *s);
/* Takes the ServerHello: transport keys, or the end. */
void wa_hello_answer(struct wa_session *s, struct bytes server_hello);

/* ---- users.c -----------------------------------------------------------------------------------
 */
/* Remembers that two bare JIDs are the same user; moves sessions when it is news. */
void wa_session_learn_lid(struct wa_session *s, const struct wa_jid *a, const struct wa_jid *b);
/* The other namespace of a user, device kept; none when unknown. */
struct wa_jid wa_session_lid_of(struct wa_session *s, const struct wa_jid *pn);
struct wa_jid wa_session_pn_of(struct wa_session *s, const struct wa_jid *lid);
/* Where the Signal session of a device lives: its LID form when known (protocol/04 section 1.3). */
struct wa_jid wa_session_address(struct wa_session *s, const struct wa_jid *device);
/* After a call that may have taken a new identity key of the device (wa_signal_took_identity):
 * forgets what went by the old one, and tells. */
void wa_session_watch_identity(struct wa_session *s, const struct wa_jid *device);
/* A contact has set up WhatsApp anew: device lists are asked for again, our privacy token is given
 * again, WA_EVENT_IDENTITY tells. */
void wa_session_identity_changed(struct wa_session *s, const struct wa_jid *user);
/* Forgets the device list of a user under both names. */
void wa_session_forget_devices(struct wa_session *s, const struct wa_jid *user);
/* A <participant> of a group, named twice. */
void wa_session_learn_participant(struct wa_session *s, const struct wa_node *participant);

/* ---- linking.c ---------------------------------------------------------------------------------
 */
void wa_linking_refs(struct wa_session *s, const struct wa_node *iq,
                     const struct wa_node *pair_device);
void wa_linking_success(struct wa_session *s, const struct wa_node *iq,
                        const struct wa_node *success);
/* Shows the next ref, or ends the session when there is none. */
void wa_linking_rotate(struct wa_session *s);
/* The ADV secret has changed: the ref on show goes into a new QR. */
void wa_linking_show_again(struct wa_session *s);
/* A scan was broken off on the phone: a new ADV secret, the same ref (protocol/03 section 2.1). */
void wa_linking_renew(struct wa_session *s);

/* ---- linking_code.c ----------------------------------------------------------------------------
 */
void wa_linking_code_notification(struct wa_session *s, const struct wa_node *node);
void wa_linking_code_expire(struct wa_session *s);

/* ---- linking_passkey.c -------------------------------------------------------------------------
 */
/* The server wants a passkey, or the phone has answered. */
void wa_linking_passkey_push(struct wa_session *s, const struct wa_node *node);
void wa_linking_passkey_continuation(struct wa_session *s, const struct wa_node *node);
void wa_linking_passkey_expire(struct wa_session *s);
bool wa_linking_passkey_open(const struct wa_session *s);
/* Wipes everything of the step. */
void wa_linking_passkey_clear(struct wa_session *s);
/* Ends the session for what went wrong; the text names it. */
void wa_linking_passkey_fail(struct wa_session *s, enum wa_passkey_error e, unsigned code);

/* ---- online.c ----------------------------------------------------------------------------------
 */
void wa_online_success(struct wa_session *s, const struct wa_node *node);
/* Says our name to the server. */
void wa_online_announce_name(struct wa_session *s);
void wa_online_ib(struct wa_session *s, const struct wa_node *node);
void wa_online_schedule_ping(struct wa_session *s);
void wa_online_ping(struct wa_session *s);
/* Every stanza passes here; those of the backlog order the next batch. */
void wa_online_count_backlog(struct wa_session *s, const struct wa_node *node);
void wa_online_request_backlog(struct wa_session *s);
void wa_online_finish_backlog(struct wa_session *s);

/* ---- online_prekeys.c --------------------------------------------------------------------------
 */
/* After login: uploads prekeys, or asks how many there are and compares them with what is here. */
void wa_online_check_prekeys(struct wa_session *s);
/* No-op while an upload is under way. */
void wa_online_upload_prekeys(struct wa_session *s, size_t count);
/* Compares what the server has of our keys; no-op while that is under way. */
void wa_online_check_digest(struct wa_session *s);
/* Timers: an upload that failed is sent again; the signed prekey is old. */
void wa_online_retry_upload(struct wa_session *s);
void wa_online_rotate(struct wa_session *s);

/* ---- shape.c -----------------------------------------------------------------------------------
 */
enum wa_shape {
    WA_SHAPE_GOOD,
    WA_SHAPE_ODD,      /* missing, repeated, oversized or nonsensical attributes; may be of use */
    WA_SHAPE_FOREIGN,  /* without a sender that is a JID: can be acked, and no more */
    WA_SHAPE_NAMELESS, /* lacks what an ack needs */
};
enum wa_shape wa_shape_of(const struct wa_node *node);

/* ---- calls.c -----------------------------------------------------------------------------------
 */
#define WA_CALL_ID_MAX 128 /* bytes */
void wa_call(struct wa_session *s, const struct wa_node *node);

/* ---- limits.c ----------------------------------------------------------------------------------
 */
void wa_limits_notification(struct wa_session *s, const struct wa_node *node);

/* ---- notifications.c ---------------------------------------------------------------------------
 */
void wa_notification(struct wa_session *s, const struct wa_node *node);

/* ---- app_state_sync.c --------------------------------------------------------------------------
 */
/* The backlog is through. */
void wa_app_state_begin(struct wa_session *s);
/* Our phone has given keys. */
void wa_app_state_keys_came(struct wa_session *s);
void wa_app_state_again(struct wa_session *s); /* by the timer */
/* The server says that something has changed: anything; the collections of the notification. */
void wa_app_state_dirty(struct wa_session *s);
void wa_app_state_notification(struct wa_session *s, const struct wa_node *node);

/* The file that was wanted; plain only if it came. */
void wa_app_state_file(struct wa_session *s, enum wa_file_end how, struct buf *plain);

/* ---- files.c -----------------------------------------------------------------------------------
 */
/* wa_media_is_fetchable; copied. A second one of the same owner takes the place of the first. */
void wa_files_want(struct wa_session *s, enum wa_file_owner owner, const struct wa_media *m,
                   uint64_t max);
void wa_files_forget(struct wa_session *s, enum wa_file_owner owner);

/* ---- history_sync.c ----------------------------------------------------------------------------
 */
/* Our phone tells of a part of its history: a serialised HistorySyncNotification. */
void wa_history_sync_note(struct wa_session *s, struct bytes id, struct bytes notification);
/* Whether the message with this id told of one that is not read yet. */
bool wa_history_sync_knows(struct wa_session *s, struct bytes id);
/* The backlog is through; or, by the timer, what was put off is due. */
void wa_history_sync_begin(struct wa_session *s);
void wa_history_sync_file(struct wa_session *s, enum wa_file_end how, struct buf *plain);
void wa_history_sync_clear(struct wa_session *s);

/* ---- web_message.c -----------------------------------------------------------------------------
 */
/* What a serialised WebMessageInfo says, in the session's arena: its content, which out has too.
 * NULL when it is older than since_s, or nothing that a person wrote to a user or a group. */
struct wa_content *wa_web_message_read(struct wa_session *s, struct bytes info, int64_t since_s,
                                       struct wa_incoming *out);
/* Both forms of a JID, bare; none where unknown. */
void wa_web_message_forms(struct wa_session *s, const struct wa_jid *jid, struct wa_jid *pn,
                          struct wa_jid *lid);

/* ---- media_online.c ----------------------------------------------------------------------------
 */
void wa_media_notification(struct wa_session *s, const struct wa_node *node);

/* ---- protocol.c --------------------------------------------------------------------------------
 */
/* Only our own phone may say this; from anybody else it is dropped. */
bool wa_protocol_is_own_only(int32_t type);
/* Acts upon a ProtocolMessage of our own phone, in the message with this id. */
void wa_protocol_take(struct wa_session *s, struct bytes id, const struct wa_content *content);

/* ---- ends.c ------------------------------------------------------------------------------------
 */
void wa_ends_failure(struct wa_session *s, const struct wa_node *node);
void wa_ends_stream_error(struct wa_session *s, const struct wa_node *node);
void wa_ends_stream_end(struct wa_session *s, const struct wa_node *node);

/* ---- receive.c ---------------------------------------------------------------------------------
 */
void wa_receive_message(struct wa_session *s, const struct wa_node *node);
/* <ack class to=from id …/> for any stanza; error 0 = plain. */
void wa_receive_ack(struct wa_session *s, const struct wa_node *node, unsigned error);

/* ---- edits.c -----------------------------------------------------------------------------------
 */
/* Keeps the secret of a message, or opens an edit that is sealed under one: its text is the new one
 * then. NULL, or why it stays closed, and the kind is UNDECRYPTABLE. */
const char *wa_edits_take(struct wa_session *s, const struct wa_incoming *in, struct wa_content *c);

/* ---- receipts.c --------------------------------------------------------------------------------
 */
void wa_receive_receipt(struct wa_session *s, const struct wa_node *node);

/* ---- placeholder.c -----------------------------------------------------------------------------
 */
/* Asks our own phone for a message that this device cannot read (protocol/05 section 8). False when
 * that is of no use: too old, no user's and no group's, too many asked for. */
bool wa_placeholder_ask(struct wa_session *s, const struct wa_incoming *in);
/* What the phone answered, a serialised PeerDataOperationRequestResponseMessage: each message that
 * is in it becomes an event. */
void wa_placeholder_take(struct wa_session *s, struct bytes response);

/* ---- send_peer.c -------------------------------------------------------------------------------
 */
/* Sends a serialised Message to our own phone as a peer message (protocol/06 section 10); no event
 * tells what became of it. false when there is no room. */
bool wa_send_peer(struct wa_session *s, struct bytes message);

/* ---- send.c ------------------------------------------------------------------------------------
 */
void wa_send_acked(struct wa_session *s, const struct wa_node *ack);
void wa_send_expire(struct wa_session *s, int64_t now_ms);
int64_t wa_send_deadline(const struct wa_session *s);
void wa_send_free_all(struct wa_session *s);
/* Gives our privacy token again, as of then, to a contact who lost it (protocol/06 section 8.2). */
void wa_send_reissue_token(struct wa_session *s, const struct wa_jid *to);
/* A companion's identity key must be vouched for by its primary, when that one's key is known. */
bool wa_send_vouched(struct wa_session *s, const struct wa_jid *device,
                     const struct wa_bundle *bundle, struct bytes device_identity);

#endif
