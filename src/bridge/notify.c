/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* The length of the address, or 0 when it is none. An abstract name has no NUL at its end. */
static socklen_t address_of(const char *socket, struct sockaddr_un *out)
{
    size_t length = strlen(socket);
    if ((socket[0] != '/' && socket[0] != '@') || length < 2 || length >= sizeof(out->sun_path))
        return 0;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, socket, length);
    if (socket[0] == '@')
        out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (socket[0] == '/'));
}

int bridge_notify_open(const char *socket_name)
{
    struct sockaddr_un address;
    if (!socket_name || !socket_name[0])
        return -1;
    socklen_t length = address_of(socket_name, &address);
    int fd = length > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, length) == 0)
        return fd;
    log_event(LOG_WARN, "manager_not_told", LOG_STR("socket", socket_name),
              LOG_STR("error", length > 0 ? strerror(errno) : "not a path and no @name"));
    if (fd >= 0)
        close(fd);
    return -1;
}

void bridge_notify(int fd, const char *fmt, ...)
{
    char text[BRIDGE_NOTIFY_MAX + 1];
    va_list ap;
    if (fd < 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ssize_t sent = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
}
