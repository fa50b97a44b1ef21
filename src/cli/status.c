/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "volume/state.h"

#define EXIT_NOT_RUNNING 1
#define EXIT_STALE 3

static void print_optional(const struct json_value *root, const char *path, const char *label)
{
    const char *text = json_text(root, path, "");
    if (text[0])
        printf("%-14s %s\n", label, text);
}

/* What waits for the owner. */
static void print_to_do(const struct json_value *root)
{
    static const struct {
        const char *session, *text;
    } table[] = {
        {"QR_READY", "scan the QR in WhatsApp (Settings, Linked devices): wabridge qr draws it"},
        {"PASSKEY_REQUIRED", "use the passkey of the account: wabridge ctl passkey, or "
                             "passkey.json and control/passkey-response.json"},
        {"PASSKEY_CONFIRM", "compare the code in passkey.json with the one on the phone: "
                            "wabridge ctl passkey"},
        {"LOGGED_OUT", "wabridge ctl pair, then scan the new QR"},
    };
    const char *session = json_text(root, "session.state", "");
    const char *code = json_text(root, "pairing_code", "");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].session, session) == 0)
            printf("%-14s %s\n", "to do", table[i].text);
    if (strcmp(session, "NONE") == 0 && strcmp(json_text(root, "status", ""), "QR_PENDING") == 0)
        printf("%-14s %s\n", "to do", "wabridge ctl pair shows a QR at once");
    if (code[0])
        printf("%-14s type %s in WhatsApp (Linked devices, link with phone number)\n", "or", code);
}

static void print_words(const struct volume_view *view)
{
    const struct json_value *root = json_root(view->doc);
    printf("%-14s %s\n", "tenant", json_text(root, "tenant_id", "?"));
    printf("%-14s %s (%s) since %s\n", "state", json_text(root, "status", "?"),
           json_text(root, "session.state", "?"), json_text(root, "session.since", "?"));
    printf("%-14s %lld ms ago%s\n", "heartbeat", (long long)view->heartbeat_age_ms,
           view->stale ? " (stale)" : "");
    print_to_do(root);
    print_optional(root, "account.pn", "account");
    print_optional(root, "account.push_name", "name");
    print_optional(root, "last_seen_at", "last seen");
    print_optional(root, "last_message_at", "last message");
    print_optional(root, "reconnect.next_at", "next attempt");
    print_optional(root, "last_error.code", "last error");
    print_optional(root, "last_error.message", "");
    print_optional(root, "exit.reason", "stopped by");
    printf("%-14s received %lld, replied %lld, sent %lld, failed %lld, queued %lld\n", "messages",
           (long long)json_int(root, "counters.received", 0),
           (long long)json_int(root, "counters.replied", 0),
           (long long)json_int(root, "counters.sent", 0),
           (long long)json_int(root, "counters.failed", 0),
           (long long)json_int(root, "queues.replies", 0));
}

static int verdict(const struct volume_view *view)
{
    const char *status = json_text(json_root(view->doc), "status", "");
    if (strcmp(status, "STOPPED") == 0)
        return EXIT_NOT_RUNNING;
    if (view->stale)
        return EXIT_STALE;
    return strcmp(status, "RUNNING") == 0 ? 0 : EXIT_NOT_RUNNING;
}

int cli_status(int argc, char **argv)
{
    struct cli_options options;
    struct volume_view view = {0};
    struct err err;
    char volume[512];
    int code = cli_parse(argc, argv, "cdj", 0, &options);
    if (code >= 0)
        return code;
    cli_volume_path(&options, volume);
    if (volume_view_open(&view, volume, clock_wall_ms(), &err) < 0) {
        fprintf(stderr, "wabridge status: %s\n", err.text);
        return EXIT_NOT_RUNNING;
    }
    if (options.json)
        fwrite(view.text.p, 1, view.text.n, stdout);
    else
        print_words(&view);
    code = verdict(&view);
    volume_view_close(&view);
    return code;
}
