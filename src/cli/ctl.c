/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "volume/control.h"

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

int cli_ctl(int argc, char **argv)
{
    struct cli_options options;
    struct buf answer = {.max = ACK_MAX};
    struct err err;
    char volume[512];
    int code = cli_parse(argc, argv, "cdtpC", 1, &options);
    if (code >= 0)
        return code;
    if (!is_command(options.argument))
        return cli_usage_error(argv[0], "no such command: %s", options.argument);
    if (options.phone && (strcmp(options.argument, "pair") != 0 || !options.phone[0] ||
                          strspn(options.phone, "0123456789") != strlen(options.phone)))
        return cli_usage_error(argv[0], "--phone goes with pair and takes digits alone");
    if (options.chat && strcmp(options.argument, "release") != 0)
        return cli_usage_error(argv[0], "--chat goes with release");
    cli_volume_path(&options, volume);
    const char *member = options.phone ? "phone" : options.chat ? "chat" : NULL;
    const char *value = options.phone ? options.phone : options.chat;
    if (volume_control_send(volume, options.argument, member, value, options.timeout_ms, &answer,
                            &err) < 0) {
        fprintf(stderr, "wabridge ctl: %s\n", err.text);
        code = EXIT_NOT_DONE;
    } else {
        code = print_answer(buf_bytes(&answer)) ? 0 : EXIT_NOT_DONE;
    }
    buf_deinit(&answer);
    return code;
}
