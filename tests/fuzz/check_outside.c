/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Check's assertions work inside its runner only. Linked with --wrap, they end the process here, as
 * a fuzzer wants it. */
#include "base/err.h"

void __wrap__mark_point(const char *file, int line);
_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *expression,
                                        const char *message, ...);

void __wrap__mark_point(const char *file, int line)
{
    (void)file;
    (void)line;
}

void __wrap__ck_assert_failed(const char *file, int line, const char *expression,
                              const char *message, ...)
{
    (void)message;
    err_fatal("%s:%d: %s", file, line, expression);
}
