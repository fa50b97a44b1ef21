/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/check.h"

#include <arpa/inet.h>
#include <strings.h>

#include "base/log.h"
#include "base/text.h"

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* The sequences of two and three bytes that are control characters, line separators or no
 * characters. */
static bool sequence_is_bad(const uint8_t *p, const uint8_t *end)
{
    if (*p == 0xc2)
        return end - p > 1 && p[1] < 0xa0;
    if (end - p < 3)
        return false;
    return memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0 ||
           memcmp(p, "\xef\xbb\xbf", 3) == 0 || memcmp(p, "\xef\xbf\xbe", 3) == 0 ||
           memcmp(p, "\xef\xbf\xbf", 3) == 0;
}

bool config_check_printable(struct bytes text)
{
    if (!text_utf8_valid(text))
        return false;
    const uint8_t *end = text.p + text.n;
    for (const uint8_t *p = text.p; p < end; p++)
        if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f || sequence_is_bad(p, end))
            return false;
    return true;
}

const char *config_check_line(const char *text)
{
    return text[strcspn(text, "\n\t")] ? "must be one line" : NULL;
}

const char *config_check_tenant_id(const char *text)
{
    if (text[strspn(text, ALPHANUMERIC "._-")] || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return "may contain only A-Z, a-z, 0-9, dot, underscore and hyphen";
    return NULL;
}

const char *config_check_noise_root(const char *text)
{
    uint8_t key[32];
    if (text_hex_decode(bytes_text(text), key, sizeof(key)) < 0)
        return "must be 64 hexadecimal digits";
    return NULL;
}

const char *config_check_version(const char *text)
{
    const char *at = text;
    if (!*text)
        return NULL;
    for (int i = 0; i < 3; i++) {
        uint64_t number;
        size_t n = strcspn(at, ".");
        if (!bytes_to_u64(BYTES(at, n), &number) || number > UINT32_MAX)
            return "must be three numbers with dots between, as 2.3000.123";
        at += n;
        if (*at != (i < 2 ? '.' : '\0'))
            return "must be three numbers with dots between, as 2.3000.123";
        at += i < 2;
    }
    return NULL;
}

const char *config_check_template(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")]
               ? "must be the name of a template, as booking: a-z, 0-9 and hyphen"
               : NULL;
}

const char *config_check_language(const char *text)
{
    return text[strspn(text, ALPHANUMERIC "-")]
               ? "must be auto or the tag of a language, as en or sw"
               : NULL;
}

const char *config_check_log_level(const char *text)
{
    enum log_level level;
    return log_level_parse(text, &level) < 0 ? "must be debug, info, warn or error" : NULL;
}

const char *config_check_log_format(const char *text)
{
    return strcmp(text, "json") == 0 || strcmp(text, "text") == 0 ? NULL : "must be json or text";
}

/* ---- endpoint ----------------------------------------------------------------------------------
 */

static bool host_is_ipv6(const char *host, struct in6_addr *out)
{
    size_t n = strlen(host);
    char inner[INET6_ADDRSTRLEN];
    if (n < 2 || host[0] != '[' || host[n - 1] != ']' ||
        !bytes_copy_text(BYTES(host + 1, n - 2), inner, sizeof(inner)))
        return false;
    return inet_pton(AF_INET6, inner, out) == 1;
}

static bool host_is_valid(const char *host)
{
    struct in6_addr v6;
    if (*host == '[')
        return host_is_ipv6(host, &v6);
    if (strlen(host) > 253 || host[strspn(host, ALPHANUMERIC ".-")] || strstr(host, ".."))
        return false;
    return *host != '\0' && *host != '.' && *host != '-';
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return host_is_ipv6(host, &v6) && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool port_is_valid(const char *port)
{
    uint64_t number;
    return bytes_to_u64(bytes_text(port), &number) && number >= 1 && number <= 65535;
}

/* Splits host[:port] in place; false when a port is there and is none. */
static bool split_port(char *authority)
{
    char *host_end = *authority == '[' ? strchr(authority, ']') : authority;
    char *colon = host_end ? strchr(host_end, ':') : NULL;
    if (!colon)
        return true;
    *colon = '\0';
    return port_is_valid(colon + 1);
}

/* What comes behind the scheme; clear: it is not encrypted. */
static const char *check_address(const char *at, bool clear, const char *only_local)
{
    for (const char *p = at; *p; p++)
        if (*p <= ' ' || *p > '~')
            return "must not contain blanks or characters outside ASCII";
    if (strchr(at, '#'))
        return "must not contain a fragment (#)";
    char authority[300];
    if (!bytes_copy_text(BYTES(at, strcspn(at, "/?")), authority, sizeof(authority)))
        return "has a host name that is too long";
    if (strchr(authority, '@'))
        return "must not contain a user name or password";
    if (at[strcspn(at, "/?")] == '?')
        return "must have a path before the query (?)";
    if (!split_port(authority))
        return "has a port that is not 1 to 65535";
    if (!host_is_valid(authority))
        return "must be scheme://host[:port][/path]";
    return clear && !host_is_loopback(authority) ? only_local : NULL;
}

const char *config_check_endpoint(const char *text)
{
    bool tls = strncmp(text, "wss://", 6) == 0;
    if (!tls && strncmp(text, "ws://", 5) != 0)
        return "must begin with wss:// (or ws:// on this machine)";
    return check_address(
        text + (tls ? 6 : 5), !tls,
        "may use ws:// (not encrypted) only for localhost, 127.0.0.0/8 or [::1]; use wss://");
}

const char *config_check_url(const char *text)
{
    bool tls = strncmp(text, "https://", 8) == 0;
    if (!tls && strncmp(text, "http://", 7) != 0)
        return "must begin with https:// (or http:// on this machine)";
    return check_address(
        text + (tls ? 8 : 7), !tls,
        "may use http:// (not encrypted) only for localhost, 127.0.0.0/8 or [::1]; use https://");
}

const char *config_check_version_url(const char *text)
{
    return !*text || strcmp(text, "none") == 0 ? NULL : config_check_url(text);
}

/* ---- paths -------------------------------------------------------------------------------------
 */

bool config_check_inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 0 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}
