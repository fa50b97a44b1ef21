#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Files that come with messages: every kind is fetched, decrypted, checked and published; what is damaged, gone,
# too large or refused is not, and says why; SIGKILL in the middle; a full disk; retention.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002
MEDIA=$VOLUME/media

start_sim
write_config
cp "$WORK/wabridge.yaml" "$WORK/rest.yaml"
media() { # YAML lines
    { cat "$WORK/rest.yaml"; printf 'media:\n'; printf '  %s\n' "$@"; } >"$WORK/wabridge.yaml"
}
account $PHONE Shop
account $ANN Ann

send() { # JSON of media; its id
    post "/accounts/$ANN/send" "$(jq -cn --arg to $PHONE --argjson media "$1" '{to:$to,media:$media}')" | jq -r .id
}
status() { rows "select media.status from media join messages on id = message where wa_id = '$1'"; }
status_is() { [ "$(status "$1")" = "$2" ]; }
column() { rows "select media.$2 from media join messages on id = message where wa_id = '$1'"; }
row() { rows "select id from messages where wa_id = '$1'"; }
same() { cmp "$MEDIA/$(column "$1" file)" "$2"; }
bytes() { head -c "$1" /dev/zero | tr '\0' m; }
temporaries() { find "$MEDIA" -name '.*.tmp-*' | wc -l; }

# ---- off: what it was is recorded, nothing is fetched ------------------------------------------------
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
early=$(send '{"kind":"image","caption":"a picture","bytes":100}')
check "download off: the file is listed" wait_for 10 status_is "$early" listed
equal "… with what the message says of it" "image/jpeg|100|640|480" \
    "$(rows "select mimetype, length, width, height from media join messages on id = message where wa_id = '$early'")"
equal "… and its caption is the text" "a picture" "$(rows "select text from messages where wa_id = '$early'")"
equal "… and no key is in messages.db" "" "$(sqlite3 "file:$VOLUME/messages.db?mode=ro" .dump | grep -i 'media_key\|mediakey')"

# ---- on: every kind ------------------------------------------------------------------------------------
media "download: true" "max_mb: 1" "types: image,audio,video,application/pdf"
touch "$VOLUME/control/reload"
check "reloaded" wait_for 10 test -e "$VOLUME/control/ack/reload.json"
head -c 70000 /dev/urandom >"$WORK/picture"
image=$(send "$(jq -cn --arg b "$(base64 -w0 "$WORK/picture")" '{kind:"image",base64:$b}')")
check "an image is downloaded" wait_for 10 status_is "$image" downloaded
check "… byte by byte" same "$image" "$WORK/picture"
equal "… named after its row" "$(row "$image").jpg" "$(column "$image" file)"
equal "… which the listing shows" "$(row "$image").jpg" \
    "$("$BUILDDIR/wabridge" messages --json --volume "$VOLUME" | jq -r --arg id "$image" 'select(.wa_id == $id) | .media_file')"
recent_has() { jq -e --arg f "$1" '.messages[] | select(.media_file == $f)' "$VOLUME/recent.json"; }
check "… and recent.json, too" wait_for 5 recent_has "$(row "$image").jpg"
equal "… readable by the portal's group only" 640 "$(stat -c %a "$MEDIA/$(row "$image").jpg")"
keys() { sqlite3 "$PRIVATE/keys.db" "select count(*) from media"; }
no_keys() { [ "$(keys)" = 0 ]; }
check "… and its keys are forgotten" wait_for 5 no_keys
bytes 5000 >"$WORK/five"
for kind in video audio voice; do
    id=$(send "{\"kind\":\"$kind\",\"bytes\":5000}")
    check "$kind is downloaded" wait_for 10 status_is "$id" downloaded
    check "… byte by byte" same "$id" "$WORK/five"
done
equal "a voice note is one, of 7 seconds" "1|7" "$(rows "select note, seconds from media join messages on id = message where wa_id = '$id'")"
doc=$(send '{"kind":"document","file_name":"../../../etc/passwd.sh","bytes":5000}')
check "a document is downloaded" wait_for 10 status_is "$doc" downloaded
equal "… under a name of ours" "$(row "$doc").pdf" "$(column "$doc" file)"
equal "… the sender's is only told" "../../../etc/passwd.sh" "$(column "$doc" file_name)"
empty=$(send '{"kind":"image","bytes":0}')
check "an empty file is one" wait_for 10 status_is "$empty" downloaded
odd=$(send '{"kind":"image","mimetype":"image/x-../../evil","bytes":5}')
check "an unknown mimetype becomes .bin" eval 'wait_for 10 status_is "$odd" downloaded && [ "$(column "$odd" file)" = "$(row "$odd").bin" ]'

