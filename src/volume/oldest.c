/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The oldest files of a directory, however many there are, in bounded memory. */
#include <fcntl.h>
#include <sys/stat.h>

#include "volume/volume_internal.h"

#define PRUNED_AT_ONCE 64

static int compare(const struct volume_entry *x, const struct volume_entry *y)
{
    if (x->at.tv_sec != y->at.tv_sec)
        return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
    if (x->at.tv_nsec != y->at.tv_nsec)
        return x->at.tv_nsec < y->at.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Into its place among the n sorted ones; what falls off the end was not among the oldest. */
static size_t insert(struct volume_entry *list, size_t n, size_t max,
                     const struct volume_entry *entry)
{
    if (n == max && compare(entry, &list[n - 1]) > 0)
        return n;
    size_t at = n < max ? n : n - 1;
    for (; at > 0 && compare(entry, &list[at - 1]) < 0; at--)
        list[at] = list[at - 1];
    list[at] = *entry;
    return n < max ? n + 1 : n;
}

size_t volume_oldest(int dir_fd, bool (*wanted)(const char *name), struct volume_entry *out,
                     size_t max, size_t *total)
{
    DIR *dir = volume_list(dir_fd);
    const struct dirent *entry;
    size_t n = 0;
    *total = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat st;
        struct volume_entry e;
        if (!wanted(entry->d_name) || fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        e.at = st.st_mtim;
        bytes_copy_text(bytes_text(entry->d_name), e.name, sizeof(e.name));
        n = insert(out, n, max, &e);
        ++*total;
    }
    if (dir)
        closedir(dir);
    return n;
}

void volume_prune(int dir_fd, bool (*wanted)(const char *name), size_t kept, const char *keep)
{
    struct volume_entry *old = err_calloc(PRUNED_AT_ONCE, sizeof(*old));
    size_t total, n, surplus;
    do {
        n = volume_oldest(dir_fd, wanted, old, PRUNED_AT_ONCE, &total);
        surplus = total > kept ? total - kept : 0;
        size_t left = surplus;
        for (size_t i = 0; i < n && left > 0; i++) {
            if (keep && strcmp(old[i].name, keep) == 0)
                continue;
            if (unlinkat(dir_fd, old[i].name, 0) != 0)
                surplus = 0; /* a directory, or not ours: no further round */
            left--;
        }
    } while (surplus > PRUNED_AT_ONCE);
    free(old);
}
