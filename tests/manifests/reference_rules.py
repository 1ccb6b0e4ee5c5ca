"""Rules about what objects say of each other: whatever is named is there, once, and fits."""

import math
from collections import Counter
from collections.abc import Iterator

from tests.manifests.quantities import quantity
from tests.manifests.rendering import NAMESPACE, Manifest, Object, Workload, leaves, selects, title

Complaints = Iterator[str]
EXTERNAL_SECRETS = {"plumbline-secrets", "plumbline-tls"}  # made by scripts/deploy.sh, or by hand
CLUSTER_WIDE = ("Namespace",)
PORTS = ("port", "containerPort", "targetPort", "nodePort", "hostPort", "endPort")


def carry_the_labels_of_plumbline(manifest: Manifest) -> Complaints:
    for one in manifest.objects:
        if one["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") != "plumbline":
            yield f"{title(one)}: no label app.kubernetes.io/part-of"
        if one["kind"] not in CLUSTER_WIDE and one["metadata"].get("namespace") != NAMESPACE:
            yield f"{title(one)}: is not in the namespace {NAMESPACE}"
    for workload in manifest.workloads:
        if workload.labels.get("app.kubernetes.io/name") != workload.name:
            yield f"{workload.title}: its pods' app.kubernetes.io/name is not {workload.name}"
        if workload.labels.get("app.kubernetes.io/part-of") != "plumbline":
            yield f"{workload.title}: its pods lack the label app.kubernetes.io/part-of"


def are_there_once(manifest: Manifest) -> Complaints:
    for name, count in Counter(map(title, manifest.objects)).items():
        if count > 1:
            yield f"{name}: {count} times"


def select_exactly_one_workload(manifest: Manifest) -> Complaints:
    for workload in manifest.workloads:
        if workload.object["kind"] in ("Deployment", "StatefulSet"):
            yield from _not_one(manifest, workload.object, workload.object["spec"]["selector"])
    for service in manifest.of("Service"):
        yield from _not_one(manifest, service, {"matchLabels": service["spec"]["selector"]})
    for budget in manifest.of("PodDisruptionBudget"):
        yield from _not_one(manifest, budget, budget["spec"]["selector"])


def _not_one(manifest: Manifest, one: Object, selector: Object) -> Complaints:
    found = [workload.title for workload in manifest.selected(selector)]
    if len(found) != 1:
        yield f"{title(one)}: selects {found or 'nothing'}, not exactly one workload"


def policies_that_select_something(manifest: Manifest) -> Complaints:
    for policy in manifest.of("NetworkPolicy"):
        selectors = [policy["spec"]["podSelector"]]
        for direction, side in (("ingress", "from"), ("egress", "to")):
            peers = [peer for rule in policy["spec"].get(direction, []) for peer in rule.get(side, [])]
            selectors += [
                peer["podSelector"] for peer in peers if "podSelector" in peer and "namespaceSelector" not in peer
            ]
        for selector in selectors:
            if not manifest.selected(selector):
                yield f"{title(policy)}: {selector} selects nothing"


def ports_that_exist(manifest: Manifest) -> Complaints:
    for one in manifest.objects:
        for path, value in leaves(one):
            if path.rsplit(".", 1)[-1] in PORTS and isinstance(value, int) and not 1 <= value <= 65535:
                yield f"{title(one)}: {path} is {value}"
    for policy in manifest.of("NetworkPolicy"):
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        for port in (port for rule in rules for port in rule.get("ports", [])):
            if port.get("endPort", port["port"]) < port["port"]:
                yield f"{title(policy)}: endPort {port['endPort']} is below port {port['port']}"


def services_that_lead_to_a_port(manifest: Manifest) -> Complaints:
    for service in manifest.of("Service"):
        workloads = manifest.selected({"matchLabels": service["spec"]["selector"]})
        open_ports = {name for workload in workloads for name in _ports(workload)}
        for port in service["spec"]["ports"]:
            if (target := port.get("targetPort", port["port"])) not in open_ports:
                yield f"{title(service)}: port {port['port']} leads to {target!r}; there are {open_ports}"
    for ingress in manifest.of("Ingress"):
        hosts = {host for entry in ingress["spec"].get("tls", []) for host in entry["hosts"]}
        for rule in ingress["spec"]["rules"]:
            if rule["host"] not in hosts:
                yield f"{title(ingress)}: {rule['host']} is served without TLS"
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                named = [one for one in manifest.of("Service") if one["metadata"]["name"] == backend["name"]]
                ports = [value for one in named for port in one["spec"]["ports"] for value in port.values()]
                if not set(backend["port"].values()) & set(ports):
                    yield f"{title(ingress)}: there is no service {backend['name']} with port {backend['port']}"


def _ports(workload: Workload) -> set[str | int]:
    return {
        value
        for container in workload.containers
        for port in container.get("ports", [])
        for value in (port.get("name"), port["containerPort"])
    }


