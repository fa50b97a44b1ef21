/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share: safe reading, temporaries, directories. All work under a
 * held descriptor, follow no link and never block on what they find. */
#ifndef VOLUME_INTERNAL_H
#define VOLUME_INTERNAL_H

#include <dirent.h>
#include <sys/types.h>

#include "volume/volume.h"

#define VOLUME_NAME_MAX 200 /* bytes of a published name, so that its temporary fits NAME_MAX */

/*
 * Appends a regular file to out. 0; ERR_NOT_FOUND; ERR_INVALID when it is not a regular file;
 * ERR_LIMIT when it is larger than out->max; ERR_SYSTEM with errno.
 */
int volume_read(int dir_fd, const char *name, struct buf *out);

/* Creates `.NAME.tmp-<pid>-<random>`, mode 0640; its name in out. A descriptor, or -1 with errno.
 */
int volume_temporary(int dir_fd, const char *name, char out[256]);
/* Removes what volume_temporary left behind in an earlier life and is at least min_age_ms old. */
void volume_sweep(int dir_fd, int64_t min_age_ms);

/*
 * Opens a directory, made when missing. Mode bits it lacks are added, none is taken away; where the
 * owner is another that fails, which is logged and not an error. A descriptor, or -1 with errno.
 */
int volume_directory(int parent_fd, const char *name, mode_t mode);
/* An independent stream over a held directory, from its beginning; NULL with errno. closedir. */
DIR *volume_list(int dir_fd);

#endif
