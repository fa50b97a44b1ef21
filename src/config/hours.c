/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/hours.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"

#define DAY 1440
#define WEEK (7 * DAY)

static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* Minutes of a week that begins on Monday 00:00; the end may lie in the week after. */
struct span {
    int begin, end;
};

struct spans {
    struct span p[CONFIG_HOURS_MAX];
    size_t n;
};

/* ---- the text ----------------------------------------------------------------------------------
 */

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t\n");
}

static bool take_char(const char **at, char c)
{
    skip_blanks(at);
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static int take_day(const char **at)
{
    skip_blanks(at);
    for (int i = 0; i < 7; i++) {
        if (strncasecmp(*at, days[i], 3) == 0) {
            *at += 3;
            return i;
        }
    }
    return -1;
}

/* One or two digits, or -1. */
static int take_number(const char **at)
{
    size_t n = strspn(*at, "0123456789");
    uint64_t number;
    if (n > 2 || !bytes_to_u64(BYTES(*at, n), &number))
        return -1;
    *at += n;
    return (int)number;
}

/* Minutes of a day, 0 to 1440, or -1. */
static int take_time(const char **at)
{
    skip_blanks(at);
    int hour = take_number(at);
    if (hour < 0 || *(*at)++ != ':')
        return -1;
    size_t digits = strspn(*at, "0123456789");
    int minute = digits == 2 ? take_number(at) : -1;
    if (minute < 0 || minute > 59 || hour * 60 + minute > DAY)
        return -1;
    return hour * 60 + minute;
}

static const char *take_days(const char **at, int *first, int *last)
{
    *first = *last = take_day(at);
    if (*first >= 0 && take_char(at, '-'))
        *last = take_day(at);
    if (*first < 0 || *last < 0)
        return "must be days (Mon, Tue, Wed, Thu, Fri, Sat, Sun) and times as \"Mon-Fri "
               "09:00-18:00, Sat 10:00-14:00\"";
    return NULL;
}

static const char *take_entry(const char **at, struct spans *out)
{
    int first, last;
    const char *wrong = take_days(at, &first, &last);
    if (wrong)
        return wrong;
    int begin = take_time(at);
    int end = begin >= 0 && take_char(at, '-') ? take_time(at) : -1;
    if (begin < 0 || end < 0 || begin == DAY)
        return "must give the time after the days as 09:00-18:00";
    for (int day = first;; day = (day + 1) % 7) {
        if (out->n == CONFIG_HOURS_MAX)
            return "has too many entries";
        out->p[out->n++] =
            (struct span){day * DAY + begin, day * DAY + end + (end <= begin ? DAY : 0)};
        if (day == last)
            return NULL;
    }
}

static const char *parse(const char *text, struct spans *out)
{
    out->n = 0;
    skip_blanks(&text);
    if (!*text)
        return NULL;
    do {
        const char *wrong = take_entry(&text, out);
        if (wrong)
            return wrong;
    } while (take_char(&text, ','));
    return *text ? "must have a comma between its entries" : NULL;
}

const char *config_hours_check(const char *hours)
{
    struct spans spans;
    return parse(hours, &spans);
}

/* ---- the zone ----------------------------------------------------------------------------------
 */

/* The database's own files begin with these four bytes. */
static bool is_zone_file(const char *path)
{
    char magic[4];
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && read(fd, magic, sizeof(magic)) == 4 && memcmp(magic, "TZif", 4) == 0;
}

const char *config_zone_check(const char *zone)
{
    char path[512];
    const char *dir = getenv("TZDIR");
    const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+-";
    if (!*zone || strcmp(zone, "UTC") == 0) /* its length is checked elsewhere */
        return NULL;
    if (*zone == '/' || zone[strspn(zone, allowed)])
        return "must be the name of a time zone, as Africa/Nairobi";
    snprintf(path, sizeof(path), "%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", zone);
    return is_zone_file(path) ? NULL
                              : "must be a time zone that the database of this machine has, as "
                                "Africa/Nairobi (package tzdata)";
}

/* The C library knows one zone at a time, by TZ; what was there is put back. */
static struct tm local_time(const char *zone, time_t at)
{
    char wanted[512];
    struct tm tm = {0};
    const char *old = getenv("TZ");
    AUTO_FREE char *before = old ? bytes_strdup(bytes_text(old)) : NULL;
    snprintf(wanted, sizeof(wanted), ":%s", zone);
    setenv("TZ", wanted, 1);
    tzset();
    localtime_r(&at, &tm);
    if (before)
        setenv("TZ", before, 1);
    else
        unsetenv("TZ");
    tzset();
    return tm;
}

bool config_hours_open(const char *hours, const char *zone, int64_t wall_ms)
{
    struct spans spans;
    if (parse(hours, &spans) || spans.n == 0)
        return true;
    struct tm tm = local_time(zone, (time_t)(wall_ms / 1000));
    int minute = (tm.tm_wday + 6) % 7 * DAY + tm.tm_hour * 60 + tm.tm_min;
    for (size_t i = 0; i < spans.n; i++) {
        const struct span *s = &spans.p[i];
        if ((minute >= s->begin && minute < s->end) || minute + WEEK < s->end)
            return true;
    }
    return false;
}
