#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A portal that means harm: for SECONDS_LONG (8) seconds it swaps every name in the volume for links to
# canaries, FIFOs, directories and files of its own, while customers write and commands are given. The
# canaries must not be read or written, no key may appear in the volume, and the bridge must go on. The
# portal owns the volume here, which is more than docs/volume.md gives it.
. "$(dirname "$0")/lib.sh"
SECONDS_LONG=${SECONDS_LONG:-8}
ANN=4915100000002
CANARY="$WORK/outside"
SECRET=canary-that-nobody-may-read
SEED=${SEED:-$$}

start_sim
write_config
account $PHONE Shop
account $ANN Ann
mkdir "$CANARY" "$CANARY/dir"
echo "$SECRET" >"$CANARY/file"
echo "{\"id\":\"$SECRET\"}" >"$CANARY/dir/reload"
: >"$CANARY/empty"
cp "$CANARY/file" "$CANARY/dir/file"
chmod 604 "$CANARY/file" "$CANARY/empty"
fingerprint() { (cd "$CANARY" && find . -printf '%p %y %m %s %T@ %n\n' | sort && cat file dir/file dir/reload empty); }

start_bridge
check "linked" eval 'scan && wait_for 15 connected'
before=$(fingerprint)
keys_before=$(stat -c '%a %i' "$PRIVATE" "$PRIVATE/keys.db")

alive() { kill -0 "$BRIDGE_PID"; }
replied() { arrived "$1" $PHONE | jq -e --arg t "$2" '[.messages[] | select(.text == $t)] | length == 1' >/dev/null; }

# ---- the races --------------------------------------------------------------------------------------------
"$BUILDDIR/swap" "$VOLUME" "$CANARY" "$PRIVATE/keys.db" "$SECONDS_LONG" "$SEED" >"$WORK/swaps" &
swap_pid=$!
rounds=0
while kill -0 "$swap_pid" 2>/dev/null; do
    say $ANN $PHONE "round $((rounds += 1))" >/dev/null
    sleep 0.1
done
wait "$swap_pid"
swaps=$(cat "$WORK/swaps")
echo "# seed=$SEED swaps=$swaps messages=$rounds"
check "the bridge outlived the swaps" alive
equal "nothing outside was written, renamed or removed" "$before" "$(fingerprint)"
equal "the private directory is as it was" "$keys_before" "$(stat -c '%a %i' "$PRIVATE" "$PRIVATE/keys.db")"

# ---- afterwards: whole again by itself ---------------------------------------------------------------------
for name in state.json qr.png qr.svg qr.txt control outbox logs metrics.prom passkey.json; do rm -rf "${VOLUME:?}/$name"; done
fresh() { test -f "$VOLUME/state.json" && ! test -L "$VOLUME/state.json" && connected; }
check "state.json is published again" wait_for 15 fresh
check "control/ is made again" wait_for 15 test -d "$VOLUME/control/ack"
touch "$VOLUME/control/reload"
acked() { [ "$(ack_of reload .result)" = done ]; }
check "a command is answered again" wait_for 15 acked
say $ANN $PHONE "and now?" >/dev/null
check "customers are answered" wait_for 15 replied $ANN "You wrote: and now?"
answered() { arrived $ANN $PHONE | jq -e --argjson n "$rounds" '[.messages[].text | select(startswith("You wrote: round "))] | length == $n' >/dev/null; }
check "… as each was who wrote meanwhile, once" wait_for 15 answered
check "the secret outside was not read into anything" eval '! grep -rqs "$SECRET" "$VOLUME" "$WORK/bridge.log"'
check "no key is in the volume" eval '! cmp -s "$PRIVATE/keys.db" "$VOLUME"/* && ! grep -rqs wbKY "$VOLUME"'

# ---- the clock of the portal -------------------------------------------------------------------------------
rm -f "$VOLUME/control/ack/reload.json"
touch -d '2099-01-01' "$VOLUME/control/reload"
check "a command from the future is done once" wait_for 10 acked
check "… and is gone" wait_for 5 test ! -e "$VOLUME/control/reload"

# ---- before a start ----------------------------------------------------------------------------------------
stop_bridge
run_status() { timeout 20 "$BUILDDIR/wabridge" run -c "$WORK/wabridge.yaml" >"$WORK/bad.out" 2>&1; echo $?; }
aside="$WORK/aside"
mkdir "$aside"
mv "$VOLUME"/messages.db* "$aside/"
before=$(fingerprint)
for kind in file empty dir none; do
    ln -s "$CANARY/$kind" "$VOLUME/messages.db"
    equal "messages.db is a link ($kind): exit 69" 69 "$(run_status)"
    rm -f "$VOLUME"/messages.db*
done
ln -s "$PRIVATE/keys.db" "$VOLUME/messages.db"
equal "messages.db is a link to keys.db: exit 69" 69 "$(run_status)"
rm -f "$VOLUME"/messages.db*
mkfifo "$VOLUME/messages.db"
equal "messages.db is a FIFO: exit 69, at once" 69 "$(run_status)"
rm -f "$VOLUME"/messages.db*
for side in wal shm; do
    cp "$aside/messages.db" "$VOLUME/"
    ln -s "$CANARY/empty" "$VOLUME/messages.db-$side"
    equal "messages.db-$side is a link: exit 69" 69 "$(run_status)"
    check "… and is named" grep -q "messages.db-$side is not a regular file" "$WORK/bad.out"
    rm -f "$VOLUME"/messages.db*
done
sqlite3 "$VOLUME/messages.db" "create table t(x); pragma application_id=7"
equal "messages.db is another program's: exit 69" 69 "$(run_status)"
rm -f "$VOLUME"/messages.db*
equal "nothing outside was written" "$before" "$(fingerprint)"
equal "keys.db has kept its mode" 600 "$(stat -c %a "$PRIVATE/keys.db")"
mv "$aside"/messages.db* "$VOLUME/"

# A link that comes and goes while the database is opened: many starts against a racing swap.
mv "$VOLUME/messages.db" "$aside/"
rm -f "$VOLUME"/messages.db*
race() {
    while [ ! -e "$WORK/race.stop" ]; do
        ln -sfn "$CANARY/empty" "$VOLUME/messages.db"
        rm -f "$VOLUME/messages.db"
    done
}
race &
race_pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    timeout 0.4 "$BUILDDIR/wabridge" run -c "$WORK/wabridge.yaml" >/dev/null 2>&1
done
touch "$WORK/race.stop"
wait "$race_pid"
equal "no start wrote through a racing link" "$before" "$(fingerprint)"
rm -f "$VOLUME"/messages.db*
mv "$aside/messages.db" "$VOLUME/"
start_bridge
check "with its database back the tenant is back" wait_for 15 connected
stop_bridge
summary
