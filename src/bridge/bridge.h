/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One tenant, from start to stop: joins config, volume, store and wa in one event loop. */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "config/config.h"

/* DESIGN 4; the values of sysexits.h where it has them. */
#define BRIDGE_EXITS(X)                                                                            \
    X(BRIDGE_EXIT_STOPPED, 0, "stopped on request")                                                \
    X(BRIDGE_EXIT_USAGE, 64, "usage error")                                                        \
    X(BRIDGE_EXIT_VOLUME, 69, "a volume is unusable")                                              \
    X(BRIDGE_EXIT_INTERNAL, 70, "internal error")                                                  \
    X(BRIDGE_EXIT_CONFIG, 78, "configuration refused")                                             \
    X(BRIDGE_EXIT_LOCKED, 100, "another bridge holds the lock")

enum bridge_exit {
#define X(symbol, value, text) symbol = value,
    BRIDGE_EXITS(X)
#undef X
};

/*
 * Runs until it is asked to stop; the result is the exit code of the process. config is copied; its
 * path and env (getenv, or a fake) are used again at every reload. Blocks SIGTERM, SIGINT and
 * SIGHUP and takes them through the loop. What goes wrong is said in the log and, once there is a
 * volume, in state.json. sandboxed: the process confines itself for good (bridge/confine.h) before
 * it meets the network.
 */
int bridge_run(const struct config *config, const char *(*env)(const char *name), bool sandboxed);

#endif
