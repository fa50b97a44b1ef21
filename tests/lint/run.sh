#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# run.sh ANALYSER…: gcc, cppcheck, clang-tidy over src. Needs BUILDDIR (config.h, generated headers).
# What is not so stands in tests/lint/suppressions, each with its reason. Prints TAP.
set -u
: "${BUILDDIR:?set BUILDDIR to a build directory}"
cd "$(dirname "$0")/../.." || exit 1
found=$(mktemp)
trap 'rm -f "$found"' EXIT
failed=0
read -ra FLAGS <<<"-std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -DREPLIES_DIR=\"/\" -I src -I $BUILDDIR/src -I $BUILDDIR $(pkg-config --cflags \
    libwebsockets sqlite3 libqrencode libpng yaml-0.1 libcrypto libsignal-protocol-c libprotobuf-c zlib jansson libutf8proc)"

# Off as a whole: style (swappable parameters, clones, macros), "memcpy is insecure", and what clang 14
# gets wrong (va_list across functions).
TIDY="-*,bugprone-*,clang-analyzer-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-branch-clone
-bugprone-macro-parentheses,-bugprone-reserved-identifier,-cert-dcl37-c,-cert-dcl51-cpp,-cert-err33-c
-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-optin.performance.Padding
-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-clang-analyzer-valist.Uninitialized"

# Each prints "file:line:column: warning: text [check]".
analyse_gcc() {
    printf '%s\n' src/{base,config,volume,store,wa}/*.c |
        xargs -P "$(nproc)" -n 1 gcc "${FLAGS[@]}" -U_GNU_SOURCE -O1 -fanalyzer -c -o /dev/null 2>&1
}
analyse_cppcheck() {
    cppcheck --quiet -j "$(nproc)" --std=c11 --enable=warning,performance,portability --suppress=missingInclude \
        -I src -I "$BUILDDIR/src" src/base src/config src/volume src/store src/wa src/bridge src/cli src/main.c 2>&1
}
analyse_clang_tidy() {
    printf '%s\n' src/{base,config,volume,store,wa,bridge,cli}/*.c src/main.c |
        xargs -P "$(nproc)" -I{} clang-tidy --quiet --checks="${TIDY//$'\n'/,}" {} -- "${FLAGS[@]}" 2>/dev/null
}

is_suppressed() { # LINE
    local file check why
    while read -r file check why; do
        case $1 in *"$file:"*"$check"*) [ -n "$why" ] && return 0 ;; esac
    done < <(grep -v '^#' tests/lint/suppressions)
    return 1
}

judge() { # NAME
    local line bad="" number=0
    while IFS= read -r line; do
        number=$((number + 1))
        is_suppressed "$line" || bad="$bad$line"$'\n'
    done < <(grep -E '(warning|error|performance|portability): ' "$found" | sort -u)
    if [ -z "$bad" ]; then
        echo "ok - $1: nothing but $number suppressed findings"
    else
        echo "not ok - $1"
        printf '%s' "$bad" | sed 's/^/# /'
        failed=1
    fi
}

for analyser in "$@"; do
    case $analyser in
    gcc) tool="gcc $(gcc -dumpfullversion) -fanalyzer" ;;
    cppcheck) tool=$(cppcheck --version) ;;
    clang-tidy) tool=$(clang-tidy --version | grep -o 'LLVM version [0-9.]*' | sed 's/LLVM version/clang-tidy/') ;;
    *) echo "not ok - no analyser $analyser"; exit 64 ;;
    esac
    "analyse_${analyser//-/_}" >"$found"
    judge "$tool"
done
exit $failed
