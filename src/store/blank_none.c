/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No blank databases: for the program that makes them, and where it cannot be run. */
#include "store/blank.h"

const struct store_blank store_blank_keys = {0}, store_blank_messages = {0};
