#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What runs out while an owner links: the code that is typed on the phone, the proof that goes with the passkey, and
# the time to compare codes. The monotonic clock runs fast (world.c), so that minutes pass in seconds.
. "$(dirname "$0")/lib.sh"
[ -e "$BUILDDIR/world.so" ] || make -C "$BUILDDIR" -s world.so || exit 1

SPEED=30 HEARTBEAT_MS=3000 # waited for in real time: a tenth of a second
WRAP=(env LD_PRELOAD="$BUILDDIR/world.so" WORLD_SPEED="$SPEED")

shows_qr() { state_is .session.state QR_READY && state_is .process.pid "$BRIDGE_PID" && test -s "$VOLUME/qr.png"; }
has_code() { [ -n "$(state .pairing_code)" ]; }
no_code() { [ -z "$(state .pairing_code)" ]; }
now_ms() { date +%s%3N; }

start_sim --ref-seconds 3600
write_config

# ---- the code that is typed ------------------------------------------------------------------------------
new_tenant 4915100000050 "Slow typist"
check "a code is shown" eval 'ctl pair --phone $PHONE && wait_for 10 has_code'
start=$(now_ms) code=$(state .pairing_code)
check "after its time it is gone" wait_for 15 no_code
took=$(((($(now_ms) - start) * SPEED) / 1000))
check "… that was after 180 s (at $took s)" test "$took" -ge 170 -a "$took" -lt $((300 * ${SLOW:-1}))
check "… the QR is not" shows_qr
check "typed now, it is of no use" eval '! post "/accounts/$PHONE/link_code" "{\"code\":\"$code\"}" || ! wait_for 2 connected'
check "asked for again, another one is shown" eval 'ctl pair --phone $PHONE && wait_for 10 has_code && [ "$(state .pairing_code)" != "$code" ]'
check "… and links" eval 'post "/accounts/$PHONE/link_code" "{\"code\":\"$(state .pairing_code)\"}" && wait_for 15 connected'

# ---- the proof, and the comparison ----------------------------------------------------------------------------
phase_is() { [ "$(jq -r .phase "$VOLUME/passkey.json" 2>/dev/null)" = "$1" ]; }
of_phone() { get "/accounts/$PHONE/passkey" | jq -r '.code // ""'; }
late() { # the owner's answer, once the proof does not go with it any more
    sleep_until=$(($(date -d "$(jq -r .issued_at "$VOLUME/passkey.json")" +%s%3N) + 300000 / SPEED + 200))
    wait_for 30 eval '[ "$(now_ms)" -ge "$sleep_until" ]' || return 1
    jq -c '{public_key,origin:"https://web.whatsapp.com"}' "$VOLUME/passkey.json" |
        curl -sS --fail-with-body -m 10 -d @- "$CONTROL/accounts/$PHONE/assert" | jq -c .credential >"$WORK/credential.json"
    ctl passkey assert "$WORK/credential.json"
}
gated() { wait_for 10 scan && wait_for 10 phase_is await_assertion; }

new_tenant 4915100000051 "Slow owner"
post "/accounts/$PHONE/passkey" '{"gate":true}' >/dev/null
gated
check "an answer after five minutes is taken" late
check "… and now the owner has to compare codes" wait_for 5 phase_is await_owner
equal "the state says so" PASSKEY_CONFIRM "$(state .session.state)"
check "whoever does not is asked for a new scan" wait_for 15 eval 'state_is .last_error.code confirm_expired && shows_qr'
check "passkey.json is gone" wait_for 5 eval '[ ! -e "$VOLUME/passkey.json" ]'
gated
check "another late answer" late
wait_for 5 phase_is await_owner
code=$(jq -r .code "$VOLUME/passkey.json")
shown=$(ctl passkey) phone=$(of_phone)
wrong=$(ctl passkey confirm 1111-1111 2>&1)
right=$(ctl passkey confirm "$code")
check "ctl passkey shows the code" grep -qF "$code" <<<"$shown"
equal "the phone shows the same" "$code" "$phone"
check "a wrong one is refused" grep -q '^refused' <<<"$wrong"
equal "the right one is taken" done "$right"
check "… and links" wait_for 15 connected
summary
