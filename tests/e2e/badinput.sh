#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Bad input in one place: broken and hostile files for outbox/, control/ and the reply templates. Each gets
# its own clear error (printed), nothing blocks, nothing else is affected. NAMES (10000) unknown names.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002 NAMES=${NAMES:-10000}
NEW=$VOLUME/outbox/new REFUSED=$VOLUME/outbox/failed CONTROL_DIR=$VOLUME/control
CONFIG=$WORK/wabridge.yaml

start_sim
write_config
account $PHONE Shop
account $ANN Ann
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
pid=$BRIDGE_PID

got() { # NAME PATTERN WHAT-CAME: what came is printed, and must be like the pattern
    if grep -Eq -- "$2" <<<"$3"; then ok "$1: $3"; else not_ok "$1" "wanted: $2
got: $3"; fi
}
asked=0
still_answered() { # NAME: a customer, a command and the heartbeat, after what came before
    asked=$((asked + 1))
    say $ANN $PHONE "question $asked" >/dev/null
    answer_came() { arrived $ANN $PHONE | jq -e --arg t "You wrote: question $asked" 'any(.messages[]; .text == $t)'; }
    check "$1: customers are answered" wait_for 15 answer_came
    check "$1: health is good" "$BUILDDIR/wabridge" health --ready --volume "$VOLUME"
    check "$1: commands are done" "$BUILDDIR/wabridge" ctl reload --volume "$VOLUME"
    equal "$1: it is still the same process" "$pid" "$(state .process.pid)"
}

# ---- outbox/new ------------------------------------------------------------------------------------------
drop() { # NAME JSON: as a portal does it
    printf '%b' "$2" >"$NEW/.$1.json" && mv "$NEW/.$1.json" "$NEW/$1.json"
}
at() { date -u -d "$1" +%FT%TZ; }
good="\"to\":\"$ANN\",\"text\":\"a\""
ln -s /etc/passwd "$NEW/link.json"
ln -s "$PRIVATE/keys.db" "$NEW/link-to-keys.json"
ln "$CONFIG" "$NEW/hard-link.json" 2>/dev/null
mkfifo "$NEW/fifo.json"
mkdir "$NEW/directory.json" "$NEW/full.json" && touch "$NEW/full.json/x"
truncate -s 1G "$NEW/huge.json"
: >"$NEW/empty.json"
drop no-json 'send this to Ann please'
drop latin1 "{\"to\":\"$ANN\",\"text\":\"caf\\xe9\"}"
drop bom "\\xef\\xbb\\xbf{$good}"
printf '{%s}' "$good" | iconv -t UTF-16 >"$NEW/.utf16" && mv "$NEW/.utf16" "$NEW/utf16.json"
drop nul-raw "{\"to\":\"$ANN\",\"text\":\"a\\x00b\"}"
drop nul-escaped "{\"to\":\"$ANN\",\"text\":\"a\\\\u0000b\"}"
drop surrogate "{\"to\":\"$ANN\",\"text\":\"\\\\ud800\"}"
printf '%0200d' 0 | tr 0 '[' >"$NEW/deep.json"
printf '{"to":"%s","text":%s1%s}' $ANN "$(printf '%020000d' 0 | tr 0 '[')" "$(printf '%020000d' 0 | tr 0 ']')" >"$NEW/.d" && mv "$NEW/.d" "$NEW/deep-member.json"
drop twice "{$good,\"text\":\"b\"}"
drop array '[]'
drop number "{\"to\":$ANN,\"text\":\"a\"}"
drop text-object "{\"to\":\"$ANN\",\"text\":{}}"
drop null "{\"to\":null,\"text\":\"a\"}"
drop empty-text "{\"to\":\"$ANN\",\"text\":\"\"}"
drop no-text "{\"to\":\"$ANN\"}"
drop no-to '{"text":"a"}'
drop typo "{$good,\"not_befor\":\"x\"}"
drop trailing "{$good} {$good}"
drop time "{$good,\"not_before\":\"tomorrow\"}"
drop no-such-day "{$good,\"not_before\":\"2026-02-30T00:00:00Z\"}"
drop time-number "{$good,\"expires_at\":1}"
drop order "{$good,\"not_before\":\"$(at '+2 hours')\",\"expires_at\":\"$(at '+1 hour')\"}"
drop plus "{\"to\":\"+$ANN\",\"text\":\"a\"}"
drop status '{"to":"status@broadcast","text":"a"}'
drop channel '{"to":"123@newsletter","text":"a"}'
drop jid '{"to":"a@b@c","text":"a"}'
drop quote "{$good,\"quote\":\"nowhere\"}"
printf '{"to":"%s","text":"%070000d"}' $ANN 0 >"$NEW/.long" && mv "$NEW/.long" "$NEW/long.json"
touch "$NEW/bad name.json" "$NEW/notes.txt" "$NEW/"$'new\nline.json' "$NEW/"$'\xff\xfe.json' "$NEW/-rf.json"
touch "$NEW/$(printf '%0200d' 0).json"
drop good "{\"to\":\"$ANN\",\"text\":\"behind all that\"}"
got_good() { arrived $ANN $PHONE | jq -e '[.messages[] | select(.text == "behind all that")] | length == 1'; }
check "a good file among all these is sent" wait_for 15 got_good
while read -r name pattern; do
    wait_for 10 test -e "$REFUSED/$name.json" || true
    got "outbox $name" "$pattern" "$(jq -r '"\(.status): \(.error)"' "$REFUSED/$name.json" 2>&1)"
