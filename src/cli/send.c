/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>

#include "base/json.h"
#include "volume/outbox.h"

#define EXIT_NOT_SENT 1

/* Whether it was sent. */
static bool print_result(struct bytes text, bool json)
{
    struct json_doc *doc;
    if (json_doc_open(&doc, text, NULL) < 0)
        return false;
    const struct json_value *root = json_root(doc);
    const char *error = json_text(root, "error", NULL);
    if (json)
        printf("%.*s", (int)text.n, (const char *)text.p);
    else if (error)
        fprintf(stderr, "not sent: %s\n", error);
    else
        printf("%s %s\n", json_text(root, "status", "sent"), json_text(root, "id", ""));
    bool is_sent = error == NULL;
    json_doc_close(doc);
    return is_sent;
}

int cli_send(int argc, char **argv)
{
    struct cli_options options;
    AUTO_BUF struct buf result = {.max = VOLUME_OUTBOX_FILE_MAX};
    struct err err;
    char volume[512];
    int code = cli_parse(argc, argv, "cdtj", 2, &options);
    if (code >= 0)
        return code;
    cli_volume_path(&options, volume);
    if (volume_outbox_send(volume, options.words[0], options.words[1], options.timeout_ms, &result,
                           &err) < 0) {
        fprintf(stderr, "wabridge send: %s\n", err.text);
        return EXIT_NOT_SENT;
    }
    return print_result(buf_bytes(&result), options.json) ? 0 : EXIT_NOT_SENT;
}
