#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The pod of the Kubernetes base, started with `podman kube play`: template and security context as they
# are, with a host path for each claim, and the simulator's address. Needs the images. Prints TAP.
. "$(dirname "$0")/lib.sh"
PHONE_=4915100000031

start_sim
account $PHONE_ "Pod Shop"
cat >"$WORK/wabridge.yaml.in" <<YAML
tenant:
  id: pod
whatsapp:
  endpoint: $WABRIDGE_ENDPOINT
  noise_root: $WABRIDGE_NOISE_ROOT
heartbeat:
  interval_ms: 500
YAML
home=$WABRIDGE_ROOT/$RUN-pod
install -d -m 0755 "$WABRIDGE_ROOT" "$home"
install -d -o 10001 -g 10001 -m 2750 "$home/volume" && install -d -o 10001 -g 10001 -m 0700 "$home/private"
python3 - "$TOP/container/kubernetes/base/statefulset.yaml" "$WORK/wabridge.yaml.in" "$home" "$RUN-pod" >"$WORK/pod.yaml" <<'PYTHON'
import sys, yaml
template, config, home, name = sys.argv[1:]
pod = yaml.safe_load(open(template))["spec"]["template"]
pod.update(apiVersion="v1", kind="Pod")
pod["metadata"]["name"] = name
pod["spec"]["hostNetwork"] = True
bridge = pod["spec"]["containers"][0]
bridge["image"] = "localhost/wabridge"
for mount in bridge["volumeMounts"]:
    mount.pop("subPath", None)
pod["spec"]["volumes"] += [{"name": n, "hostPath": {"path": f"{home}/{n}"}} for n in ("volume", "private")]
settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"wabridge.yaml": open(config).read()}}
yaml.safe_dump_all([settings, pod], sys.stdout)
PYTHON
check "podman kube play takes the pod" sh -c "podman kube play '$WORK/pod.yaml' >'$WORK/play.log' 2>&1"
check "the QR appears" wait_for 20 is pod .status QR_PENDING
bridge=$RUN-pod-bridge
probe() { pod exec "$bridge" /usr/bin/wabridge health "$@"; }
check "the liveness probe is good while a QR waits" probe
check "… the readiness probe is not" sh -c "! podman exec $bridge /usr/bin/wabridge health --ready"
check "the pod is scanned" scan_for pod $PHONE_
check "the pod is connected" wait_for 20 is pod .session.state CONNECTED
check "the readiness probe is good" probe --ready
equal "the root is read-only, as 10001, without capabilities" "true 10001 0000000000000000" \
    "$(pod inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$bridge") $(stat -c %u "/proc/$(pod inspect --format '{{.State.Pid}}' "$bridge")") $(sed -n 's/^CapEff:\t//p' "/proc/$(pod inspect --format '{{.State.Pid}}' "$bridge")/status")"
check "the pod is stopped" pod pod stop -t 10 "$RUN-pod"
equal "… gracefully" "STOPPED SIGTERM" "$(state_of pod .status) $(state_of pod .exit.reason)"
pod pod rm -f "$RUN-pod" >/dev/null
summary
