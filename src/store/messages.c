/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages.h"

#include "base/arena.h"
#include "store/db.h"

#define APPLICATION_ID 0x77624d53u /* "wbMS" */

/* ---- schema: docs/volume.md describes it to the portal ---------------------------------- */

#define WAITING "('queued', 'sending')"
#define ARRIVED "('delivered', 'read')"
#define HOUR_MS INT64_C(3600000)
#define TEXT_OF_(macro) #macro
#define TEXT_OF(macro) TEXT_OF_(macro)
#define EVENTS_KEPT TEXT_OF(STORE_EVENTS_MAX)
#define BY_OWNER "direction = 'IN' AND from_me = 1"
#define IN_QUEUE "status IN " WAITING " AND held = 0"
#define UNDER_WAY "outbox_name IS NOT NULL AND held = 0 AND status IN " WAITING

/*
 * Triggers keep what would otherwise be counted or searched anew: the totals, and whose turn it is
 * in each chat. The indexes are partial, so that the queue stays small however long the log grows.
 * Only syntax that old readers can parse: no STRICT, no generated columns.
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
    "CREATE INDEX messages_waiting ON messages(chat) WHERE " IN_QUEUE ";"
    "DROP INDEX messages_left;"
    "CREATE INDEX messages_left ON messages(sent_at, intent, outbox_name)"
    " WHERE direction = 'OUT' AND sent_at IS NOT NULL;"
    "CREATE INDEX messages_held ON messages(due_at) WHERE held = 1;"
    "CREATE INDEX messages_expiring ON messages(expires_at)"
    " WHERE held = 1 AND expires_at IS NOT NULL;"
    "CREATE INDEX messages_under_way ON messages(id) WHERE " UNDER_WAY ";"
    "CREATE INDEX messages_report ON messages(id) WHERE report = 1;"
    "CREATE INDEX messages_replies ON messages(chat, received_at) WHERE reply_to IS NOT NULL;"
    "CREATE INDEX messages_owner ON messages(chat) WHERE " BY_OWNER ";"
    "CREATE TRIGGER messages_pass_turn AFTER UPDATE OF status ON messages"
    " WHEN old.turn = 1 AND new.status NOT IN " WAITING " BEGIN"
    " UPDATE messages SET turn = 0 WHERE id = new.id;"
    " UPDATE messages SET turn = 1 WHERE id = (SELECT min(id) FROM messages"
    "  INDEXED BY messages_waiting WHERE chat = new.chat AND " IN_QUEUE ");"
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
    " END;"};

/* ---- statements ------------------------------------------------------------------------- */

#define QUEUED(index)                                                                              \
    "SELECT q.id, q.reply_to, q.wa_id, q.chat, q.target, q.text, coalesce(q.quoted_id, r.wa_id),"  \
    " q.attempts, q.intent, q.received_at, r.sender, q.outbox_name, q.expires_at, t.sender, "      \
    "t.text"                                                                                       \
    " FROM messages q INDEXED BY " index " LEFT JOIN messages r ON r.id = q.reply_to"              \
    " LEFT JOIN messages t INDEXED BY messages_identity ON t.wa_id = q.quoted_id"                  \
    " AND q.chat IN (t.chat, t.chat_pn, t.chat_lid)"
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
#define OUT_BY_WA_ID " WHERE wa_id = ?1 AND direction = 'OUT'"
#define CHAT_IS "(chat IN (?1, ?2, ?3) OR chat_pn IN (?1, ?2, ?3) OR chat_lid IN (?1, ?2, ?3))"
#define LEFT_ONCE "(status = 'sending' OR (status = 'queued' AND attempts > 0))"

