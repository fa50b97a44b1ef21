/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files and which ports: Landlock, by the kernel's own interface (landlock(7)). */
#define _GNU_SOURCE /* O_PATH */
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/attr.h"
#include "base/err.h"
#include "bridge/confine.h"

/* The headers of Debian 12 end with version 2; these are of later ones, see linux/landlock.h. */
#define FS_TRUNCATE (1ull << 14)        /* version 3 */
#define NET_BIND_TCP (1ull << 0)        /* version 4 */
#define NET_CONNECT_TCP (1ull << 1)     /* version 4 */
#define FS_IOCTL_DEV (1ull << 15)       /* version 5 */
#define SCOPE_ABSTRACT_UNIX (1ull << 0) /* version 6 */
#define SCOPE_SIGNAL (1ull << 1)        /* version 6 */
#define RULE_NET_PORT 2

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_BENEATH (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WORK_BENEATH                                                                               \
    (READ_BENEATH | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |               \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |   \
     LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
/* A command is renamed before it is looked at, and the portal may have made it of anything; to
 * rename is to make, here. Nothing of the kind is ever made: seccomp knows no such call. */
#define SHARED_BENEATH                                                                             \
    (WORK_BENEATH | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |                  \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct port_attr {
    uint64_t access, port;
};

/* What each version of the interface can forbid. */
static const struct {
    uint64_t fs, net, scoped;
    size_t size; /* of the attribute that the version knows */
} versions[] = {
    {LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1, 0, 0, 8},
    {LANDLOCK_ACCESS_FS_REFER, 0, 0, 8},
    {FS_TRUNCATE, 0, 0, 8},
    {0, NET_BIND_TCP | NET_CONNECT_TCP, 0, 16},
    {FS_IOCTL_DEV, 0, 0, 16},
    {0, 0, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL, 24},
};

static int add_rule(int ruleset, int type, const void *attr)
{
    return syscall(SYS_landlock_add_rule, ruleset, type, attr, 0) == 0 ? 0 : -1;
}

static int allow_fd(int ruleset, int fd, uint64_t access)
{
    struct landlock_path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    return add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr);
}

static int allow_read(int ruleset, const char *path)
{
    struct stat st;
    AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return 0;
    return allow_fd(ruleset, fd, S_ISDIR(st.st_mode) ? READ_BENEATH : READ_FILE);
}

static int allow_port(int ruleset, uint16_t port)
{
    struct port_attr attr = {.access = NET_CONNECT_TCP, .port = port};
    return add_rule(ruleset, RULE_NET_PORT, &attr);
}

static int add_rules(int ruleset, const struct ruleset_attr *handled,
                     const struct bridge_confinement *c)
{
    if (allow_fd(ruleset, c->volume_fd, SHARED_BENEATH & handled->fs) != 0 ||
        allow_fd(ruleset, c->private_fd, WORK_BENEATH & handled->fs) != 0)
        return -1;
    for (size_t i = 0; i < c->read_count; i++)
        if (allow_read(ruleset, c->reads[i]) != 0)
            return -1;
    for (size_t i = 0; (handled->net & NET_CONNECT_TCP) && i < c->port_count; i++)
        if (allow_port(ruleset, c->ports[i]) != 0)
            return -1;
    return 0;
}

/* How many versions of the table the kernel knows; 0: no Landlock. */
static size_t known_versions(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    return (size_t)version < ARRAY_LEN(versions) ? (size_t)version : ARRAY_LEN(versions);
}

int bridge_landlock(const struct bridge_confinement *c)
{
    struct ruleset_attr handled = {0};
    size_t known = known_versions();
    if (known == 0)
        return ERR_UNSUPPORTED;
    for (size_t i = 0; i < known; i++) {
        handled.fs |= versions[i].fs;
        handled.net |= versions[i].net;
        handled.scoped |= versions[i].scoped;
    }
    if (c->port_count == 0)
        handled.net &= ~NET_CONNECT_TCP;
    AUTO_CLOSE int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &handled, versions[known - 1].size, 0);
    if (ruleset < 0 || add_rules(ruleset, &handled, c) != 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return ERR_UNSUPPORTED;
    return (int)known;
}
