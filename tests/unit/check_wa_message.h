/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Part of check_wa_signal: padding, reading and building of Messages. */
#ifndef TESTS_CHECK_WA_MESSAGE_H
#define TESTS_CHECK_WA_MESSAGE_H

#include <check.h>

TCase *message_cases(void);

#endif
