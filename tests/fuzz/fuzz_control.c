/* SPDX-License-Identifier: GPL-3.0-or-later */
/* control/: files of any name and content. Whatever lies there, the commands are the four that
 * exist, their ids are names that are safe to use, and nothing is left behind. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz_volume.h"
#include "volume/control.h"

#define FILES_MAX 4

static void leave_files(struct volume *v, struct reader *in)
{
    static const char *const names[] = {"stop", "reload", "logout", "pair"};
    for (int i = 0; i < FILES_MAX && reader_left(in) > 0; i++) {
        char name[256];
        uint8_t known = fuzz_byte(in);
        bytes_copy_text(known < ARRAY_LEN(names) ? bytes_text(names[known]) : fuzz_piece(in), name,
                        sizeof(name));
        if (!strchr(name, '/'))
            fuzz_leave(v->control_fd, name, fuzz_piece(in));
    }
}

/* Hidden files are the portal's own business while it writes them. */
static void require_empty(struct volume *v)
{
    DIR *dir = fdopendir(openat(v->control_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *e;
    fuzz_require(dir);
    while ((e = readdir(dir))) {
        if (e->d_name[0] != '.')
            fuzz_require(strcmp(e->d_name, "ack") == 0);
        else if (e->d_name[1] && strcmp(e->d_name, "..") != 0)
            unlinkat(v->control_fd, e->d_name, 0);
    }
    closedir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct volume_control *c;
    struct reader in = reader_init(BYTES(data, size));
    struct volume *v = fuzz_volume();
    struct volume_control_request request;
    struct err err;
    if (!c)
        fuzz_require(volume_control_open(&c, v, 0, &err) == 0);
    leave_files(v, &in);
    while (volume_control_next(c, &request) == 1) {
        fuzz_require(request.command <= VOLUME_COMMAND_PAIR);
        fuzz_require(!strchr(request.id, '/') && request.id[0] != '.');
        volume_control_ack(c, &request, "done", NULL, NULL);
    }
    require_empty(v);
    return 0;
}
