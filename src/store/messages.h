/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * messages.db: one row per message, IN and OUT, and the queue of what is still to be sent. The
 * portal reads it (docs/volume.md); its schema is a contract. WAL, synchronous=FULL, mode 0640.
 * Writes gather in one transaction until store_messages_commit (D6); D1's order (messages before
 * keys) is the caller's.
 *
 *   messages(id INTEGER PRIMARY KEY AUTOINCREMENT,
 *            direction TEXT 'IN'|'OUT', wa_id TEXT,
 *            chat TEXT, chat_pn TEXT, chat_lid TEXT,       -- LID when known, else PN; or group
 *            sender TEXT, sender_pn TEXT, sender_lid TEXT, -- bare
 *            sender_name TEXT, from_me INTEGER,
 *            kind TEXT, text TEXT, quoted_id TEXT, fault TEXT,
 *            sent_at, received_at, acked_at, delivered_at, read_at INTEGER, -- Unix ms
 *            status TEXT, error TEXT, attempts INTEGER,
 *            reply_to INTEGER REFERENCES messages(id), intent TEXT,
 *            target TEXT,                                  -- JID to send to
 *            offline INTEGER, outbox_name TEXT,
 *            turn INTEGER,                   -- 1: next of its chat to be sent, or under way
 *            target_id TEXT,                 -- reaction, edit, revoke, vote: wa_id it is about
 *            edited_at, revoked_at INTEGER,  -- of the message itself, by the server's clock
 *            held INTEGER,                   -- 1: of the outbox, not let into the queue yet
 *            due_at, expires_at INTEGER,     -- of the outbox: not before; not after (Unix ms)
 *            report INTEGER,                 -- 1: of the outbox, its result is to be published
 *            media_file TEXT,                -- name in media/, once it is there
 *            history INTEGER)                -- 1: of the phone's history, not received live
 *            unique: (wa_id, sender, chat); outbox_name and reply_to where not NULL
 *   media(message INTEGER PRIMARY KEY, status TEXT, mimetype, file_name TEXT, length, width,
 *         height, seconds, animated, note INTEGER, file, error TEXT, attempts, due_at INTEGER)
 *   messages_search(text)                    -- FTS5 over messages.text, rowid = messages.id
 *   chats(chat TEXT PRIMARY KEY, chat_pn TEXT, chat_lid TEXT,
 *         language TEXT, menu TEXT,                  -- of the last reply; of the last menu shown
 *         handover_at INTEGER, handover_intent TEXT, -- not NULL: waits for a person
 *         expiration_s INTEGER,                      -- messages disappear after so long, 0: never
 *         expiration_set_at INTEGER)                 -- since when that is so
 *   totals(one row)                          -- struct store_totals, the length of the queue,
 *                                               and the last id that is in messages_search
 *   events(id, at, kind, status, session, code, message, chat) -- the newest STORE_EVENTS_MAX
 *
 * sent_at: IN by the sender's clock; OUT when it was handed to the link last, NULL while queued.
 * received_at: when the bridge got it; OUT: when it was queued; history: as sent_at.
 * status of IN: received, undecryptable. Of OUT: queued -> sending -> sent -> delivered -> read, or
 * failed, or dropped (rate limit, overflow, switched off). A status never goes back, but sending to
 * queued after a broken connection.
 *
 * After a write that failed everything is ERR_STORE until a commit, which fails and rolls back, or
 * a rollback.
 */
#ifndef STORE_MESSAGES_H
#define STORE_MESSAGES_H

#include "base/buf.h"
#include "base/err.h"

struct store_messages;

int store_messages_open(struct store_messages **out, const char *path, struct err *err);
/* As the portal would: read-only, also on a mount that is. ERR_UNSUPPORTED for other versions. */
int store_messages_open_readonly(struct store_messages **out, const char *path, struct err *err);
void store_messages_close(struct store_messages *m);

