/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The portal's side of control/, as `wabridge ctl` plays it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/random.h"
#include "volume/control.h"
#include "volume/volume_internal.h"

#define CONTENT_MAX (64u << 10)

struct sender {
    int control_fd, ack_fd, inotify_fd;
    char id[32], ack[40];
    struct buf content;
};

static int open_directories(struct sender *s, const char *volume_path, struct err *err)
{
    AUTO_CLOSE int root = open(volume_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0)
        s->control_fd = volume_open_under(root, "control");
    if (s->control_fd >= 0)
        s->ack_fd = volume_open_under(s->control_fd, "ack");
    if (s->ack_fd < 0)
        return err_sys(err, ERR_SYSTEM, "cannot open %s/control/ack (is it a wabridge volume?)",
                       volume_path);
    return 0;
}

/* False when it is too long. */
static bool name_request(struct sender *s, const struct volume_control_member *members,
                         size_t count)
{
    uint64_t random;
    struct json_writer w;
    random_bytes((uint8_t *)&random, sizeof(random));
    snprintf(s->id, sizeof(s->id), "ctl-%016" PRIx64, random);
    snprintf(s->ack, sizeof(s->ack), "%s.json", s->id);
    json_writer_init(&w, &s->content);
    json_open(&w, NULL, '{');
    json_put_text(&w, "id", s->id);
    for (size_t i = 0; i < count; i++) {
        if (members[i].text)
            json_put_text(&w, members[i].name, members[i].text);
        else
            json_put_json(&w, members[i].name, members[i].json);
    }
    json_close(&w, '}');
    buf_append_u8(&s->content, '\n');
    return !s->content.full;
}

/* Nobody took it: a bridge that comes back later must not act on what the caller has given up. */
static bool withdraw(const struct sender *s, const char *command)
{
    AUTO_BUF struct buf there;
    buf_init(&there, CONTENT_MAX);
    return volume_read(s->control_fd, command, &there) == 0 &&
           bytes_equal(buf_bytes(&there), buf_bytes(&s->content)) &&
           unlinkat(s->control_fd, command, 0) == 0;
}

static int send_and_wait(struct sender *s, const char *command, int timeout_ms, struct buf *out,
                         struct err *err)
{
    int rc = volume_publish(s->control_fd, command, buf_bytes(&s->content), false, err);
    if (rc != 0)
        return rc;
    rc = volume_await(&s->ack_fd, 1, s->inotify_fd, s->ack, timeout_ms, out);
    if (rc == ERR_TIMEOUT)
        return err_set(err, rc, "no bridge answered %s within %d ms%s", command, timeout_ms,
                       withdraw(s, command) ? "; the command was withdrawn"
                                            : "; it was taken, but not acknowledged");
    if (rc != 0)
        return err_set(err, ERR_SYSTEM, "cannot read control/ack/%s (%s)", s->ack, err_name(rc));
    return 0;
}

int volume_control_send(const char *volume_path, const char *command,
                        const struct volume_control_member *members, size_t count, int timeout_ms,
                        struct buf *out, struct err *err)
{
    struct sender s = {.control_fd = -1, .ack_fd = -1, .inotify_fd = -1};
    buf_init_secret(&s.content, CONTENT_MAX);
    int rc = open_directories(&s, volume_path, err);
    if (rc == 0 && !name_request(&s, members, count))
        rc = err_set(err, ERR_LIMIT, "the command is longer than %u bytes", CONTENT_MAX);
    if (rc == 0) {
        s.inotify_fd = volume_await_watch(&s.ack_fd, 1);
        rc = send_and_wait(&s, command, timeout_ms, out, err);
    }
    const int fds[] = {s.inotify_fd, s.ack_fd, s.control_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    buf_deinit(&s.content);
    return rc;
}
