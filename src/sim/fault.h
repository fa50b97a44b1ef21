/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults that a test asks for. Each device has a set, and the connection to come has one, which the
 * connection takes over. Some act at once (sim_fault_apply), the others are looked at where they
 * bite.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wa/node.h"

/* X(symbol, name in the control interface) */
#define SIM_FAULTS(X)                                                                              \
    X(SIM_FAULT_CLOSE, "close")                                                                    \
    X(SIM_FAULT_HALF_OPEN, "half_open")                                                            \
    X(SIM_FAULT_DELAY, "delay")                                                                    \
    X(SIM_FAULT_DUPLICATE, "duplicate")                                                            \
    X(SIM_FAULT_DROP_ACKS, "drop_acks")                                                            \
    X(SIM_FAULT_ACK_ERROR, "ack_error")                                                            \
    X(SIM_FAULT_REFUSE_KEYS, "refuse_keys")                                                        \
    X(SIM_FAULT_BAD_CERTIFICATE, "bad_certificate")                                                \
    X(SIM_FAULT_BAD_CERTIFICATE_SIGNATURE, "bad_certificate_signature")                            \
    X(SIM_FAULT_BAD_SERVER_MAC, "bad_server_mac")                                                  \
    X(SIM_FAULT_TRUNCATED_FRAME, "truncated_frame")                                                \
    X(SIM_FAULT_OVERLONG_FRAME, "overlong_frame")                                                  \
    X(SIM_FAULT_MALFORMED_NODE, "malformed_node")                                                  \
    X(SIM_FAULT_ZIP_BOMB, "zip_bomb")                                                              \
    X(SIM_FAULT_DEEP_NODE, "deep_node")                                                            \
    X(SIM_FAULT_WRONG_ADV_HMAC, "wrong_adv_hmac")                                                  \
    X(SIM_FAULT_WRONG_ADV_SIGNATURE, "wrong_adv_signature")                                        \
    X(SIM_FAULT_LINK_CODE, "link_code_refused")                                                    \
    X(SIM_FAULT_STREAM_ERROR, "stream_error")                                                      \
    X(SIM_FAULT_FAILURE, "failure")                                                                \
    X(SIM_FAULT_CORRUPT_NEXT_MESSAGE, "corrupt_next_message")                                      \
    X(SIM_FAULT_UNAVAILABLE, "unavailable")                                                        \
    X(SIM_FAULT_NO_PREKEYS, "no_prekeys")                                                          \
    X(SIM_FAULT_SILENT, "silent")                                                                  \
    X(SIM_FAULT_RESUME_REFUSED, "resume_refused")                                                  \
    X(SIM_FAULT_RESUME_IGNORED, "resume_ignored")                                                  \
    X(SIM_FAULT_RESUME_SPOILED, "resume_spoiled")                                                  \
    X(SIM_FAULT_RESUME_CLOSED, "resume_closed")                                                    \
    X(SIM_FAULT_ROUTING_CLOSED, "routing_closed")                                                  \
    X(SIM_FAULT_SILENT_LOGIN, "silent_login")                                                      \
    X(SIM_FAULT_WITHHOLD_LID, "withhold_lid")

enum sim_fault {
#define X(symbol, name) symbol,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_COUNT
};

#define SIM_FAULT_STANZA_SIZE 800

struct sim_faults {
    /* How often each still strikes; UINT32_MAX means until it is cleared. */
    uint32_t left[SIM_FAULT_COUNT];
    uint32_t delay_ms;
    char code[8];                   /* stream_error, link_code_refused */
    char ack_code[8], keys_code[8]; /* ack_error, refuse_keys */
    char reason[8];                 /* failure */
    /* stream_error, failure: the whole stanza (sim/xml.h); "" one with that code or reason */
    char stanza[SIM_FAULT_STANZA_SIZE];
};

const char *sim_fault_text(enum sim_fault f);
/* 0, or ERR_NOT_FOUND. */
int sim_fault_parse(const char *text, enum sim_fault *out);
/* Whether f strikes now; counts it down. */
bool sim_fault_take(struct sim_faults *set, enum sim_fault f);
/* Adds what more holds. */
void sim_faults_merge(struct sim_faults *set, const struct sim_faults *more);
/* Moves what a device was given to its new connection; what is about its keys stays. */
void sim_faults_take_over(struct sim_faults *connection, struct sim_faults *device);
/* Flips a byte in the ciphertext of a message stanza. */
void sim_fault_corrupt(struct wa_node *message);
/* Takes the ciphertext out of a message stanza, as the server does when it has none for a device.
 */
void sim_fault_unavailable(struct wa_node *message);
/* Takes the LID away from a message stanza that names its sender by phone number. */
void sim_fault_withhold_lid(struct wa_node *message);

#endif
