/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Business hours: "Mon-Fri 09:00-18:00, Sat 10:00-14:00" in a time zone of the tz database. Days
 * are Mon to Sun, alone or as a range; several entries may name the same day. A time that ends at
 * or before its beginning ends on the next day (Fri 18:00-02:00); 24:00 is the end of a day.
 */
#ifndef CONFIG_HOURS_H
#define CONFIG_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_HOURS_MAX 64 /* entries, a range of days counting each */

/* NULL when the text is good or empty; else the end of a sentence, as in config/check.h. */
const char *config_hours_check(const char *hours);
/* NULL when the tz database of this machine has the zone (an IANA name; UTC is always there). */
const char *config_zone_check(const char *zone);
/*
 * Whether it is open at wall_ms (Unix ms); true when hours is empty. Both texts are checked ones.
 * The wall clock of the zone decides, summer time included. Uses TZ for the length of the call: not
 * for several threads.
 */
bool config_hours_open(const char *hours, const char *zone, int64_t wall_ms);

#endif