/* X(name, SQL). INDEXED BY makes a plan that does not use the index an error instead of a scan. */
#define STATEMENTS(X)                                                                              \
    X(FIND, "SELECT id, status FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"        \
            " AND (chat IN (?2, ?3, ?4) OR chat_pn IN (?2, ?3, ?4) OR chat_lid IN (?2, ?3, ?4))"   \
            " AND (sender IN (?5, ?6, ?7) OR sender_pn IN (?5, ?6, ?7)"                            \
            "  OR sender_lid IN (?5, ?6, ?7))"                                                     \
            " ORDER BY chat = ?2 AND sender = ?5 DESC LIMIT 1")                                    \
    X(INSERT_IN, "INSERT INTO messages(direction, wa_id, chat, chat_pn, chat_lid, sender,"         \
                 " sender_pn, sender_lid, sender_name, from_me, offline, kind, text, quoted_id,"   \
                 " fault, sent_at, received_at, target_id, status) VALUES('IN', ?1, ?2, ?3, ?4,"   \
                 " ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"                    \
                 " CASE WHEN ?14 IS NULL THEN 'received' ELSE 'undecryptable' END)")               \
    X(COMPLETE, "UPDATE messages SET status = 'received', fault = NULL,"                           \
                " chat_pn = coalesce(?2, chat_pn), chat_lid = coalesce(?3, chat_lid),"             \
                " sender_pn = coalesce(?4, sender_pn), sender_lid = coalesce(?5, sender_lid),"     \
                " sender_name = coalesce(?6, sender_name), offline = ?7, kind = ?8, text = ?9,"    \
                " quoted_id = ?10, sent_at = coalesce(?11, sent_at), received_at = ?12,"           \
                " target_id = ?13"                                                                 \
                " WHERE id = ?1 AND status = 'undecryptable'")                                     \
    X(FIND_IN_CHAT, "SELECT id FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"        \
                    " AND (chat IN (?2, ?3, ?4) OR chat_pn IN (?2, ?3, ?4)"                        \
                    "  OR chat_lid IN (?2, ?3, ?4)) ORDER BY id LIMIT 1")                          \
    X(EDIT, "UPDATE messages SET text = ?2, edited_at = ?3 WHERE id = ?1 AND revoked_at IS NULL"   \
            " AND coalesce(edited_at, 0) <= ?3 AND status NOT IN " WAITING)                        \
    X(REVOKE, "UPDATE messages SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL"           \
              " AND status NOT IN " WAITING)                                                       \
    X(CANCEL_REPLY, "UPDATE messages INDEXED BY messages_reply SET status = 'dropped',"            \
                    " error = 'revoked' WHERE reply_to = ?1 AND status = 'queued'"                 \
                    " AND attempts = 0")                                                           \
    X(INSERT_OUT, "INSERT INTO messages(direction, wa_id, chat, target, sender, from_me, kind,"    \
                  " text, quoted_id, intent, outbox_name, received_at, reply_to, chat_pn,"         \
                  " chat_lid, status, held, due_at, expires_at, turn)"                             \
                  " VALUES('OUT', ?1, ?2, ?3, ?4, 1, 'text', ?5, ?6, ?7,"                          \
                  " ?8, ?9, ?10, coalesce(?11, (SELECT chat_pn FROM messages WHERE id = ?10)),"    \
                  " coalesce(?12, (SELECT chat_lid FROM messages WHERE id = ?10)), 'queued',"      \
                  " ?13, ?14, ?15, NOT ?13 AND"                                                    \
                  " NOT EXISTS(SELECT 1 FROM messages INDEXED BY messages_waiting"                 \
                  "  WHERE chat = ?2 AND " IN_QUEUE ")) ON CONFLICT DO NOTHING")                   \
    X(FIND_REPLY, "SELECT id FROM messages INDEXED BY messages_reply WHERE reply_to = ?1")         \
    X(FIND_OUTBOX, "SELECT id FROM messages INDEXED BY messages_outbox WHERE outbox_name = ?1")    \
    X(NEXT_QUEUED, QUEUED("messages_turn") " WHERE q.turn = 1 AND q.status = 'queued'"             \
                                           " AND q.id > ?1 ORDER BY q.id LIMIT 1")                 \
    X(FIND_SENT, QUEUED("messages_identity") " WHERE q.wa_id = ?1 AND q.direction = 'OUT'"         \
                                             " AND q.attempts > 0 LIMIT 1")                        \
    X(REQUEUE, "UPDATE messages INDEXED BY messages_turn SET status = 'queued', sent_at = NULL"    \
               " WHERE turn = 1 AND status = 'sending'")                                           \
    X(COUNT_QUEUED, "SELECT queued FROM totals")                                                   \
    X(COUNT_QUEUED_IN, "SELECT count(*) FROM messages INDEXED BY messages_waiting"                 \
                       " WHERE chat = ?1 AND " IN_QUEUE)                                           \
    X(COUNT_SENT_SINCE, "SELECT count(*) FROM messages INDEXED BY messages_left"                   \
                        " WHERE direction = 'OUT' AND sent_at >= ?1 AND outbox_name IS NULL"       \
                        " AND (?2 OR intent IS NOT '" STORE_INTENT_WARNING "')")                   \
    X(COUNT_OUTBOX, "SELECT outbox FROM totals")                                                   \
    X(COUNT_DUE, "SELECT count(*) FROM messages INDEXED BY messages_held"                          \
                 " WHERE held = 1 AND due_at <= ?1")                                               \
    X(COUNT_UNDER_WAY, "SELECT count(*) FROM messages INDEXED BY messages_under_way"               \
                       " WHERE " UNDER_WAY)                                                        \
    X(OUTBOX_SENT, "SELECT count(*), max(sent_at) FROM messages INDEXED BY messages_left"          \
                   " WHERE direction = 'OUT' AND sent_at >= ?1 AND outbox_name IS NOT NULL")       \
    X(FIRST_HELD, "SELECT id, due_at FROM messages INDEXED BY messages_held WHERE held = 1"        \
                  " ORDER BY due_at, id LIMIT 1")                                                  \
    X(LET_IN, "UPDATE messages AS m SET held = 0, turn = NOT EXISTS(SELECT 1 FROM messages q"      \
              " INDEXED BY messages_waiting WHERE q.chat = m.chat"                                 \
              " AND q.status IN " WAITING " AND q.held = 0) WHERE m.id = ?1 AND m.held = 1")       \
    X(EXPIRE, "UPDATE messages INDEXED BY messages_expiring SET status = 'failed', held = 0,"      \
              " error = 'expired' WHERE held = 1 AND expires_at <= ?1")                            \
    X(NEXT_REPORT, "SELECT id, outbox_name, wa_id, target, chat_pn, chat_lid, acked_at,"           \
                   " delivered_at, read_at, status, error FROM messages"                           \
                   " INDEXED BY messages_report WHERE report = 1 AND id > ?1 ORDER BY id LIMIT 1") \
    X(REPORT_AGAIN, "UPDATE messages INDEXED BY messages_outbox SET report = 1"                    \
                    " WHERE outbox_name = ?1 AND status NOT IN " WAITING)                          \
    X(REPORTED, "UPDATE messages SET report = 0 WHERE id = ?1")                                    \
    X(CAN_QUOTE, "SELECT count(*) FROM messages INDEXED BY messages_identity WHERE wa_id = ?1"     \
                 " AND ?2 IN (chat, chat_pn, chat_lid)")                                           \
    X(CHAT_GUARDS, "SELECT max(CASE WHEN status NOT IN ('failed', 'dropped') THEN received_at"     \
                   "  END), coalesce(sum(received_at >= ?3 AND status NOT IN"                      \
                   "  ('failed', 'dropped')), 0),"                                                 \
                   " max(CASE WHEN error = '" STORE_ERROR_PING_PONG "' THEN received_at END),"     \
                   " max(CASE WHEN intent = '" STORE_INTENT_WAIT "' THEN received_at END)"         \
                   " FROM messages INDEXED BY messages_replies"                                    \
                   " WHERE chat = ?1 AND reply_to IS NOT NULL AND received_at >= ?2")              \
    X(CHAT_NEWEST, "SELECT direction = 'OUT', from_me, received_at, text FROM messages"            \
                   " INDEXED BY messages_chat WHERE chat = ?1 ORDER BY id DESC LIMIT ?2")          \
    X(OWNER_WROTE, "SELECT EXISTS(SELECT 1 FROM messages INDEXED BY messages_owner"                \
                   " WHERE chat = ?1 AND id > ?2 AND " BY_OWNER                                    \
                   " AND kind NOT IN ('reaction', 'revoke', 'undecryptable'))")                    \
    X(REPLACE_TEXT, "UPDATE messages SET text = ?2, intent = ?3"                                   \
                    " WHERE id = ?1 AND status = 'queued' AND attempts = 0")                       \
    X(SET_SENDING, "UPDATE messages SET status = 'sending', attempts = attempts + 1, sent_at = ?2" \
                   " WHERE id = ?1 AND status = 'queued' AND turn = 1")                            \
    X(SET_QUEUED, "UPDATE messages SET status = 'queued', sent_at = NULL"                          \
                  " WHERE id = ?1 AND status = 'sending'")                                         \
    X(SET_DROPPED, "UPDATE messages SET status = 'dropped', error = ?2"                            \
                   " WHERE id = ?1 AND status = 'queued'")                                         \
    X(SET_SENT, "UPDATE messages INDEXED BY messages_identity SET status = 'sent',"                \
                " acked_at = ?2" OUT_BY_WA_ID " AND " LEFT_ONCE)                                   \
    X(SET_FAILED, "UPDATE messages INDEXED BY messages_identity SET status = 'failed',"            \
                  " error = ?2" OUT_BY_WA_ID " AND status IN " WAITING)                            \
    X(SET_DELIVERED, "UPDATE messages INDEXED BY messages_identity SET status = 'delivered',"      \
                     " delivered_at = ?2" OUT_BY_WA_ID " AND (status = 'sent' OR " LEFT_ONCE ")")  \
    X(SET_READ,                                                                                    \
      "UPDATE messages INDEXED BY messages_identity SET status = 'read',"                          \
      " read_at = ?2" OUT_BY_WA_ID " AND (status IN ('sent', 'delivered') OR " LEFT_ONCE ")")      \
    X(FIND_CHAT, "SELECT chat, language, menu, handover_at FROM chats WHERE " CHAT_IS              \
                 " ORDER BY chat = ?1 DESC LIMIT 1")                                               \
    X(PUT_CHAT, "INSERT INTO chats(chat, chat_pn, chat_lid, language, menu)"                       \
                " VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(chat) DO UPDATE SET"                      \
                " chat_pn = coalesce(?2, chat_pn), chat_lid = coalesce(?3, chat_lid),"             \
                " language = ?4, menu = ?5")                                                       \
    X(HAND_OVER, "UPDATE chats SET handover_at = ?4, handover_intent = ?5 WHERE " CHAT_IS)         \
    X(RELEASE, "UPDATE chats SET handover_at = NULL, handover_intent = NULL"                       \
               " WHERE handover_at IS NOT NULL"                                                    \
               " AND (?1 IS NULL OR ?1 IN (chat, chat_pn, chat_lid))")                             \
    X(TOTALS, "SELECT received, replied, sent, delivered, read, failed, undecryptable,"            \
              " last_message_at FROM totals")                                                      \
    X(LIST_AFTER, LISTED " WHERE id > ?1 AND " ADDRESSED_TO " ORDER BY id LIMIT ?2")               \
    X(LIST_NEWEST, LISTED " WHERE ?1 < 0 AND id IN (SELECT id FROM messages WHERE " ADDRESSED_TO   \
                          " ORDER BY id DESC LIMIT ?2) ORDER BY id")                               \
    X(FOUND_AFTER, FOUND " WHERE id > ?1 AND " ADDRESSED_TO " ORDER BY id LIMIT ?2")               \
    X(FOUND_NEWEST, "SELECT * FROM (" FOUND " WHERE ?1 < 0 AND " ADDRESSED_TO                      \
                    " ORDER BY id DESC LIMIT ?2) ORDER BY id")                                     \
    X(UNLINK_ANSWERS, "UPDATE messages INDEXED BY messages_reply SET reply_to = NULL"              \
                      " WHERE reply_to IN " OLDEST)                                                \
    X(DELETE_OLDEST, "DELETE FROM messages WHERE id IN " OLDEST)                                   \
    X(OLDEST_TIME, "SELECT min(received_at) FROM messages")                                        \
    X(PAGES, "SELECT page_count, freelist_count, page_size FROM pragma_page_count,"                \
             " pragma_freelist_count, pragma_page_size")                                           \
    X(ADD_EVENT, "INSERT INTO events(at, kind, status, session, code, message)"                    \
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                                \
    X(EVENTS_AFTER, "SELECT id, at, kind, status, session, code, message FROM events"              \
                    " WHERE id > ?1 ORDER BY id LIMIT ?2")                                         \
    X(EVENTS_NEWEST, "SELECT id, at, kind, status, session, code, message FROM events"             \
                     " WHERE ?1 < 0 AND id IN (SELECT id FROM events ORDER BY id DESC LIMIT ?2)"   \
                     " ORDER BY id")

enum {
#define X(name, sql) SQL_##name,
    STATEMENTS(X)
#undef X
        SQL_COUNT
};

static const char *const statements[SQL_COUNT] = {
#define X(name, sql) [SQL_##name] = sql,
    STATEMENTS(X)
#undef X
};

/* 0640: the portal is in the group. */
static const struct store_db_spec spec = {.application_id = APPLICATION_ID,
                                          .mode = 0640,
                                          .shared = true,
                                          .shrinks = true,
                                          .search = true,
                                          .migrations = migrations,
                                          .version = ARRAY_LEN(migrations),
                                          .statements = statements,
                                          .statement_count = SQL_COUNT};

/* ---- handle ----------------------------------------------------------------------------- */

struct store_messages {
    struct store_db *db;
    struct arena row; /* texts of the struct store_queued handed out last */
};

static int open_as(struct store_messages **out, const char *path, bool read_only, struct err *err)
{
    struct store_db *db;
    *out = NULL;
    int rc = store_db_open(&db, path, &spec, read_only, err);
    if (rc != 0)
        return rc;
    struct store_messages *m = err_calloc(1, sizeof(*m));
    m->db = db;
    arena_init(&m->row);
    *out = m;
    return 0;
}

int store_messages_open(struct store_messages **out, const char *path, struct err *err)
{
    return open_as(out, path, false, err);
}

int store_messages_open_readonly(struct store_messages **out, const char *path, struct err *err)
{
    return open_as(out, path, true, err);
}

void store_messages_close(struct store_messages *m)
{
    if (!m)
        return;
    store_db_close(m->db);
    arena_deinit(&m->row);
    free(m);
}

bool store_messages_dirty(const struct store_messages *m)
{
    return store_db_dirty(m->db);
}

int store_messages_commit(struct store_messages *m, struct err *err)
{
    return store_db_commit(m->db, err);
}

void store_messages_rollback(struct store_messages *m)
{
    store_db_rollback(m->db);
}

const char *store_messages_error(const struct store_messages *m)
{
    return store_db_error(m->db);
}

/* ---- in --------------------------------------------------------------------------------- */

/* 1 and the row with whether it stands as undecryptable, 0, or ERR_STORE. */
static int find_inbound(struct store_messages *m, const struct store_inbound *in, int64_t *id,
                        bool *undecryptable)
{
    struct sqlite3_stmt *row = store_db_select(
        m->db, SQL_FIND,
        STORE_VALUES(STORE_BYTES(in->wa_id), STORE_TEXT(in->chat), STORE_TEXT(in->chat_pn),
                     STORE_TEXT(in->chat_lid), STORE_TEXT(in->sender), STORE_TEXT(in->sender_pn),
                     STORE_TEXT(in->sender_lid)));
    int rc = store_db_next(m->db, row);
    if (rc == 1) {
        *id = store_db_int(row, 0);
        *undecryptable = bytes_is(store_db_bytes(row, 1), "undecryptable");
    }
    store_db_end(row);
    return rc;
}

static int insert_inbound(struct store_messages *m, const struct store_inbound *in, int64_t *id)
{
    int rc = store_db_write(
        m->db, SQL_INSERT_IN,
        STORE_VALUES(STORE_BYTES(in->wa_id), STORE_TEXT(in->chat), STORE_TEXT(in->chat_pn),
                     STORE_TEXT(in->chat_lid), STORE_TEXT(in->sender), STORE_TEXT(in->sender_pn),
                     STORE_TEXT(in->sender_lid), STORE_BYTES(in->sender_name),
                     STORE_INT(in->from_me), STORE_INT(in->offline), STORE_TEXT(in->kind),
                     STORE_BYTES(in->text), STORE_BYTES(in->quoted_id), STORE_TEXT(in->fault),
                     STORE_TIME(in->sent_at), STORE_TIME(in->received_at),
                     STORE_BYTES(in->target_id)));
    *id = store_db_last_id(m->db);
    return rc;
}

static int complete_inbound(struct store_messages *m, const struct store_inbound *in, int64_t id)
{
    return store_db_write(
        m->db, SQL_COMPLETE,
        STORE_VALUES(STORE_INT(id), STORE_TEXT(in->chat_pn), STORE_TEXT(in->chat_lid),
                     STORE_TEXT(in->sender_pn), STORE_TEXT(in->sender_lid),
                     STORE_BYTES(in->sender_name), STORE_INT(in->offline), STORE_TEXT(in->kind),
                     STORE_BYTES(in->text), STORE_BYTES(in->quoted_id), STORE_TIME(in->sent_at),
                     STORE_TIME(in->received_at), STORE_BYTES(in->target_id)));
}

int store_messages_record(struct store_messages *m, const struct store_inbound *in, int64_t *id)
{
    bool undecryptable = false;
    *id = 0;
    if (in->wa_id.n == 0 || !in->chat || !in->sender)
        return ERR_INVALID;
    int rc = find_inbound(m, in, id, &undecryptable);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return insert_inbound(m, in, id);
    return undecryptable && !in->fault ? complete_inbound(m, in, *id) : 0;
}

/* ---- what is said about an earlier message ------------------------------------------------ */

/* 1 and the row that a change is about, 0, or ERR_STORE. */
static int find_target(struct store_messages *m, const struct store_change *c, int64_t *id)
{
    const struct store_inbound like = {.wa_id = c->target_id,
                                       .chat = c->chat,
                                       .chat_pn = c->chat_pn,
                                       .chat_lid = c->chat_lid,
                                       .sender = c->sender,
                                       .sender_pn = c->sender_pn,
                                       .sender_lid = c->sender_lid};
    bool undecryptable;
    *id = 0;
    if (!c->any_author)
        return find_inbound(m, &like, id, &undecryptable);
    int rc = store_db_number(m->db, id, SQL_FIND_IN_CHAT,
                             STORE_VALUES(STORE_BYTES(c->target_id), STORE_TEXT(c->chat),
                                          STORE_TEXT(c->chat_pn), STORE_TEXT(c->chat_lid)));
    return rc < 0 ? rc : *id != 0;
}

int store_messages_edit(struct store_messages *m, const struct store_change *c)
{
    int64_t id;
    int rc = find_target(m, c, &id);
    if (rc != 1)
        return rc;
    return store_db_write(m->db, SQL_EDIT,
                          STORE_VALUES(STORE_INT(id), STORE_BYTES(c->text), STORE_INT(c->at)));
}

int store_messages_revoke(struct store_messages *m, const struct store_change *c)
{
    int64_t id;
    int rc = find_target(m, c, &id);
    if (rc == 1)
        rc = store_db_write(m->db, SQL_REVOKE, STORE_VALUES(STORE_INT(id), STORE_INT(c->at)));
    if (rc != 1)
        return rc;
    rc = store_db_write(m->db, SQL_CANCEL_REPLY, STORE_VALUES(STORE_INT(id)));
    return rc < 0 ? rc : 1;
}

/* ---- out -------------------------------------------------------------------------------- */

static int find_twin(struct store_messages *m, const struct store_outbound *out, int64_t reply_to,
                     int64_t *id)
{
    int rc = 0;
    if (reply_to)
        rc = store_db_number(m->db, id, SQL_FIND_REPLY, STORE_VALUES(STORE_INT(reply_to)));
    if (rc == 0 && *id == 0 && out->outbox_name)
        rc =
            store_db_number(m->db, id, SQL_FIND_OUTBOX, STORE_VALUES(STORE_TEXT(out->outbox_name)));
    if (rc == 0 && *id == 0)
        return ERR_EXISTS;
    return rc;
}

int store_messages_intend(struct store_messages *m, const struct store_outbound *out,
                          int64_t reply_to, int64_t *id)
{
    *id = 0;
    int rc = store_db_write(
        m->db, SQL_INSERT_OUT,
        STORE_VALUES(STORE_TEXT(out->wa_id), STORE_TEXT(out->chat), STORE_TEXT(out->target),
                     STORE_TEXT(out->sender), STORE_BYTES(out->text), STORE_TEXT(out->quoted_id),
                     STORE_TEXT(out->intent), STORE_TEXT(out->outbox_name),
                     STORE_TIME(out->created_at), STORE_TIME(reply_to), STORE_TEXT(out->chat_pn),
                     STORE_TEXT(out->chat_lid), STORE_INT(out->held), STORE_TIME(out->due_at),
                     STORE_TIME(out->expires_at)));
    if (rc == 0)
        return find_twin(m, out, reply_to, id);
    if (rc > 0)
        *id = store_db_last_id(m->db);
    return rc;
}

static struct bytes kept(struct store_messages *m, struct sqlite3_stmt *row, int column)
{
    struct bytes b = store_db_bytes(row, column);
    return b.p ? arena_copy(&m->row, b) : BYTES_NONE;
}

static const char *kept_text(struct store_messages *m, struct sqlite3_stmt *row, int column)
{
    return (const char *)kept(m, row, column).p;
}

/* The texts are copied, so that no read transaction stays open and holds back checkpoints. */
static int one_queued(struct store_messages *m, struct sqlite3_stmt *row, struct store_queued *out)
{
    arena_reset(&m->row);
    int rc = store_db_next(m->db, row);
    if (rc == 1)
        *out =
            (struct store_queued){.id = store_db_int(row, 0),
                                  .reply_to = store_db_int(row, 1),
                                  .wa_id = kept_text(m, row, 2),
                                  .chat = kept_text(m, row, 3),
                                  .target = kept_text(m, row, 4),
                                  .text = kept(m, row, 5),
                                  .quoted_wa_id = kept_text(m, row, 6),
                                  .attempts = (int)store_db_int(row, 7),
                                  .warning = bytes_is(store_db_bytes(row, 8), STORE_INTENT_WARNING),
                                  .created_at = store_db_int(row, 9),
                                  .answered_sender = kept_text(m, row, 10),
                                  .outbox_name = kept_text(m, row, 11),
                                  .expires_at = store_db_int(row, 12),
                                  .quoted_sender = kept_text(m, row, 13),
                                  .quoted_text = kept(m, row, 14)};
    store_db_end(row);
    return rc;
}

int store_messages_next_queued(struct store_messages *m, int64_t after_id, struct store_queued *out)
{
    return one_queued(m, store_db_select(m->db, SQL_NEXT_QUEUED, STORE_VALUES(STORE_INT(after_id))),
                      out);
}

int store_messages_find_sent(struct store_messages *m, struct bytes wa_id, struct store_queued *out)
{
    return one_queued(m, store_db_select(m->db, SQL_FIND_SENT, STORE_VALUES(STORE_BYTES(wa_id))),
                      out);
}

int store_messages_requeue(struct store_messages *m)
{
    return store_db_write(m->db, SQL_REQUEUE, STORE_VALUES());
}

static int64_t count(struct store_messages *m, size_t statement, struct store_values values)
{
    int64_t n;
    int rc = store_db_number(m->db, &n, statement, values);
    return rc < 0 ? rc : n;
}

int64_t store_messages_count_queued(struct store_messages *m)
{
    return count(m, SQL_COUNT_QUEUED, STORE_VALUES());
}

int64_t store_messages_count_queued_in(struct store_messages *m, const char *chat)
{
    return count(m, SQL_COUNT_QUEUED_IN, STORE_VALUES(STORE_TEXT(chat)));
}

int64_t store_messages_count_sent_since(struct store_messages *m, int64_t since_ms, bool warnings)
{
    return count(m, SQL_COUNT_SENT_SINCE, STORE_VALUES(STORE_INT(since_ms), STORE_INT(warnings)));
}

/* ---- status ----------------------------------------------------------------------------- */

static int set_by_id(struct store_messages *m, size_t statement, struct store_values values)
{
    int changed = store_db_write(m->db, statement, values);
    if (changed == 0)
        return ERR_STATE;
    return changed < 0 ? changed : 0;
}

int store_messages_replace_text(struct store_messages *m, int64_t id, struct bytes text,
                                const char *intent)
{
    return set_by_id(m, SQL_REPLACE_TEXT,
                     STORE_VALUES(STORE_INT(id), STORE_BYTES(text), STORE_TEXT(intent)));
}

int store_messages_set_sending(struct store_messages *m, int64_t id, int64_t now_ms)
{
    return set_by_id(m, SQL_SET_SENDING, STORE_VALUES(STORE_INT(id), STORE_INT(now_ms)));
}

int store_messages_set_queued(struct store_messages *m, int64_t id)
{
    return set_by_id(m, SQL_SET_QUEUED, STORE_VALUES(STORE_INT(id)));
}

int store_messages_set_dropped(struct store_messages *m, int64_t id, const char *why)
{
    return set_by_id(m, SQL_SET_DROPPED, STORE_VALUES(STORE_INT(id), STORE_TEXT(why)));
}

/* An id of ours is random, but should two rows share one, both of them changed. */
static int set_by_wa_id(struct store_messages *m, size_t statement, struct store_values values)
{
    int changed = store_db_write(m->db, statement, values);
    return changed > 0 ? 1 : changed;
}

int store_messages_set_sent(struct store_messages *m, struct bytes wa_id, int64_t acked_at)
{
    return set_by_wa_id(m, SQL_SET_SENT, STORE_VALUES(STORE_BYTES(wa_id), STORE_TIME(acked_at)));
}

int store_messages_set_failed(struct store_messages *m, struct bytes wa_id, const char *why)
{
    return set_by_wa_id(m, SQL_SET_FAILED, STORE_VALUES(STORE_BYTES(wa_id), STORE_TEXT(why)));
}

int store_messages_set_delivered(struct store_messages *m, struct bytes wa_id, int64_t at)
{
    return set_by_wa_id(m, SQL_SET_DELIVERED, STORE_VALUES(STORE_BYTES(wa_id), STORE_TIME(at)));
}

int store_messages_set_read(struct store_messages *m, struct bytes wa_id, int64_t at)
{
    return set_by_wa_id(m, SQL_SET_READ, STORE_VALUES(STORE_BYTES(wa_id), STORE_TIME(at)));
}

/* ---- chats ------------------------------------------------------------------------------ */

int store_messages_find_chat(struct store_messages *m, const struct store_chat_key *key,
                             struct store_chat *out)
{
    struct sqlite3_stmt *row = store_db_select(
        m->db, SQL_FIND_CHAT,
        STORE_VALUES(STORE_TEXT(key->chat), STORE_TEXT(key->pn), STORE_TEXT(key->lid)));
    int rc = store_db_next(m->db, row);
    *out = (struct store_chat){0};
    if (rc == 1) {
        bytes_copy_text(store_db_bytes(row, 0), out->chat, sizeof(out->chat));
        bytes_copy_text(store_db_bytes(row, 1), out->language, sizeof(out->language));
        bytes_copy_text(store_db_bytes(row, 2), out->menu, sizeof(out->menu));
        out->handover_at = store_db_int(row, 3);
    }
    store_db_end(row);
    return rc;
}

int store_messages_put_chat(struct store_messages *m, const struct store_chat_key *key,
                            const struct store_chat *chat)
{
    int rc = store_db_write(m->db, SQL_PUT_CHAT,
                            STORE_VALUES(STORE_TEXT(chat->chat[0] ? chat->chat : key->chat),
                                         STORE_TEXT(key->pn), STORE_TEXT(key->lid),
                                         STORE_TEXT(chat->language), STORE_TEXT(chat->menu)));
    return rc < 0 ? rc : 0;
}

int store_messages_hand_over(struct store_messages *m, const struct store_chat_key *key,
                             int64_t now_ms, const char *intent)
{
    int rc =
        store_db_write(m->db, SQL_HAND_OVER,
                       STORE_VALUES(STORE_TEXT(key->chat), STORE_TEXT(key->pn),
                                    STORE_TEXT(key->lid), STORE_INT(now_ms), STORE_TEXT(intent)));
    return rc < 0 ? rc : 0;
}

int store_messages_release(struct store_messages *m, const char *chat)
{
    return store_db_write(m->db, SQL_RELEASE, STORE_VALUES(STORE_TEXT(chat)));
}

/* ---- the outbox ------------------------------------------------------------------------- */

int64_t store_messages_count_outbox(struct store_messages *m)
{
    return count(m, SQL_COUNT_OUTBOX, STORE_VALUES());
}

int64_t store_messages_count_due(struct store_messages *m, int64_t now_ms)
{
    return count(m, SQL_COUNT_DUE, STORE_VALUES(STORE_INT(now_ms)));
}

int64_t store_messages_count_under_way(struct store_messages *m)
{
    return count(m, SQL_COUNT_UNDER_WAY, STORE_VALUES());
}

/* The first two columns of the first row, both 0 when there is none. 1, 0, ERR_STORE. */
static int two_numbers(struct store_messages *m, size_t statement, struct store_values values,
                       int64_t *first, int64_t *second)
{
    struct sqlite3_stmt *row = store_db_select(m->db, statement, values);
    int rc = store_db_next(m->db, row);
    *first = rc == 1 ? store_db_int(row, 0) : 0;
    *second = rc == 1 ? store_db_int(row, 1) : 0;
    store_db_end(row);
    return rc;
}

int store_messages_outbox_sent_since(struct store_messages *m, int64_t since_ms, int64_t *sent,
                                     int64_t *last)
{
    int rc = two_numbers(m, SQL_OUTBOX_SENT, STORE_VALUES(STORE_INT(since_ms)), sent, last);
    return rc < 0 ? rc : 0;
}

int store_messages_first_held(struct store_messages *m, int64_t *id, int64_t *due_at)
{
    return two_numbers(m, SQL_FIRST_HELD, STORE_VALUES(), id, due_at);
}

int store_messages_let_in(struct store_messages *m, int64_t id)
{
    return set_by_id(m, SQL_LET_IN, STORE_VALUES(STORE_INT(id)));
}

int store_messages_expire(struct store_messages *m, int64_t now_ms)
{
    return store_db_write(m->db, SQL_EXPIRE, STORE_VALUES(STORE_INT(now_ms)));
}

int store_messages_next_report(struct store_messages *m, int64_t after_id, struct store_report *out)
{
    struct sqlite3_stmt *row =
        store_db_select(m->db, SQL_NEXT_REPORT, STORE_VALUES(STORE_INT(after_id)));
    arena_reset(&m->row);
    int rc = store_db_next(m->db, row);
    if (rc == 1)
        *out = (struct store_report){.id = store_db_int(row, 0),
                                     .outbox_name = kept_text(m, row, 1),
                                     .wa_id = kept_text(m, row, 2),
                                     .target = kept_text(m, row, 3),
                                     .chat_pn = kept_text(m, row, 4),
                                     .chat_lid = kept_text(m, row, 5),
                                     .acked_at = store_db_int(row, 6),
                                     .delivered_at = store_db_int(row, 7),
                                     .read_at = store_db_int(row, 8),
                                     .status = kept_text(m, row, 9),
                                     .error = kept_text(m, row, 10)};
    store_db_end(row);
    return rc;
}

int store_messages_report_again(struct store_messages *m, const char *outbox_name)
{
    return store_db_write(m->db, SQL_REPORT_AGAIN, STORE_VALUES(STORE_TEXT(outbox_name)));
}

int store_messages_reported(struct store_messages *m, int64_t id)
{
    return set_by_id(m, SQL_REPORTED, STORE_VALUES(STORE_INT(id)));
}

int store_messages_can_quote(struct store_messages *m, const char *wa_id, const char *chat)
{
    int64_t n = count(m, SQL_CAN_QUOTE, STORE_VALUES(STORE_TEXT(wa_id), STORE_TEXT(chat)));
    return n < 0 ? ERR_STORE : n > 0;
}

/* ---- what the guards go by -------------------------------------------------------------- */

int store_messages_guards(struct store_messages *m, const char *chat, int64_t since_ms,
                          int64_t day_ms, struct store_guards *out)
{
    struct sqlite3_stmt *row =
        store_db_select(m->db, SQL_CHAT_GUARDS,
                        STORE_VALUES(STORE_TEXT(chat), STORE_INT(since_ms), STORE_INT(day_ms)));
    int rc = store_db_next(m->db, row);
    *out = (struct store_guards){0};
    if (rc == 1)
        *out = (struct store_guards){.last_reply_at = store_db_int(row, 0),
                                     .replies_in_day = store_db_int(row, 1),
                                     .ping_pong_at = store_db_int(row, 2),
                                     .wait_at = store_db_int(row, 3)};
    store_db_end(row);
    return rc < 0 ? rc : 0;
}

int store_messages_newest_in(struct store_messages *m, const char *chat, int limit,
                             struct store_turn *out)
{
    struct sqlite3_stmt *rows =
        store_db_select(m->db, SQL_CHAT_NEWEST, STORE_VALUES(STORE_TEXT(chat), STORE_INT(limit)));
    int rc, n = 0;
    arena_reset(&m->row);
    while ((rc = store_db_next(m->db, rows)) == 1 && n < limit)
        out[n++] = (struct store_turn){.out = store_db_int(rows, 0) != 0,
                                       .from_me = store_db_int(rows, 1) != 0,
                                       .at = store_db_int(rows, 2),
                                       .text = kept(m, rows, 3)};
    store_db_end(rows);
    return rc < 0 ? rc : n;
}

int store_messages_owner_wrote(struct store_messages *m, const char *chat, int64_t after_id)
{
    int64_t n = count(m, SQL_OWNER_WROTE, STORE_VALUES(STORE_TEXT(chat), STORE_INT(after_id)));
    return n < 0 ? ERR_STORE : n > 0;
}

/* ---- reports ---------------------------------------------------------------------------- */

int store_messages_totals(struct store_messages *m, struct store_totals *out)
{
    struct sqlite3_stmt *row = store_db_select(m->db, SQL_TOTALS, STORE_VALUES());
    int rc = store_db_next(m->db, row);
    *out = (struct store_totals){0};
    if (rc == 1)
        *out = (struct store_totals){.received = store_db_int(row, 0),
                                     .replied = store_db_int(row, 1),
                                     .sent = store_db_int(row, 2),
                                     .delivered = store_db_int(row, 3),
                                     .read = store_db_int(row, 4),
                                     .failed = store_db_int(row, 5),
                                     .undecryptable = store_db_int(row, 6),
                                     .last_message_at = store_db_int(row, 7)};
    store_db_end(row);
    return rc < 0 ? rc : 0;
}

#define READ_INT(row, at) store_db_int(row, at)
#define READ_TIME(row, at) store_db_int(row, at)
#define READ_BOOL(row, at) store_db_int(row, at)
#define READ_TEXT(row, at) store_db_bytes(row, at)

static struct store_row listed(struct sqlite3_stmt *row)
{
    struct store_row r;
    int at = 0;
#define X(name, type) r.name = READ_##type(row, ++at);
    STORE_COLUMNS(X)
#undef X
    return r;
}

/* Every word in quotes, so that none is read as an operator; each may go on. */
static void append_words(struct buf *out, const char *text)
{
    static const char blanks[] = " \t\r\n";
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t n = strcspn(text, blanks);
        buf_append_u8(out, '"');
        for (size_t i = 0; i < n; i++)
            buf_append(out, text[i] == '"' ? BYTES("\"\"", 2) : BYTES(text + i, 1));
        buf_append_text(out, "\"* ");
        text += n;
    }
}

