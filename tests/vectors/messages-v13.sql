-- messages.db as wabridge 0.1 before the first release made it: PRAGMA user_version 13 (ids go on after totals.last_id), its schema word
-- for word, the rows of messages-v1.sql and some of what was new. Migrations are tested from here; never change it.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA application_id = 2002931027;
PRAGMA user_version = 13;
CREATE TABLE messages( id INTEGER PRIMARY KEY AUTOINCREMENT, direction TEXT NOT NULL CHECK(direction IN ('IN', 'OUT')), wa_id TEXT NOT NULL, chat TEXT NOT NULL, chat_pn TEXT, chat_lid TEXT, sender TEXT NOT NULL, sender_pn TEXT, sender_lid TEXT, sender_name TEXT, from_me INTEGER NOT NULL DEFAULT 0, kind TEXT, text TEXT, quoted_id TEXT, fault TEXT, sent_at INTEGER, received_at INTEGER, acked_at INTEGER, delivered_at INTEGER, read_at INTEGER, status TEXT NOT NULL CHECK(status IN ('received', 'undecryptable', 'queued', 'sending', 'sent',  'delivered', 'read', 'failed', 'dropped')), error TEXT, attempts INTEGER NOT NULL DEFAULT 0, reply_to INTEGER REFERENCES messages(id), intent TEXT, target TEXT, offline INTEGER NOT NULL DEFAULT 0, outbox_name TEXT, turn INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX messages_identity ON messages(wa_id, sender, chat);
CREATE UNIQUE INDEX messages_reply ON messages(reply_to) WHERE reply_to IS NOT NULL;
CREATE UNIQUE INDEX messages_outbox ON messages(outbox_name) WHERE outbox_name IS NOT NULL;
CREATE INDEX messages_chat ON messages(chat);
CREATE INDEX messages_waiting ON messages(chat) WHERE status IN ('queued', 'sending');
CREATE INDEX messages_turn ON messages(id) WHERE turn = 1;
CREATE INDEX messages_left ON messages(sent_at, intent) WHERE direction = 'OUT' AND sent_at IS NOT NULL;
CREATE TABLE totals( id INTEGER PRIMARY KEY CHECK(id = 1), received INTEGER NOT NULL DEFAULT 0, replied INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, undecryptable INTEGER NOT NULL DEFAULT 0, last_message_at INTEGER NOT NULL DEFAULT 0, queued INTEGER NOT NULL DEFAULT 0);
INSERT INTO totals(id) VALUES(1);
CREATE TRIGGER messages_count_undecryptable AFTER INSERT ON messages WHEN new.status = 'undecryptable' BEGIN UPDATE totals SET undecryptable = undecryptable + 1; END;
CREATE TRIGGER messages_count_received AFTER INSERT ON messages WHEN new.status = 'received' AND NOT new.from_me BEGIN UPDATE totals SET received = received + 1,  last_message_at = max(last_message_at, coalesce(new.received_at, 0)); END;
CREATE TRIGGER messages_count_completed AFTER UPDATE OF status ON messages WHEN old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me BEGIN UPDATE totals SET received = received + 1,  last_message_at = max(last_message_at, coalesce(new.received_at, 0)); END;
CREATE TRIGGER messages_count_queued AFTER INSERT ON messages WHEN new.status = 'queued' BEGIN UPDATE totals SET queued = queued + 1; END;
CREATE TRIGGER messages_count_outcome AFTER UPDATE OF status ON messages WHEN old.status IN ('queued', 'sending') AND new.status NOT IN ('queued', 'sending') BEGIN UPDATE totals SET queued = queued - 1,  sent = sent + (new.status = 'sent' OR new.status IN ('delivered', 'read')),  replied = replied + (new.reply_to IS NOT NULL   AND (new.status = 'sent' OR new.status IN ('delivered', 'read'))),  failed = failed + (new.status = 'failed'); END;
CREATE TRIGGER messages_count_arrived AFTER UPDATE OF status ON messages WHEN old.status <> new.status AND new.status IN ('delivered', 'read') BEGIN UPDATE totals SET delivered = delivered + (old.status NOT IN ('delivered', 'read')),  read = read + (new.status = 'read'); END;
CREATE TRIGGER messages_pass_turn AFTER UPDATE OF status ON messages WHEN old.turn = 1 AND new.status NOT IN ('queued', 'sending') BEGIN UPDATE messages SET turn = 0 WHERE id = new.id; UPDATE messages SET turn = 1 WHERE id = (SELECT min(id) FROM messages  INDEXED BY messages_waiting WHERE chat = new.chat AND status IN ('queued', 'sending')); END;
CREATE VIRTUAL TABLE messages_search USING fts5(text, content='messages', content_rowid='id', columnsize=0, tokenize='unicode61 remove_diacritics 2');
INSERT INTO messages_search(rowid, text) SELECT id, text FROM messages WHERE text IS NOT NULL;
CREATE TRIGGER messages_search_insert AFTER INSERT ON messages WHEN new.text IS NOT NULL BEGIN INSERT INTO messages_search(rowid, text) VALUES(new.id, new.text); END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF text ON messages WHEN old.text IS NOT new.text BEGIN INSERT INTO messages_search(messages_search, rowid, text)  SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL; INSERT INTO messages_search(rowid, text)  SELECT new.id, new.text WHERE new.text IS NOT NULL; END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages WHEN old.text IS NOT NULL BEGIN INSERT INTO messages_search(messages_search, rowid, text)  VALUES('delete', old.id, old.text); END;
CREATE INDEX messages_received ON messages(received_at);
CREATE TABLE events( id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL CHECK(kind IN ('state', 'error')), status TEXT NOT NULL, session TEXT NOT NULL, code TEXT NOT NULL, message TEXT);
CREATE TRIGGER events_bound AFTER INSERT ON events BEGIN DELETE FROM events WHERE id <= new.id - 10000; END;
ALTER TABLE messages ADD COLUMN target_id TEXT;
ALTER TABLE messages ADD COLUMN edited_at INTEGER;
ALTER TABLE messages ADD COLUMN revoked_at INTEGER;
CREATE TABLE chats( chat TEXT PRIMARY KEY, chat_pn TEXT, chat_lid TEXT, language TEXT, menu TEXT, handover_at INTEGER, handover_intent TEXT) WITHOUT ROWID;
CREATE INDEX chats_pn ON chats(chat_pn) WHERE chat_pn IS NOT NULL;
CREATE INDEX chats_lid ON chats(chat_lid) WHERE chat_lid IS NOT NULL;
CREATE INDEX chats_handover ON chats(handover_at) WHERE handover_at IS NOT NULL;
ALTER TABLE messages ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN due_at INTEGER;
ALTER TABLE messages ADD COLUMN expires_at INTEGER;
ALTER TABLE messages ADD COLUMN report INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN outbox INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER messages_pass_turn;
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages(chat) WHERE status IN ('queued', 'sending') AND held = 0;
DROP INDEX messages_left;
CREATE INDEX messages_left ON messages(sent_at, intent, outbox_name) WHERE direction = 'OUT' AND sent_at IS NOT NULL;
CREATE INDEX messages_held ON messages(due_at) WHERE held = 1;
CREATE INDEX messages_expiring ON messages(expires_at) WHERE held = 1 AND expires_at IS NOT NULL;
CREATE INDEX messages_under_way ON messages(id) WHERE outbox_name IS NOT NULL AND held = 0 AND status IN ('queued', 'sending');
CREATE INDEX messages_report ON messages(id) WHERE report = 1;
CREATE INDEX messages_replies ON messages(chat, received_at) WHERE reply_to IS NOT NULL;
CREATE INDEX messages_owner ON messages(chat) WHERE direction = 'IN' AND from_me = 1;
CREATE TRIGGER messages_pass_turn AFTER UPDATE OF status ON messages WHEN old.turn = 1 AND new.status NOT IN ('queued', 'sending') BEGIN UPDATE messages SET turn = 0 WHERE id = new.id; UPDATE messages SET turn = 1 WHERE id = (SELECT min(id) FROM messages  INDEXED BY messages_waiting WHERE chat = new.chat AND status IN ('queued', 'sending') AND held = 0); END;
CREATE TRIGGER messages_count_outbox AFTER INSERT ON messages WHEN new.status = 'queued' AND new.outbox_name IS NOT NULL BEGIN UPDATE totals SET outbox = outbox + 1; END;
CREATE TRIGGER messages_report_outbox AFTER UPDATE OF status ON messages WHEN new.outbox_name IS NOT NULL AND old.status <> new.status AND new.status NOT IN ('queued', 'sending') BEGIN UPDATE messages SET report = 1 WHERE id = new.id; UPDATE totals SET outbox = outbox - (old.status IN ('queued', 'sending')); END;
INSERT INTO messages(id, direction, wa_id, chat, chat_lid, sender, sender_lid, sender_name, kind, text,
  sent_at, received_at, status) VALUES
  (1, 'IN', 'I1', '1@lid', '1@lid', '1@lid', '1@lid', 'Jürgen', 'text', 'Haben Sie geöffnet?',
   1000, 1001, 'received'),
  (2, 'IN', 'I2', '2@lid', '2@lid', '2@lid', '2@lid', NULL, 'image', NULL, 2000, 2001, 'received'),
  (3, 'IN', 'I3', '2@lid', '2@lid', '2@lid', '2@lid', NULL, 'text', 'How much is delivery?', 3000, 3001,
   'received');
INSERT INTO messages(id, direction, wa_id, chat, sender, kind, fault, received_at, status) VALUES
  (4, 'IN', 'I4', '3@lid', '3@lid', 'undecryptable', 'no session', 4001, 'undecryptable');
INSERT INTO messages(id, direction, wa_id, chat, target, sender, from_me, kind, text, reply_to, intent,
  received_at, status, turn) VALUES
  (5, 'OUT', 'O1', '1@lid', '1@lid', '4915100000000@s.whatsapp.net', 1, 'text', 'Ja, bis 17 Uhr.', 1,
   'hours', 1002, 'queued', 1),
  (6, 'OUT', 'O2', '2@lid', '2@lid', '4915100000000@s.whatsapp.net', 1, 'text', 'Free above 50.', 3,
   'fallback', 3002, 'queued', 1);
UPDATE messages SET status = 'sending', attempts = 1, sent_at = 1003 WHERE id = 5;
UPDATE messages SET status = 'sent', acked_at = 1004 WHERE id = 5;
UPDATE messages SET status = 'delivered', delivered_at = 1005 WHERE id = 5;
INSERT INTO events(at, kind, status, session, code, message) VALUES
  (1000, 'state', 'RUNNING', 'CONNECTED', 'login', NULL),
  (2000, 'error', 'ERROR', 'DISCONNECTED', 'connection_lost', 'the server closed');
INSERT INTO messages(id, direction, wa_id, chat, sender, kind, text, received_at, status, target_id) VALUES
  (7, 'IN', 'I7', '2@lid', '2@lid', 'edit', 'How much is delivery today?', 7000, 'received', 'I3');
UPDATE messages SET text = 'How much is delivery today?', edited_at = 7000 WHERE id = 3;
INSERT INTO chats(chat, chat_pn, chat_lid, language, menu, handover_at, handover_intent) VALUES
  ('1@lid', '491511@s.whatsapp.net', '1@lid', 'sw', 'fallback', 7500, 'human');
INSERT INTO messages(id, direction, wa_id, chat, target, sender, from_me, kind, text, outbox_name, received_at,
  status, held, due_at, expires_at) VALUES
  (8, 'OUT', 'O8', '3@lid', '3@lid', '9@lid', 1, 'text', 'Your order is ready.', 'order-1', 8000, 'queued', 1, 8000,
   9000000000000);
DROP TRIGGER messages_count_undecryptable;
DROP TRIGGER messages_count_received;
DROP TRIGGER messages_count_completed;
DROP TRIGGER messages_count_queued;
DROP TRIGGER messages_count_outcome;
DROP TRIGGER messages_count_arrived;
DROP TRIGGER messages_count_outbox;
DROP TRIGGER messages_pass_turn;
DROP TRIGGER messages_report_outbox;
DROP TRIGGER messages_search_insert;
DROP TRIGGER messages_search_update;
DROP TRIGGER messages_search_delete;
CREATE INDEX messages_ping_pong ON messages(chat, received_at) WHERE error = 'ping_pong';
CREATE INDEX messages_wait ON messages(chat, received_at) WHERE intent = 'please_wait';
ALTER TABLE totals ADD COLUMN searchable INTEGER NOT NULL DEFAULT 0;
UPDATE totals SET searchable = coalesce((SELECT max(id) FROM messages), 0) WHERE id = 1;
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),  received = received + (new.status = 'received' AND NOT new.from_me),  last_message_at = CASE WHEN new.status = 'received' AND NOT new.from_me THEN max(last_message_at, coalesce(new.received_at, 0)) ELSE last_message_at END,  queued = queued + (new.status = 'queued'),  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL) WHERE id = 1; END;
CREATE TRIGGER messages_moved AFTER UPDATE OF status ON messages WHEN old.status <> new.status AND NOT (old.status IN ('queued', 'sending') AND new.status IN ('queued', 'sending')) BEGIN UPDATE totals SET  received = received + (old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me),  last_message_at = CASE WHEN old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me THEN max(last_message_at, coalesce(new.received_at, 0))   ELSE last_message_at END,  queued = queued - (old.status IN ('queued', 'sending')),  sent = sent + (old.status IN ('queued', 'sending') AND (new.status = 'sent' OR new.status IN ('delivered', 'read'))),  replied = replied + (old.status IN ('queued', 'sending') AND new.reply_to IS NOT NULL AND (new.status = 'sent' OR new.status IN ('delivered', 'read'))  ),  failed = failed + (old.status IN ('queued', 'sending') AND new.status = 'failed'),  delivered = delivered + (new.status IN ('delivered', 'read') AND old.status NOT IN ('delivered', 'read')),  read = read + (new.status = 'read'),  outbox = outbox - (old.status IN ('queued', 'sending') AND new.outbox_name IS NOT NULL) WHERE id = 1; UPDATE messages SET turn = 0, report = new.outbox_name IS NOT NULL WHERE id = new.id  AND (old.turn = 1 OR new.outbox_name IS NOT NULL); UPDATE messages SET turn = 1 WHERE old.turn = 1 AND id = (SELECT min(id) FROM messages  INDEXED BY messages_waiting WHERE chat = new.chat AND status IN ('queued', 'sending') AND held = 0); END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF text ON messages WHEN old.text IS NOT new.text AND old.id <= (SELECT searchable FROM totals WHERE id = 1) BEGIN INSERT INTO messages_search(messages_search, rowid, text)  SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL; INSERT INTO messages_search(rowid, text)  SELECT new.id, new.text WHERE new.text IS NOT NULL; END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages WHEN old.text IS NOT NULL AND old.id <= (SELECT searchable FROM totals WHERE id = 1) BEGIN INSERT INTO messages_search(messages_search, rowid, text)  VALUES('delete', old.id, old.text); END;
ALTER TABLE messages ADD COLUMN media_file TEXT;
CREATE TABLE media( message INTEGER PRIMARY KEY, status TEXT NOT NULL CHECK(status IN ('listed', 'wanted', 'downloaded', 'too_large',  'type_refused', 'expired', 'failed', 'deleted')), mimetype TEXT, file_name TEXT, length INTEGER, width INTEGER, height INTEGER, seconds INTEGER, animated INTEGER NOT NULL DEFAULT 0, note INTEGER NOT NULL DEFAULT 0, file TEXT, error TEXT, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0);
CREATE INDEX media_wanted ON media(due_at) WHERE status = 'wanted';
CREATE TRIGGER media_gone AFTER DELETE ON messages BEGIN DELETE FROM media WHERE message = old.id; END;
INSERT INTO media(message, status, mimetype, length, file) VALUES (2, 'downloaded', 'image/jpeg', 100, '2.jpg');
UPDATE messages SET media_file = '2.jpg' WHERE id = 2;
ALTER TABLE chats ADD COLUMN expiration_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chats ADD COLUMN expiration_set_at INTEGER;
UPDATE chats SET expiration_s = 86400, expiration_set_at = 9000 WHERE chat = '1@lid';
DROP TRIGGER events_bound;
ALTER TABLE events RENAME TO events_before;
CREATE TABLE events( id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, session TEXT NOT NULL, code TEXT NOT NULL, message TEXT, chat TEXT);
INSERT INTO events(id, at, kind, status, session, code, message) SELECT id, at, kind, status, session, code, message FROM events_before;
DROP TABLE events_before;
CREATE TRIGGER events_bound AFTER INSERT ON events BEGIN DELETE FROM events WHERE id <= new.id - 10000; END;
INSERT INTO events(at, kind, status, session, code, chat) VALUES (9000, 'notice', 'RUNNING', 'CONNECTED', 'identity_changed', '1@lid');
ALTER TABLE messages ADD COLUMN history INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER messages_added;
CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.history = 0 BEGIN UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),  received = received + (new.status = 'received' AND NOT new.from_me),  last_message_at = CASE WHEN new.status = 'received' AND NOT new.from_me THEN max(last_message_at, coalesce(new.received_at, 0)) ELSE last_message_at END,  queued = queued + (new.status = 'queued'),  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL) WHERE id = 1; END;
INSERT INTO messages(direction, wa_id, chat, sender, kind, text, sent_at, received_at, status, history) VALUES ('IN', 'H1', '1@lid', '1@lid', 'text', 'of old', 100, 100, 'received', 1);
DROP TRIGGER messages_added; DROP TRIGGER messages_moved;
CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.history = 0 BEGIN UPDATE totals SET undecryptable = undecryptable + (new.status = 'undecryptable'),  received = received + (new.status = 'received' AND NOT new.from_me),  last_message_at = CASE WHEN new.status = 'received' AND NOT new.from_me AND new.received_at > last_message_at THEN new.received_at   ELSE last_message_at END,  queued = queued + (new.status = 'queued'),  outbox = outbox + (new.status = 'queued' AND new.outbox_name IS NOT NULL) WHERE id = 1; END;
CREATE TRIGGER messages_moved AFTER UPDATE OF status ON messages WHEN old.status <> new.status AND NOT (old.status IN ('queued', 'sending') AND new.status IN ('queued', 'sending')) BEGIN UPDATE totals SET  received = received + (old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me),  last_message_at = CASE WHEN old.status = 'undecryptable' AND new.status = 'received' AND NOT new.from_me AND new.received_at > last_message_at   THEN new.received_at ELSE last_message_at END,  queued = queued - (old.status IN ('queued', 'sending')),  sent = sent + (old.status IN ('queued', 'sending') AND (new.status = 'sent' OR new.status IN ('delivered', 'read'))),  replied = replied + (old.status IN ('queued', 'sending') AND new.reply_to IS NOT NULL AND (new.status = 'sent' OR new.status IN ('delivered', 'read'))  ),  failed = failed + (old.status IN ('queued', 'sending') AND new.status = 'failed'),  delivered = delivered + (new.status IN ('delivered', 'read') AND old.status NOT IN ('delivered', 'read')),  read = read + (new.status = 'read'),  outbox = outbox - (old.status IN ('queued', 'sending') AND new.outbox_name IS NOT NULL) WHERE id = 1; UPDATE messages SET turn = 0, report = new.outbox_name IS NOT NULL WHERE id = new.id  AND (old.turn = 1 OR new.outbox_name IS NOT NULL); UPDATE messages SET turn = 1 WHERE old.turn = 1 AND id = (SELECT min(id) FROM messages  INDEXED BY messages_waiting WHERE chat = new.chat AND status IN ('queued', 'sending') AND held = 0); END;
INSERT INTO messages(direction, wa_id, chat, target, sender, from_me, kind, text, received_at, status) VALUES
  ('OUT', 'O11', '2@lid', '2@lid', '4915100000000@s.whatsapp.net', 1, 'text', 'Behind O2.', 9500, 'queued');
