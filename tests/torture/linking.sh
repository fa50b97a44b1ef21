#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Kills the bridge while it is being linked, every other time with a power cut, each time on an empty
# volume with an account of its own (D5). If the phone was told that the device is linked, the next
# life logs in; else it shows a new QR. Between the two, when the credentials are durable and the server
# has not got the answer, the next login is refused; the bridge forgets those keys and shows a new QR by itself.
# LINKS times; SEED repeats a run.
. "$(dirname "$0")/lib.sh"
LINKS=${LINKS:-24}
FIRST=${FIRST:-90} SPAN=${SPAN:-80} # operations: from the first QR on, about
LINKED=0 AGAIN=0 UNCONFIRMED=0
WHEN=(before torn after)

shows_qr() { state_is .status QR_PENDING && [ "$(state .process.pid)" = "$BRIDGE_PID" ]; }
settled() { connected || shows_qr; }

start_sim
for ((i = 1; i <= LINKS; i++)); do
    PHONE=$((4917000000000 + i)) LAST_SEQ=0
    rm -rf "$VOLUME" "$PRIVATE" "$KEPT"
    mkdir -p "$VOLUME" "$PRIVATE" "$KEPT"
    write_config
    account $PHONE "Shop $i"
    draw "$SPAN"
    n=$((FIRST + DRAWN))
    draw 3
    LIMIT=8 harm FAULTS_KILL=$n FAULTS_WHEN="${WHEN[DRAWN]}" FAULTS_CUT=$((i % 2)) FAULTS_SEED="$SEED$i"
    start_bridge
    scanned=no
    wait_for 5 test -s "$VOLUME/qr.png" && scan 2>/dev/null && scanned=yes
    life_ends
    look
    no_harm
    start_bridge
    wait_for 15 settled || not_ok "link $i, killed at $n: the next life connects or shows a QR" "$(cat "$VOLUME/state.json")"
    if [ $scanned = yes ]; then
        LINKED=$((LINKED + 1))
        wait_for 10 connected || not_ok "link $i, killed at $n: the phone says linked, the bridge does not"
    elif ! wait_for 1 connected; then
        AGAIN=$((AGAIN + 1))
        ! state_is .last_error.code pairing_unconfirmed || UNCONFIRMED=$((UNCONFIRMED + 1))
        wait_for 15 scan # again when the QR was replaced in between
        wait_for 15 connected || not_ok "link $i, killed at $n: it is linked at the second try" "$(cat "$WORK/scan.json")"
    fi
    kill -KILL "$BRIDGE_PID"
    life_ends
done
check "there were kills after the phone had linked the device" [ "$LINKED" -gt 0 ]
check "there were kills before" [ "$AGAIN" -gt 0 ]
equal "no database was damaged" 0 "$DAMAGED"
equal "state.json was whole" 0 "$TORN_STATE"
summary
status=$?
echo "links=$LINKS linked=$LINKED again=$AGAIN unconfirmed=$UNCONFIRMED damaged=$DAMAGED"
exit $status
