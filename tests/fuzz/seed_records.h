/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of fuzz_session_record: records of a conversation with messages that they open. */
#ifndef TESTS_FUZZ_SEED_RECORDS_H
#define TESTS_FUZZ_SEED_RECORDS_H

#include "base/buf.h"

typedef void seed_writer(void *ctx, struct bytes seed);

void seed_records(seed_writer *write, void *ctx);

#endif