DROP TRIGGER messages_added; DROP TRIGGER messages_moved;
UPDATE messages SET turn = 2 WHERE turn = 0 AND id IN (SELECT id FROM messages INDEXED BY messages_waiting WHERE status IN ('queued', 'sending') AND held = 0);
DROP INDEX messages_waiting; DROP INDEX messages_turn; DROP INDEX messages_left; DROP INDEX messages_replies; DROP INDEX messages_under_way;
CREATE INDEX messages_left ON messages(turn, sent_at, id, intent, outbox_name) WHERE direction = 'OUT' AND (sent_at IS NOT NULL OR turn = 1);
CREATE INDEX messages_replies ON messages(chat, turn, received_at) WHERE reply_to IS NOT NULL OR turn > 0;
CREATE INDEX messages_under_way ON messages(id) WHERE outbox_name IS NOT NULL AND turn > 0;
ALTER TABLE totals ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;
UPDATE totals SET last_id = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) WHERE id = 1;
DELETE FROM sqlite_sequence WHERE name = 'messages';
PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = replace(sql, 'id INTEGER PRIMARY KEY AUTOINCREMENT', 'id INTEGER PRIMARY KEY') WHERE type = 'table' AND name = 'messages';
PRAGMA writable_schema = RESET;
DROP INDEX messages_under_way; DROP INDEX messages_report;
CREATE INDEX messages_report ON messages(report, id) WHERE report = 1 OR (outbox_name IS NOT NULL AND turn > 0);
