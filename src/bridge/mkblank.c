/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mkblank FILE: a part of the build. Makes both databases as a first start would, by SQL, and
 * writes them to FILE as C (store/blank.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/records.h"
#include "store/blank.h"
#include "store/messages.h"

#define GAP 8 /* zeros that are cheaper inside a run than as the end of one */
#define RUN_MAX 0xffff
#define FILE_MAX (1u << 24)

static struct buf read_file(const char *path)
{
    struct buf file;
    uint8_t chunk[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    buf_init(&file, FILE_MAX);
    while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(&file, BYTES(chunk, n));
    if (!f || ferror(f) || fclose(f) != 0 || file.n == 0 || file.full)
        err_fatal("%s cannot be read", path);
    return file;
}

/* Where the run that begins at `at` ends: before GAP zeros. */
static size_t run_end(const struct buf *file, size_t at)
{
    size_t end = at;
    for (; at < file->n && at - end < GAP; at++)
        if (file->p[at])
            end = at + 1;
    return end;
}

static size_t put_bytes(FILE *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%u,%s", p[i], i % 24 == 23 ? "\n" : "");
    return n;
}

static void put_blank(FILE *out, const char *name, const struct buf *file)
{
    size_t total = 0;
    fprintf(out, "static const uint8_t %s_runs[] = {\n", name);
    for (size_t at = 0; at < file->n; at++) {
        if (!file->p[at])
            continue;
        size_t n = run_end(file, at) - at;
        n = n < RUN_MAX ? n : RUN_MAX;
        const uint8_t head[] = {(uint8_t)(at >> 24), (uint8_t)(at >> 16), (uint8_t)(at >> 8),
                                (uint8_t)at,         (uint8_t)(n >> 8),   (uint8_t)n};
        total += put_bytes(out, head, sizeof(head)) + put_bytes(out, file->p + at, n);
        fputs("\n", out);
        at += n - 1;
    }
    fprintf(out, "};\nconst struct store_blank store_blank_%s = {%s_runs, %zu, %zu};\n", name, name,
            total, file->n);
}

static void make_databases(void)
{
    struct bridge_records *keys;
    struct store_messages *messages;
    struct err err = {0};
    if (bridge_records_open(&keys, "keys.db", "", "", &err) < 0 ||
        store_messages_open(&messages, "messages.db", &err) < 0)
        err_fatal("%s", err.text);
    bridge_records_close(keys);
    store_messages_close(messages);
}

int main(int argc, char **argv)
{
    static const char *const left[] = {"keys.db", "messages.db", "messages.db-wal",
                                       "messages.db-shm"};
    char dir[] = "mkblank-XXXXXX";
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out)
        err_fatal("mkblank FILE: it cannot be written");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        err_fatal("mkblank: no place to work");
    make_databases();
    struct buf keys = read_file("keys.db"), messages = read_file("messages.db");
    fputs("/* Made by mkblank. */\n#include \"store/blank.h\"\n\n", out);
    put_blank(out, "keys", &keys);
    put_blank(out, "messages", &messages);
    buf_deinit(&keys);
    buf_deinit(&messages);
    for (size_t i = 0; i < ARRAY_LEN(left); i++)
        unlink(left[i]);
    return chdir("..") != 0 || rmdir(dir) != 0 || fclose(out) != 0;
}
