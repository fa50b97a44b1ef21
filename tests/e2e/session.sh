#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A portal session with nothing but cat, jq, touch, mv and sqlite3, from the QR to the stop. As root the portal
# has a uid of its own, shares only the group, and reads the database through a read-only mount. What was
# typed and what came is written to $BUILDDIR/portal-session.txt, and docs/portal-session.md shows the same
# (UPDATE=1 writes it anew). Prints TAP.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002 PORTAL_UID=23456 PORTAL_GID=23457
TRANSCRIPT=$BUILDDIR/portal-session.txt
: >"$TRANSCRIPT"

start_sim
write_config
account $PHONE Shop
account $ANN Ann
AS=(env) WHERE="as the user of the bridge"
if [ "$(id -u)" = 0 ] && chgrp $PORTAL_GID "$VOLUME" && chmod 2750 "$VOLUME" && chmod 755 "$WORK"; then
    AS=(setpriv --reuid $PORTAL_UID --regid $PORTAL_GID --clear-groups) WHERE="as another user of the group"
fi
umask 027
start_bridge

# portal COMMAND: the portal types it in its own directory, the volume.
portal() {
    OUT=$("${AS[@]}" sh -c "umask 027; cd '$VOLUME' && $1" 2>&1)
    local status=$?
    { echo "\$ $1"; [ -z "$OUT" ] || printf '%s\n' "$OUT"; echo; } >>"$TRANSCRIPT"
    return $status
}
remark() { printf '# %s\n\n' "$1" >>"$TRANSCRIPT"; }
says() { [ "$OUT" = "$1" ]; }
until_portal() { # SECONDS WANT COMMAND: typed again and again; the last time stands in the transcript
    local kept
    kept=$(cat "$TRANSCRIPT")
    again() { printf '%s\n\n' "$kept" >"$TRANSCRIPT" && portal "$COMMAND" && says "$WANT"; }
    WANT=$2 COMMAND=$3
    wait_for "$1" again
}

remark "Is it alive, and what does it want?"
check "state.json is read ($WHERE)" until_portal 10 "QR_PENDING QR_READY qr.png" "jq -r '\"\\(.status) \\(.session.state) \\(.qr.png)\"' state.json"
portal "cat qr.txt" # the payload; a secret
check "qr.txt has what the QR says" eval '[ "$OUT" = "$(zbarimg --nodbus --raw -q "$VOLUME/qr.png")" ]'
sed -i '/^2@\|^https:.*2@/s/.*/(the text of the QR: a secret)/' "$TRANSCRIPT"
scan
remark "The owner scans the QR with the phone."
check "linked" until_portal 15 "RUNNING CONNECTED $PHONE@s.whatsapp.net" "jq -r '\"\\(.status) \\(.session.state) \\(.account.pn)\"' state.json"

remark "A customer writes, and is answered."
say $ANN $PHONE "When are you open?" >/dev/null
check "the message log has both" until_portal 15 "IN|When are you open?|received
OUT|We are open from 9 to 17.|delivered" "sqlite3 -readonly messages.db 'SELECT direction, text, status FROM messages ORDER BY id'"
check "the search box finds them" until_portal 10 "1|When are you open?
2|We are open from 9 to 17." "sqlite3 -readonly messages.db \"SELECT m.id, m.text FROM messages_search s JOIN messages m ON m.id = s.rowid WHERE messages_search MATCH '\\\"open\\\"*' ORDER BY m.id\""

remark "The portal sends a message of its own."
portal "echo '{\"to\":\"$ANN\",\"text\":\"Your order is ready.\"}' > outbox/new/.order-7.json"
check "a file is dropped" portal "mv outbox/new/.order-7.json outbox/new/order-7.json"
check "its result says delivered" until_portal 15 "order-7 delivered $ANN@s.whatsapp.net" "jq -r '\"\\(.name) \\(.status) \\(.pn)\"' outbox/done/order-7.json"
portal "echo '{\"to\":\"Ann\",\"text\":\"Hello\"}' > outbox/new/.typo.json && mv outbox/new/.typo.json outbox/new/typo.json"
check "a mistake is explained" until_portal 10 "refused: to must be a phone number with country code, 7 to 15 digits without +, 00 or blanks, or a JID" "jq -r '\"\\(.status): \\(.error)\"' outbox/failed/typo.json"