int store_messages_each(struct store_messages *m, const struct store_query *q,
                        int (*row)(void *ctx, const struct store_row *r), void *ctx)
{
    struct buf words = {.max = 1u << 16};
    size_t which = q->after_id < 0 ? SQL_LIST_NEWEST : SQL_LIST_AFTER;
    if (q->search) {
        which = q->after_id < 0 ? SQL_FOUND_NEWEST : SQL_FOUND_AFTER;
        append_words(&words, q->search);
    }
    struct store_values values = STORE_VALUES(STORE_INT(q->after_id), STORE_INT(q->limit),
                                              STORE_TEXT(q->chat), STORE_BYTES(buf_bytes(&words)));
    values.n -= q->search ? 0 : 1;
    struct sqlite3_stmt *rows = store_db_select(m->db, which, values);
    int rc;
    while ((rc = store_db_next(m->db, rows)) == 1) {
        struct store_row r = listed(rows);
        if (row(ctx, &r) != 0)
            break;
    }
    store_db_end(rows);
    buf_deinit(&words);
    return rc < 0 ? rc : 0;
}

/* ---- retention -------------------------------------------------------------------------- */

/* The pages in use and the pages that are free. */
static int read_pages(struct store_messages *m, int64_t *used_bytes, int64_t *free_pages)
{
    struct sqlite3_stmt *row = store_db_select(m->db, SQL_PAGES, STORE_VALUES());
    int rc = store_db_next(m->db, row);
    if (rc == 1) {
        *free_pages = store_db_int(row, 1);
        *used_bytes = (store_db_int(row, 0) - *free_pages) * store_db_int(row, 2);
    }
    store_db_end(row);
    return rc == 1 ? 0 : ERR_STORE;
}

