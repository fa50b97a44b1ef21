#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The README's first command, one round, as a user sees it.
set -u
: "${BUILDDIR:?}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if timeout 90 "$(dirname "$0")/demo.sh" --once --volume "$dir" >"$dir/out" 2>&1; then
    echo "ok 1 - demo: one full round"
else
    echo "not ok 1 - demo: one full round"
    sed 's/^/# /' "$dir/out"
fi
if grep -q '7. customer reads: .' "$dir/out" && grep -q 'STOPPED, exit 0' "$dir/out"; then
    echo "ok 2 - demo: the reply and the end are shown"
else
    echo "not ok 2 - demo: the reply and the end are shown"
fi
echo "1..2"
