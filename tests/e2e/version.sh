#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The client version: looked up beside the dial and when it is refused (405), kept, never downgraded, and nobody
# is hammered when there is none that the server takes. The simulator names the newest at /sw.js.
. "$(dirname "$0")/lib.sh"

start_sim
write_config
cp "$WORK/wabridge.yaml" "$WORK/plain.yaml"
configure() { # LINES of the section whatsapp
    sed "s|^whatsapp:|whatsapp:\n  $1|" "$WORK/plain.yaml" >"$WORK/wabridge.yaml"
}
configure "version_url: $CONTROL/sw.js"
versions() { post /version "{\"oldest\":$1,\"newest\":$2}" >/dev/null; }
stat_of() { get /stats | jq -r ".$1"; }
stat_is() { [ "$(stat_of "$1")" = "$2" ]; }
uses() { state_is .process.wa_version "2.3000.$1"; }
drop() { post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null; }
rejected() { state_is .session.state VERSION_REJECTED && state_is .last_error.code version_rejected; }
says() { state .last_error.message | grep -q -- "$1"; }
logged() { grep -q "$1" "$WORK/bridge.log"; }
reload() {
    touch "$VOLUME/control/reload"
    wait_for 10 test ! -e "$VOLUME/control/reload"
}
heartbeats() { # N: so often the loop came round; what it does too early it has done then
    local at
    for _ in $(seq "$1"); do
        at=$(state .heartbeat.at)
        wait_for 10 eval '! state_is .heartbeat.at "$at"'
    done
}
# connections COUNT NAME: so many since the mark.
mark() { MARK=$(stat_of connections_total); }
connections() { equal "$2" "$1" $(($(stat_of connections_total) - MARK)); }

# ---- beside the dial -----------------------------------------------------------------------------------
versions 2000000000 2000000000
account $PHONE Shop
start_bridge
check "linked, though what is compiled in is refused" eval 'scan && wait_for 15 connected'
check "a newer version is found at start" wait_for 10 uses 2000000000
equal "… with one question" 1 "$(stat_of sw_js)"
stop_bridge
start_bridge
check "started again" wait_for 15 connected
check "… with the version that was kept" uses 2000000000
equal "… which needs no question on the same day" 1 "$(stat_of sw_js)"
post /version '{"newest":2000000001,"expires":1900000000}' >/dev/null
check "a version that expires is replaced in time" wait_for 10 uses 2000000001
check "… and the connection stays" connected

# ---- refused -------------------------------------------------------------------------------------------
mark
versions 2000000002 2000000002
drop
check "a refused version is replaced" wait_for 15 uses 2000000002
check "… and the login succeeds" wait_for 15 connected
connections 2 "… with one dial for each version"
check "… and nobody is told to act" eval "! rejected"

mark
versions 3000000000 2000000002
drop
check "no newer version: rejected" wait_for 15 rejected
check "… which is said" says "names no newer one"
next=$(($(date -d "$(state .reconnect.next_at)" +%s) - $(date +%s)))
check "… and tried again some hours later ($next s)" test "$next" -gt 7100 -a "$next" -lt 14500
heartbeats 4
connections 1 "… and nobody is hammered"
reload
check "reload dials again" wait_for 10 stat_is connections_total $((MARK + 2))
check "… and ends the same way" wait_for 10 rejected
versions 3000000000 3000000000
mark
reload
check "reload finds what has come meanwhile" wait_for 15 connected
connections 2 "… with one dial for each version"
check "… which is used" uses 3000000000

mark
versions 4000000000 3000000001
drop
check "refused again with the newest: rejected" wait_for 15 rejected
check "… which is said" says "has just named it"
heartbeats 2
connections 2 "… after one dial for each"
versions 0 3000000001
reload
check "taken again" wait_for 15 connected

# ---- never back, never broken -----------------------------------------------------------------------------
refuse_once() {
    post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"failure\",\"reason\":\"405\"}" >/dev/null
    drop
}
versions 0 2999999999
refuse_once
check "an older version is not taken" wait_for 15 rejected
check "… which is said" says "an older one"
check "… and logged" logged client_version_older
check "… and changes nothing" uses 3000000001
versions 0 12345678
reload
check "taken again" wait_for 15 connected
refuse_once
check "what is no revision is not taken" wait_for 15 rejected
check "… which is said" says "names no version"
reload
check "taken again" wait_for 15 connected
stop_bridge

# A day later, and nobody there to ask.
sqlite3 "$PRIVATE/keys.db" "update device set value = cast('3000000001 1000' as blob) where key = 'client_version'"
configure "version_url: http://127.0.0.1:9/sw.js"
start_bridge
check "nobody to ask: connected all the same" wait_for 15 connected
check "… with what was kept" uses 3000000001
check "… noted in the log" wait_for 10 logged client_version_unknown
check "… and not an error" eval '! grep client_version_unknown "$WORK/bridge.log" | grep -qE "\"level\":\"(warn|error)\""'

# ---- the owner's choice --------------------------------------------------------------------------------------
configure "version: 2.3000.1999999999"
reload
check "whatsapp.version wins" wait_for 10 uses 1999999999
versions 2000000000 3000000001
mark
drop
check "refused: rejected" wait_for 15 rejected
check "… for whatsapp.version" says "Remove whatsapp.version"
heartbeats 2
connections 1 "… after one dial"
cp "$WORK/plain.yaml" "$WORK/wabridge.yaml"
reload
check "removed: the newest one logs in" wait_for 15 connected
check "… which was kept" uses 3000000001

stop_bridge
equal "the bridge stopped in good order" 0 $?
summary
