// SPDX-License-Identifier: GPL-3.0-or-later
// Hebrew, Arabic, an emoji of seven code points, a combining accent, a direction mark: 50 bytes a time.
const UNIT = 'שלום 👩‍👩‍👧‍👦 مرحبا \u200fe\u0301 ';

/** At least n bytes of UTF-8. */
export function longText(bytes, tag) {
    const text = `${tag} ${UNIT.repeat(Math.ceil(bytes / Buffer.byteLength(UNIT)))}`;
    return text.trimEnd();
}
