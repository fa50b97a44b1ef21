/* SPDX-License-Identifier: GPL-3.0-or-later */
/* state.json as a portal or an accident left it: the reader of the verbs, and the start of a bridge
 * that goes on from it. */
#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "fuzz_volume.h"
#include "volume/state.h"

#define NOW_MS 1780000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct volume *v = fuzz_volume();
    struct volume_view view;
    struct volume_state state = {.tenant_id = "fuzz"};
    struct json_doc *doc;
    struct err err = {0};
    AUTO_BUF struct buf out = {.max = 1 << 20};
    fuzz_leave(v->root_fd, "state.json", BYTES(data, size));
    if (volume_view_open(&view, v->path, NOW_MS, &err) == 0) {
        fuzz_require(view.heartbeat_age_ms >= 0);
        volume_view_close(&view);
    } else {
        fuzz_require(err.text[0]);
    }
    volume_state_restore(&state, v);
    fuzz_require(state.seq >= 0 && text_utf8_valid(bytes_text(state.last_error.message)));
    fuzz_require(volume_state_write(&state, NOW_MS, &out) == 0);
    fuzz_require(json_doc_open(&doc, buf_bytes(&out), &err) == 0);
    json_doc_close(doc);
    return 0;
}
