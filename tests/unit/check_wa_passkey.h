/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of check_wa_passkey. */
#ifndef CHECK_WA_PASSKEY_H
#define CHECK_WA_PASSKEY_H

#include <check.h>

TCase *check_wa_linking_case(void);

#endif
