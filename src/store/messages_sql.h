/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every statement on messages.db, and the conditions that the statements and the schema share.
 * Internal to src/store.
 */
#ifndef STORE_MESSAGES_SQL_H
#define STORE_MESSAGES_SQL_H

#include "store/messages.h"

#define TEXT_OF_(macro) #macro
#define TEXT_OF(macro) TEXT_OF_(macro)

#define WAITING "('queued', 'sending')"
#define ARRIVED "('delivered', 'read')"
#define BY_OWNER "direction = 'IN' AND from_me = 1"
/* turn: 1 next of its chat to leave, or under way; 2 behind it; 0 neither. */
#define IN_QUEUE "turn > 0"
#define OF_OUTBOX "report = 1 OR (outbox_name IS NOT NULL AND turn > 0)"
#define LEFT "direction = 'OUT' AND sent_at IS NOT NULL"
#define IS_HEAD "turn = 1 AND sent_at IS NULL"

#define QUEUED(access)                                                                             \
    "SELECT q.id, q.reply_to, q.wa_id, q.chat, q.target, q.text, coalesce(q.quoted_id, r.wa_id),"  \
    " q.attempts, q.intent, q.received_at, r.sender, q.outbox_name, q.expires_at, t.sender, "      \
    "t.text, c.expiration_s, c.expiration_set_at"                                                  \
    " FROM messages q " access " LEFT JOIN messages r ON r.id = q.reply_to"                        \
    " LEFT JOIN messages t INDEXED BY messages_identity ON t.wa_id = q.quoted_id"                  \
    " AND q.chat IN (t.chat, t.chat_pn, t.chat_lid)"                                               \
    " LEFT JOIN chats c ON c.chat = (SELECT chat FROM chats WHERE chat = q.chat UNION ALL"         \
    "  SELECT chat FROM chats WHERE chat_pn IN (q.chat, q.chat_pn) UNION ALL"                      \
    "  SELECT chat FROM chats WHERE chat_lid IN (q.chat, q.chat_lid) LIMIT 1)"
#define COLUMN(name, type) ", " #name
#define LISTED "SELECT NULL" STORE_COLUMNS(COLUMN) " FROM messages"
/* A join, so that the words are looked up first and the rows are read by id. */
#define FOUND                                                                                      \
    "SELECT NULL" STORE_COLUMNS(COLUMN) " FROM (SELECT rowid AS found FROM messages_search"        \
                                        " WHERE messages_search MATCH ?4)"                         \
                                        " CROSS JOIN messages ON id = found"
/*
 * What retention takes: the oldest rows, but none that is still to be sent, nor one whose answer
 * is: that one quotes it.
 */
#define OLDEST                                                                                     \
    "(SELECT id FROM messages o INDEXED BY messages_received WHERE received_at < ?1"               \
    " AND status NOT IN " WAITING " AND NOT EXISTS(SELECT 1 FROM messages a"                       \
    "  INDEXED BY messages_reply WHERE a.reply_to = o.id AND a.status IN " WAITING ")"             \
    " ORDER BY received_at LIMIT ?2)"
#define ADDRESSED_TO "(?3 IS NULL OR ?3 IN (chat, chat_pn, chat_lid))"
/* A row that may move on: what totals and queue have to know of it (messages_moves.c). Compared one
 * by one, since a list of values would be made a table at every use. */
#define IS_WAITING "(status = 'queued' OR status = 'sending')"
#define MOVING                                                                                     \
    "SELECT id, " IS_WAITING ", (status = 'delivered' OR status = 'read'), turn,"                  \
    " reply_to IS NOT NULL, outbox_name IS NOT NULL FROM messages"
#define MOVING_BY_WA_ID                                                                            \
    MOVING " INDEXED BY messages_identity WHERE wa_id = ?1 AND direction = 'OUT' AND "
