/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What WhatsApp limits an account to, told as JSON in <notification type="mex"> (protocol/05
 * section 12): nobody new may be written to for a time, or only so many.
 */
#include "base/json.h"
#include "wa/session_internal.h"

#define JSON_MAX 65536
#define REACHOUT "data.xwa2_notify_account_reachout_timelock"
#define CAPPING "data.xwa2_notify_new_chat_messages_capping_info_update"

/* Seconds since 1970, as a text or a number; 0 when it is none. */
static int64_t unix_time(const struct json_value *v, const char *path)
{
    uint64_t t = 0;
    const char *text = json_text(v, path, NULL);
    int64_t number = json_int(v, path, 0);
    if (text && bytes_to_u64(bytes_text(text), &t) && t <= UINT32_MAX)
        return (int64_t)t;
    return !text && number > 0 && number <= UINT32_MAX ? number : 0;
}

static void tell(struct wa_session *s, const char *kind, bool active, bool warning, int64_t until_s)
{
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_LIMIT);
    ev->u.limit.kind = kind;
    ev->u.limit.active = active;
    ev->u.limit.warning = warning;
    ev->u.limit.until_s = until_s;
}

static void on_reachout(struct wa_session *s, const struct json_value *v)
{
    tell(s, "new_chats_locked", json_bool(v, "is_active", false), false,
         unix_time(v, "time_enforcement_ends"));
}

static void on_capping(struct wa_session *s, const struct json_value *v)
{
    const char *status = json_text(v, "capping_status", "NONE");
    bool capped = strcmp(status, "CAPPED") == 0;
    bool warned = strcmp(status, "FIRST_WARNING") == 0 || strcmp(status, "SECOND_WARNING") == 0;
    tell(s, "new_chats_capped", capped, warned, unix_time(v, "cycle_end_timestamp"));
}

void wa_limits_notification(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *update = wa_node_find(node, "update");
    struct bytes text = update ? wa_node_data(update) : BYTES_NONE;
    struct json_doc *doc;
    if (text.n == 0 || text.n > JSON_MAX)
        return;
    if (json_doc_open(&doc, text, NULL) != 0) {
        s->malformed++;
        return;
    }
    const struct json_value *reachout = json_get(json_root(doc), REACHOUT);
    const struct json_value *capping = json_get(json_root(doc), CAPPING);
    if (json_value_is_object(reachout))
        on_reachout(s, reachout);
    if (json_value_is_object(capping))
        on_capping(s, capping);
    json_doc_close(doc);
}
