/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/ctl.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

#define EXIT_NOT_DONE 1
#define ACK_MAX 65536

static bool is_command(const char *name)
{
    static const char *const names[] = {
#define X(symbol, text) text,
        VOLUME_COMMANDS(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Whether the command was done. */
static bool print_answer(struct bytes text)
{
    struct json_doc *doc;
    if (json_doc_open(&doc, text, NULL) < 0)
        return false;
    const struct json_value *root = json_root(doc);
    const char *result = json_text(root, "result", "?");
    bool is_done = strcmp(result, "done") == 0;
    const char *more = json_text(root, is_done ? "detail" : "error", "");
    fprintf(is_done ? stdout : stderr, "%s%s%s\n", result, more[0] ? ": " : "", more);
    json_doc_close(doc);
    return is_done;
}

int cli_ctl_give(const char *volume, const char *command,
                 const struct volume_control_member *members, size_t count, int timeout_ms)
{
    struct buf answer = {.max = ACK_MAX};
    struct err err;
    int code = EXIT_NOT_DONE;
    if (volume_control_send(volume, command, members, count, timeout_ms, &answer, &err) < 0)
        fprintf(stderr, "wabridge ctl: %s\n", err.text);
    else
        code = print_answer(buf_bytes(&answer)) ? 0 : EXIT_NOT_DONE;
    buf_deinit(&answer);
    return code;
}

int cli_ctl(int argc, char **argv)
{
    struct cli_options options;
    char volume[512];
    int code = cli_parse(argc, argv, "cdtpCj", CLI_ANY_WORDS, &options);
    if (code >= 0)
        return code;
    if (options.word_count > 0 && strcmp(options.argument, "passkey") == 0)
        return cli_ctl_passkey(&options);
    if (options.word_count != 1)
        return cli_usage_error(argv[0], "one word is wanted");
    if (!is_command(options.argument))
        return cli_usage_error(argv[0], "no such command: %s", options.argument);
    if (options.phone && (strcmp(options.argument, "pair") != 0 || !options.phone[0] ||
                          strspn(options.phone, "0123456789") != strlen(options.phone)))
        return cli_usage_error(argv[0], "--phone goes with pair and takes digits alone");
    if (options.chat && strcmp(options.argument, "release") != 0)
        return cli_usage_error(argv[0], "--chat goes with release");
    if (options.json)
        return cli_usage_error(argv[0], "--json goes with passkey");
    cli_volume_path(&options, volume);
    const struct volume_control_member member = {
        .name = options.phone ? "phone" : "chat",
        .text = options.phone ? options.phone : options.chat,
    };
    return cli_ctl_give(volume, options.argument, &member, member.text ? 1 : 0, options.timeout_ms);
}