#define CHAT_IS "(chat IN (?1, ?2, ?3) OR chat_pn IN (?1, ?2, ?3) OR chat_lid IN (?1, ?2, ?3))"
/* One of three values in one of three columns: the columns are the list, since a list of values
 * would be made a table at every use. */
#define IN_CHAT(value) value " IN (chat, chat_pn, chat_lid)"
#define BY_SENDER(value) value " IN (sender, sender_pn, sender_lid)"
#define CHAT_OF_234 "(" IN_CHAT("?2") " OR " IN_CHAT("?3") " OR " IN_CHAT("?4") ")"
#define SENDER_OF_567 "(" BY_SENDER("?5") " OR " BY_SENDER("?6") " OR " BY_SENDER("?7") ")"
#define IS_PING_PONG "error = '" STORE_ERROR_PING_PONG "'"
#define IS_WAIT "intent = '" STORE_INTENT_WAIT "'"
#define CHATS                                                                                      \
    "SELECT chat, language, menu, handover_at, expiration_s, expiration_set_at FROM chats WHERE "
#define SENT_SINCE(what)                                                                           \
    "SELECT " what " FROM messages INDEXED BY messages_left WHERE " LEFT                           \
    " AND sent_at >= ?1 AND sent_at < ?1 + 86400000"
#define LEFT_ONCE "(status = 'sending' OR (status = 'queued' AND attempts > 0))"

/* X(name, SQL). OR ROLLBACK: a group stands or falls as one, so no statement need be undone alone,
 * and SQLite keeps no copy of the pages that it changes. INDEXED BY makes a plan that does not use
 * the index an error instead of a scan. */
#define EVENTS "SELECT id, at, kind, status, session, code, message, chat FROM events"

