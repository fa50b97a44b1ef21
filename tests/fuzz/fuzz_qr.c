/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures of a payload: refused by the documented bounds, or made in all three forms. */
#include "fuzz.h"
#include "volume/qr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF struct buf png = {.max = 1 << 20}, svg = {.max = 4 << 20}, text = {.max = 1 << 20};
    struct bytes payload = BYTES(data, size);
    int rc = volume_qr_png(payload, &png);
    fuzz_require(rc == (size == 0 ? ERR_INVALID : size > 2953 ? ERR_LIMIT : 0));
    fuzz_require(volume_qr_svg(payload, &svg) == rc);
    fuzz_require(volume_qr_terminal(payload, &text) == rc);
    fuzz_require(rc < 0 || (png.n > 0 && svg.n > 0 && text.n > 0));
    return 0;
}