static int delete_before(struct store_messages *m, int64_t before)
{
    struct store_values values = STORE_VALUES(STORE_INT(before), STORE_INT(STORE_TRIM_ROWS));
    int rc = store_db_write(m->db, SQL_UNLINK_ANSWERS, values);
    if (rc >= 0)
        rc = store_db_write(m->db, SQL_DELETE_OLDEST, values);
    /* The words of what was deleted leave the index only when it is merged, a few pages at once. */
    if (rc > 0 && store_db_write_sql(m->db, "INSERT INTO messages_search(messages_search, rank)"
                                            " VALUES('merge', -64)") < 0)
        return ERR_STORE;
    return rc;
}

/* Nothing is written when there is nothing to delete: an idle tenant causes no sync. */
static bool any_before(struct store_messages *m, int64_t before)
{
    int64_t oldest;
    return store_db_number(m->db, &oldest, SQL_OLDEST_TIME, STORE_VALUES()) == 0 && oldest &&
           oldest < before;
}

int store_messages_trim(struct store_messages *m, const struct store_keep *keep, int64_t now_ms)
{
    int64_t used, spare, before = 0;
    if (read_pages(m, &used, &spare) < 0)
        return ERR_STORE;
    if (keep->days > 0) /* whole hours: seldom and many at once */
        before = (now_ms / HOUR_MS - keep->days * 24) * HOUR_MS;
    if (keep->bytes > 0 && used > keep->bytes)
        before = now_ms - STORE_DAY_MS;
    int deleted = before > 0 && any_before(m, before) ? delete_before(m, before) : 0;
    if (deleted >= 0 && spare >= STORE_TRIM_SPARE_PAGES &&
        store_db_write_sql(m->db, "PRAGMA incremental_vacuum(" TEXT_OF(STORE_TRIM_PAGES) ")") < 0)
        return ERR_STORE;
    return deleted;
}

