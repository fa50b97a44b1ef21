/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

/* docs/volume.md describes to the portal what comes of this. */

#define APPLICATION_ID 0x77624d53u /* "wbMS" */
#define EVENTS_KEPT TEXT_OF(STORE_EVENTS_MAX)

/* As they were. */
#define IN_QUEUE_BEFORE_12 "status IN " WAITING " AND held = 0"
#define LEFT_OF_12 "direction = 'OUT' AND (sent_at IS NOT NULL OR turn = 1)"
#define REPLIES_OF_12 "reply_to IS NOT NULL OR turn > 0"
#define UNDER_WAY_OF_12 "outbox_name IS NOT NULL AND turn > 0"
#define UNDER_WAY_BEFORE_12 "outbox_name IS NOT NULL AND held = 0 AND status IN " WAITING

#define CAME_IN "new.status = 'received' AND NOT new.from_me"
#define LATEST "max(last_message_at, coalesce(new.received_at, 0))"
#define IS_LATER "new.received_at > last_message_at"
#define IS_SENT "(new.status = 'sent' OR new.status IN " ARRIVED ")"
#define IS_SEARCHABLE "old.id <= (SELECT searchable FROM totals WHERE id = 1)"

/*
 * Triggers keep the search right. The totals and whose turn it is are kept by the statements
 * (messages_moves.c): a trigger is a program of its own with its own cursors, each time. The
 * indexes are partial, so that the queue stays small however long the log grows, and no condition
 * names the status, which changes four times for one answer. Only syntax that old readers can
 * parse: no STRICT, no generated columns.
 */
