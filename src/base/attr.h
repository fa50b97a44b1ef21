/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compiler attributes and scope cleanups shared by every folder. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stdlib.h>
#include <unistd.h>

#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void attr_free(void *slot)
{
    free(*(void **)slot);
}

static inline void attr_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* A local that is freed, or closed when >= 0, on every way out of its scope. */
#define AUTO_FREE __attribute__((cleanup(attr_free)))
#define AUTO_CLOSE __attribute__((cleanup(attr_close)))

#endif
