/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/json.h"
#include "volume/state.h"

#define EXIT_UNHEALTHY 1

/* A heart that beats on a full volume cannot be seen. */
static const char *why_stale(const char *volume)
{
    struct statvfs fs;
    if (statvfs(volume, &fs) != 0 || (fs.f_bavail > 0 && (fs.f_favail > 0 || fs.f_files == 0)))
        return "the heartbeat is stale";
    return fs.f_bavail == 0 ? "the heartbeat is stale: the volume is full"
                            : "the heartbeat is stale: the volume has no inodes left";
}

/* NULL when well, else what is wrong. */
static const char *complaint(const struct volume_view *view, const char *volume, bool ready)
{
    const struct json_value *root = json_root(view->doc);
    if (strcmp(json_text(root, "status", ""), "STOPPED") == 0)
        return "stopped";
    if (view->stale)
        return why_stale(volume);
    if (ready && strcmp(json_text(root, "session.state", ""), "CONNECTED") != 0)
        return "not connected";
    return NULL;
}

int cli_health(int argc, char **argv)
{
    struct cli_options options;
    struct volume_view view = {0};
    struct err err;
    char volume[512];
    int code = cli_parse(argc, argv, "cdr", 0, &options);
    if (code >= 0)
        return code;
    cli_volume_path(&options, volume);
    const char *wrong = err.text;
    if (volume_view_open(&view, volume, clock_wall_ms(), &err) == 0)
        wrong = complaint(&view, volume, options.ready);
    if (wrong)
        fprintf(stderr, "wabridge health: %s\n", wrong);
    else
        printf("%s (%s)\n", json_text(json_root(view.doc), "status", "?"),
               json_text(json_root(view.doc), "session.state", "?"));
    volume_view_close(&view);
    return wrong ? EXIT_UNHEALTHY : 0;
}
