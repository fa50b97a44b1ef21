/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of check_wa_signal, one file each. */
#ifndef TESTS_CHECK_WA_SIGNAL_H
#define TESTS_CHECK_WA_SIGNAL_H

#include <check.h>

TCase *app_state_cases(void);
TCase *group_cases(void);
TCase *key_cases(void);
TCase *media_cases(void);
TCase *message_cases(void);

#endif
