/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>

#include "bridge/bridge.h"
#include "config/replies.h"

/* The problems of both files are shown together. */
static int check(const char *path, struct config *config, struct config_report *report)
{
    struct config_replies replies;
    int rc = config_load(config, path, cli_env, report);
    if (config_replies_load(&replies, config, report) < 0)
        return ERR_CONFIG;
    config_replies_deinit(&replies);
    return rc;
}

int cli_check_config(int argc, char **argv)
{
    struct cli_options options;
    struct config config;
    struct config_report report = {0};
    struct buf text = {.max = 1 << 20};
    int code = cli_parse(argc, argv, "c", 0, &options);
    if (code >= 0)
        return code;
    int rc = check(cli_config_path(options.config), &config, &report);
    if (rc < 0) {
        fputs(buf_text(&report.text), stderr);
    } else {
        config_print(&config, &text);
        fputs(buf_text(&text), stdout);
    }
    config_report_deinit(&report);
    buf_deinit(&text);
    return rc < 0 ? BRIDGE_EXIT_CONFIG : 0;
}
