/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/bridge.h"

/* As environment, so that a reload does not undo it. */
static void log_content(void)
{
    setenv("LOG_LEVEL", "debug", 1);
    setenv("WABRIDGE_LOG_CONTENT", "true", 1);
}

int cli_run(int argc, char **argv)
{
    struct cli_options options;
    struct config config;
    struct config_report report = {0};
    int code = cli_parse(argc, argv, "cLS", 0, &options);
    if (code >= 0)
        return code;
    if (options.log_content)
        log_content();
    int rc = config_load(&config, cli_config_path(options.config), cli_env, &report);
    if (rc < 0)
        fputs(buf_text(&report.text), stderr);
    config_report_deinit(&report);
    return rc < 0 ? BRIDGE_EXIT_CONFIG : bridge_run(&config, cli_env, !options.no_sandbox);
}