/* Texts are borrowed; BYTES_NONE or NULL is stored as NULL. Times are Unix ms, 0 = NULL. */
struct store_inbound {
    struct bytes wa_id;
    const char *chat, *chat_pn, *chat_lid;
    const char *sender, *sender_pn, *sender_lid;
    struct bytes sender_name;
    bool from_me, offline;
    bool history; /* counts nowhere, and no guard goes by it */
    const char *kind;
    struct bytes text, quoted_id, target_id;
    const char *fault; /* not NULL: undecryptable, and why */
    int64_t sent_at, received_at;
};

#define STORE_INTENT_WARNING "rate_limit_warning" /* intent of the warning itself */
#define STORE_INTENT_WAIT "please_wait"           /* intent of the one answer to an overflow */
#define STORE_ERROR_PING_PONG "ping_pong" /* error of the reply that was not given to a bot */

/* A message that is to be sent, its WhatsApp id and text fixed once and for all (D3). */
struct store_outbound {
    const char *wa_id;
    const char *chat, *target, *sender; /* sender: own bare JID */
    struct bytes text;
    const char *quoted_id;   /* id it quotes, or NULL */
    const char *intent;      /* which template intent, or NULL */
    const char *outbox_name; /* or NULL */
    int64_t created_at;
    const char *chat_pn, *chat_lid; /* of the outbox; a reply has those of what it answers */
    bool held;                      /* waits for store_messages_let_in */
    int64_t due_at, expires_at;     /* of the outbox; expires_at 0: never */
    int64_t sent_at; /* not 0: it is handed to the link now, in the same group; nothing else of its
                        chat may be in the queue then */
};

/*
 * Records what came in. A row that stood as undecryptable and now has content is completed; without
 * content it takes the new fault. The
 * same message under the other address of its sender or chat (PN, LID) is found too. *id is the row
 * in any case. 1 when this is new (with content: answer it), 0 when it was there before, ERR_STORE;
 * ERR_INVALID without wa_id, chat or sender.
 */
int store_messages_record(struct store_messages *m, const struct store_inbound *in, int64_t *id);

/* An edit or a revoke of an earlier message. */
struct store_change {
    struct bytes target_id;
    const char *chat, *chat_pn, *chat_lid;
    const char *sender, *sender_pn, *sender_lid; /* who wants it; only authors change their own */
    bool any_author;                             /* an admin of the group revokes */
    struct bytes text;                           /* edit */
    int64_t at;                                  /* Unix ms, the server's */
};
/* The text of the message is replaced, unless it was revoked or edited later. 1, 0 when there is no
 * such message, ERR_STORE. */
int store_messages_edit(struct store_messages *m, const struct store_change *c);
/* Marks it; its text stays. An answer that has not left yet is dropped ("revoked"). As above. */
int store_messages_revoke(struct store_messages *m, const struct store_change *c);
/* Adds an OUT row with status queued (sending: sent_at); reply_to is the IN row or 0. At most one
 * reply per IN row: 0 when it (or outbox_name) already has one, which *id then is; 1 when added;
 * ERR_STORE; ERR_EXISTS when wa_id is taken. */
int store_messages_intend(struct store_messages *m, const struct store_outbound *out,
                          int64_t reply_to, int64_t *id);

/* One row of the send queue; texts are borrowed until the next call on m. */
struct store_queued {
    int64_t id, reply_to;
    const char *wa_id, *chat, *target;
    struct bytes text;
    const char *quoted_wa_id; /* quoted_id, else the id of the message answered, or NULL */
    int attempts;
    bool warning; /* intent is the rate-limit warning */
    int64_t created_at;
    const char *answered_sender; /* who wrote what it answers, or NULL */
    const char *outbox_name;     /* NULL: a reply */
    int64_t expires_at;          /* 0: never */
    const char *quoted_sender;   /* of the message that quoted_id names; NULL: nothing is quoted */
    struct bytes quoted_text;
    int64_t expiration_s;      /* the chat's disappearing timer, 0 none … */
    int64_t expiration_set_at; /* … when it was set (Unix ms), 0 not known */
};
/* Per-chat FIFO: of each chat without a row in status sending the oldest queued row; of those the
 * first with id above after_id. 1 found, 0 none, ERR_STORE. */
