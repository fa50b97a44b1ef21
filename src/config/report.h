/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How problems are worded: where, what, and the known name that was probably meant. */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "config/config.h"

/* path: a file, or "environment NAME"; "" for none. line and column from 1; line 0: no position. */
struct config_place {
    const char *path;
    int line, column;
};

#define CONFIG_QUOTE_SIZE 320

/* Adds one line, "path:line:column: text". */
void config_report_add(struct config_report *report, struct config_place at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Adds `unknown key "name"`, and `(did you mean "…"?)` when a known name is near. */
void config_report_unknown(struct config_report *report, struct config_place at, struct bytes name,
                           const char *const *known, size_t count);
/* The known name at the smallest Damerau-Levenshtein distance (adjacent swaps count once), at most
 * 2 and less than the length of that name; NULL when none is. The first wins a draw. */
const char *config_nearest(struct bytes name, const char *const *known, size_t count);
/* The text in double quotes, escaped as in JSON and cut to 48 bytes, for a message; returns out. */
const char *config_quote(struct bytes text, char out[CONFIG_QUOTE_SIZE]);

#endif