/* ---- history ---------------------------------------------------------------------------- */

int store_messages_add_event(struct store_messages *m, const struct store_event *e)
{
    int rc = store_db_write(m->db, SQL_ADD_EVENT,
                            STORE_VALUES(STORE_INT(e->at), STORE_TEXT(e->kind),
                                         STORE_TEXT(e->status), STORE_TEXT(e->session),
                                         STORE_TEXT(e->code), STORE_TEXT(e->message)));
    return rc < 0 ? rc : 0;
}

int store_messages_each_event(struct store_messages *m, int64_t after_id, int limit,
                              int (*event)(void *ctx, const struct store_event *e), void *ctx)
{
    struct sqlite3_stmt *rows =
        store_db_select(m->db, after_id < 0 ? SQL_EVENTS_NEWEST : SQL_EVENTS_AFTER,
                        STORE_VALUES(STORE_INT(after_id), STORE_INT(limit)));
    int rc;
    while ((rc = store_db_next(m->db, rows)) == 1) {
        const struct store_event e = {.id = store_db_int(rows, 0),
                                      .at = store_db_int(rows, 1),
                                      .kind = store_db_text(rows, 2),
                                      .status = store_db_text(rows, 3),
                                      .session = store_db_text(rows, 4),
                                      .code = store_db_text(rows, 5),
                                      .message = store_db_text(rows, 6)};
        if (event(ctx, &e) != 0)
            break;
    }
    store_db_end(rows);
    return rc < 0 ? rc : 0;
}
