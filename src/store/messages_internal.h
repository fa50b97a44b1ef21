/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of messages.db share. Internal to src/store. */
#ifndef STORE_MESSAGES_INTERNAL_H
#define STORE_MESSAGES_INTERNAL_H

#include "base/arena.h"
#include "store/db.h"
#include "store/messages.h"

/* Column turn: a row of the queue is the next of its chat to leave, or under way, or behind that.
 */
enum store_turn_value { STORE_TURN_NONE, STORE_TURN_HEAD, STORE_TURN_BEHIND };

/* A row that was handed to the link, and what its next move has to know of it. */
struct store_left {
    int64_t id; /* 0: none */
    char wa_id[32];
    uint32_t chat; /* bytes_hash of it */
    bool sent;     /* the server has it; else sending */
    bool answers, outbox;
};

/*
 * Moves that the open group has made but not written, since the next is mostly about the same row:
 * what the server accepted will have arrived, and what comes to be the next of its chat leaves.
 */
#define STORE_WAITING_MAX 64
struct store_waiting {
    struct store_accepted {
        int64_t id, at;
        uint32_t chat; /* one of each */
    } accepted[STORE_WAITING_MAX];
    int64_t turns[STORE_WAITING_MAX]; /* rows whose turn it is */
    size_t accepted_count, turn_count;
};

struct store_messages {
    struct store_db *db;
    struct store_left *left; /* NULL, or STORE_LEFT_SLOTS by the hash of wa_id */
    struct store_left next;  /* the row of the queue that was handed out last */
    struct store_waiting waiting;
    struct arena row; /* texts of what was handed out last */
    /* What the open group adds to the totals; written once, when it is committed. */
    struct store_pending {
        bool any;
        bool ids_known;  /* id_after_gap was read */
        int64_t last_id; /* of the rows that were inserted; 0 none */
        int64_t id_after_gap;
        struct store_totals totals; /* last_message_at: the latest of the group */
        int64_t queued, outbox;
    } pending;
};

extern const struct store_db_spec store_messages_spec;

/*
 * For a statement that may look at what waits: it is written first. m->db itself is for those that
 * cannot tell the difference, or see to the chat they are about.
 */
struct store_db *store_messages_db(struct store_messages *m);
void store_messages_settle_chat(struct store_messages *m, const char *chat);
/* A row of the reply queue was accepted. */
void store_messages_wait_accepted(struct store_messages *m, const struct store_left *row,
                                  int64_t at);
/* Whether it was among them, and when it was accepted; it is not any more. */
bool store_messages_take_accepted(struct store_messages *m, int64_t id, int64_t *at);
void store_messages_wait_turn(struct store_messages *m, int64_t id);
/* The lowest of those whose turn it is above after_id, or 0. */
int64_t store_messages_next_turn(const struct store_messages *m, int64_t after_id);
bool store_messages_take_turn(struct store_messages *m, int64_t id); /* whether it was among them */

/* A column, copied to m->row: no read transaction stays open and holds back checkpoints. */
struct bytes store_messages_kept(struct store_messages *m, struct sqlite3_stmt *row, int column);
const char *store_messages_kept_text(struct store_messages *m, struct sqlite3_stmt *row,
                                     int column);
/* The number that the statement selects, or ERR_STORE. */
int64_t store_messages_count(struct store_messages *m, size_t statement,
                             struct store_values values);
/*
 * The id of a row that is inserted now: NULL for the one after the highest that is there, as SQLite
 * counts, or a number when higher ones were there before. 0 or ERR_STORE. The row that was inserted
 * is told to store_messages_inserted.
 */
int store_messages_new_id(struct store_messages *m, struct store_value *out);
int64_t store_messages_inserted(struct store_messages *m); /* its id */
/*
 * What the server and the contact acknowledge left a moment ago: it is kept in memory, as a hint
 * that the statement itself checks. One that was forgotten is looked up.
 */
#define STORE_LEFT_SLOTS 512
void store_messages_note_left(struct store_messages *m, const struct store_left *row);
/* The row with this id, or NULL. */
struct store_left *store_messages_known_left(const struct store_messages *m, struct bytes wa_id);
void store_messages_forget_left(struct store_messages *m); /* all */
/* A row that came in, with content unless it is undecryptable. */
void store_messages_count_in(struct store_messages *m, bool undecryptable, bool from_me,
                             int64_t received_at);
void store_messages_count_out(struct store_messages *m, bool outbox); /* one that was queued */
/* The answer to this message that has not left becomes dropped. 1, 0, ERR_STORE. */
int store_messages_cancel_reply(struct store_messages *m, int64_t reply_to);
/* Writes the one row a statement is about: 0, ERR_STATE when it is not as it should be, ERR_STORE.
 */
int store_messages_change(struct store_messages *m, size_t statement, struct store_values values);

#endif
