#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose and Kubernetes files against each other and against what they name. Prints TAP."""
import pathlib
import re
import subprocess
import sys

import yaml

top = pathlib.Path(__file__).resolve().parents[2]
here = top / "container"
results = []


def equal(name, got, want):
    results.append(got == want)
    print(f"{'ok' if got == want else 'not ok'} {len(results)} - {name}")
    if got != want:
        print(f"# wanted {want!r}\n# got    {got!r}")


def load(path):
    return yaml.safe_load((here / path).read_text())


def variables(path):
    return dict(line.split("=", 1) for line in (here / path).read_text().splitlines() if line and line[0] != "#")


# ---- Compose
compose = load("compose.yaml")
for name, service in compose["services"].items():
    equal(f"{name}: read-only, without capabilities, cannot gain any", (service["read_only"], service["cap_drop"], service["security_opt"]),
          (True, ["ALL"], ["no-new-privileges:true"]))
    build = service["build"]
    dockerfile = (here / build["context"] / build["dockerfile"]).read_text()
    equal(f"{name}: its build stage exists", build.get("target") is None or f" AS {build['target']}\n" in dockerfile, True)
    used = {v.split(":")[0] for v in service.get("volumes", []) if v[0] not in "./$"}
    equal(f"{name}: its volumes are declared", used - set(compose["volumes"]), set())
equal("the simulator comes only when asked for", [n for n, s in compose["services"].items() if s.get("profiles")], ["simulator"])
env = variables("simulator.env")
wanted = set(re.findall(r"\$\{([A-Z_]+)", (here / "compose.yaml").read_text()))
equal("simulator.env has every variable", set(env), wanted)
equal("… its password file is there", (here / env["HTPASSWD"]).is_file(), True)
command = compose["services"]["simulator"]["command"]
equal("… its port is the simulator's", f":{command[command.index('--port') + 1]}/" in env["WABRIDGE_ENDPOINT"], True)
if len(sys.argv) > 1:  # a build directory
    sim = subprocess.Popen([f"{sys.argv[1]}/wabridge-sim", "--seed", "1"], stdout=subprocess.PIPE, text=True)
    line = sim.stdout.readline()
    sim.terminate()
    sim.wait()
    equal("… its root key is that of seed 1", re.search(r'"noise_root":"([0-9a-f]*)"', line).group(1), env["WABRIDGE_NOISE_ROOT"])

# ---- Kubernetes
base = load("kubernetes/base/kustomization.yaml")
equal("the base lists its files", sorted(base["resources"] + ["kustomization.yaml"]), sorted(p.name for p in (here / "kubernetes/base").iterdir()))
kinds = {load(f"kubernetes/base/{r}")["kind"]: load(f"kubernetes/base/{r}") for r in base["resources"]}
equal("its kinds", sorted(kinds), ["NetworkPolicy", "PodDisruptionBudget", "StatefulSet"])
spec = kinds["StatefulSet"]["spec"]
pod = spec["template"]["spec"]
labels = spec["template"]["metadata"]["labels"]
selectors = [spec["selector"], kinds["PodDisruptionBudget"]["spec"]["selector"], kinds["NetworkPolicy"]["spec"]["podSelector"]]
equal("all selectors mean the pod", [s["matchLabels"] for s in selectors], [labels] * 3)
equal("no port comes in", (kinds["NetworkPolicy"]["spec"]["policyTypes"], kinds["NetworkPolicy"]["spec"].get("ingress")), (["Ingress", "Egress"], None))
example = load("kubernetes/example/kustomization.yaml")
patch = load(f"kubernetes/example/{example['patches'][0]['path']}")
equal("the patch means the StatefulSet", (patch["kind"], patch["metadata"]["name"]), ("StatefulSet", kinds["StatefulSet"]["metadata"]["name"]))
added = patch["spec"]["template"]["spec"]
volumes = {v["name"] for v in pod["volumes"] + added["volumes"]} | {c["metadata"]["name"] for c in spec["volumeClaimTemplates"]}
bridge_added = next(c for c in added["containers"] if c["name"] == "bridge")
added["containers"].remove(bridge_added)
containers = pod["containers"] + added["containers"]
containers[0]["volumeMounts"] += bridge_added["volumeMounts"]
for container in containers:
    name, security = container["name"], container["securityContext"]
    equal(f"{name}: restricted", (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["capabilities"]), (False, True, {"drop": ["ALL"]}))
    equal(f"{name}: its mounts are volumes", {m["name"] for m in container["volumeMounts"]} - volumes, set())
    equal(f"{name}: asks for memory and has a limit", "memory" in container["resources"]["requests"] and "memory" in container["resources"]["limits"], True)
    equal(f"{name}: its image is named in the example", container["image"] in {i["name"] for i in example["images"]}, True)
equal("the portal does not get the keys", [m["name"] for m in containers[1]["volumeMounts"] if m["name"] in ("private", "key")], [])
mounted = {m["mountPath"] for m in containers[0]["volumeMounts"]}
key = load("kubernetes/example/wabridge.yaml")["private"]["key_file"]
equal("the sealing key is mounted where the configuration says", str(pathlib.Path(key).parent) in mounted, True)
equal("… for nobody else", [v["secret"]["defaultMode"] for v in added["volumes"] if v["name"] == "key"], [0o440])
equal("the probes are the program's own", [c["exec"]["command"] for c in (containers[0]["livenessProbe"], containers[0]["readinessProbe"])],
      [["/usr/bin/wabridge", "health"], ["/usr/bin/wabridge", "health", "--ready"]])
maps = {v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
equal("the configuration is generated", maps, {g["name"] for g in example["configMapGenerator"]})
equal("… from files that exist", [f for g in example["configMapGenerator"] for f in g["files"] if not (here / "kubernetes/example" / f).is_file()], [])
scale = (top / "docs/scale.md").read_text()
requests = containers[0]["resources"]["requests"]
equal("docs/scale.md has the same requests", f"requests: {{cpu: {requests['cpu']}, memory: {requests['memory']}}}" in scale, True)

print(f"1..{len(results)}\n{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
