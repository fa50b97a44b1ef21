/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time: the two system clocks in milliseconds, and RFC 3339 text. Protocol code gets a clock handed
 * in. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 25 /* "2026-01-02T03:04:05.678Z" and its NUL */
#define CLOCK_NEVER INT64_MAX

int64_t clock_wall_ms(void); /* since the Unix epoch; may jump */
int64_t clock_mono_ms(void); /* since boot, suspend included; never goes back */
int64_t clock_mono_us(void); /* the same in microseconds */

/* RFC 3339, UTC, milliseconds. Years outside 0000..9999 are clamped. */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);
/* Reads what clock_format writes; 0, or ERR_INVALID. */
int clock_parse(const char *text, int64_t *wall_ms);

#endif
