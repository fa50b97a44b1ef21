/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Documents of the portal: reading by path, and writing any text back as JSON that reads again. */
#include "base/json.h"
#include "fuzz.h"

static const char *const paths[] = {"",     "id", "to", "text", "session.state", "heartbeat.at",
                                    "a.b.c"};

static void read_paths(const struct json_value *root)
{
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        fuzz_touch(bytes_text(json_text(root, paths[i], "")));
        json_int(root, paths[i], 0);
        json_bool(root, paths[i], false);
    }
    for (size_t i = 0; i <= json_length(root); i++)
        fuzz_touch(bytes_text(json_text(json_at(root, i), "", "")));
}

static void write_back(struct bytes text)
{
    AUTO_BUF struct buf out = {.max = 1 << 20};
    struct json_writer w;
    struct json_doc *doc;
    json_writer_init(&w, &out);
    json_open(&w, NULL, '{');
    json_put_bytes(&w, "id", text);
    json_close(&w, '}');
    /* Our reader takes no NUL inside a text; other readers do. */
    if (out.full || (text.n > 0 && memchr(text.p, 0, text.n)))
        return;
    fuzz_require(json_doc_open(&doc, buf_bytes(&out), NULL) == 0);
    json_doc_close(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc *doc;
    struct err err = {0};
    write_back(BYTES(data, size));
    if (json_doc_open(&doc, BYTES(data, size), &err) < 0) {
        fuzz_require(err.text[0]);
        return 0;
    }
    read_paths(json_root(doc));
    json_doc_close(doc);
    return 0;
}
