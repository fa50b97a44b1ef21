#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The examples of docs/volume.md as they stand there, against a live volume: only /volume is replaced by its
# path. The Python ones build on each other and are one program; the others stand alone. Where an
# interpreter is missing its examples are skipped. Prints TAP and a closing line.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002
DOC=$TOP/docs/volume.md
BLOCKS=$WORK/blocks
mkdir -p "$BLOCKS"

# blocks LANGUAGE: each fenced block of it into a numbered file
blocks() {
    awk -v lang="$1" -v dir="$BLOCKS" '
        $0 == "```" lang { n++; file = sprintf("%s/%02d.%s", dir, n, lang); inside = 1; next }
        $0 == "```" && inside { inside = 0; close(file); next }
        inside { print >file }' "$DOC"
    sed -Ei "s#(^|[^a-z0-9_-])/volume\b#\1$VOLUME#g" "$BLOCKS"/*."$1"
}

skip() {
    ok "$1 # SKIP no $2"
}

# first_line FILE: what the example is called in the results
first_line() { sed -n 's/^[[:space:]]*//; /./{p;q}' "$1" | cut -c 1-60; }

# runs NAME OUTPUT-PATTERN COMMAND…: exit 0, and what it prints matches.
runs() {
    local name=$1 pattern=$2 out
    shift 2
    if out=$(timeout 60 "$@" 2>&1) && grep -Eq -- "$pattern" <<<"$out"; then ok "$name"; else not_ok "$name" "$out"; fi
}

start_sim
write_config
account $PHONE Shop
account $ANN Ann
account 4915112345678 Customer
start_bridge
wait_for 10 state_is .status QR_PENDING
scan
wait_for 15 connected
say $ANN $PHONE "Are you open on Sunday?" >/dev/null
two_rows() { [ "$(rows 'select count(*) from messages')" = 2 ]; }
check "a live volume with a message and its answer" wait_for 15 two_rows

# ---- shell --------------------------------------------------------------------------------------------
blocks sh
for file in "$BLOCKS"/*.sh; do
    name="sh: $(first_line "$file")"
    case $(cat "$file") in
    *"install -d"*) # the owner of a production volume; here in the working directory
        sed -i "s|/srv/shop-7|$WORK/shop-7|g" "$file"
        mkdir -p "$WORK/shop-7"
        if [ "$(id -u)" = 0 ]; then
            runs "$name" '^2750 2001:2000$' sh -c ". '$file' && stat -c '%a %u:%g' '$WORK/shop-7/volume'"
        else
            skip "$name" root
        fi
        ;;
    *state.json*) runs "$name" '^RUNNING CONNECTED$' sh "$file" ;;
    *ack*) runs "$name" '"result":"done"' sh "$file" ;;
    *outbox/new*) runs "$name" '"status":"(sent|delivered)"' sh "$file" ;;
    *"count("*) runs "$name" '^3$' sh "$file" ;;
    *) runs "$name" '' sh "$file" ;;
    esac
done

# ---- Python -------------------------------------------------------------------------------------------
blocks python
cat "$BLOCKS"/*.python >"$WORK/all.py"
if command -v python3 >/dev/null; then
    python3 "$WORK/all.py" >"$WORK/python.out" 2>&1
    equal "python: all examples as one program end well" 0 $?
    check "python: the state" grep -qx "RUNNING CONNECTED fresh" "$WORK/python.out"
    check "python: a command and its answer" grep -q "^done applied: " "$WORK/python.out"
    check "python: messages" grep -qx "1 IN Are you open on Sunday?" "$WORK/python.out"
    check "python: polling" grep -Eq "^1 IN .* received Are you open on Sunday\?" "$WORK/python.out"
    check "python: search" grep -Eq "^1 [^ ]+ Are you open on Sunday\?" "$WORK/python.out"
    [ "$FAILED" = 0 ] || sed 's/^/# /' "$WORK/python.out"
else
    skip "python: all examples" python3
fi

# ---- JavaScript ---------------------------------------------------------------------------------------
blocks js
for file in "$BLOCKS"/*.js; do
    mv "$file" "${file%.js}.cjs"
    file=${file%.js}.cjs
    name="js: $(first_line "$file") ($(grep -m1 -oE 'function [a-zA-Z]+' "$file"))"
    if ! command -v node >/dev/null; then
        skip "$name" node
    elif grep -q readState "$file"; then
        runs "$name" '^RUNNING CONNECTED fresh$' node "$file"
    elif grep -q 'function command' "$file"; then
        runs "$name" '^done applied: ' node "$file"
    else
        runs "$name" 'Are you open on Sunday' node "$file"
    fi
done

# ---- Go -----------------------------------------------------------------------------------------------
blocks go
for file in "$BLOCKS"/*.go; do
    if command -v go >/dev/null; then
        runs "go: reads the state" '^RUNNING CONNECTED stale: false$' env GOFLAGS=-mod=mod GOCACHE="$WORK/go" go run "$file"
    else
        skip "go: reads the state" go
    fi
done

# ---- SQL: each query of each block, read-only ---------------------------------------------------------
blocks sql
for file in "$BLOCKS"/*.sql; do
    awk -v RS=';' -v base="$file" 'NF { n++; printf "%s;\n", $0 >(base "." n) }' "$file"
    for query in "$file".*; do
        check "sql: $(first_line "$query")" sqlite3 -readonly -bail -cmd '.timeout 5000' "$VOLUME/messages.db" ".read $query"
    done
done

stop_bridge
summary