int store_messages_next_queued(struct store_messages *m, int64_t after_id,
                               struct store_queued *out);
/* After a new connection: rows in sending are queued again, same wa_id. Number of rows or
 * ERR_STORE. */
int store_messages_requeue(struct store_messages *m);
int64_t store_messages_count_queued(struct store_messages *m); /* queued + sending */
int64_t store_messages_count_queued_in(struct store_messages *m, const char *chat);
/* Replies that left (sending or later) within the day from since_ms on (what has a later time was
 * written before the clock was set back); warnings false leaves the rate-limit
 * warnings out; the outbox does not count. These three: the number or ERR_STORE. */
int64_t store_messages_count_sent_since(struct store_messages *m, int64_t since_ms, bool warnings);

/*
 * By id: 0; ERR_STATE when the row is not in the status this starts from; ERR_STORE. Sending and
 * dropped start from queued (sending: only when it is the chat's turn), queued from sending.
 */
/* Replaces the text and intent of a row that never left (status queued, attempts 0). */
int store_messages_replace_text(struct store_messages *m, int64_t id, struct bytes text,
                                const char *intent);
int store_messages_set_sending(struct store_messages *m, int64_t id,
                               int64_t now_ms); /* attempts + 1 */
int store_messages_set_queued(struct store_messages *m, int64_t id);
int store_messages_set_dropped(struct store_messages *m, int64_t id, const char *why);
/* Replies queued before that time become dropped, and with outbox what the portal wanted sent
 * becomes failed, all with this error. How many, or ERR_STORE. */
int store_messages_give_up(struct store_messages *m, int64_t before_ms, bool outbox,
                           const char *why);
/* By WhatsApp id of an OUT row: 1 when a row changed, 0 when not, ERR_STORE. A row that was queued
 * again after it left may still turn out to have arrived; one that never left does not change but
 * to failed. */
int store_messages_set_sent(struct store_messages *m, struct bytes wa_id, int64_t acked_at);
int store_messages_set_failed(struct store_messages *m, struct bytes wa_id, const char *why);
int store_messages_set_delivered(struct store_messages *m, struct bytes wa_id, int64_t at);
int store_messages_set_read(struct store_messages *m, struct bytes wa_id, int64_t at);
/* An OUT row that left, by WhatsApp id. 1, 0, ERR_STORE. */
int store_messages_find_sent(struct store_messages *m, struct bytes wa_id,
                             struct store_queued *out);
/* The same for a device that asks for it again: at or after since_ms (Unix ms), not revoked, not
 * failed. */
int store_messages_find_resend(struct store_messages *m, struct bytes wa_id, int64_t since_ms,
                               struct store_queued *out);

/* A chat in all the addresses that are known; pn and lid may be NULL. */
struct store_chat_key {
    const char *chat, *pn, *lid;
};
/* What the replies remember of a chat; texts are "" where nothing is. */
struct store_chat {
    char chat[128]; /* the address it stands under */
    char language[64], menu[128];
    int64_t handover_at;                     /* 0: not handed over */
    int64_t expiration_s, expiration_set_at; /* as in struct store_queued */
};
/* 1, 0 (*out then is empty), ERR_STORE. */
int store_messages_find_chat(struct store_messages *m, const struct store_chat_key *key,
                             struct store_chat *out);
/* Language and menu; the row stays under the address it was found under. 0 or ERR_STORE. */
int store_messages_put_chat(struct store_messages *m, const struct store_chat_key *key,
                            const struct store_chat *chat);
/* The disappearing timer of a chat as it was told; 0 switches it off. set_at: Unix ms, 0 not told;
 * what is older than the timer that is known changes nothing. Writes only what is new: 1 written,
 * 0 not, ERR_STORE. */
