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
    static struct config c;
    struct config_report report = {0};
    char path[64];
    if (!c.replies_file[0])
        config_load(&c, NULL, fuzz_no_environment, &report); /* for its defaults */
    config_report_deinit(&report);
    int fd = fuzz_file(yaml, path);
    bytes_copy_text(bytes_text(path), c.replies_file, sizeof(c.replies_file));
    int rc = config_replies_load(replies, &c, &report);
    config_report_deinit(&report);
    close(fd);
    return rc;
}

/* One message after another in the same chat, so that menus are opened and chosen from. */
static void converse(const struct config_replies *replies, struct reader *in,
                     const struct bridge_reply_values *values)
{
    struct bridge_reply_chat chat = {0};
    while (reader_left(in) > 0) {
        uint8_t form = fuzz_byte(in);
        struct bytes text = fuzz_piece(in);
        struct bridge_reply_asked asked = {
            .text = text, .language = CONFIG_LANGUAGE_AUTO, .open = form & 1};
        struct bridge_reply_answer answer;
        AUTO_BUF struct buf out = {.max = OUT_MAX};
        bridge_reply_find(replies, &asked, &chat, &answer);
        if (!answer.text)
            continue;
        int rc = bridge_reply_render(answer.text, text, values, &out);
        fuzz_require(answer.name && answer.language);
        fuzz_require(rc == 0 ? text_utf8_valid(buf_bytes(&out)) : out.n == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    struct config_replies replies = {0};
    struct bytes yaml = fuzz_piece(&in);
    struct bridge_reply_values values = {.business_name = fuzz_piece(&in)};
    values.customer_name = fuzz_piece(&in);
    if (load(&replies, yaml.n ? yaml : bytes_text(plain_template)) == 0)
        converse(&replies, &in, &values);
    config_replies_deinit(&replies);
    return 0;
}
