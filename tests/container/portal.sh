#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The reference portal, in its container, against a live bridge, in headless Chromium. Screenshots are kept
# in PICTURES (./portal-pictures). Needs the images (images.sh), chromium and npm. Prints TAP.
PICTURES=${PICTURES:-$PWD/portal-pictures}
. "$(dirname "$0")/lib.sh"
OWNER=4915100000021 ANN=4915100000022 PORT=${PORTAL_PORT:-18480}

mkdir -p "$PICTURES" "$WORK/node"
cp "$TOP"/tests/container/portal/* "$TOP/tests/container/portal/.npmrc" "$WORK/node/"
(cd "$WORK/node" && timeout 300 npm ci --no-audit --no-fund >npm.log 2>&1) || { cat "$WORK/node/npm.log"; exit 1; }

start_sim
account $OWNER "Coffee House"
account $ANN "Ann"
tenant create "$RUN-shop" >/dev/null && tenant start "$RUN-shop" >/dev/null
wait_for 20 is shop .status QR_PENDING || { echo "# no QR"; exit 1; }

# "secret", crypted; the file is for the portal's user
echo "owner:$(openssl passwd -6 secret)" >"$WORK/htpasswd"
chown 10002:10001 "$WORK/htpasswd"
sed "s/8080/$PORT/" "$TOP/container/portal/nginx.conf" >"$WORK/nginx.conf"
pod run -d --name "$RUN-portal" --read-only --cap-drop=all --security-opt=no-new-privileges --tmpfs /tmp:rw,mode=1777 \
    -v "$WORK/nginx.conf:/etc/nginx/nginx.conf:ro" -v "$WORK/htpasswd:/etc/wabridge-portal/htpasswd:ro" \
    -v "$(volume shop):/tenants/shop" localhost/wabridge-portal >/dev/null
wait_for 10 curl -sf -u owner:secret "http://127.0.0.1:$PORT/" || { pod logs "$RUN-portal"; echo "# the portal did not start"; exit 1; }

timeout 240 node "$WORK/node/portal.mjs" "http://127.0.0.1:$PORT" shop "$CONTROL" $OWNER $ANN "$PICTURES" "$(volume shop)"
status=$?
[ $status = 0 ] || FAILED=1
exit $status