int store_messages_set_timer(struct store_messages *m, const struct store_chat_key *key,
                             int64_t expiration_s, int64_t set_at);
/* Flags a chat that was put for a person. 0 or ERR_STORE. */
int store_messages_hand_over(struct store_messages *m, const struct store_chat_key *key,
                             int64_t now_ms, const char *intent);
/* Takes the flag from a chat, in any of its addresses, or with NULL from all. How many had it, or
 * ERR_STORE. */
int store_messages_release(struct store_messages *m, const char *chat);

/* ---- the outbox -------------------------------------------------------------------------------
 * A held row is queued, but no queue of a chat knows it before it is released: replies never wait
 * behind more of the outbox than was let in. */
int64_t store_messages_count_outbox(struct store_messages *m);              /* not sent yet */
int64_t store_messages_count_due(struct store_messages *m, int64_t now_ms); /* held, due */
int64_t store_messages_count_under_way(struct store_messages *m); /* released, not accepted yet */
/* How many of the outbox left at or after since_ms, and when the last of them did (0: none). */
int store_messages_outbox_sent_since(struct store_messages *m, int64_t since_ms, int64_t *sent,
                                     int64_t *last);
/* The held row that is due first, now or later: 1, 0 none, ERR_STORE. */
int store_messages_first_held(struct store_messages *m, int64_t *id, int64_t *due_at);
int store_messages_let_in(struct store_messages *m, int64_t id); /* as store_messages_set_queued */
/* Held rows whose time is over become failed, "expired". How many, or ERR_STORE. */
int store_messages_expire(struct store_messages *m, int64_t now_ms);
/* Whether a message of this chat (any of its addresses) has this WhatsApp id: 1, 0, ERR_STORE. */
int store_messages_can_quote(struct store_messages *m, const char *wa_id, const char *chat);

/* A row of the outbox whose status changed since it was reported; texts are borrowed until the next
 * call on m. */
struct store_report {
    int64_t id, acked_at, delivered_at, read_at;
    const char *outbox_name, *wa_id, *target, *chat_pn, *chat_lid, *status, *error;
};
/* The first with id above after_id: 1, 0 none, ERR_STORE. */
int store_messages_next_report(struct store_messages *m, int64_t after_id,
                               struct store_report *out);
int store_messages_reported(struct store_messages *m, int64_t id);
/* The same name came again: its result is due once more, if it has one. 1, 0, ERR_STORE. */
int store_messages_report_again(struct store_messages *m, const char *outbox_name);

/* ---- files of messages ------------------------------------------------------------------------
 */
#define STORE_MEDIA_LISTED "listed"         /* nothing is to be fetched */
#define STORE_MEDIA_WANTED "wanted"         /* to be fetched */
#define STORE_MEDIA_DOWNLOADED "downloaded" /* it is in media/ */
#define STORE_MEDIA_TOO_LARGE "too_large"
#define STORE_MEDIA_TYPE_REFUSED "type_refused"
#define STORE_MEDIA_EXPIRED "expired" /* neither the server nor the phone has it */
#define STORE_MEDIA_FAILED "failed"
#define STORE_MEDIA_DELETED "deleted" /* by retention */

/* What a message says of its file; 0: not said. */
struct store_media {
    const char *status;
    struct bytes mimetype, file_name;
    int64_t length, width, height, seconds;
    bool animated, note;
};
/* A row has one at most; a second is left out. 1, 0, ERR_STORE. */
int store_messages_add_media(struct store_messages *m, int64_t id, const struct store_media *media);

struct store_wanted {
    int64_t id, due_at; /* Unix ms */
    int attempts;
    struct bytes mimetype; /* borrowed until the next call on m */
};
/* The wanted one that is due first and is none of busy. 1: due now; 0: later (id 0: there is none);
 * ERR_STORE. */
int store_messages_next_media(struct store_messages *m, int64_t now_ms, const int64_t *busy,
                              size_t busy_count, struct store_wanted *out);
