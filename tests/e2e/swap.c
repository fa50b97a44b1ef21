/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The portal that means harm, fast enough to win races: puts links, FIFOs, directories and files in
 * place of every name in a volume. swap VOLUME CANARIES KEYS SECONDS SEED; prints the number of
 * swaps. It works through directory descriptors and follows no link itself, so that whatever
 * happens to a target was done by the bridge.
 */
#define _GNU_SOURCE /* O_PATH */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *dir, *name;
} names[] = {
    {".", "state.json"},      {".", "qr.png"},           {".", "qr.svg"},
    {".", "qr.txt"},          {".", "passkey.json"},     {".", "metrics.prom"},
    {".", "control"},         {".", "outbox"},           {".", "logs"},
    {"control", "reload"},    {"control", "pair"},       {"control", "ack"},
    {"control", "x"},         {"control/ack", "x.json"}, {"control/ack", "reload.json"},
    {"outbox", "new"},        {"outbox", "done"},        {"outbox", "failed"},
    {"outbox/new", "a.json"}, {"outbox/done", "a.json"}, {"logs", "wabridge.log"},
};

/* A directory below dir_fd, no part of it a link. */
static int open_below(int dir_fd, const char *path)
{
    char part[64];
    int fd = dup(dir_fd);
    while (fd >= 0 && *path) {
        size_t n = strcspn(path, "/");
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = next;
        path += n + (path[n] == '/');
    }
    return fd;
}

static void remove_tree(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0)
        return;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_tree(dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
    unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static void link_to(int dir_fd, const char *name, const char *dir, const char *file)
{
    char target[1024];
    snprintf(target, sizeof(target), "%s%s", dir, file);
    if (symlinkat(target, dir_fd, name) != 0)
        return; /* the bridge was faster */
}

static void put_file(int dir_fd, const char *name, const char *text, size_t n)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0660);
    if (fd >= 0 && (write(fd, text, n) < 0 || close(fd) != 0))
        perror(name);
}

static void put(int dir_fd, const char *name, char **args, long dice)
{
    static const char big[200000];
    switch (dice % 9) {
    case 0:
        link_to(dir_fd, name, args[2], "/file");
        break;
    case 1:
        link_to(dir_fd, name, args[2], "/dir");
        break;
    case 2:
        link_to(dir_fd, name, args[3], "");
        break;
    case 3:
        link_to(dir_fd, name, "/dev/zero", "");
        break;
    case 4:
        link_to(dir_fd, name, name, "");
        break;
    case 5:
        if (mkfifoat(dir_fd, name, 0660) != 0)
            break;
        break;
    case 6:
        put_file(dir_fd, name, big, sizeof(big));
        break;
    case 7:
        put_file(dir_fd, name, "{}", 2);
        break;
    default:
        if (mkdirat(dir_fd, name, (mode_t)(dice >> 8 & 0770)) != 0)
            break;
        break;
    }
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 64;
    int volume = open(argv[1], O_RDONLY | O_DIRECTORY);
    time_t until = time(NULL) + atoi(argv[4]);
    long swaps = 0;
    srandom((unsigned)atoi(argv[5]));
    while (time(NULL) < until) {
        size_t i = (size_t)random() % COUNT(names);
        int dir = open_below(volume, names[i].dir);
        if (dir < 0)
            continue;
        remove_tree(dir, names[i].name);
        put(dir, names[i].name, argv, random());
        if (random() % 64 == 0)
            fchmod(dir, (mode_t)(random() & 0770) | 02000);
        close(dir);
        swaps++;
    }
    fchmod(volume, 02750);
    printf("%ld\n", swaps);
    return 0;
}