done <<'LIST'
link regular
link-to-keys regular
hard-link hard link
fifo regular
directory regular
full regular
huge 512 KiB
empty JSON is empty
no-json expected near
latin1 decode|UTF-8
bom byte order mark
utf16 UTF-16
nul-raw NUL
nul-escaped u0000 is not allowed$
surrogate Unicode
deep deeper
deep-member deeper
twice duplicate
array one JSON object
number text in quotes
text-object text
null text
empty-text not empty
no-text missing
no-to missing
typo not_befor
trailing end of file
time UTC
no-such-day UTC
time-number expires_at must be a time
order later than
plus phone number
status person or a group
channel person or a group
jid JID
quote quote
long 65536
_bad_name.json letters
_notes.txt end in .json
_new_line.json letters
_-rf.json letter
LIST
equal "outbox: no name is left over" "" "$(ls "$NEW")"
still_answered "outbox"

# ---- control/ --------------------------------------------------------------------------------------------
command_gets() { # NAME ACK PATTERN: the file NAME is in .try/ and is renamed into control/
    rm -f "$CONTROL_DIR/ack/$2.json"
    mv "$CONTROL_DIR/.try/$1" "$CONTROL_DIR/$1"
    wait_for 10 test -e "$CONTROL_DIR/ack/$2.json" || true
    got "control $NOTE" "$3" "$(jq -r '"\(.result): \(.error // .detail)"' "$CONTROL_DIR/ack/$2.json" 2>&1)"
    check "… and is gone" wait_for 5 test ! -e "$CONTROL_DIR/$1" -a ! -L "$CONTROL_DIR/$1"
}
try=$CONTROL_DIR/.try
mkdir "$try"
NOTE="symlink" && ln -s /etc/passwd "$try/reload" && command_gets reload reload '^refused'
NOTE="symlink to nothing" && ln -s /no/such "$try/reload" && command_gets reload reload '^refused'
NOTE="FIFO" && mkfifo "$try/reload" && command_gets reload reload '^refused'
NOTE="directory" && mkdir "$try/reload" && command_gets reload reload '^refused'
NOTE="hard link" && ln "$CONFIG" "$try/reload" && command_gets reload reload '^done'
NOTE="1 GiB" && truncate -s 1G "$try/reload" && command_gets reload reload '^refused'
NOTE="unknown command" && touch "$try/dance" && command_gets dance dance '^unknown command: the commands are'
NOTE="unknown command with odd signs" && touch "$try/a b;c" && command_gets "a b;c" a_b_c '^unknown command'
NOTE="id that leads elsewhere" && echo '{"id":"../../x"}' >"$try/reload" && command_gets reload reload '^refused'
NOTE="id twice" && echo '{"id":"a","id":"b"}' >"$try/reload" && command_gets reload reload '^done'
NOTE="id of a wrong type" && echo '{"id":7}' >"$try/reload" && command_gets reload reload '^(refused|done)'
NOTE="deep JSON" && printf '%060000d' 0 | tr 0 '[' >"$try/reload" && command_gets reload reload '^done'
NOTE="invalid UTF-8" && printf '{"id":"\xff"}' >"$try/reload" && command_gets reload reload '^(refused|done)'
NOTE="UTF-16" && printf '{"id":"x"}' | iconv -t UTF-16 >"$try/reload" && command_gets reload reload '^done'
NOTE="release with half a file" && printf '{"chat":' >"$try/release" && command_gets release release '^refused'
NOTE="release with a wrong type" && echo '{"chat":["x"]}' >"$try/release" && command_gets release release '^refused'
NOTE="release with NUL" && printf '{"chat":"\0"}' >"$try/release" && command_gets release release '^refused'
NOTE="pair while linked" && touch "$try/pair" && command_gets pair pair '^refused'
NOTE="pair with a phone number of letters" && echo '{"phone":"x"}' >"$try/pair" && command_gets pair pair '^refused'
rmdir "$try"
still_answered "control"

# ---- many names ------------------------------------------------------------------------------------------
rss() { awk '/VmRSS/ {print $2}' "/proc/$BRIDGE_PID/status"; }
before=$(rss)
mkdir "$WORK/many"
(cd "$WORK/many" && seq -f 'unknown-%.0f' "$NAMES" | xargs touch)
find "$WORK/many" -type f -exec mv -t "$CONTROL_DIR" {} + 2>/dev/null
still_answered "$NAMES unknown names in control/"
all_taken() { [ "$(find "$1" -maxdepth 1 -type f ! -name '.*' | wc -l)" = 0 ]; }
check "$NAMES unknown names in control/: all are taken away" wait_for 60 all_taken "$CONTROL_DIR"
acks=$(find "$CONTROL_DIR/ack" -type f | wc -l)
check "$NAMES unknown names in control/: $acks acknowledgements are kept" test "$acks" -le 101
(cd "$WORK/many" && seq -f 'unknown-%.0f' "$NAMES" | xargs touch)
find "$WORK/many" -type f -exec mv -t "$NEW" {} + 2>/dev/null
still_answered "$NAMES unknown names in outbox/new"
check "$NAMES unknown names in outbox/new: all are taken away" wait_for 120 all_taken "$NEW"
results=$(find "$REFUSED" -type f | wc -l)
check "$NAMES unknown names in outbox/new: $results results are kept" test "$results" -le 10500
after=$(rss)
check "memory is bounded: $before KiB before, $after KiB after" test "$after" -lt $((before + ${RSS_MORE:-4096}))
stop_bridge
equal "it ends in order" "STOPPED 0" "$(state '"\(.status) \(.exit.code)"')"

# ---- reply templates --------------------------------------------------------------------------------------
write_config
sed -i "s|^  file: .*|  type: healthcare\n  file: $WORK/own.yaml\n  directory: $TOP/conf/replies|" "$CONFIG"
template_gets() { # NAME PATTERN: own.yaml is there
    local out status=0
    out=$(timeout 10 "$BUILDDIR/wabridge" check-config -c "$CONFIG" 2>&1 >/dev/null) || status=$?
    got "template $1" "^78 .*$2" "$status ${out//"$WORK/"/}"
    rm -rf "$WORK/own.yaml"
}
refused() { # NAME CONTENT PATTERN
    printf '%b' "$2" >"$WORK/own.yaml"
    template_gets "$1" "$3"
}
refused "circle of files" 'extends: own.yaml\n' 'own.yaml:1:10: extends goes in a circle'
refused "circle of variables" 'variables: {address: "{address}"}\n' 'own.yaml:1:22: variable \{address\} goes in a circle'
refused "missing variable" 'languages:\n  en:\n    fallback: {reply: "{phone}"}\n' 'own.yaml:3:23: unknown variable .*\{phone\}.*\{address\}'
refused "variable that is not used" 'variables: {adress: x}\n' 'own.yaml:1:21: variable \{adress\} is used in no reply'
refused "open brace" 'languages:\n  en:\n    fallback: {reply: "{"}\n' 'own.yaml:3:23: '
refused "menu without its intent" 'languages: {en: {fallback: {menu: [human, pizza]}}}\n' 'own.yaml:1:43: there is no intent "pizza"'
refused "unknown key" 'language: en\nfalback: {reply: x}\n' 'own.yaml:2:1: .*fallback'
refused "the same key twice" 'language: en\nlanguage: sw\n' 'own.yaml:2:1: '
refused "wrong type" 'language: en\nintents: yes\n' 'own.yaml:2:10: '
refused "Latin-1" 'language: en\nfallback: {reply: "caf\xe9"}\n' 'own.yaml:2:2[0-9]: invalid .*UTF-8'
refused "UTF-16" '\xff\xfel\x00a\x00' 'own.yaml:1:1: '
refused "NUL" 'language: en\x00\n' 'own.yaml:1:13: '
refused "binary" '\x00\x01\x02' 'own.yaml:1:1: '
refused "half a file" 'languages: {en: {fallback: {reply: "x\n' 'own.yaml:[0-9]+:[0-9]+: '
refused "tabs" 'languages:\n\ten: x\n' 'own.yaml:2:1: '
refused "aliases that grow" 'a: &a [x,x]\nb: &b [*a,*a]\n' 'own.yaml:1:[0-9]+: '
refused "deep" "$(printf '%03000d' 0 | tr 0 '[')" 'own.yaml:1:[0-9]+: '
truncate -s 1G "$WORK/own.yaml" && template_gets "1 GiB" 'own.yaml'
mkfifo "$WORK/own.yaml" && template_gets "FIFO" 'own.yaml'
mkdir "$WORK/own.yaml" && template_gets "directory" 'own.yaml'
ln -s own.yaml "$WORK/own.yaml" && template_gets "link to itself" 'own.yaml'
template_gets "missing" 'own.yaml'
printf '\xef\xbb\xbflanguage: en\n' >"$WORK/own.yaml" # as an editor of Windows saves it
check "template with a byte order mark is accepted" "$BUILDDIR/wabridge" check-config -c "$CONFIG"
summary
