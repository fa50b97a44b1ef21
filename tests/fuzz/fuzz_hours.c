/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Business hours: any text is taken or refused with words; what is taken can be asked at any time.
 */
#include "config/hours.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    char hours[512], zone[65];
    uint64_t at = 0;
    for (int i = 0; i < 5; i++)
        at = at << 8 | fuzz_byte(&in);
    bytes_copy_text(fuzz_piece(&in), zone, sizeof(zone));
    bytes_copy_text(fuzz_piece(&in), hours, sizeof(hours));
    config_zone_check(zone);
    const char *wrong = config_hours_check(hours);
    fuzz_require(!wrong || wrong[0]);
    if (!wrong)
        config_hours_open(hours, "Africa/Nairobi", (int64_t)at * 1000);
    return 0;
}
