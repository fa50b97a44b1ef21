/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/log.h"

#include <stdio.h>

#define EXIT_UNREADABLE 1

int cli_read_messages(const char *verb, const struct cli_options *options,
                      int (*print)(struct store_messages *m, const struct cli_options *options))
{
    struct store_messages *m = NULL;
    struct err err;
    char volume[512], path[600];
    cli_volume_path(options, volume);
    snprintf(path, sizeof(path), "%s/messages.db", volume);
    int rc = store_messages_open_readonly(&m, path, &err);
    if (rc == 0 && (rc = print(m, options)) < 0)
        err_set(&err, rc, "%s", store_messages_error(m));
    if (rc < 0)
        fprintf(stderr, "wabridge %s: %s\n", verb, err.text);
    store_messages_close(m);
    return rc < 0 ? EXIT_UNREADABLE : 0;
}

void cli_append_plain(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        buf_append_u8(out, text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i]);
}
