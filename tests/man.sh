#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The man pages as mandoc and groff see them: no warning. Facts in them are checked by check_docs. TAP.
set -u
cd "$(dirname "$0")/../docs/man" || exit 1
n=0 failed=0

quiet() { # NAME COMMAND…: passes when the command says nothing
    local name=$1 said
    shift
    n=$((n + 1))
    if ! command -v "$1" >/dev/null; then
        echo "ok $n - $name # SKIP no $1"
        return
    fi
    said=$("$@" 2>&1 >/dev/null)
    if [ -z "$said" ]; then
        echo "ok $n - $name"
    else
        failed=$((failed + 1))
        echo "not ok $n - $name"
        printf '%s\n' "$said" | sed 's/^/# /'
    fi
}

lint() { # mandoc says what it finds on stdout
    mandoc -T lint -W warning "$1" >&2
}
for page in *.[1-8]; do
    if command -v mandoc >/dev/null; then quiet "$page: mandoc finds nothing" lint "$page"; else
        quiet "$page: mandoc finds nothing" mandoc; fi
    quiet "$page: man shows it without a warning" man --warnings -E UTF-8 -l -Tutf8 -Z "$page"
done
# What docs/security.md promises names its tests, and names of bounds; all of them must be there.
named() {
    local name
    for name in $(grep -oE '\b(test_[a-z0-9_]+|[A-Z]+(_[A-Z]+)+)\b' ../security.md | grep -vE '^(PR|O)_' | sort -u); do
        grep -rqw -- "$name" ../../tests/unit ../../src || echo "$name is nowhere" >&2
    done
}
quiet "security.md: its tests and bounds exist" named
echo "1..$n"
echo "$((n - failed)) passed, $failed failed"
[ "$failed" = 0 ]