# ---- what is not taken -----------------------------------------------------------------------------------
sticker=$(send '{"kind":"sticker","bytes":50}')
check "a kind that is not in the list is refused" wait_for 10 status_is "$sticker" type_refused
word=$(send '{"kind":"document","mimetype":"application/msword","bytes":50}')
check "… a mimetype, too" wait_for 10 status_is "$word" type_refused
large=$(send '{"kind":"video","bytes":1048577}')
check "a file above the limit is left" wait_for 10 status_is "$large" too_large
for fault in corrupt truncated; do
    id=$(send "{\"kind\":\"image\",\"bytes\":90000,\"fault\":\"$fault\"}")
    check "a file that is $fault is refused" wait_for 10 status_is "$id" failed
    check "… and is not there" test ! -e "$MEDIA/$(row "$id").jpg"
done
gone=$(send '{"kind":"image","bytes":5000,"fault":"gone"}')
check "a file that is gone is asked of the phone, which uploads it again" wait_for 10 status_is "$gone" downloaded
check "… byte by byte" same "$gone" "$WORK/five"
missing=$(send '{"kind":"image","bytes":5000,"fault":"missing"}')
check "a file that the phone has no more is expired" wait_for 10 status_is "$missing" expired
denied=$(send '{"kind":"image","bytes":5000,"fault":"denied"}')
check "after a 403 the hosts are asked for anew" wait_for 15 status_is "$denied" downloaded
equal "nothing half-written is left" 0 "$(temporaries)"
check "keys of what is over are forgotten" wait_for 5 no_keys

# ---- SIGKILL in the middle ----------------------------------------------------------------------------------
busy=$(send '{"kind":"image","bytes":5000,"fault":"busy"}')
check "a busy host: it waits" wait_for 10 eval '[ "$(column "$busy" attempts)" = 1 ]'
kill -9 "$BRIDGE_PID"; wait "$BRIDGE_PID" 2>/dev/null
start_bridge
check "after SIGKILL it is fetched" eval 'wait_for 60 status_is "$busy" downloaded'
check "… byte by byte" same "$busy" "$WORK/five"
for i in 1 2 3; do
    ids=
    for n in 1 2 3 4 5 6; do ids="$ids $(send '{"kind":"image","bytes":1000000}')"; done
    kill -9 "$BRIDGE_PID"; wait "$BRIDGE_PID" 2>/dev/null
    start_bridge
done
all_there() { [ "$(rows "select count(*) from media where status = 'wanted'")" = 0 ] && [ "$(rows "select count(*) from media where length = 1000000 and status = 'downloaded'")" = 18 ]; }
check "three times SIGKILL among 18 files: all are there" wait_for 60 all_there
bytes 1000000 >"$WORK/million"
whole=0
for f in $(rows "select file from media where length = 1000000"); do cmp -s "$MEDIA/$f" "$WORK/million" && whole=$((whole + 1)); done
equal "… whole" 18 $whole
equal "… and nothing half-written" 0 "$(temporaries)"

# ---- retention ------------------------------------------------------------------------------------------------
media "download: true" "max_mb: 1" "keep_mb: 5" "types: image"
stop_bridge
touch "$MEDIA/999999.jpg" # of no row
start_bridge
small() { [ "$(du -sb --apparent-size "$MEDIA" | cut -f1)" -lt 5300000 ]; }
check "above keep_mb the oldest files are deleted" wait_for 15 small
check "… which their rows say" eval '[ "$(rows "select count(*) from media where status = '"'deleted'"' and file is null")" -ge 12 ]'
check "… and a file of no row is deleted" test ! -e "$MEDIA/999999.jpg"
check "the newest is kept" test -e "$MEDIA/$(rows "select file from media where length = 1000000 order by message desc limit 1")"

stop_bridge
equal "stopped" 0 $?
summary
