/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Business hours: "Mon-Fri 09:00-18:00, Sat 10:00-14:00, 12-24 09:00-12:00, 12-25..12-26 closed" in
 * a time zone of the tz database. Days are Mon to Sun, alone or as a range, or dates with a year or
 * of every year; several entries may name the same day. On a day that a date names only the dates
 * count; closed takes away what stands before it; when no entry names days of the week, other days
 * are open all day. A time that ends at or before its beginning ends on the next day (Fri
 * 18:00-02:00); 24:00 is the end of a day.
 */
#ifndef CONFIG_HOURS_H
#define CONFIG_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_HOURS_MAX 64 /* entries */

/* NULL when the text is good or empty; else the end of a sentence, as in config/check.h. */
const char *config_hours_check(const char *hours);
/* NULL when the tz database of this machine has the zone (an IANA name; UTC is always there). */
const char *config_zone_check(const char *zone);
/*
 * Whether it is open at wall_ms (Unix ms); true when hours is empty. Both texts are checked ones.
 * The wall clock of the zone decides, summer time included. Leaves TZ set to the zone; for one
 * thread.
 */
bool config_hours_open(const char *hours, const char *zone, int64_t wall_ms);

#endif
