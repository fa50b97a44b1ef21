/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/confine.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sys/prctl.h>

#include "base/log.h"

#ifdef WITH_SANDBOX

/* A core dump would hold the keys. Not dumpable also keeps processes of the same user out of our
 * memory (ptrace, /proc). */
static bool give_up_privileges(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

void bridge_confine(const struct bridge_confinement *c)
{
    bool privileges = give_up_privileges();
    int landlock = bridge_landlock(c), seccomp = bridge_seccomp();
    bool all = privileges && landlock > 0 && seccomp == 0;
    log_event(all ? LOG_INFO : LOG_WARN, all ? "confined" : "confined_in_part",
              LOG_BOOL("no_new_privileges", privileges),
              LOG_INT("landlock", landlock > 0 ? landlock : 0), LOG_BOOL("seccomp", seccomp == 0));
}

#else

/* Sanitizers read /proc, trace themselves and start programs; gcov writes into the build tree. */
void bridge_confine(const struct bridge_confinement *c)
{
    (void)c;
    log_event(LOG_WARN, "not_confined", LOG_STR("reason", "this build is instrumented"));
}

#endif
