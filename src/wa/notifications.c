/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notifications: each is acked, some are acted upon first (protocol/05 section 12). */
#include "wa/privacy.h"
#include "wa/session_internal.h"

static void on_encrypt_notification(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *count = wa_node_find(node, "count");
    struct wa_jid from;
    uint64_t value = 0;
    if (count && wa_node_attr_u64(count, "value", &value) && value < WA_PREKEYS_MINIMUM)
        wa_online_upload_prekeys(s, WA_PREKEYS_REFILL);
    if (wa_node_find(node, "digest"))
        wa_online_check_digest(s);
    if (!wa_node_find(node, "identity") || !wa_node_attr_jid(node, "from", &from) ||
        from.device != 0 || !wa_jid_is_user(&from) || wa_device_is_own(&s->device, &from))
        return;
    /* The next message to them starts from a fresh bundle. */
    struct wa_jid address = wa_session_address(s, &from);
    if (wa_signal_archive_session(s->signal, &address) < 0)
        wa_session_end_store(s);
    else
        wa_session_identity_changed(s, &from);
}

/* A device that is gone must not be written to any more, should its list be had from a cache. */
static void drop_removed(struct wa_session *s, const struct wa_jid *user,
                         const struct wa_node *removed)
{
    const struct wa_node *device = wa_node_find(removed, "device");
    for (; device; device = wa_node_next(device, "device")) {
        struct wa_jid jid;
        if (!wa_node_attr_jid(device, "jid", &jid) || !wa_jid_same_user(&jid, user))
            continue;
        struct wa_jid address = wa_session_address(s, &jid);
        if (wa_signal_drop_session(s->signal, &address) < 0)
            wa_session_end_store(s);
    }
}

static void on_devices_notification(struct wa_session *s, const struct wa_node *node)
{
    struct wa_jid from, lid;
    if (!wa_node_attr_jid(node, "from", &from) || !wa_jid_is_user(&from))
        return;
    if (wa_node_attr_jid(node, "lid", &lid))
        wa_session_learn_lid(s, &from, &lid);
    wa_session_forget_devices(s, &from);
    drop_removed(s, &from, wa_node_find(node, "remove"));
}

/* Whatever happened in the group: it is asked for before the next message, and a member who left is
 * found out by comparing (wa/send_group.c). */
static void on_group_notification(struct wa_session *s, const struct wa_node *node)
{
    struct wa_jid group;
    if (!wa_node_attr_jid(node, "from", &group) || group.server != WA_SERVER_GROUP)
        return;
    wa_group_cache_drop(s->groups, &group);
    const struct wa_node *change = node->content == WA_CONTENT_NODES ? node->first : NULL;
    for (; change; change = change->next) {
        const struct wa_node *p = wa_node_find(change, "participant");
        for (; p; p = wa_node_next(p, "participant"))
            wa_session_learn_participant(s, p);
    }
}

static void on_privacy_token(struct wa_session *s, const struct wa_node *node)
{
    struct wa_jid user, lid;
    if (!wa_node_attr_jid(node, "from", &user) || !wa_jid_is_user(&user))
        return;
    if (wa_node_attr_jid(node, "sender_lid", &lid) && wa_jid_is_lid(&lid)) {
        wa_session_learn_lid(s, &user, &lid);
        user = lid;
    }
    user = wa_session_address(s, &user);
    user = wa_jid_bare(&user);
    const struct wa_node *token = wa_node_find(wa_node_find(node, "tokens"), "token");
    for (; token; token = wa_node_next(token, "token")) {
        uint64_t t;
        if (!wa_node_attr_is(token, "type", "trusted_contact") ||
            !wa_node_attr_u64(token, "t", &t) || t > INT64_MAX)
            continue;
        if (wa_privacy_take(s->host, &user, wa_node_data(token), (int64_t)t) < 0)
            wa_session_end_store(s);
    }
}

static void forget_own_devices(struct wa_session *s, const struct wa_node *node)
{
    if (!wa_node_find(node, "devices"))
        return;
    wa_device_cache_drop(s->devices, &s->device.pn);
    wa_device_cache_drop(s->devices, &s->device.lid);
}

/* Somebody has a new number: the LID that we know them by stays (protocol/05 section 12). */
static void on_contacts(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *change = wa_node_find(node, "modify");
    struct wa_jid old, fresh, lid;
    if (!change || !wa_node_attr_jid(change, "old", &old) ||
        !wa_node_attr_jid(change, "new", &fresh) || !wa_jid_is_pn(&old) || !wa_jid_is_pn(&fresh) ||
        wa_device_is_own(&s->device, &old) || wa_device_is_own(&s->device, &fresh))
        return;
    if (!wa_node_attr_jid(change, "new_lid", &lid))
        lid = wa_session_lid_of(s, &old);
    wa_session_forget_devices(s, &old);
    wa_session_forget_devices(s, &fresh);
    if (wa_jid_is_lid(&lid))
        wa_session_learn_lid(s, &fresh, &lid);
}

static void on_reg_refresh(struct wa_session *s, const struct wa_node *node)
{
    (void)node;
    wa_linking_renew(s);
}

void wa_notification(struct wa_session *s, const struct wa_node *node)
{
    static const struct {
        const char *type;
        void (*handle)(struct wa_session *s, const struct wa_node *node);
    } table[] = {
        {"encrypt", on_encrypt_notification},
        {"devices", on_devices_notification},
        {"account_sync", forget_own_devices},
        {"companion_reg_refresh", on_reg_refresh},
        {"mediaretry", wa_media_notification},
        {"server_sync", wa_app_state_notification},
        {"w:gp2", on_group_notification},
        {"contacts", on_contacts},
        {"mex", wa_limits_notification},
        {"privacy_token", on_privacy_token},
        {"link_code_companion_reg", wa_linking_code_notification},
        {"passkey_prologue_request", wa_linking_passkey_push},
        {"crsc_continuation", wa_linking_passkey_continuation},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (wa_node_attr_is(node, "type", table[i].type))
            table[i].handle(s, node);
    wa_receive_ack(s, node, 0);
}