#define STATEMENTS(X)                                                                              \
    X(FIND, "SELECT id, status, from_me, chat = ?2 AND sender = ?5"                                \
            " FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"                         \
            " AND " CHAT_OF_234 " AND " SENDER_OF_567)                                             \
    X(INSERT_IN,                                                                                   \
      "INSERT OR ROLLBACK INTO messages(direction, wa_id, chat, chat_pn, chat_lid, sender,"        \
      " sender_pn, sender_lid, sender_name, from_me, offline, kind, text, quoted_id,"              \
      " fault, sent_at, received_at, target_id, history, id, status) VALUES('IN', ?1, ?2,"         \
      " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"             \
      " CASE WHEN ?14 IS NULL THEN 'received' ELSE 'undecryptable' END)")                          \
    X(COMPLETE, "UPDATE OR ROLLBACK messages SET status = 'received', fault = NULL,"               \
                " chat_pn = coalesce(?2, chat_pn), chat_lid = coalesce(?3, chat_lid),"             \
                " sender_pn = coalesce(?4, sender_pn), sender_lid = coalesce(?5, sender_lid),"     \
                " sender_name = coalesce(?6, sender_name), offline = ?7, kind = ?8, text = ?9,"    \
                " quoted_id = ?10, sent_at = coalesce(?11, sent_at), received_at = ?12,"           \
                " target_id = ?13"                                                                 \
                " WHERE id = ?1 AND status = 'undecryptable'")                                     \
    X(SET_FAULT,                                                                                   \
      "UPDATE OR ROLLBACK messages SET fault = ?2 WHERE id = ?1 AND status = 'undecryptable'")     \
    X(FIND_IN_CHAT, "SELECT id FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"        \
                    " AND " CHAT_OF_234 " ORDER BY id LIMIT 1")                                    \
    X(EDIT, "UPDATE OR ROLLBACK messages SET text = ?2, edited_at = ?3 WHERE id = ?1 AND "         \
            "revoked_at IS NULL"                                                                   \
            " AND coalesce(edited_at, 0) <= ?3 AND status NOT IN " WAITING)                        \
    X(REVOKE,                                                                                      \
      "UPDATE OR ROLLBACK messages SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL"       \
      " AND status NOT IN " WAITING)                                                               \
    X(CAN_BE_REVOKED, MOVING " INDEXED BY messages_reply WHERE reply_to = ?1"                      \
                             " AND status = 'queued' AND attempts = 0")                            \
    X(INSERT_OUT,                                                                                  \
      "INSERT OR ROLLBACK INTO messages(direction, wa_id, chat, target, sender, from_me, kind,"    \
      " text, quoted_id, intent, outbox_name, received_at, reply_to, chat_pn,"                     \
      " chat_lid, held, due_at, expires_at, id, sent_at, status, attempts, turn)"                  \
      " VALUES('OUT', ?1, ?2, ?3, ?4, 1, 'text', ?5, ?6, ?7,"                                      \
      " ?8, ?9, ?10, coalesce(?11, (SELECT chat_pn FROM messages WHERE id = ?10)),"                \
      " coalesce(?12, (SELECT chat_lid FROM messages WHERE id = ?10)),"                            \
      " ?13, ?14, ?15, ?16, ?17, CASE WHEN ?17 IS NULL THEN 'queued' ELSE 'sending' END,"          \
      " ?17 IS NOT NULL, CASE WHEN ?13 THEN 0"                                                     \
      " WHEN ?17 IS NULL AND EXISTS(SELECT 1 FROM messages INDEXED BY messages_waiting"            \
      "  WHERE chat = ?2 AND " IN_QUEUE ") THEN 2 ELSE 1 END) ON CONFLICT DO NOTHING")             \
    X(FIND_REPLY, "SELECT id FROM messages INDEXED BY messages_reply WHERE reply_to = ?1")         \
    X(FIND_OUTBOX, "SELECT id FROM messages INDEXED BY messages_outbox WHERE outbox_name = ?1")    \
    X(NEXT_HEAD, "SELECT id FROM messages INDEXED BY messages_heads WHERE " IS_HEAD                \
                 " AND id > ?1 ORDER BY id LIMIT 1")                                               \
    X(QUEUED_BY_ID, QUEUED("NOT INDEXED") " WHERE q.id = ?1 AND q.status = 'queued'")              \
    X(FIND_SENT,                                                                                   \
      QUEUED("INDEXED BY messages_identity") " WHERE q.wa_id = ?1 AND q.direction = 'OUT'"         \
                                             " AND q.attempts > 0 LIMIT 1")                        \
    X(FIND_RESEND,                                                                                 \
      QUEUED(                                                                                      \
          "INDEXED BY messages_identity") " WHERE q.wa_id = ?1 AND q.direction = 'OUT' AND "       \
                                          "q.attempts > 0"                                         \
                                          " AND q.revoked_at IS NULL AND q.status NOT IN "         \
                                          "('failed', "                                            \
                                          "'dropped')"                                             \
                                          " AND coalesce(q.sent_at, q.received_at) >= ?2 LIMIT 1") \
    X(REQUEUE, "UPDATE OR ROLLBACK messages INDEXED BY messages_waiting SET status = 'queued',"    \
               " sent_at = NULL WHERE " IN_QUEUE " AND turn = 1 AND status = 'sending'")           \
    X(COUNT_QUEUED, "SELECT queued FROM totals")                                                   \
    X(COUNT_QUEUED_IN, "SELECT count(*) FROM messages INDEXED BY messages_waiting"                 \
                       " WHERE chat = ?1 AND " IN_QUEUE)                                           \
    X(COUNT_SENT_SINCE,                                                                            \
      SENT_SINCE("count(*)") " AND outbox_name IS NULL"                                            \
                             " AND (?2 OR intent IS NOT '" STORE_INTENT_WARNING "')")              \
    X(COUNT_OUTBOX, "SELECT outbox FROM totals")                                                   \
    X(COUNT_DUE, "SELECT count(*) FROM messages INDEXED BY messages_held"                          \
                 " WHERE held = 1 AND due_at <= ?1")                                               \
    X(COUNT_UNDER_WAY, "SELECT count(*) FROM messages INDEXED BY messages_report"                  \
                       " WHERE report = 0 AND (" OF_OUTBOX ")")                                    \
    X(OUTBOX_SENT, SENT_SINCE("count(*), max(sent_at)") " AND outbox_name IS NOT NULL")            \
    X(FIRST_HELD, "SELECT id, due_at FROM messages INDEXED BY messages_held WHERE held = 1"        \
                  " ORDER BY due_at, id LIMIT 1")                                                  \
    X(LET_IN,                                                                                      \
      "UPDATE OR ROLLBACK messages AS m SET held = 0, turn = 1 + EXISTS(SELECT 1 FROM messages q"  \
      " INDEXED BY messages_waiting WHERE q.chat = m.chat AND q.turn > 0)"                         \
      " WHERE m.id = ?1 AND m.held = 1")                                                           \
    X(NEXT_EXPIRED, MOVING " INDEXED BY messages_expiring WHERE held = 1 AND expires_at <= ?1"     \
                           " LIMIT 1")                                                             \
    X(NEXT_REPORT, "SELECT id, outbox_name, wa_id, target, chat_pn, chat_lid, acked_at,"           \
                   " delivered_at, read_at, status, error FROM messages"                           \
                   " INDEXED BY messages_report WHERE report = 1 AND id > ?1 ORDER BY id LIMIT 1") \
    X(REPORT_AGAIN, "UPDATE OR ROLLBACK messages INDEXED BY messages_outbox SET report = 1"        \
                    " WHERE outbox_name = ?1 AND status NOT IN " WAITING)                          \
    X(REPORTED, "UPDATE OR ROLLBACK messages SET report = 0 WHERE id = ?1")                        \
    X(CAN_QUOTE, "SELECT count(*) FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"     \
                 " AND ?2 IN (chat, chat_pn, chat_lid)")                                           \
    X(NEWEST_REPLIES, "SELECT received_at FROM messages INDEXED BY messages_replies"               \
                      " WHERE chat = ?1 AND reply_to IS NOT NULL"                                  \
                      " AND received_at >= ?2 AND received_at < ?2 + 172800000"                    \
                      " AND status <> 'failed' AND status <> 'dropped'"                            \
                      " ORDER BY received_at DESC LIMIT ?3")                                       \
    X(GUARDS, "SELECT (SELECT max(received_at) FROM messages INDEXED BY messages_ping_pong"        \
              "  WHERE chat = ?1 AND " IS_PING_PONG "),"                                           \
              " (SELECT max(received_at) FROM messages INDEXED BY messages_wait"                   \
              "  WHERE chat = ?1 AND " IS_WAIT "),"                                                \
              " (SELECT count(*) FROM messages INDEXED BY messages_waiting"                        \
              "  WHERE chat = ?1 AND " IN_QUEUE ")")                                               \
    X(CHAT_NEWEST,                                                                                 \
      "SELECT direction = 'OUT', from_me, received_at, text FROM messages"                         \
      " INDEXED BY messages_chat WHERE chat = ?1 AND history = 0 ORDER BY id DESC LIMIT ?2")       \
    X(OWNER_WROTE, "SELECT EXISTS(SELECT 1 FROM messages INDEXED BY messages_owner"                \
                   " WHERE chat = ?1 AND id > ?2 AND " BY_OWNER " AND history = 0"                 \
                   " AND kind <> 'reaction' AND kind <> 'revoke' AND kind <> 'undecryptable')")    \
    X(IS_RESTRICTED, "WITH names(name) AS (SELECT chat FROM messages WHERE id = ?1"                \
                     " UNION SELECT chat_pn FROM messages WHERE id = ?1"                           \
                     " UNION SELECT chat_lid FROM messages WHERE id = ?1)"                         \
                     " SELECT EXISTS(SELECT 1 FROM messages INDEXED BY messages_chat"              \
                     " WHERE chat IN names AND direction = 'OUT' AND status = 'failed'"            \
                     " AND (error LIKE '463:%' OR error LIKE '475:%')"                             \
                     " AND id > coalesce((SELECT id FROM messages INDEXED BY messages_chat"        \
                     "  WHERE chat IN names AND direction = 'IN' AND NOT from_me AND history = 0"  \
                     "  ORDER BY id DESC LIMIT 1), 0))")                                           \
    X(REPLACE_TEXT, "UPDATE OR ROLLBACK messages SET text = ?2, intent = ?3"                       \
                    " WHERE id = ?1 AND status = 'queued' AND attempts = 0")                       \
    X(SET_SENDING,                                                                                 \
      "UPDATE OR ROLLBACK messages SET status = 'sending', attempts = attempts + 1, sent_at = ?2"  \
      " WHERE id = ?1 AND status = 'queued' AND turn = 1")                                         \
    X(SET_SENDING_NEXT,                                                                            \
      "UPDATE OR ROLLBACK messages SET status = 'sending', attempts = attempts + 1, sent_at = ?2," \
      " turn = 1 WHERE id = ?1 AND status = 'queued' AND turn = 2")                                \
    X(SET_QUEUED, "UPDATE OR ROLLBACK messages SET status = 'queued', sent_at = NULL"              \
                  " WHERE id = ?1 AND status = 'sending'")                                         \
    X(NEXT_TO_GIVE_UP,                                                                             \
      MOVING " WHERE id > ?3 AND " IS_WAITING " AND ((outbox_name IS NULL AND received_at < ?1)"   \
             " OR (outbox_name IS NOT NULL AND ?2)) ORDER BY id LIMIT 1")                          \
    X(CAN_BE_DROPPED, MOVING " WHERE id = ?1 AND status = 'queued'")                               \
    X(CAN_BE_SENT, MOVING_BY_WA_ID LEFT_ONCE " LIMIT 1")                                           \
    X(CAN_FAIL, MOVING_BY_WA_ID IS_WAITING " LIMIT 1")                                             \
    X(CAN_BE_DELIVERED, MOVING_BY_WA_ID "(status = 'sent' OR " LEFT_ONCE ") LIMIT 1")              \
    X(CAN_BE_READ,                                                                                 \
      MOVING_BY_WA_ID "(status = 'sent' OR status = 'delivered' OR " LEFT_ONCE ") LIMIT 1")        \
    X(SET_ACCEPTED, "UPDATE OR ROLLBACK messages SET status = 'sent', acked_at = ?2, turn = 0"     \
                    " WHERE id = ?1 AND status = 'sending'")                                       \
    X(SET_ACCEPTED_ARRIVED, "UPDATE OR ROLLBACK messages SET status = 'delivered', acked_at = ?3," \
                            " delivered_at = ?2, turn = 0 WHERE id = ?1 AND status = 'sending'")   \
    X(SET_ARRIVED, "UPDATE OR ROLLBACK messages SET status = 'delivered', delivered_at = ?2"       \
                   " WHERE id = ?1 AND status = 'sent'")                                           \
    X(SET_SENT,                                                                                    \
      "UPDATE OR ROLLBACK messages SET status = 'sent', acked_at = ?2, turn = 0 WHERE id = ?1")    \
    X(SET_FAILED,                                                                                  \
      "UPDATE OR ROLLBACK messages SET status = 'failed', error = ?2, turn = 0 WHERE id = ?1")     \
    X(SET_DROPPED,                                                                                 \
      "UPDATE OR ROLLBACK messages SET status = 'dropped', error = ?2, turn = 0 WHERE id = ?1")    \
    X(SET_DELIVERED,                                                                               \
      "UPDATE OR ROLLBACK messages SET status = 'delivered', delivered_at = ?2 WHERE id = ?1")     \
    X(SET_READ, "UPDATE OR ROLLBACK messages SET status = 'read', read_at = ?2 WHERE id = ?1")     \
    X(LEAVE, "UPDATE OR ROLLBACK messages SET turn = 0 WHERE id = ?1")                             \
    X(REPORT, "UPDATE OR ROLLBACK messages SET turn = 0, held = 0, report = 1 WHERE id = ?1")      \
    X(NEXT_IN_CHAT, "SELECT CASE WHEN turn = 2 THEN id END FROM messages"                          \
                    " INDEXED BY messages_waiting"                                                 \
                    " WHERE chat = (SELECT chat FROM messages WHERE id = ?1)"                      \
                    " AND " IN_QUEUE " AND id <> ?1 ORDER BY turn, id LIMIT 1")                    \
    X(TAKE_TURN, "UPDATE OR ROLLBACK messages SET turn = 1 WHERE id = ?1")                         \
    X(ADD_TOTALS,                                                                                  \
      "UPDATE OR ROLLBACK totals SET received = received + ?1, replied = replied + ?2,"            \
      " sent = sent + ?3, delivered = delivered + ?4, read = read + ?5, failed = failed + ?6,"     \
      " undecryptable = undecryptable + ?7, queued = queued + ?8, outbox = outbox + ?9,"           \
      " last_message_at = CASE WHEN ?10 > last_message_at THEN ?10 ELSE last_message_at END,"      \
      " last_id = CASE WHEN ?11 > last_id THEN ?11 ELSE last_id END WHERE id = 1")                 \
    X(ID_AFTER_GAP, "SELECT last_id + 1 FROM totals WHERE id = 1"                                  \
                    " AND last_id > (SELECT coalesce(max(id), 0) FROM messages)")                  \
    X(FIND_CHAT, CHATS "chat = ?1")                                                                \
    X(FIND_CHAT_BY_ANY, CHATS "chat = ?2 UNION ALL " CHATS "chat = ?3 UNION ALL " CHATS            \
                              "chat_pn = ?1 UNION ALL " CHATS "chat_pn = ?2 UNION ALL " CHATS      \
                              "chat_lid = ?1 UNION ALL " CHATS "chat_lid = ?3 LIMIT 1")            \
    X(PUT_CHAT, "INSERT OR ROLLBACK INTO chats(chat, chat_pn, chat_lid, language, menu)"           \
                " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(chat) DO UPDATE SET"                      \
                " chat_pn = coalesce(?2, chat_pn), chat_lid = coalesce(?3, chat_lid),"             \
                " language = ?4, menu = ?5")                                                       \
    X(PUT_TIMER,                                                                                   \
      "INSERT OR ROLLBACK INTO chats(chat, chat_pn, chat_lid, expiration_s, expiration_set_at)"    \
      " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(chat) DO UPDATE SET"                                \
      " chat_pn = coalesce(?2, chat_pn), chat_lid = coalesce(?3, chat_lid),"                       \
      " expiration_s = ?4, expiration_set_at = ?5")                                                \
    X(HAND_OVER,                                                                                   \
      "UPDATE OR ROLLBACK chats SET handover_at = ?4, handover_intent = ?5 WHERE " CHAT_IS)        \
    X(RELEASE, "UPDATE OR ROLLBACK chats SET handover_at = NULL, handover_intent = NULL"           \
               " WHERE handover_at IS NOT NULL"                                                    \
               " AND (?1 IS NULL OR ?1 IN (chat, chat_pn, chat_lid))")                             \
    X(SEARCHABLE, "SELECT searchable FROM totals WHERE id = 1")                                    \
    X(NEXT_SEARCHABLE, "SELECT coalesce(max(id), 0) FROM"                                          \
                       " (SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2)")            \
    X(ADD_SEARCHABLE, "INSERT INTO messages_search(rowid, text) SELECT id, text FROM messages"     \
                      " WHERE id > ?1 AND id <= ?2 AND text IS NOT NULL ORDER BY id")              \
    X(SET_SEARCHABLE, "UPDATE OR ROLLBACK totals SET searchable = ?1 WHERE id = 1")                \
    X(ADD_MEDIA,                                                                                   \
      "INSERT OR IGNORE INTO media(message, status, mimetype, file_name, length, width,"           \
      " height, seconds, animated, note)"                                                          \
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                                          \
    X(NEXT_MEDIA, "SELECT message, attempts, due_at, mimetype FROM media INDEXED BY media_wanted"  \
                  " WHERE status = 'wanted' ORDER BY due_at LIMIT 8")                              \
    X(PUT_OFF_MEDIA,                                                                               \
      "UPDATE OR ROLLBACK media SET error = ?2, due_at = ?3, attempts = attempts + ?4"             \
      " WHERE message = ?1 AND status = 'wanted'")                                                 \
    X(END_MEDIA, "UPDATE OR ROLLBACK media SET status = ?2, file = ?3, error = ?4"                 \
                 " WHERE message = ?1 AND status = 'wanted'")                                      \
    X(SET_MEDIA_FILE, "UPDATE OR ROLLBACK messages SET media_file = ?2 WHERE id = ?1")             \
    X(FIND_MEDIA,                                                                                  \
      "SELECT m.id FROM messages m INDEXED BY messages_identity JOIN media"                        \
      " ON media.message = m.id WHERE m.wa_id = ?1 AND media.status = 'wanted' LIMIT 1")           \
    X(FORGET_FILE, "UPDATE OR ROLLBACK media SET status = 'deleted', file = NULL"                  \
                   " WHERE message = ?1 AND file = ?2")                                            \
    X(KNOWS_FILE, "SELECT message FROM media WHERE message = ?1 AND file = ?2")                    \
    X(TOTALS, "SELECT received, replied, sent, delivered, read, failed, undecryptable,"            \
              " last_message_at FROM totals")                                                      \
    X(LIST_AFTER, LISTED " WHERE id > ?1 AND " ADDRESSED_TO " ORDER BY id LIMIT ?2")               \
    X(LIST_NEWEST, LISTED " WHERE ?1 < 0 AND id IN (SELECT id FROM messages WHERE " ADDRESSED_TO   \
                          " ORDER BY id DESC LIMIT ?2) ORDER BY id")                               \
    X(LIST_RECENT, LISTED " WHERE ?1 < 0 AND " ADDRESSED_TO " AND id IN (SELECT id FROM messages"  \
                          " INDEXED BY messages_received ORDER BY received_at DESC, id DESC"       \
                          " LIMIT ?2) ORDER BY received_at, id")                                   \
    X(FOUND_AFTER, FOUND " WHERE id > ?1 AND " ADDRESSED_TO " ORDER BY id LIMIT ?2")               \
    X(FOUND_NEWEST, "SELECT * FROM (" FOUND " WHERE ?1 < 0 AND " ADDRESSED_TO                      \
                    " ORDER BY id DESC LIMIT ?2) ORDER BY id")                                     \
    X(UNLINK_ANSWERS, "UPDATE OR ROLLBACK messages INDEXED BY messages_reply SET reply_to = NULL"  \
                      " WHERE reply_to IN " OLDEST)                                                \
    X(DELETE_OLDEST, "DELETE FROM messages WHERE id IN " OLDEST)                                   \
    X(OLDEST_TIME, "SELECT min(received_at) FROM messages")                                        \
    X(PAGES, "SELECT page_count, freelist_count, page_size FROM pragma_page_count,"                \
             " pragma_freelist_count, pragma_page_size")                                           \
    X(ADD_EVENT, "INSERT INTO events(at, kind, status, session, code, message, chat)"              \
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                            \
    X(EVENTS_AFTER, EVENTS " WHERE id > ?1 ORDER BY id LIMIT ?2")                                  \
    X(EVENTS_NEWEST, EVENTS " WHERE ?1 < 0 AND id IN (SELECT id FROM events ORDER BY id DESC"      \
                            " LIMIT ?2) ORDER BY id")

enum {
#define X(name, sql) SQL_##name,
    STATEMENTS(X)
#undef X
        SQL_COUNT
};

#endif