remark "The operator changed the configuration; the portal asks for a reload."
sed -i 's/business_name: .*/business_name: Ann and Sons/' "$WORK/wabridge.yaml"
check "a command is a touch" portal "touch control/reload"
check "its acknowledgement says what changed" until_portal 10 "done: applied: tenant.business_name; needs a restart: none" "jq -r '\"\\(.result): \\(.detail)\"' control/ack/reload.json"

remark "Numbers for a page, what happened, and what the log says."
portal "jq -c .counters state.json"
check "the counters count" eval '[ "$(jq -c "[.received,.replied,.sent]" <<<"$OUT")" = "[1,1,2]" ]'
portal "sqlite3 -readonly messages.db \"SELECT kind, session, code FROM events ORDER BY id\""
check "the history has the way here" grep -q "state|CONNECTED|" <<<"$OUT"
portal "jq -r 'select(.level == \"warn\" or .level == \"error\") | .event' logs/wabridge.log"
check "the log is readable" eval '! grep -q "ermission" <<<"$OUT"'

if [ "${AS[0]}" = setpriv ]; then
    mkdir "$WORK/mount"
    reader="mount --bind '$VOLUME' '$WORK/mount' && mount -o remount,ro,bind '$WORK/mount' && cd '$WORK/mount' &&
        exec setpriv --reuid $PORTAL_UID --regid $PORTAL_GID --clear-groups sh -c \"
            touch x 2>/dev/null && echo writable; sqlite3 -readonly messages.db 'SELECT count(*) FROM messages'\""
    if unshare -m true 2>/dev/null; then
        equal "a read-only mount of another namespace will do for reading" 3 "$(unshare -m sh -c "$reader" 2>&1)"
        say $ANN $PHONE "And on Sunday?" >/dev/null
        more() { [ "$(unshare -m sh -c "$reader" 2>&1)" = 5 ]; }
        check "… and sees what comes while the bridge writes" wait_for 15 more
    fi
    check "the portal cannot read keys.db" eval "! setpriv --reuid $PORTAL_UID --regid $PORTAL_GID --clear-groups cat '$PRIVATE/keys.db'"
    check "… nor write state.json" eval "! setpriv --reuid $PORTAL_UID --regid $PORTAL_GID --clear-groups sh -c ': >>\"$VOLUME/state.json\"'"
fi

remark "The end."
check "stop is a touch" portal "touch control/stop"
wait "$BRIDGE_PID"
equal "the bridge ended with 0" 0 $?
BRIDGE_PID=
check "and the last word stays" until_portal 5 "STOPPED 0 control/stop" "jq -r '\"\\(.status) \\(.exit.code) \\(.exit.reason)\"' state.json"
page() {
    printf '# A portal session\n\nFrom the QR to the stop with nothing but shell tools, typed in the volume of a tenant. The other side is the\n'
    printf 'simulator. `tests/e2e/session.sh` types it again in each test run, as a user who shares only the group with the bridge,\n'
    printf 'and compares. [volume.md](volume.md) explains what is read and written.\n\n```\n'
    cat "$TRANSCRIPT"
    printf '```\n'
}
[ -z "${UPDATE:-}" ] || page >"$TOP/docs/portal-session.md"
check "docs/portal-session.md shows this session" diff <(page) "$TOP/docs/portal-session.md"
only_tools() { ! grep '^\$ ' "$TRANSCRIPT" | sed "s/^..//; s/'[^']*'//g; s/\"[^\"]*\"//g" | tr '|&' '\n\n' | awk 'NF {print $1}' | grep -vxE 'cat|jq|touch|mv|sqlite3|echo'; }
check "nothing but cat, jq, touch, mv, sqlite3 (and echo) was typed" only_tools
summary
