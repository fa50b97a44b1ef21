#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk fails while files of messages are fetched: messages are recorded and answered as ever, nothing half-written is
# published or left behind, the log and state.json say so, and each file is there once there is room again.
. "$(dirname "$0")/lib.sh"
LIMIT=120
ANN=4915100000002
MEDIA=$VOLUME/media
BROKEN="$WORK/broken"

status_is() { [ "$(rows "select media.status || ' ' || coalesce(media.error, '') from media join messages on id = message where wa_id = '$1'")" = "$2" ]; }
file_of() { echo "$MEDIA/$(rows "select file from media join messages on id = message where wa_id = '$1'")"; }
answered() { [ "$(rows "select count(*) from messages where direction = 'OUT' and status in ('sent','delivered','read') and reply_to = (select id from messages where wa_id = '$1' and direction = 'IN')")" = 1 ]; }
nothing_new() { [ "$(find "$MEDIA" -type f | wc -l)" = 0 ]; }
up() { state_is .session.state CONNECTED; }
picture() { post "/accounts/$ANN/send" "$(jq -cn --arg to $PHONE '{to:$to,media:{kind:"image",bytes:900000}}')" | jq -r .id; }

start_sim
write_config
printf 'media:\n  download: true\n  max_mb: 2\n' >>"$WORK/wabridge.yaml"
account $PHONE Shop
account $ANN Ann
no_harm
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
stop_bridge

head -c 900000 /dev/zero | tr '\0' m >"$WORK/picture"
pictures=()
fails() { # WHAT FAULTS…
    local id text what=$1
    shift
    harm "$@" FAULTS_DIRS="$(realpath "$MEDIA")" FAULTS_FAIL=28
    start_bridge
    wait_for 15 up || not_ok "$what: the bridge starts"
    id=$(picture)
    check "$what: the file waits" wait_for 20 status_is "$id" "wanted cannot be written"
    check "$what: nothing of it is there" nothing_new
    check "$what: state.json says so" wait_for 10 state_is .last_error.code media_not_stored
    text=$(say $ANN $PHONE "while $what")
    check "$what: messages are answered" wait_for 20 answered "$text"
    check "$what: still connected" up
    kill -TERM "$BRIDGE_PID"
    life_ends
    equal "$what: it ends in order" 0 "$LIFE"
    pictures+=("$id")
}
touch "$BROKEN"
fails "no file can be made" FAULTS_OPS=o FAULTS_WHILE="$BROKEN"
fails "nothing can be written" FAULTS_OPS=w FAULTS_WHILE="$BROKEN"
fails "the disk is full in the middle" FAULTS_OPS=w FAULTS_AT=5
fails "nothing reaches the disk" FAULTS_OPS=s FAULTS_WHILE="$BROKEN"
fails "no name can be given" FAULTS_OPS=r FAULTS_WHILE="$BROKEN"

no_harm
start_bridge
for id in "${pictures[@]}"; do
    check "with room again: it is fetched" wait_for 90 status_is "$id" "downloaded "
    check "… byte by byte" cmp "$(file_of "$id")" "$WORK/picture"
done
equal "… and nothing else is there" "${#pictures[@]}" "$(find "$MEDIA" -type f | wc -l)"
stop_bridge
summary
