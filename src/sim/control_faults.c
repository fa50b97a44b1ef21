/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verb that orders a fault. */
#include "sim/control_verbs.h"

#include "sim/xml.h"

static bool until_cleared(enum sim_fault f)
{
    return f == SIM_FAULT_DELAY || f == SIM_FAULT_NO_PREKEYS || f == SIM_FAULT_SILENT ||
           f == SIM_FAULT_WITHHOLD_LID;
}

static int read_fault_stanza(const char *text, struct sim_faults *out, struct err *err)
{
    struct arena AUTO_ARENA arena;
    struct wa_node *node;

    arena_init(&arena);
    if (!bytes_copy_text(bytes_text(text), out->stanza, sizeof out->stanza))
        return err_set(err, ERR_LIMIT, "stanza is longer than %d bytes", SIM_FAULT_STANZA_SIZE - 1);
    return text[0] ? sim_xml_parse(&node, &arena, bytes_text(text), err) : 0;
}

static int read_fault(const struct json_value *v, struct sim_faults *out, struct err *err)
{
    const char *kind = json_text(v, "kind", "");
    int64_t count = json_int(v, "count", 1), ms = json_int(v, "ms", 0);
    enum sim_fault f;

    *out = (struct sim_faults){.left = {0}};
    if (sim_fault_parse(kind, &f) != 0)
        return err_set(err, ERR_INVALID, "unknown kind \"%s\"", kind);
    if (count < 1 || count >= UINT32_MAX || ms < 0 || ms > 3600000)
        return err_set(err, ERR_INVALID, "count must be 1 or more, ms 0 to 3600000");
    out->left[f] = until_cleared(f) ? UINT32_MAX : (uint32_t)count;
    out->delay_ms = (uint32_t)ms;
    bytes_copy_text(bytes_text(json_text(v, "code", "503")), out->code, sizeof out->code);
    memcpy(out->ack_code, out->code, sizeof out->code);
    memcpy(out->keys_code, out->code, sizeof out->code);
    bytes_copy_text(bytes_text(json_text(v, "reason", "405")), out->reason, sizeof out->reason);
    return read_fault_stanza(json_text(v, "stanza", ""), out, err);
}

/* "PHONE:1", or "PHONE" for the phone itself. */
static struct sim_device *fault_target(struct sim *s, const char *target)
{
    char phone[WA_JID_USER_MAX + 1];
    size_t n = strcspn(target, ":");
    uint64_t id = 0;
    const struct sim_account *a;

    if (n >= sizeof phone || (target[n] && !bytes_to_u64(bytes_text(target + n + 1), &id)) ||
        id > SIM_DEVICE_ID_MAX)
        return NULL;
    memcpy(phone, target, n);
    phone[n] = '\0';
    a = sim_account_by_phone(s, phone);
    return a ? sim_device_find(a, (uint16_t)id) : NULL;
}

/* What is about keys or the next login stays with the device; the rest is for its connection. */
static void give_fault(struct sim_device *d, const struct sim_faults *fault)
{
    bool later = fault->left[SIM_FAULT_NO_PREKEYS] || fault->left[SIM_FAULT_FAILURE];

    if (!d->client || later) {
        sim_faults_merge(&d->faults, fault);
    } else {
        sim_faults_merge(&d->client->faults, fault);
        sim_client_faults(d->client);
    }
}

static void clear_faults(struct sim_device *d)
{
    d->faults = (struct sim_faults){.left = {0}};
    if (d->client)
        d->client->faults = (struct sim_faults){.left = {0}};
}

bool sim_post_fault(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    const char *target = json_text(v, "target", "");
    bool clear = strcmp(json_text(v, "kind", ""), "clear") == 0;
    bool next = strcmp(target, "next_connection") == 0;
    struct sim_device *d = next ? NULL : fault_target(r->sim, target);
    struct sim_faults fault = {.left = {0}};
    struct err err;

    if (!v)
        return true;
    if (!next && !d)
        return sim_refuse(r, 404, "target must be \"next_connection\" or \"PHONE:DEVICE\"");
    if (!clear && read_fault(v, &fault, &err) != 0)
        return sim_refuse_err(r, &err);
    if (clear && next)
        r->sim->next_connection = fault;
    else if (clear)
        clear_faults(d);
    else if (next)
        sim_faults_merge(&r->sim->next_connection, &fault);
    else
        give_fault(d, &fault);
    return sim_answer_ok(r);
}