/* Of a wanted one: 0, ERR_STATE when it is none, ERR_STORE. why and error may be NULL. */
int store_messages_put_off_media(struct store_messages *m, int64_t id, const char *why,
                                 int64_t due_at, bool counts);
int store_messages_end_media(struct store_messages *m, int64_t id, const char *status,
                             const char *file, const char *error);
/* The wanted file of the message with this WhatsApp id: 1, 0, ERR_STORE. */
int store_messages_find_media(struct store_messages *m, struct bytes wa_id, int64_t *id);
/* A file is about to be deleted; whether a row has it. 1, 0, ERR_STORE. */
int store_messages_forget_file(struct store_messages *m, int64_t id, const char *file);
int store_messages_knows_file(struct store_messages *m, int64_t id, const char *file);

/* ---- what the guards go by --------------------------------------------------------------------
 */
/* Of one chat; times are 0 when there was none. What failed or was dropped is no reply. */
struct store_guards {
    int64_t last_reply_at; /* if at or after since_ms */
    int64_t replies;       /* at or after since_ms; not counted further than cap, or 1 */
    int64_t ping_pong_at;  /* when a reply was last kept back as STORE_ERROR_PING_PONG */
    int64_t wait_at;       /* of the last STORE_INTENT_WAIT */
    int64_t queued;        /* store_messages_count_queued_in */
};
int store_messages_guards(struct store_messages *m, const char *chat, int64_t since_ms, int64_t cap,
                          struct store_guards *out);
/* The newest rows of a chat, newest first, at most limit: their number or ERR_STORE. Texts are
 * borrowed until the next call on m. */
struct store_turn {
    bool out, from_me;
    int64_t at;
    struct bytes text;
};
int store_messages_newest_in(struct store_messages *m, const char *chat, int limit,
                             struct store_turn *out);
/* Whether WhatsApp refused a message to the chat of that row, in any of its addresses, as one to a
 * stranger (error 463 or 475), and nobody wrote from there since: 1, 0, ERR_STORE. Leaves borrowed
 * texts alone. */
int store_messages_is_restricted(struct store_messages *m, int64_t id);
/* Whether the owner wrote into the chat from another device after that row: 1, 0, ERR_STORE. Leaves
 * borrowed texts alone. */
int store_messages_owner_wrote(struct store_messages *m, const char *chat, int64_t after_id);

/* Totals kept for state.json across restarts; they only grow. received and last_message_at: from
 * others, with content; sent: accepted by the server, replied: those of them that answer a message;
 * delivered includes read; undecryptable: ever stood so. */
struct store_totals {
    int64_t received, replied, sent, delivered, read, failed, undecryptable, last_message_at;
};
int store_messages_totals(struct store_messages *m, struct store_totals *out);

/*
 * The columns of messages in the order of the listing: X(name, type). INT, TIME and BOOL are
 * int64_t, 0 where the column is NULL; TEXT is borrowed bytes with a NUL behind, BYTES_NONE for
 * NULL.
 */
/* clang-format never settles on rows of these. */
/* clang-format off */
#define STORE_COLUMNS(X) \
    X(id, INT) X(direction, TEXT) X(wa_id, TEXT) X(chat, TEXT) X(chat_pn, TEXT) \
    X(chat_lid, TEXT) X(sender, TEXT) X(sender_pn, TEXT) X(sender_lid, TEXT) \
    X(sender_name, TEXT) X(from_me, BOOL) X(kind, TEXT) X(text, TEXT) X(quoted_id, TEXT) \
    X(fault, TEXT) X(sent_at, TIME) X(received_at, TIME) X(acked_at, TIME) \
    X(delivered_at, TIME) X(read_at, TIME) X(status, TEXT) X(error, TEXT) X(attempts, INT) \
    X(reply_to, INT) X(intent, TEXT) X(target, TEXT) X(offline, BOOL) X(outbox_name, TEXT) \
    X(target_id, TEXT) X(edited_at, TIME) X(revoked_at, TIME) X(due_at, TIME) \
    X(expires_at, TIME) X(media_file, TEXT) X(history, BOOL)
