#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whether this machine can build and run containers: 0, or 1 and a word why.
set -eu
[ "$(id -u)" = 0 ] || { echo "not root"; exit 1; }
for name in podman buildah runc catatonit mmdebstrap chromium npm openssl; do
    command -v $name >/dev/null || { echo "$name is missing"; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/context"
cp "$(command -v catatonit)" "$work/context/program"
printf 'FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n' >"$work/context/Dockerfile"
{ buildah bud -q -t localhost/wabridge-possible "$work/context" &&
    podman --runtime runc run --rm --network=host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
        localhost/wabridge-possible --version; } >"$work/log" 2>&1 || { tail -n 1 "$work/log"; exit 1; }
