#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Linking in all its ways, on the simulator: QRs that nobody scans, codes typed on the phone, passkeys, linking
# again, and every way back.
. "$(dirname "$0")/lib.sh"

shows_qr() { state_is .session.state QR_READY && state_is .process.pid "$BRIDGE_PID"; }
error_is() { state_is .last_error.code "$1"; }
events() { get "/events" | jq -r ".events[].event"; }
connects() { events | grep -c '^pairing$'; }

# ---- nobody scans ----------------------------------------------------------------------------------
start_sim --ref-seconds 1
write_config
printf 'pairing:\n  rounds: 2\n  pause_s: 2\n' >>"$WORK/wabridge.yaml"
account $PHONE "E2E Shop"
start_bridge
check "a QR is shown" wait_for 10 shows_qr
check "after the rounds the bridge pauses and says so" wait_for 20 error_is pairing_paused
equal "no QR is named while it pauses" "QR_PENDING NONE " "$(state .status) $(state .session.state) $(state .qr.png)"
check "the QR files are gone" wait_for 5 eval '[ ! -e "$VOLUME/qr.png" ]'
equal "it says when the next one comes" true "$(jq '.reconnect.next_at != null' "$VOLUME/state.json")"
equal "so many connections were made as rounds are configured" 2 "$(connects)"
check "health is fine with it" "$BUILDDIR/wabridge" health --volume "$VOLUME"
check "after the pause one more round comes by itself" wait_for 10 shows_qr
check "and another pause" wait_for 20 state_is .session.state NONE
check "control/pair shows a QR at once" eval '"$BUILDDIR/wabridge" ctl pair --volume "$VOLUME" && wait_for 1 shows_qr'
check "scanned then, it is linked" eval 'wait_for 5 scan && wait_for 15 connected'
stop_bridge

summary
