/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a service manager is told: sd_notify(3), whose protocol is one datagram of NAME=value lines
 * to the socket that NOTIFY_SOCKET names. Without that variable all of it does nothing. Never
 * blocks and never fails: a manager that does not listen is no reason to stop.
 */
#ifndef BRIDGE_NOTIFY_H
#define BRIDGE_NOTIFY_H

#include "base/attr.h"

#define BRIDGE_NOTIFY_MAX 512 /* bytes of a datagram; what is longer is cut */

/* socket_name: a path, or @name for an abstract one; NULL or "": nobody is to be told. The
 * descriptor, or -1 (what is wrong is logged). To be opened before the process is confined. */
int bridge_notify_open(const char *socket_name);
void bridge_notify(int fd, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
