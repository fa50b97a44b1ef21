/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* renameat2 */
#include "bridge/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/backup.h"
#include "wa/host.h"

static const char *table_name(enum wa_table table)
{
    static const char *const names[WA_TABLE_COUNT] = {
#define X(symbol, name) [symbol] = name,
        WA_TABLES(X)
#undef X
    };
    return names[table];
}

struct part {
    const char *name, *dir; /* of the database */
    char to[1024];          /* under a name that no restore takes for whole */
};

static int copy_part(struct part *p, const char *dir, const struct store_left_out *left_out,
                     struct err *err)
{
    char from[1024];
    snprintf(from, sizeof(from), "%s/%s", p->dir, p->name);
    snprintf(p->to, sizeof(p->to), "%s/.%s.part", dir, p->name);
    if (unlink(p->to) != 0 && errno != ENOENT)
        return err_sys(err, ERR_SYSTEM, "%s", p->to);
    return store_backup(from, p->to, left_out, err);
}

static int finish_part(const struct part *p, int dir_fd, struct err *err)
{
    if (renameat2(AT_FDCWD, p->to, dir_fd, p->name, RENAME_NOREPLACE) != 0)
        return err_sys(err, errno == EEXIST ? ERR_EXISTS : ERR_SYSTEM, "%s", p->name);
    return 0;
}

static int check_free(const struct part *p, int dir_fd, const char *dir, struct err *err)
{
    if (faccessat(dir_fd, p->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(err, ERR_EXISTS, "%s/%s is there already: name a new directory", dir,
                       p->name);
    return 0;
}

int bridge_backup(const struct config *config, const char *dir, struct err *err)
{
    /* The ratchets, and that the server had the same prekeys: it is to be asked again. */
    const struct store_left_out left_out[] = {
        {.table = table_name(WA_TABLE_SESSION)},
        {.table = table_name(WA_TABLE_SENDER_KEY)},
        {.table = table_name(WA_TABLE_DEVICE), .key = "prekeys_checked_at"},
        {0}};
    struct part keys = {.name = "keys.db", .dir = config->private_path};
    struct part messages = {.name = "messages.db", .dir = config->volume_path};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_sys(err, ERR_SYSTEM, "cannot make %s", dir);
    AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, ERR_SYSTEM, "cannot open %s", dir);
    int rc = check_free(&keys, fd, dir, err);
    if (rc == 0)
        rc = check_free(&messages, fd, dir, err);
    if (rc == 0)
        rc = copy_part(&keys, dir, left_out, err);
    if (rc == 0)
        rc = copy_part(&messages, dir, NULL, err);
    if (rc == 0)
        rc = finish_part(&messages, fd, err);
    if (rc == 0)
        rc = finish_part(&keys, fd, err);
    if (rc == 0 && fsync(fd) != 0)
        rc = err_sys(err, ERR_SYSTEM, "cannot sync %s", dir);
    return rc;
}
