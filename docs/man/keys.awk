# SPDX-License-Identifier: GPL-3.0-or-later
# wabridge.yaml(5) from its frame and the comments of the shipped configuration:
#   awk -f keys.awk ../../conf/wabridge.yaml wabridge.yaml.5.in >wabridge.yaml.5
# `make update-man` does it; a test says when it is due.

function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/[.] /, ".\\\\\\& ", text)
    return text ~ /^[.']/ ? "\\&" text : text
}

# One sentence a line, as mdoc wants it.
function sentences(text,    out) {
    while (match(text, /[.:;] [A-Z]/)) {
        out = out plain(substr(text, 1, RSTART)) "\n"
        text = substr(text, RSTART + 2)
    }
    return out plain(text)
}

function leave_section() {
    if (section != "")
        keys = keys ".El\n"
}

FNR == NR && /^[a-z_]+:$/ {
    leave_section()
    section = substr($0, 1, length($0) - 1)
    keys = keys ".Ss " section "\n.Bl -tag -width Ds\n"
    words = kind = ""
    next
}
FNR == NR && section != "" && /^  # \[/ { kind = substr($0, 5); next }
FNR == NR && section != "" && /^  # / { words = words (words == "" ? "" : " ") substr($0, 5); next }
FNR == NR && section != "" && /^  #?[a-z_]+: / {
    key = $1
    gsub(/[#:]/, "", key)
    value = substr($0, index($0, ": ") + 2)
    keys = keys ".It Cm " section "." key "\n" sentences(words) "\n.br\n" kind "\n"
    if (section "." key != "tenant.id")
        keys = keys ".br\nDefault: " plain(value) "\n"
    words = kind = ""
    next
}
FNR == NR { next }
$0 == "@KEYS@" { leave_section(); printf "%s", keys; next }
{ print }
