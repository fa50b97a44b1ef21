/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the unit tests share: vectors as JSON, hex, temporary directories, a deterministic host. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include <check.h>
#include <jansson.h>

#include "base/buf.h"

/* tests/vectors/<name>; fails the test when it is missing. Borrowed until exit. */
json_t *testing_vectors(const char *name);
/* Member of an object as text; fails the test when it is not a string. */
const char *testing_text(const json_t *object, const char *key);
/* Hex member, or hex text, as bytes; memory lives until exit. */
struct bytes testing_hex(const json_t *object, const char *key);
struct bytes testing_unhex(const char *hex);
/* A fresh directory, removed at exit. */
const char *testing_dir(void);
/* Fails with both sides in hex when they differ. */
void testing_assert_bytes(struct bytes got, struct bytes want, const char *what);
/* Runs the suite; prints Check's "Checks: N, Failures: 0"; result for main. */
int testing_run(Suite *suite);

#endif
