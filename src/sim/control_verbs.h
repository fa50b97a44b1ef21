/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of the control interface (docs/simulator.md): their one table, and what all of them
 * use. The file that holds a verb is that of its noun: control_accounts.c, control_groups.c ... */
#ifndef SIM_CONTROL_VERBS_H
#define SIM_CONTROL_VERBS_H

#include "base/json.h"
#include "sim/control.h"

/* X(method, path, function); * in a path stands for one part, which the request has as arg. */
#define SIM_VERBS(X)                                                                               \
    X("GET", "/", sim_get_ready)                                                                   \
    X("GET", "/stats", sim_get_stats)                                                              \
    X("GET", "/events", sim_get_events)                                                            \
    X("GET", "/sw.js", sim_get_service_worker)                                                     \
    X("POST", "/version", sim_post_version)                                                        \
    X("GET", "/accounts", sim_get_accounts)                                                        \
    X("POST", "/accounts", sim_post_account)                                                       \
    X("POST", "/accounts/*/scan", sim_post_scan)                                                   \
    X("POST", "/accounts/*/link_code", sim_post_link_code)                                         \
    X("POST", "/accounts/*/refresh_code", sim_post_refresh_code)                                   \
    X("GET", "/accounts/*/passkey", sim_get_passkey)                                               \
    X("POST", "/accounts/*/passkey", sim_post_passkey)                                             \
    X("POST", "/accounts/*/assert", sim_post_assert)                                               \
    X("POST", "/accounts/*/send", sim_post_send)                                                   \
    X("GET", "/accounts/*/messages", sim_get_messages)                                             \
    X("GET", "/accounts/*/receipts", sim_get_receipts)                                             \
    X("POST", "/accounts/*/unlink", sim_post_unlink)                                               \
    X("POST", "/accounts/*/name", sim_post_name)                                                   \
    X("POST", "/accounts/*/refill", sim_post_refill)                                               \
    X("POST", "/accounts/*/stanza", sim_post_stanza)                                               \
    X("POST", "/accounts/*/history", sim_post_history)                                             \
    X("GET", "/accounts/*/app_state", sim_get_app_state)                                           \
    X("POST", "/accounts/*/app_state", sim_post_app_state)                                         \
    X("POST", "/accounts/*/app_state/rules", sim_post_app_state_rules)                             \
    X("GET", "/groups", sim_get_groups)                                                            \
    X("POST", "/groups", sim_post_group)                                                           \
    X("POST", "/groups/*/add", sim_post_group_add)                                                 \
    X("POST", "/groups/*/remove", sim_post_group_remove)                                           \
    X("POST", "/groups/*/timer", sim_post_group_timer)                                             \
    X("POST", "/media", sim_post_media)                                                            \
    X("POST", "/media/fault", sim_post_media_fault)                                                \
    X("POST", "/faults", sim_post_fault)                                                           \
    X("GET", "/load", sim_get_load)                                                                \
    X("POST", "/load", sim_post_load)

/* Each returns as sim_control does. */
#define SIM_VERB(method, path, fn) bool fn(struct sim_request *r);
SIM_VERBS(SIM_VERB)
#undef SIM_VERB

/* ---- asking -------------------------------------------------------------------------------------
 */

/* The value of a query parameter, borrowed from the request; BYTES_NONE. */
struct bytes sim_request_parameter(const struct sim_request *r, const char *name);
/* The same as a number; 0. */
int64_t sim_request_number(const struct sim_request *r, const char *name);
/* Whether a request that found nothing shall wait on, for wait_ms since it first ran (at most 300
 * s). */
bool sim_request_keep_waiting(struct sim_request *r, int64_t wait_ms);
/* The account whose phone number is arg; NULL, then the request is refused. */
struct sim_account *sim_request_account(struct sim_request *r);
/* The body as an object, borrowed from *doc; NULL when it is none, then the request is refused. */
const struct json_value *sim_request_body(struct sim_request *r, struct json_doc **doc);
/* The device of the account that "device" of the body names; NULL, then the request is refused. */
struct sim_device *sim_request_companion(struct sim_request *r, const struct sim_account *a,
                                         const struct json_value *body);

void sim_close_doc(struct json_doc **doc);
#define AUTO_DOC __attribute__((cleanup(sim_close_doc)))

/* ---- answering ----------------------------------------------------------------------------------
 */

/* All return true: the answer is ready. */
bool sim_refuse(struct sim_request *r, int status, const char *sentence);
bool sim_refuse_err(struct sim_request *r, const struct err *err);
bool sim_answer_ok(struct sim_request *r);
/* An answer of status 200 that w writes. */
void sim_answer_begin(struct sim_request *r, struct json_writer *w);
void sim_put_jid(struct json_writer *w, const char *key, const struct wa_jid *jid);

#endif
