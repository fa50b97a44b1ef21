/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _DEFAULT_SOURCE /* timegm */
#include "config/hours.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"

#define DAY 1440
#define EACH_YEAR 10000 /* dates below it are of every year */

static const char days[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* One entry: which days, and the minutes of such a day that are open. The end may lie in the day
 * after; a closed day begins and ends at 0. */
struct entry {
    bool dated;
    int first, last; /* days of the week, 0 is Monday; dated: year * 10000 + month * 100 + day */
    int begin, end;
};

struct entries {
    struct entry p[CONFIG_HOURS_MAX];
    size_t n;
};

/* ---- the text ----------------------------------------------------------------------------------
 */

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t\n");
}

static bool take_text(const char **at, const char *text)
{
    skip_blanks(at);
    if (strncasecmp(*at, text, strlen(text)) != 0)
        return false;
    *at += strlen(text);
    return true;
}

static int take_day(const char **at)
{
    for (int i = 0; i < 7; i++)
        if (take_text(at, days[i]))
            return i;
    return -1;
}

/* One to so many digits, or -1. */
static int take_number(const char **at, size_t digits)
{
    size_t n = strspn(*at, "0123456789");
    uint64_t number;
    if (n > digits || !bytes_to_u64(BYTES(*at, n), &number))
        return -1;
    *at += n;
    return (int)number;
}

/* Exactly so many digits, or -1. */
static int take_digits(const char **at, size_t digits)
{
    return strspn(*at, "0123456789") == digits ? take_number(at, digits) : -1;
}

/* Minutes of a day, 0 to 1440, or -1. */
static int take_time(const char **at)
{
    skip_blanks(at);
    int hour = take_number(at, 2);
    if (hour < 0 || *(*at)++ != ':')
        return -1;
    int minute = take_digits(at, 2);
    if (minute < 0 || minute > 59 || hour * 60 + minute > DAY)
        return -1;
    return hour * 60 + minute;
}

/* The calendar of the C library says whether there is such a day; 2000 had a 29 February. */
static bool is_date(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = 12};
    return timegm(&tm) != -1 && tm.tm_mon == month - 1 && tm.tm_mday == day;
}

/* YYYY-MM-DD or MM-DD, or -1. */
static int take_date(const char **at)
{
    skip_blanks(at);
    int year = 0, month = take_digits(at, 2);
    if (month < 0) {
        year = take_digits(at, 4);
        if (year < 1970 || *(*at)++ != '-')
            return -1;
        month = take_digits(at, 2);
    }
    if (month < 0 || *(*at)++ != '-')
        return -1;
    int day = take_digits(at, 2);
    return is_date(year ? year : 2000, month, day) ? (year * 100 + month) * 100 + day : -1;
}

static const char *take_dates(const char **at, struct entry *e)
{
    e->dated = true;
    e->first = e->last = take_date(at);
    if (e->first >= 0 && take_text(at, ".."))
        e->last = take_date(at);
    if (e->first < 0 || e->last < 0)
        return "must give dates as 2026-12-24, 12-25 (of every year) or 2026-12-24..2027-01-02";
    if ((e->first < EACH_YEAR) != (e->last < EACH_YEAR))
        return "must give the year of both dates, or of none";
    if (e->first >= EACH_YEAR && e->last < e->first)
        return "must give the earlier date first";
    return NULL;
}

static const char *take_days(const char **at, struct entry *e)
{
    skip_blanks(at);
    if (**at >= '0' && **at <= '9')
        return take_dates(at, e);
    e->first = e->last = take_day(at);
    if (e->first >= 0 && take_text(at, "-"))
        e->last = take_day(at);
    if (e->first < 0 || e->last < 0)
        return "must be days (Mon, Tue, Wed, Thu, Fri, Sat, Sun) or dates, and times as \"Mon-Fri "
               "09:00-18:00, Sat 10:00-14:00, 12-25 closed\"";
    return NULL;
}

