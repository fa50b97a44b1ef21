/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of check_wa_ratchet, one file each. */
#ifndef TESTS_CHECK_WA_RATCHET_H
#define TESTS_CHECK_WA_RATCHET_H

#include <check.h>

TCase *envelope_cases(void);
TCase *limit_cases(void);
TCase *record_cases(void);

#endif
