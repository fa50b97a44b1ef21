/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both ends of a line for sessions: ours, linked or not, and a server and a contact that say what a
 * test or a fuzzer wants. Handshake and transport keys are those of tests/vectors/noise-xx.json.
 */
#ifndef TESTS_WA_LINE_H
#define TESTS_WA_LINE_H

#include "fake_host.h"
#include "wa/node.h"
#include "wa/noise.h"
#include "wa/session.h"
#include "wa/signal.h"

#define LINE_OWN_PN "5511987654321:12@s.whatsapp.net"
#define LINE_OWN_LID "123456789012345:12@lid"
#define LINE_NOW_MS 1780000000000 /* the certificates of the vectors are valid then */

struct line {
    struct fake_host mem;
    struct wa_session *session;
    struct wa_session_config config;
    struct wa_device device; /* ours, as it was when the line was opened */
    struct wa_cipher to_client, from_client;
    struct arena arena; /* what was heard, and what is being said */
};

/* Dials and shakes hands; with `linked` the device has an account and its prekeys are uploaded. */
void line_open(struct line *l, bool linked);
/* The same, linked, with a record of the device set. */
void line_open_with(struct line *l, const char *field, struct bytes value);
void line_close(struct line *l);
/* <success>: the session is online, and what it says at first is forgotten. */
void line_login(struct line *l);

void line_say_plain(struct line *l, struct bytes stanza);
/* False when the node cannot be encoded. */
bool line_say(struct line *l, const struct wa_node *node);
struct wa_node *line_stanza(struct line *l, const char *tag);
/* The next stanza that the session sent, or NULL. */
struct wa_node *line_hear(struct line *l);
void line_forget_output(struct line *l);

/* A contact with a Signal identity of its own that knows our bundle. */
struct line_peer {
    struct fake_host mem;
    struct wa_device device;
    struct wa_signal *signal;
    struct wa_jid lid, pn, us;
};
void line_meet(struct line *l, struct line_peer *p);
void line_part(struct line_peer *p);
/* The <message> that carries a serialised Message from the contact, without from and participant.
 */
struct wa_node *line_message(struct line *l, struct line_peer *p, const char *id,
                             struct bytes message);

#endif