static const char *take_entry(const char **at, struct entry *e)
{
    *e = (struct entry){0};
    const char *wrong = take_days(at, e);
    if (wrong || take_text(at, "closed"))
        return wrong;
    e->begin = take_time(at);
    e->end = e->begin >= 0 && take_text(at, "-") ? take_time(at) : -1;
    if (e->begin < 0 || e->end < 0 || e->begin == DAY)
        return "must give the time after the days as 09:00-18:00, or closed";
    if (e->end <= e->begin)
        e->end += DAY;
    return NULL;
}

static const char *parse(const char *text, struct entries *out)
{
    out->n = 0;
    skip_blanks(&text);
    if (!*text)
        return NULL;
    do {
        if (out->n == CONFIG_HOURS_MAX)
            return "has too many entries";
        const char *wrong = take_entry(&text, &out->p[out->n++]);
        if (wrong)
            return wrong;
    } while (take_text(&text, ","));
    return *text ? "must have a comma between its entries" : NULL;
}

const char *config_hours_check(const char *hours)
{
    struct entries entries;
    return parse(hours, &entries);
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

/* The C library knows one zone at a time, by TZ, which nothing else here goes by. It is set when
 * the zone is another one and then left: a thread that looks up a name reads the environment. */
static struct tm local_time(const char *zone, time_t at)
{
    char wanted[512];
    struct tm tm = {0};
    const char *now = getenv("TZ");
    snprintf(wanted, sizeof(wanted), ":%s", zone);
    if (!now || strcmp(now, wanted) != 0) {
        setenv("TZ", wanted, 1);
        tzset();
    }
    localtime_r(&at, &tm);
    return tm;
}

/* ---- the calendar ------------------------------------------------------------------------------
 */

/* The same in both directions: from 12-24 to 01-02, from Sat to Mon. */
static bool is_between(int x, int first, int last)
{
    return first <= last ? x >= first && x <= last : x >= first || x <= last;
}

static bool names_day(const struct entry *e, const struct tm *day)
{
    int date = (day->tm_mon + 1) * 100 + day->tm_mday;
    if (!e->dated)
        return is_between((day->tm_wday + 6) % 7, e->first, e->last);
    return is_between(e->first < EACH_YEAR ? date : date + (day->tm_year + 1900) * EACH_YEAR,
                      e->first, e->last);
}

static bool any_entry(const struct entries *entries, bool dated, const struct tm *day)
{
    for (size_t i = 0; i < entries->n; i++)
        if (entries->p[i].dated == dated && (!day || names_day(&entries->p[i], day)))
            return true;
    return false;
}

/* At this minute after the day began; a date goes before the day of the week, and closed takes away
 * what stands before it. */
static bool is_open(const struct entries *entries, const struct tm *day, int minute)
{
    bool open = false, dated = any_entry(entries, true, day);
    if (!dated && !any_entry(entries, false, NULL))
        return minute < DAY;
    for (size_t i = 0; i < entries->n; i++) {
        const struct entry *e = &entries->p[i];
        if (e->dated != dated || !names_day(e, day))
            continue;
        if (e->end == 0)
            open = false;
        else if (minute >= e->begin && minute < e->end)
            open = true;
    }
    return open;
}

static struct tm day_before(struct tm day)
{
    struct tm before = {
        .tm_year = day.tm_year, .tm_mon = day.tm_mon, .tm_mday = day.tm_mday - 1, .tm_hour = 12};
    timegm(&before);
    return before;
}

bool config_hours_open(const char *hours, const char *zone, int64_t wall_ms)
{
    struct entries entries;
    if (parse(hours, &entries) || entries.n == 0)
        return true;
    struct tm today = local_time(zone, (time_t)(wall_ms / 1000));
    struct tm yesterday = day_before(today);
    int minute = today.tm_hour * 60 + today.tm_min;
    return is_open(&entries, &today, minute) || is_open(&entries, &yesterday, minute + DAY);
}