static const char *const migrations[] = {
    "CREATE TABLE messages("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " direction TEXT NOT NULL CHECK(direction IN ('IN', 'OUT')),"
    " wa_id TEXT NOT NULL,"
    " chat TEXT NOT NULL, chat_pn TEXT, chat_lid TEXT,"
    " sender TEXT NOT NULL, sender_pn TEXT, sender_lid TEXT,"
    " sender_name TEXT,"
    " from_me INTEGER NOT NULL DEFAULT 0,"
    " kind TEXT, text TEXT, quoted_id TEXT, fault TEXT,"
    " sent_at INTEGER, received_at INTEGER, acked_at INTEGER, delivered_at INTEGER, read_at "
    "INTEGER,"
    " status TEXT NOT NULL CHECK(status IN ('received', 'undecryptable', 'queued', 'sending', "
    "'sent',"
    "  'delivered', 'read', 'failed', 'dropped')),"
    " error TEXT,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " reply_to INTEGER REFERENCES messages(id),"
    " intent TEXT, target TEXT,"
    " offline INTEGER NOT NULL DEFAULT 0,"
    " outbox_name TEXT,"
    " turn INTEGER NOT NULL DEFAULT 0);"

    "CREATE UNIQUE INDEX messages_identity ON messages(wa_id, sender, chat);"
    "CREATE UNIQUE INDEX messages_reply ON messages(reply_to) WHERE reply_to IS NOT NULL;"
    "CREATE UNIQUE INDEX messages_outbox ON messages(outbox_name) WHERE outbox_name IS NOT NULL;"
    "CREATE INDEX messages_chat ON messages(chat);"
    "CREATE INDEX messages_waiting ON messages(chat) WHERE status IN " WAITING ";"
    "CREATE INDEX messages_turn ON messages(id) WHERE turn = 1;"
    "CREATE INDEX messages_left ON messages(sent_at, intent)"
    " WHERE direction = 'OUT' AND sent_at IS NOT NULL;"

    "CREATE TABLE totals("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " received INTEGER NOT NULL DEFAULT 0, replied INTEGER NOT NULL DEFAULT 0,"
    " sent INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,"
    " read INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
    " undecryptable INTEGER NOT NULL DEFAULT 0,"
    " last_message_at INTEGER NOT NULL DEFAULT 0,"
    " queued INTEGER NOT NULL DEFAULT 0);"
    "INSERT INTO totals(id) VALUES(1);"

    "CREATE TRIGGER messages_count_undecryptable AFTER INSERT ON messages"
    " WHEN new.status = 'undecryptable' BEGIN"
    " UPDATE totals SET undecryptable = undecryptable + 1;"
    " END;"
    "CREATE TRIGGER messages_count_received AFTER INSERT ON messages"
    " WHEN new.status = 'received' AND NOT new.from_me BEGIN"
    " UPDATE totals SET received = received + 1,"
    "  last_message_at = max(last_message_at, coalesce(new.received_at, 0));"
    " END;"
    "CREATE TRIGGER messages_count_completed AFTER UPDATE OF status ON messages"
    " WHEN old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me BEGIN"
    " UPDATE totals SET received = received + 1,"
    "  last_message_at = max(last_message_at, coalesce(new.received_at, 0));"
    " END;"
    "CREATE TRIGGER messages_count_queued AFTER INSERT ON messages"
    " WHEN new.status = 'queued' BEGIN"
    " UPDATE totals SET queued = queued + 1;"
    " END;"
    "CREATE TRIGGER messages_count_outcome AFTER UPDATE OF status ON messages"
    " WHEN old.status IN " WAITING " AND new.status NOT IN " WAITING " BEGIN"
    " UPDATE totals SET queued = queued - 1,"
    "  sent = sent + (new.status = 'sent' OR new.status IN " ARRIVED "),"
    "  replied = replied + (new.reply_to IS NOT NULL"
    "   AND (new.status = 'sent' OR new.status IN " ARRIVED ")),"
    "  failed = failed + (new.status = 'failed');"
    " END;"
    "CREATE TRIGGER messages_count_arrived AFTER UPDATE OF status ON messages"
    " WHEN old.status <> new.status AND new.status IN " ARRIVED " BEGIN"
    " UPDATE totals SET delivered = delivered + (old.status NOT IN " ARRIVED "),"
    "  read = read + (new.status = 'read');"
    " END;"
    "CREATE TRIGGER messages_pass_turn AFTER UPDATE OF status ON messages"
    " WHEN old.turn = 1 AND new.status NOT IN " WAITING " BEGIN"
    " UPDATE messages SET turn = 0 WHERE id = new.id;"
    " UPDATE messages SET turn = 1 WHERE id = (SELECT min(id) FROM messages"
    "  INDEXED BY messages_waiting WHERE chat = new.chat AND status IN " WAITING ");"
    " END;",

    /* 2: search, retention, history. The texts stay in messages; the index holds only the words. */
    "CREATE VIRTUAL TABLE messages_search USING fts5(text, content='messages', content_rowid='id',"
    " columnsize=0, tokenize='unicode61 remove_diacritics 2');"
    "INSERT INTO messages_search(rowid, text) SELECT id, text FROM messages WHERE text IS NOT NULL;"
    "CREATE TRIGGER messages_search_insert AFTER INSERT ON messages"
    " WHEN new.text IS NOT NULL BEGIN"
    " INSERT INTO messages_search(rowid, text) VALUES(new.id, new.text);"
    " END;"
    "CREATE TRIGGER messages_search_update AFTER UPDATE OF text ON messages"
    " WHEN old.text IS NOT new.text BEGIN"
    " INSERT INTO messages_search(messages_search, rowid, text)"
    "  SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL;"
    " INSERT INTO messages_search(rowid, text)"
    "  SELECT new.id, new.text WHERE new.text IS NOT NULL;"
    " END;"
    "CREATE TRIGGER messages_search_delete AFTER DELETE ON messages"
    " WHEN old.text IS NOT NULL BEGIN"
    " INSERT INTO messages_search(messages_search, rowid, text)"
    "  VALUES('delete', old.id, old.text);"
    " END;"
    "CREATE INDEX messages_received ON messages(received_at);"

    "CREATE TABLE events("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL,"
    " kind TEXT NOT NULL CHECK(kind IN ('state', 'error')),"
    " status TEXT NOT NULL, session TEXT NOT NULL,"
    " code TEXT NOT NULL, message TEXT);"
    "CREATE TRIGGER events_bound AFTER INSERT ON events BEGIN"
    " DELETE FROM events WHERE id <= new.id - " EVENTS_KEPT ";"
    " END;",

    /* 3: what is said about earlier messages */
    "ALTER TABLE messages ADD COLUMN target_id TEXT;"
    "ALTER TABLE messages ADD COLUMN edited_at INTEGER;"
    "ALTER TABLE messages ADD COLUMN revoked_at INTEGER;",

    /* 4: what the replies remember of a chat. */
    "CREATE TABLE chats("
    " chat TEXT PRIMARY KEY, chat_pn TEXT, chat_lid TEXT,"
    " language TEXT, menu TEXT,"
    " handover_at INTEGER, handover_intent TEXT) WITHOUT ROWID;"
    "CREATE INDEX chats_pn ON chats(chat_pn) WHERE chat_pn IS NOT NULL;"
    "CREATE INDEX chats_lid ON chats(chat_lid) WHERE chat_lid IS NOT NULL;"
    "CREATE INDEX chats_handover ON chats(handover_at) WHERE handover_at IS NOT NULL;",

    /* 5: the outbox. held: recorded, but not let into the queue of its chat yet. report: what
     * became of it is still to be published. */
    "ALTER TABLE messages ADD COLUMN held INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE messages ADD COLUMN due_at INTEGER;"
    "ALTER TABLE messages ADD COLUMN expires_at INTEGER;"
    "ALTER TABLE messages ADD COLUMN report INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE totals ADD COLUMN outbox INTEGER NOT NULL DEFAULT 0;"
    "DROP TRIGGER messages_pass_turn;"
    "DROP INDEX messages_waiting;"
    "CREATE INDEX messages_waiting ON messages(chat) WHERE " IN_QUEUE_BEFORE_12 ";"
    "DROP INDEX messages_left;"
    "CREATE INDEX messages_left ON messages(sent_at, intent, outbox_name)"
    " WHERE direction = 'OUT' AND sent_at IS NOT NULL;"
    "CREATE INDEX messages_held ON messages(due_at) WHERE held = 1;"
    "CREATE INDEX messages_expiring ON messages(expires_at)"
    " WHERE held = 1 AND expires_at IS NOT NULL;"
    "CREATE INDEX messages_under_way ON messages(id) WHERE " UNDER_WAY_BEFORE_12 ";"
    "CREATE INDEX messages_report ON messages(id) WHERE report = 1;"
    "CREATE INDEX messages_replies ON messages(chat, received_at) WHERE reply_to IS NOT NULL;"
    "CREATE INDEX messages_owner ON messages(chat) WHERE " BY_OWNER ";"
    "CREATE TRIGGER messages_pass_turn AFTER UPDATE OF status ON messages"
    " WHEN old.turn = 1 AND new.status NOT IN " WAITING " BEGIN"
    " UPDATE messages SET turn = 0 WHERE id = new.id;"
    " UPDATE messages SET turn = 1 WHERE id = (SELECT min(id) FROM messages"
    "  INDEXED BY messages_waiting WHERE chat = new.chat AND " IN_QUEUE_BEFORE_12 ");"
    " END;"
    "CREATE TRIGGER messages_count_outbox AFTER INSERT ON messages"
    " WHEN new.status = 'queued' AND new.outbox_name IS NOT NULL BEGIN"
    " UPDATE totals SET outbox = outbox + 1;"
    " END;"
    "CREATE TRIGGER messages_report_outbox AFTER UPDATE OF status ON messages"
    " WHEN new.outbox_name IS NOT NULL AND old.status <> new.status"
    " AND new.status NOT IN " WAITING " BEGIN"
    " UPDATE messages SET report = 1 WHERE id = new.id;"
    " UPDATE totals SET outbox = outbox - (old.status IN " WAITING ");"
    " END;",

    /*
     * 6: cheaper writes, and guards that do not read all replies of a chat. One trigger for what is
     * added and one for what moves on, since each costs a program of its own; words enter the index
     * in batches, up to the row totals.searchable.
     */
    "DROP TRIGGER messages_count_undecryptable; DROP TRIGGER messages_count_received;"
    "DROP TRIGGER messages_count_completed; DROP TRIGGER messages_count_queued;"
    "DROP TRIGGER messages_count_outcome; DROP TRIGGER messages_count_arrived;"
    "DROP TRIGGER messages_count_outbox; DROP TRIGGER messages_pass_turn;"
    "DROP TRIGGER messages_report_outbox;"
    "DROP TRIGGER messages_search_insert; DROP TRIGGER messages_search_update;"
    "DROP TRIGGER messages_search_delete;"
    "CREATE INDEX messages_ping_pong ON messages(chat, received_at) WHERE " IS_PING_PONG ";"
    "CREATE INDEX messages_wait ON messages(chat, received_at) WHERE " IS_WAIT ";"
    "ALTER TABLE totals ADD COLUMN searchable INTEGER NOT NULL DEFAULT 0;"
    "UPDATE totals SET searchable = coalesce((SELECT max(id) FROM messages), 0) WHERE id = 1;"
    "CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN"
    " UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),"
    "  received = received + (" CAME_IN "),"
    "  last_message_at = CASE WHEN " CAME_IN " THEN " LATEST " ELSE last_message_at END,"
    "  queued = queued + (new.status = 'queued'),"
    "  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL)"
    " WHERE id = 1;"
    " END;"
    "CREATE TRIGGER messages_moved AFTER UPDATE OF status ON messages"
    " WHEN old.status <> new.status AND NOT (old.status IN " WAITING " AND new.status IN " WAITING
    ") BEGIN"
    " UPDATE totals SET"
    "  received = received + (old.status = 'undecryptable' AND " CAME_IN "),"
    "  last_message_at = CASE WHEN old.status = 'undecryptable' AND " CAME_IN " THEN " LATEST
    "   ELSE last_message_at END,"
    "  queued = queued - (old.status IN " WAITING "),"
    "  sent = sent + (old.status IN " WAITING " AND " IS_SENT "),"
    "  replied = replied + (old.status IN " WAITING " AND new.reply_to IS NOT NULL AND " IS_SENT
    "  ),"
    "  failed = failed + (old.status IN " WAITING " AND new.status = 'failed'),"
    "  delivered = delivered + (new.status IN " ARRIVED " AND old.status NOT IN " ARRIVED "),"
    "  read = read + (new.status = 'read'),"
    "  outbox = outbox - (old.status IN " WAITING " AND new.outbox_name IS NOT NULL)"
    " WHERE id = 1;"
    " UPDATE messages SET turn = 0, report = new.outbox_name IS NOT NULL WHERE id = new.id"
    "  AND (old.turn = 1 OR new.outbox_name IS NOT NULL);"
    " UPDATE messages SET turn = 1 WHERE old.turn = 1 AND id = (SELECT min(id) FROM messages"
    "  INDEXED BY messages_waiting WHERE chat = new.chat AND " IN_QUEUE_BEFORE_12 ");"
    " END;"
    "CREATE TRIGGER messages_search_update AFTER UPDATE OF text ON messages"
    " WHEN old.text IS NOT new.text AND " IS_SEARCHABLE " BEGIN"
    " INSERT INTO messages_search(messages_search, rowid, text)"
    "  SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL;"
    " INSERT INTO messages_search(rowid, text)"
    "  SELECT new.id, new.text WHERE new.text IS NOT NULL;"
    " END;"
    "CREATE TRIGGER messages_search_delete AFTER DELETE ON messages"
    " WHEN old.text IS NOT NULL AND " IS_SEARCHABLE " BEGIN"
    " INSERT INTO messages_search(messages_search, rowid, text)"
    "  VALUES('delete', old.id, old.text);"
    " END;",

    /* 7: files of messages. Their keys are in keys.db. */
    "ALTER TABLE messages ADD COLUMN media_file TEXT;"
    "CREATE TABLE media("
    " message INTEGER PRIMARY KEY,"
    " status TEXT NOT NULL CHECK(status IN ('listed', 'wanted', 'downloaded', 'too_large',"
    "  'type_refused', 'expired', 'failed', 'deleted')),"
    " mimetype TEXT, file_name TEXT, length INTEGER, width INTEGER, height INTEGER,"
    " seconds INTEGER, animated INTEGER NOT NULL DEFAULT 0, note INTEGER NOT NULL DEFAULT 0,"
    " file TEXT, error TEXT, attempts INTEGER NOT NULL DEFAULT 0,"
    " due_at INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX media_wanted ON media(due_at) WHERE status = 'wanted';"
    "CREATE TRIGGER media_gone AFTER DELETE ON messages BEGIN"
    " DELETE FROM media WHERE message = old.id;"
    " END;",

    /* 8: disappearing messages. Parentheses, since clang misses a comma between two lines. */
    ("ALTER TABLE chats ADD COLUMN expiration_s INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE chats ADD COLUMN expiration_set_at INTEGER;"),

    /* 9: events of more kinds, and whom one is about. */
    ("DROP TRIGGER events_bound;"
     "ALTER TABLE events RENAME TO events_before;"
     "CREATE TABLE events("
     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
     " at INTEGER NOT NULL,"
     " kind TEXT NOT NULL,"
     " status TEXT NOT NULL, session TEXT NOT NULL,"
     " code TEXT NOT NULL, message TEXT, chat TEXT);"
     "INSERT INTO events(id, at, kind, status, session, code, message)"
     " SELECT id, at, kind, status, session, code, message FROM events_before;"
     "DROP TABLE events_before;"
     "CREATE TRIGGER events_bound AFTER INSERT ON events BEGIN"
     " DELETE FROM events WHERE id <= new.id - " EVENTS_KEPT ";"
     " END;"),

    /* 10: rows of the phone's history, which nobody wrote to this bridge: they count nowhere. */
    ("ALTER TABLE messages ADD COLUMN history INTEGER NOT NULL DEFAULT 0;"
     "DROP TRIGGER messages_added;"
     "CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.history = 0 BEGIN"
     " UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),"
     "  received = received + (" CAME_IN "),"
     "  last_message_at = CASE WHEN " CAME_IN " THEN " LATEST " ELSE last_message_at END,"
     "  queued = queued + (new.status = 'queued'),"
     "  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL)"
     " WHERE id = 1;"
     " END;"),

    /* 11: the triggers of every message without functions: where one is called SQLite expects it to
     * fail, and copies each page that the statement changes, to be able to undo it alone. */
    ("DROP TRIGGER messages_added; DROP TRIGGER messages_moved;"
     "CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.history = 0 BEGIN"
     " UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),"
     "  received = received + (" CAME_IN "),"
     "  last_message_at = CASE WHEN " CAME_IN " AND " IS_LATER " THEN new.received_at"
     "   ELSE last_message_at END,"
     "  queued = queued + (new.status = 'queued'),"
     "  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL)"
     " WHERE id = 1;"
     " END;"
     "CREATE TRIGGER messages_moved AFTER UPDATE OF status ON messages"
     " WHEN old.status <> new.status AND NOT (old.status IN " WAITING " AND new.status IN " WAITING
     ") BEGIN"
     " UPDATE totals SET"
     "  received = received + (old.status = 'undecryptable' AND " CAME_IN "),"
     "  last_message_at = CASE WHEN old.status = 'undecryptable' AND " CAME_IN " AND " IS_LATER
     "   THEN new.received_at ELSE last_message_at END,"
     "  queued = queued - (old.status IN " WAITING "),"
     "  sent = sent + (old.status IN " WAITING " AND " IS_SENT "),"
     "  replied = replied + (old.status IN " WAITING " AND new.reply_to IS NOT NULL AND " IS_SENT
     "  ),"
     "  failed = failed + (old.status IN " WAITING " AND new.status = 'failed'),"
     "  delivered = delivered + (new.status IN " ARRIVED " AND old.status NOT IN " ARRIVED "),"
     "  read = read + (new.status = 'read'),"
     "  outbox = outbox - (old.status IN " WAITING " AND new.outbox_name IS NOT NULL)"
     " WHERE id = 1;"
     " UPDATE messages SET turn = 0, report = new.outbox_name IS NOT NULL WHERE id = new.id"
     "  AND (old.turn = 1 OR new.outbox_name IS NOT NULL);"
     " UPDATE messages SET turn = 1 WHERE old.turn = 1 AND id = (SELECT min(id) FROM messages"
     "  INDEXED BY messages_waiting WHERE chat = new.chat AND " IN_QUEUE_BEFORE_12 ");"
     " END;"),

    /* 12: no triggers where a row moves on, and two indexes less to write for each answer: what
     * waits and what left are in one, ordered by turn; so are what waits in a chat and the answers
     * to it. */
    ("DROP TRIGGER messages_added; DROP TRIGGER messages_moved;"
     "UPDATE messages SET turn = 2 WHERE turn = 0 AND id IN"
     " (SELECT id FROM messages INDEXED BY messages_waiting WHERE " IN_QUEUE_BEFORE_12 ");"
     "DROP INDEX messages_waiting; DROP INDEX messages_turn; DROP INDEX messages_left;"
     "DROP INDEX messages_replies; DROP INDEX messages_under_way;"
     "CREATE INDEX messages_left ON messages(turn, sent_at, id, intent, outbox_name)"
     " WHERE " LEFT_OF_12 ";"
     "CREATE INDEX messages_replies ON messages(chat, turn, received_at) WHERE " REPLIES_OF_12 ";"
     "CREATE INDEX messages_under_way ON messages(id) WHERE " UNDER_WAY_OF_12 ";"),

    /*
     * 13: an id is not used twice because totals, which are written with each row anyway, know the
     * last one; AUTOINCREMENT would write a table of its own. It stands in the text of the table
     * only, so that is what changes, as SQLite describes for what is not in the format of the file;
     * the indexes made after it tell other connections to read the schema anew.
     */
    ("ALTER TABLE totals ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;"
     "UPDATE totals SET last_id ="
     " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) WHERE id = 1;"
     "DELETE FROM sqlite_sequence WHERE name = 'messages';"
     "PRAGMA writable_schema = ON;"
     "UPDATE sqlite_master SET sql ="
     " replace(sql, 'id INTEGER PRIMARY KEY AUTOINCREMENT', 'id INTEGER PRIMARY KEY')"
     " WHERE type = 'table' AND name = 'messages';"
     "PRAGMA writable_schema = RESET;"
     "DROP INDEX messages_under_way; DROP INDEX messages_report;"
     "CREATE INDEX messages_report ON messages(report, id) WHERE " OF_OUTBOX ";"),

    /* 14: what is long has no turn in it: an answer enters it once and is not moved when it is
     * accepted. What waits is in two indexes that are as small as the queue. */
    ("DROP INDEX messages_left; DROP INDEX messages_replies;"
     "CREATE INDEX messages_left ON messages(sent_at, intent, outbox_name) WHERE " LEFT ";"
     "CREATE INDEX messages_replies ON messages(chat, received_at) WHERE reply_to IS NOT NULL;"
     "CREATE INDEX messages_waiting ON messages(chat, turn) WHERE " IN_QUEUE ";"
     "CREATE INDEX messages_heads ON messages(id) WHERE " IS_HEAD ";")};

static const char *const statements[SQL_COUNT] = {
#define X(name, sql) [SQL_##name] = sql,
    STATEMENTS(X)
#undef X
};

/* 0640: the portal is in the group. */
const struct store_db_spec store_messages_spec = {.application_id = APPLICATION_ID,
                                                  .mode = 0640,
                                                  .shared = true,
                                                  .shrinks = true,
                                                  .search = true,
                                                  .migrations = migrations,
                                                  .version = ARRAY_LEN(migrations),
                                                  .blank = &store_blank_messages,
                                                  .statements = statements,
                                                  .statement_count = SQL_COUNT};
