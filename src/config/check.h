/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each text value must look like. A check returns NULL when the text is good, else the end of
 * the sentence "section.key …" ("must be …"), in static storage.
 */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "base/buf.h"

/* Valid UTF-8; no control characters but newline and tab, no U+2028, U+2029, U+FEFF, U+FFFE,
 * U+FFFF. */
bool config_check_printable(struct bytes text);

/* Letters, digits, dot, underscore and hyphen of ASCII; not "." or "..". */
const char *config_check_tenant_id(const char *text);
/* ws:// or wss://, then host[:port][/path]; ws:// only for localhost, 127.0.0.0/8 and [::1]. */
const char *config_check_endpoint(const char *text);
/* The same for https:// and http://. */
const char *config_check_url(const char *text);
/* 64 hexadecimal digits. */
const char *config_check_noise_root(const char *text);
/* A URL, "none" or empty. */
const char *config_check_version_url(const char *text);
/* Three numbers below 2^32 with dots between; or empty. */
const char *config_check_version(const char *text);
/* Lower-case letters, digits and hyphens; may be empty. */
const char *config_check_template(const char *text);
/* Letters, digits and hyphens. */
const char *config_check_language(const char *text);
const char *config_check_log_level(const char *text);
const char *config_check_log_format(const char *text);
/* Any text that is one line. */
const char *config_check_line(const char *text);

/* Whether path is dir or lies below it, as far as the texts say. */
bool config_check_inside(const char *path, const char *dir);

#endif
