# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Completion of wabridge(1) for bash. The program's own help is the list, so that it is never behind.

# _wabridge_options VERB: its long options, those that want a value with "=".
_wabridge_options() {
    "${COMP_WORDS[0]}" "$1" --help 2>/dev/null | sed -n 's/^  -., \(--[a-z-]*=\{0,1\}\).*/\1/p'
}

_wabridge_verbs() {
    "${COMP_WORDS[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# The words of a verb that has a choice: "stop|reload|…" in its usage.
_wabridge_choice() {
    "${COMP_WORDS[0]}" "$1" --help 2>/dev/null | sed -n '1s/.* \([a-z|]*|[a-z|]*\)\( \[[A-Z]*\]\)\{0,1\} *$/\1/p' | tr '|' ' '
}

_wabridge() {
    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]:-run}
    COMPREPLY=()
    [ "$last" != = ] || last=${COMP_WORDS[COMP_CWORD - 2]}
    [ "$word" != = ] || { word='' last=${COMP_WORDS[COMP_CWORD - 1]}; }
    case $last in
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    -d | --volume) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    -C | --chat | -s | --search | -n | --limit | -p | --phone | -t | --timeout-ms) ;;
    *)
        if [ "$COMP_CWORD" = 1 ] && [[ $word != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_wabridge_verbs)" -- "$word")
            return
        fi
        [[ $verb != -* ]] || verb=run
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_wabridge_options "$verb")" -- "$word")
        elif [ "$verb" = backup ]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_wabridge_choice "$verb")" -- "$word")
        fi
        [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
        ;;
    esac
}
complete -F _wabridge wabridge
