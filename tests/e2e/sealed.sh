#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A tenant whose keys were plain gets a key file, a new one, a wrong one, none: it goes on with the right
# one, and nothing is lost with another.
. "$(dirname "$0")/lib.sh"
ANN=4915100000002

start_sim
write_config
account $PHONE Shop
account $ANN Ann
printf '%064d\n' 1 >"$WORK/first.key"
head -c 32 /dev/urandom >"$WORK/second.key"
chmod 600 "$WORK"/*.key

private_keys() { # LINE…: below private: in the configuration
    write_config
    local line
    for line in "$@"; do sed -i "s|^  path: $PRIVATE\$|&\n  $line|" "$WORK/wabridge.yaml"; done
}
replied() { arrived $ANN $PHONE | jq -e --arg t "You wrote: $1" '[.messages[] | select(.text == $t)] | length == 1' >/dev/null; }
# goes_on WHAT: with the present configuration a message is answered; keys.db is left closed.
goes_on() {
    start_bridge
    check "$1: it logs in" wait_for 15 connected
    say $ANN $PHONE "$1" >/dev/null
    check "$1: a message is answered" wait_for 15 replied "$1"
    stop_bridge
}
run_status() { timeout 20 "$BUILDDIR/wabridge" run -c "$WORK/wabridge.yaml" >"$WORK/bad.out" 2>&1; echo $?; }
# The identity key of a contact, as it lies in the table, and whether its bytes are in the file.
identity() { sqlite3 "$PRIVATE/keys.db" "select hex(value) from identity limit 1"; }
in_file() { od -An -v -tx1 "$PRIVATE"/keys.db* | tr -d ' \n' | grep -qi "$1"; }

start_bridge
check "linked" eval 'scan && wait_for 15 connected'
say $ANN $PHONE "plain" >/dev/null
check "a session exists" wait_for 15 replied "plain"
stop_bridge
plain=$(identity)
check "the value is in the file" in_file "$plain"

private_keys "key_file: $WORK/first.key"
goes_on "sealed"
check "the value is no longer in the file" eval '! in_file "$plain"'
private_keys "key_file: $WORK/second.key"
equal "another key: exit 78" 78 "$(run_status)"
check "… which is said" grep -q "sealed with another key" "$WORK/bad.out"
private_keys
equal "no key: exit 78" 78 "$(run_status)"
private_keys "key_file: $WORK/none.key"
equal "no such file: exit 78" 78 "$(run_status)"
private_keys "key_file: $WORK/second.key" "old_key_file: $WORK/first.key"
goes_on "rotated"
private_keys "key_file: $WORK/first.key"
equal "the old key is of no use: exit 78" 78 "$(run_status)"
private_keys "key_file: $WORK/second.key"
goes_on "with the new key alone"
check "backup of sealed keys needs no key" "$BUILDDIR/wabridge" backup -c "$WORK/wabridge.yaml" "$WORK/backup"
private_keys "old_key_file: $WORK/second.key"
goes_on "plain again"
check "the value is in the file again" in_file "$(identity)"
check "nothing was undecryptable" test "$(rows "select count(*) from messages where kind='undecryptable'")" = 0
summary
