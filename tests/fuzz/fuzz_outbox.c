/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outbox/new: files of any name and content. What is handed out is as the header says, every file
 * that is not has its answer in failed/ and is gone. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz_volume.h"
#include "volume/outbox.h"
#include "volume/volume_internal.h"

#define FILES_MAX 4

static void leave_files(struct volume *v, struct reader *in)
{
    for (int i = 0; i < FILES_MAX && reader_left(in) > 0; i++) {
        char name[256] = "good.json";
        if (fuzz_byte(in) & 1)
            bytes_copy_text(fuzz_piece(in), name, sizeof(name));
        if (!strchr(name, '/'))
            fuzz_leave(v->new_fd, name, fuzz_piece(in));
    }
}

/* Empties a directory; how many visible files it had. */
static size_t clear(int dir_fd)
{
    DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *e;
    size_t n = 0;
    fuzz_require(dir);
    while ((e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n += e->d_name[0] != '.';
        unlinkat(dir_fd, e->d_name, 0);
    }
    closedir(dir);
    return n;
}

static void require_good(const struct volume_outbox_message *m)
{
    fuzz_require(m->name[0] && m->name[0] != '.' && !strchr(m->name, '/'));
    fuzz_require(m->to && m->to[0] && m->text.n > 0 && text_utf8_valid(m->text));
    fuzz_require(m->not_before >= 0 && m->expires_at >= 0);
    fuzz_require(!m->expires_at || m->expires_at > m->not_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct volume_outbox *o;
    struct reader in = reader_init(BYTES(data, size));
    struct volume *v = fuzz_volume();
    struct volume_outbox_message m;
    if (!o)
        volume_outbox_open(&o, v);
    leave_files(v, &in);
    volume_outbox_look(o);
    while (volume_outbox_next(o, &m) == 1) {
        require_good(&m);
        fuzz_require(volume_outbox_taken(o, m.name));
    }
    size_t left = clear(v->new_fd);
    fuzz_require(left == 0 || volume_outbox_unfinished(o));
    clear(v->failed_fd);
    return 0;
}
