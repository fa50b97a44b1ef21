/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/backup.h"

#include <stdio.h>

#include "bridge/bridge.h"
#include "cli/cli.h"

int cli_backup(int argc, char **argv)
{
    struct cli_options options;
    struct config config;
    struct config_report report = {0};
    struct err err;
    int code = cli_parse(argc, argv, "c", 1, &options);
    if (code >= 0)
        return code;
    int rc = config_load(&config, cli_config_path(options.config), cli_env, &report);
    if (rc < 0)
        fputs(buf_text(&report.text), stderr);
    config_report_deinit(&report);
    if (rc < 0)
        return BRIDGE_EXIT_CONFIG;
    rc = bridge_backup(&config, options.argument, &err);
    if (rc < 0)
        fprintf(stderr, "wabridge backup: %s\n", err.text);
    else
        printf("%s: keys.db and messages.db of %s\n", options.argument, config.tenant_id);
    return rc < 0 ? BRIDGE_EXIT_VOLUME : 0;
}
