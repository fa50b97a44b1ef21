/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reply engine: a template of the operator, and the text and name of a customer. What goes out
 * is valid UTF-8 and within its bound. */
#include "fuzz_file.h" /* first: it asks for memfd_create */

#include "base/text.h"
#include "bridge/reply.h"

#define OUT_MAX 16384

static const char plain_template[] =
    "intents:\n  - name: a\n    keywords: [hello, \"good morning\", \xc3\xa9t\xc3\xa9]\n"
    "    reply: \"Hi {customer_name}, {business_name}: {message}\"\n"
    "fallback:\n  reply: \"{message}\"\n";

static int load(struct config_replies *replies, struct bytes yaml)
{
    struct config_report report = {0};
    char path[64];
    int fd = fuzz_file(yaml, path);
    int rc = config_replies_load(replies, path, &report);
    config_report_deinit(&report);
    close(fd);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    struct config_replies replies = {0};
    struct bytes yaml = fuzz_piece(&in), text = fuzz_piece(&in);
    struct bridge_reply_values values = {.business_name = fuzz_piece(&in)};
    values.customer_name = fuzz_piece(&in);
    AUTO_BUF struct buf out = {.max = OUT_MAX};
    const char *intent = NULL;
    if (load(&replies, yaml.n ? yaml : bytes_text(plain_template)) < 0)
        return 0;
    int rc = bridge_reply(&replies, text, &values, &intent, &out);
    fuzz_require(rc != 0 || (intent && text_utf8_valid(buf_bytes(&out))));
    fuzz_require(rc == 0 || out.n == 0);
    config_replies_deinit(&replies);
    return 0;
}
