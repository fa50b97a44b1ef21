/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of the operator: as YAML, as configuration and as reply templates. A refusal says why, and
 * what check-config prints loads again. */
#include "fuzz_file.h" /* first: it asks for memfd_create */

#include "config/replies.h"
#include "config/yaml.h"

static void load_config(struct config *c, const char *path, bool must)
{
    struct config_report report = {0};
    int rc = config_load(c, path, fuzz_no_environment, &report);
    fuzz_require(rc == 0 || (report.errors > 0 && report.text.n > 0));
    fuzz_require(!must || rc == 0);
    config_report_deinit(&report);
    if (rc < 0 || must)
        return;
    AUTO_BUF struct buf printed = {.max = 1 << 20};
    char again[64];
    config_print(c, &printed);
    int fd = fuzz_file(buf_bytes(&printed), again);
    load_config(c, again, true);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena arena = {0};
    struct config_report report = {0};
    struct config_replies replies = {0};
    struct config c;
    char path[64];
    struct config_node *root = config_yaml_parse(&arena, "x.yaml", BYTES(data, size), &report);
    fuzz_require(root ? root->type == CONFIG_NODE_MAP : report.errors > 0);
    config_report_deinit(&report);
    int fd = fuzz_file(BYTES(data, size), path);
    load_config(&c, path, false);
    bytes_copy_text(bytes_text(path), c.replies_file, sizeof(c.replies_file));
    if (config_replies_load(&replies, &c, &report) == 0)
        config_replies_deinit(&replies);
    else
        fuzz_require(report.errors > 0);
    config_report_deinit(&report);
    close(fd);
    return 0;
}
