#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes token_slots of tokens.inc anew from its texts, for when the dictionaries change: tokens.py FILE.
# The hash and the form of a slot are those of tokens.c.
import re
import sys

SLOTS, MASK = 4096, (1 << 64) - 1


def hash_of(text: bytes) -> int:
    n = len(text)
    if n >= 8:
        head, tail = text[:8], text[-8:]
    elif n >= 4:
        head, tail = text[:4], text[-4:]
    else:
        head, tail = bytes((text[0], text[n // 2], text[-1])), b""
    h = int.from_bytes(head, "little") * 0x9E3779B97F4A7C15 + int.from_bytes(tail, "little") + n
    h &= MASK
    return (h ^ h >> 29) * 0xBF58476D1CE4E5B9 & MASK


def slots(texts: dict[int, bytes]) -> list[int]:
    table = [0] * SLOTS
    for code, text in texts.items():
        h = hash_of(text)
        at = h >> 52
        while table[at]:
            at = (at + 1) % SLOTS
        table[at] = (h >> 47 & 31) << 11 | code
    return table


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        source = file.read()
    listed = re.findall(r'^ +/\* +(?:(\d)/)?(\d+) \*/ "([^"\\]*)"', source, re.M)
    texts = {(236 + 256 * int(d) if d else 0) + int(i): text.encode() for d, i, text in listed}
    lines, line = [], "   "
    for value in slots(texts):
        if len(line) + len(f" {value},") > 100:
            lines.append(line)
            line = "   "
        line += f" {value},"
    table = "static const uint16_t token_slots[] = {\n" + "\n".join(lines + [line]) + "\n};\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"static const uint16_t token_(order|slots)\[\] = \{[^}]*\};\n", table, source))


main(sys.argv[1])
