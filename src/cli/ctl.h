/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands of `wabridge ctl` share. */
#ifndef CLI_CTL_H
#define CLI_CTL_H

#include "cli/cli.h"
#include "volume/control.h"

/* Writes the command into control/ of the volume, waits, and prints its answer; the exit code. */
int cli_ctl_give(const char *volume, const char *command,
                 const struct volume_control_member *members, size_t count, int timeout_ms);
/* words[0] is "passkey"; the exit code. */
int cli_ctl_passkey(const struct cli_options *o);

#endif