def references_that_lead_somewhere(manifest: Manifest) -> Complaints:
    """ConfigMaps, Secrets, volumes, claims and accounts that pods name."""
    known = {
        "configMap": manifest.names("ConfigMap"),
        "secret": manifest.names("Secret") | EXTERNAL_SECRETS,
        "claim": manifest.names("PersistentVolumeClaim"),
        "account": manifest.names("ServiceAccount") | {"default"},
    }
    for workload in manifest.workloads:
        for kind, name in _references(workload):
            if name not in known[kind]:
                yield f"{workload.title}: there is no {kind} {name}"
        for container in workload.containers:
            mounted = [mount["name"] for mount in container.get("volumeMounts", [])]
            if missing := set(mounted) - set(workload.volumes):
                yield f"{workload.title}: there is no volume {missing}"
            if unused := set(workload.volumes) - set(mounted):
                yield f"{workload.title}: nothing mounts the volume {unused}"
    for ingress in manifest.of("Ingress"):
        for entry in ingress["spec"].get("tls", []):
            if entry["secretName"] not in known["secret"]:
                yield f"{title(ingress)}: there is no secret {entry['secretName']}"


def _references(workload: Workload) -> Iterator[tuple[str, str]]:
    yield "account", workload.spec.get("serviceAccountName", "default")
    for path, value in leaves(workload.spec):
        parent, _, field = path.rpartition(".")
        if field == "claimName":
            yield "claim", value
        elif field == "name" and parent.endswith(("configMapRef", "configMapKeyRef", ".configMap")):
            yield "configMap", value
        elif field == "secretName" or (field == "name" and parent.endswith(("secretRef", "secretKeyRef", ".secret"))):
            yield "secret", value


def _scaler(manifest: Manifest, workload: Workload) -> Object | None:
    named = [(one, one["spec"]["scaleTargetRef"]) for one in manifest.of("HorizontalPodAutoscaler")]
    return next((one for one, to in named if f"{to['kind']}/{to['name']}" == workload.title), None)


def replicas(manifest: Manifest, workload: Workload) -> tuple[int, float]:
    """How many pods there are at least and at most."""
    if (scaler := _scaler(manifest, workload)) is not None:
        return scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
    count = workload.object["spec"].get("replicas", 1)
    return count, count if workload.object["spec"].get("replicas") else math.inf


def autoscalers_that_can_scale(manifest: Manifest) -> Complaints:
    for scaler in manifest.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        found = [one for one in manifest.workloads if one.title == f"{target['kind']}/{target['name']}"]
        if not found:
            yield f"{title(scaler)}: there is no {target['kind']}/{target['name']}"
        for workload in found:
            if "replicas" in workload.object["spec"]:
                yield f"{title(scaler)}: {workload.title} sets replicas itself, and every apply would undo the scaling"
            if not workload.grows:
                yield f"{title(scaler)}: {workload.title} must not run twice"
        if scaler["spec"]["maxReplicas"] < scaler["spec"]["minReplicas"]:
            yield f"{title(scaler)}: maxReplicas is below minReplicas"


def budgets_that_let_a_node_be_drained(manifest: Manifest) -> Complaints:
    for budget in manifest.of("PodDisruptionBudget"):
        for workload in manifest.selected(budget["spec"]["selector"]):
            count, _ = replicas(manifest, workload)
            if "minAvailable" in budget["spec"]:
                may_leave = count - int(budget["spec"]["minAvailable"])
            else:
                may_leave = int(budget["spec"]["maxUnavailable"])
            if may_leave < 1:
                yield f"{title(budget)}: no pod of {workload.title} may ever leave its node"


def replicas_that_spread(manifest: Manifest) -> Complaints:
    for workload in manifest.workloads:
        constraints = workload.spec.get("topologySpreadConstraints", [])
        if replicas(manifest, workload)[1] > 1 and not constraints and _gpus(workload) == 0:
            yield f"{workload.title}: several replicas, and nothing spreads them"
        for constraint in constraints:
            if not selects(constraint["labelSelector"], workload.labels):
                yield f"{workload.title}: spreads {constraint['labelSelector']}, which are not its own pods"


def _gpus(workload: Workload) -> int:
    limits = (one.get("resources", {}).get("limits", {}) for one in workload.containers)
    return sum(int(quantity(one.get("nvidia.com/gpu", 0))) for one in limits)


def volumes_with_one_owner(manifest: Manifest) -> Complaints:
    """A volume that only one workload mounts is its state: a second process must never open it."""
    for claim in manifest.names("PersistentVolumeClaim"):
        owners = [one for one in manifest.workloads if ("claim", claim) in list(_references(one))]
        if len(owners) != 1 or owners[0].object["kind"] != "Deployment":
            continue
        owner = owners[0]
        if owner.grows or replicas(manifest, owner) != (1, 1):
            yield f"{owner.title}: owns the volume {claim}, so replicas must be 1 and the strategy Recreate"


RULES = [
    carry_the_labels_of_plumbline,
    are_there_once,
    select_exactly_one_workload,
    policies_that_select_something,
    ports_that_exist,
    services_that_lead_to_a_port,
    references_that_lead_somewhere,
    autoscalers_that_can_scale,
    budgets_that_let_a_node_be_drained,
    replicas_that_spread,
    volumes_with_one_owner,
]
