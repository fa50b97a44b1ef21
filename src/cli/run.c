/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>

#include "bridge/bridge.h"

int cli_run(int argc, char **argv)
{
    struct cli_options options;
    struct config config;
    struct config_report report = {0};
    int code = cli_parse(argc, argv, "c", false, &options);
    if (code >= 0)
        return code;
    int rc = config_load(&config, cli_config_path(options.config), cli_env, &report);
    if (rc < 0)
        fputs(buf_text(&report.text), stderr);
    config_report_deinit(&report);
    return rc < 0 ? BRIDGE_EXIT_CONFIG : bridge_run(&config, cli_env);
}
