/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/media.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include "volume/volume_internal.h"

#define DAY_MS INT64_C(86400000)
#define FILES_MAX 100000 /* looked at in one trim */

static const struct {
    const char *mimetype, *extension;
} extensions[] = {
    {"image/jpeg", "jpg"},
    {"image/png", "png"},
    {"image/webp", "webp"},
    {"image/gif", "gif"},
    {"video/mp4", "mp4"},
    {"video/3gpp", "3gp"},
    {"video/quicktime", "mov"},
    {"audio/ogg", "ogg"},
    {"audio/mpeg", "mp3"},
    {"audio/mp4", "m4a"},
    {"audio/aac", "aac"},
    {"audio/amr", "amr"},
    {"application/pdf", "pdf"},
    {"application/zip", "zip"},
    {"application/msword", "doc"},
    {"application/vnd.ms-excel", "xls"},
    {"application/vnd.ms-powerpoint", "ppt"},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"},
    {"text/plain", "txt"},
    {"text/csv", "csv"},
    {"text/vcard", "vcf"},
};

void volume_media_name(int64_t id, struct bytes mimetype, char out[VOLUME_MEDIA_NAME_SIZE])
{
    const char *extension = "bin";
    size_t n = 0;
    while (n < mimetype.n && mimetype.p[n] != ';' && mimetype.p[n] != ' ')
        n++;
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if (strlen(extensions[i].mimetype) == n && n > 0 &&
            strncasecmp(extensions[i].mimetype, (const char *)mimetype.p, n) == 0)
            extension = extensions[i].extension;
    snprintf(out, VOLUME_MEDIA_NAME_SIZE, "%" PRId64 ".%s", id, extension);
}

int64_t volume_media_id(const char *name)
{
    uint64_t id;
    size_t n = strspn(name, "0123456789");
    if (name[n] != '.' || !bytes_to_u64(BYTES(name, n), &id) || id > INT64_MAX)
        return 0;
    return (int64_t)id;
}

/* ---- one file ------------------------------------------------------------------------------- */

int volume_media_create(struct volume_media_file *f, const struct volume *v, struct err *err)
{
    f->dir_fd = v->media_fd;
    f->fd = volume_temporary(f->dir_fd, "media", f->temporary);
    return f->fd < 0 ? err_sys(err, ERR_SYSTEM, "cannot make a file in media/") : 0;
}

int volume_media_write(struct volume_media_file *f, struct bytes data, struct err *err)
{
    return volume_write_all(f->fd, data) != 0 ? err_sys(err, ERR_SYSTEM, "cannot write in media/")
                                              : 0;
}

int volume_media_publish(struct volume_media_file *f, const char *name, struct err *err)
{
    int failed =
        volume_finish(f->fd, true) != 0 || renameat(f->dir_fd, f->temporary, f->dir_fd, name);
    if (failed) {
        int rc = err_sys(err, ERR_SYSTEM, "cannot publish media/%s", name);
        volume_media_drop(f);
        return rc;
    }
    close(f->fd);
    f->fd = -1;
    return volume_sync_directory(f->dir_fd) != 0
               ? err_sys(err, ERR_SYSTEM, "cannot make media/%s durable", name)
               : 0;
}

void volume_media_drop(struct volume_media_file *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    unlinkat(f->dir_fd, f->temporary, 0);
    f->fd = -1;
}

/* ---- retention ------------------------------------------------------------------------------ */

struct found {
    char name[VOLUME_MEDIA_NAME_SIZE];
    int64_t at, bytes;
};

static int by_age(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : strcmp(x->name, y->name);
}

/* Only what we made: another's file in media/ is not ours to delete. */
static size_t look(int dir_fd, struct found **out)
{
    size_t count = 0, cap = 0;
    const struct dirent *entry;
    DIR *dir = volume_list(dir_fd);
    *out = NULL;
    while (dir && count < FILES_MAX && (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (volume_media_id(entry->d_name) == 0 ||
            strlen(entry->d_name) >= VOLUME_MEDIA_NAME_SIZE ||
            fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (count == cap) {
            cap = cap ? 2 * cap : 64;
            *out = err_realloc(*out, cap * sizeof(**out));
        }
        struct found *f = &(*out)[count++];
        bytes_copy_text(bytes_text(entry->d_name), f->name, sizeof(f->name));
        f->at = (int64_t)st.st_mtim.tv_sec * 1000;
        f->bytes = st.st_size;
    }
    if (dir)
        closedir(dir);
    return count;
}

size_t volume_media_trim(const struct volume *v, const struct volume_media_keep *keep,
                         int64_t now_ms, const struct volume_media_events *events)
{
    struct found *all;
    size_t count = look(v->media_fd, &all), deleted = 0;
    int64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += all[i].bytes;
    if (count > 0)
        qsort(all, count, sizeof(*all), by_age);
    for (size_t i = 0; i < count; i++) {
        const struct found *f = &all[i];
        bool over = (keep->days > 0 && f->at < now_ms - keep->days * DAY_MS) ||
                    (keep->bytes > 0 && bytes > keep->bytes);
        bool unknown = events->known(events->ctx, volume_media_id(f->name), f->name) == 0;
        if ((!over && !unknown) || events->gone(events->ctx, f->name) < 0)
            continue;
        if (unlinkat(v->media_fd, f->name, 0) == 0) {
            bytes -= f->bytes;
            deleted++;
        }
    }
    free(all);
    return deleted;
}