/* clang-format on */

struct store_row {
#define STORE_ROW_INT int64_t
#define STORE_ROW_TIME int64_t
#define STORE_ROW_BOOL int64_t
#define STORE_ROW_TEXT struct bytes
#define X(name, type) STORE_ROW_##type name;
    STORE_COLUMNS(X)
#undef X
};

/* Which rows: above after_id, or the newest `limit` when it is < 0 (limit < 0: all); chat: in any
 * of its addresses; search: with all these words or beginnings of words, whatever their case and
 * diacritics. NULL: all. recent: the newest by received_at, in its order; neither after_id >= 0 nor
 * chat nor search goes with it. */
struct store_query {
    int64_t after_id;
    const char *chat, *search;
    int limit;
    bool recent;
};
/* In the order of id. The callback returns non-zero to stop and must not call m; a row is borrowed
 * for the call. 0 or ERR_STORE. For `wabridge messages`. */
int store_messages_each(struct store_messages *m, const struct store_query *q,
                        int (*row)(void *ctx, const struct store_row *r), void *ctx);

/* ---- retention ------------------------------------------------------------------------------ */

#define STORE_DAY_MS INT64_C(86400000)
#define STORE_TRIM_ROWS 300       /* deleted at once, at most */
#define STORE_TRIM_PAGES 128      /* given back to the file system at once, at most */
#define STORE_TRIM_SPARE_PAGES 64 /* so many free pages are left for new rows */

struct store_keep {
    int64_t days;  /* rows received so long ago go, in whole hours; 0: none */
    int64_t bytes; /* while the pages in use are more, the oldest go; 0: without bound */
};
/* Puts the words of the oldest rows (at most so many) that the search index lacks into it, inside
 * the group: 1, 0 when it lacks none, or ERR_STORE. */
int store_messages_index(struct store_messages *m, int rows);
/*
 * One small step of retention, inside the group: a few milliseconds. Never goes what is queued or
 * sending, what such a row answers, nor (by size) what is younger than a day: limits and
 * duplicates are judged by it. The number of rows deleted, or ERR_STORE.
 */
int store_messages_trim(struct store_messages *m, const struct store_keep *keep, int64_t now_ms);

/* ---- history -------------------------------------------------------------------------------- */

#define STORE_EVENTS_MAX 10000 /* a trigger deletes older ones */

/* kind "state": status and session are the new ones, code is what led there. kind "error": code and
 * message are those of last_error. kind "notice": what happened otherwise, and in which chat. Of
 * both status and session are those at that time. */
struct store_event {
    int64_t id, at; /* id is given by the table; at: Unix ms */
    const char *kind, *status, *session, *code;
    const char *message, *chat; /* or NULL; chat as in messages */
};
/* 0 or ERR_STORE. */
int store_messages_add_event(struct store_messages *m, const struct store_event *e);
/* As store_messages_each. For `wabridge events`. */
int store_messages_each_event(struct store_messages *m, int64_t after_id, int limit,
                              int (*event)(void *ctx, const struct store_event *e), void *ctx);

bool store_messages_dirty(const struct store_messages *m);
/* Grows with every row that is written through m; what was read at the same number is still true,
 * but for what other writers (an operator's tool) did. */
uint64_t store_messages_changes(const struct store_messages *m);
int store_messages_commit(struct store_messages *m, struct err *err); /* as store_keys_commit */
void store_messages_rollback(struct store_messages *m);
void store_messages_tend(
    struct store_messages *m); /* as store_db_tend: a checkpoint when one is due */
/* Gives back what is kept for the next call; what was handed out before is gone. */
void store_messages_rest(struct store_messages *m);
/* SQLite's words for the last ERR_STORE; borrowed until the next call. */
const char *store_messages_error(const struct store_messages *m);

#endif
