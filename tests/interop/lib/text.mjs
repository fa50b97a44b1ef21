// SPDX-License-Identifier: GPL-3.0-or-later
// Hebrew, Arabic, an emoji of seven code points, a direction mark, a combining accent.
const UNIT = 'שלום 👩‍👩‍👧‍👦 مرحبا \u200fe\u0301 ';

/** Exactly this many bytes of UTF-8. */
export function longText(bytes, start) {
    const whole = Math.floor((bytes - Buffer.byteLength(start)) / Buffer.byteLength(UNIT));
    const text = start + UNIT.repeat(whole);
    return text + '.'.repeat(bytes - Buffer.byteLength(text));
}
