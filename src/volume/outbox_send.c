/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The portal's side of outbox/, as `wabridge send` plays it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/random.h"
#include "volume/outbox.h"
#include "volume/volume_internal.h"

enum { DIR_DONE, DIR_FAILED, DIR_NEW, DIR_COUNT };

static int open_directories(int fds[DIR_COUNT], const char *volume_path, struct err *err)
{
    static const char *const names[DIR_COUNT] = {"done", "failed", "new"};
    AUTO_CLOSE int root = open(volume_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int outbox = root >= 0 ? volume_open_under(root, "outbox") : -1;
    for (size_t i = 0; i < DIR_COUNT && outbox >= 0; i++) {
        fds[i] = volume_open_under(outbox, names[i]);
        if (fds[i] < 0)
            break;
    }
    if (fds[DIR_COUNT - 1] < 0)
        return err_sys(err, ERR_SYSTEM,
                       "cannot open %s/outbox/new, done and failed (is it a wabridge volume?)",
                       volume_path);
    return 0;
}

static int drop_message(int new_fd, const char *file, const char *to, const char *text,
                        struct err *err)
{
    AUTO_BUF struct buf content;
    struct json_writer w;
    buf_init(&content, VOLUME_OUTBOX_FILE_MAX);
    json_writer_init(&w, &content);
    json_open(&w, NULL, '{');
    json_put_text(&w, "to", to);
    json_put_text(&w, "text", text);
    json_close(&w, '}');
    if (content.full)
        return err_set(err, ERR_LIMIT, "the text is too long");
    return volume_publish(new_fd, file, buf_bytes(&content), false, err);
}

static int send_and_wait(const int fds[DIR_COUNT], int inotify_fd, const char *to, const char *text,
                         int timeout_ms, struct buf *out, struct err *err)
{
    char file[40];
    uint64_t random;
    random_bytes((uint8_t *)&random, sizeof(random));
    snprintf(file, sizeof(file), "send-%016" PRIx64 ".json", random);
    int rc = drop_message(fds[DIR_NEW], file, to, text, err);
    if (rc != 0)
        return rc;
    rc = volume_await(fds, DIR_NEW, inotify_fd, file, timeout_ms, out);
    if (rc == ERR_TIMEOUT)
        return err_set(
            err, rc, "no result within %d ms; %s", timeout_ms,
            unlinkat(fds[DIR_NEW], file, 0) == 0
                ? "nobody took the message, and it was withdrawn"
                : "the message was taken and will be sent; look for its name in outbox/done "
                  "and outbox/failed");
    if (rc != 0)
        return err_set(err, ERR_SYSTEM, "cannot read the result %s (%s)", file, err_name(rc));
    return 0;
}

int volume_outbox_send(const char *volume_path, const char *to, const char *text, int timeout_ms,
                       struct buf *out, struct err *err)
{
    int fds[DIR_COUNT] = {-1, -1, -1};
    int rc = open_directories(fds, volume_path, err);
    if (rc == 0) {
        AUTO_CLOSE int inotify_fd = volume_await_watch(fds, DIR_NEW);
        rc = send_and_wait(fds, inotify_fd, to, text, timeout_ms, out, err);
    }
    for (size_t i = 0; i < DIR_COUNT; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return rc;
}
