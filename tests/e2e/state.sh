#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# App state: fetched once linked, followed by patches while online and after a restart; a host or a server that gives
# nothing costs nothing.
. "$(dirname "$0")/lib.sh"

start_sim
write_config
account $PHONE Shop
post "/accounts/$PHONE/app_state/rules" '{"kept":1}' >/dev/null
named() { [ "$(jq -r .account.push_name "$VOLUME/state.json")" = "$1" ]; }
keys() { sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select hex(substr(value, 1, 8)) from app_state where key = 'critical_block'"; }
at_version() { [ "$((16#0$(keys)))" = "$1" ]; }
rename() { post "/accounts/$PHONE/name" "$(jq -cn --arg n "$1" '{name:$n}')" >/dev/null; }

start_bridge
check "linked" eval 'scan && wait_for 15 connected'
check "the snapshot was fetched, checked and kept" wait_for 15 at_version 1
rename "Shop & Sons"
check "a new name on the phone is followed" wait_for 15 named "Shop & Sons"
check "… by a patch that is kept" wait_for 10 at_version 2
check "… still connected" connected
stop_bridge
rename "Third"
rename "Fourth"
start_bridge
check "two names later, after a restart: a snapshot again" wait_for 30 named Fourth
check "… which is kept" wait_for 10 at_version 4
kill -9 "$BRIDGE_PID"; wait "$BRIDGE_PID" 2>/dev/null
start_bridge
rename "Fifth"
check "after SIGKILL patches fit on what was kept" wait_for 30 named Fifth
check "… and it is kept" wait_for 10 at_version 5
stop_bridge
summary
