/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the verbs that print tables of messages.db share. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include "cli/cli.h"
#include "store/messages.h"

#define CLI_LOOK_EVERY_MS 500 /* --follow */
#define CLI_ROW_MAX (1u << 21)

/* Opens messages.db of the volume read-only and prints; the exit code, what is wrong on stderr. */
int cli_read_messages(const char *verb, const struct cli_options *options,
                      int (*print)(struct store_messages *m, const struct cli_options *options));
/* The text without control characters: those of a stranger must not reach the terminal. */
void cli_append_plain(struct buf *out, struct bytes text);

#endif
