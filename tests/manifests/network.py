"""Who may call whom, computed from the NetworkPolicies as Kubernetes reads them."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.manifests.rendering import NAMESPACE, Manifest, Object, Workload, selects

IN_THE_NAMESPACE = {"kubernetes.io/metadata.name": NAMESPACE}
PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
METADATA = "169.254.0.0/16"  # where clouds hand out credentials of the node


class Call(NamedTuple):
    caller: str
    callee: str
    port: int


def calls(manifest: Manifest) -> set[Call]:
    """Every call that its caller's policies and its callee's policies allow, to and from the outside too."""
    found = set(_outside(manifest))
    for caller in manifest.workloads:
        for callee in manifest.workloads:
            ports = _ports(manifest, callee)
            allowed = (port for port in ports if may(manifest, "egress", caller, callee, port))
            found |= {
                Call(caller.name, callee.name, port)
                for port in allowed
                if may(manifest, "ingress", callee, caller, port)
            }
    return found


def disagreements(manifest: Manifest) -> Iterator[str]:
    """Calls between our pods that one side allows and the other does not: a policy was forgotten or is left over."""
    for caller in manifest.workloads:
        for callee in manifest.workloads:
            for port in _ports(manifest, callee):
                out = may(manifest, "egress", caller, callee, port)
                into = may(manifest, "ingress", callee, caller, port)
                if out != into:
                    side = "only the caller's" if out else "only the callee's"
                    yield f"{caller.name} -> {callee.name}:{port}: {side} policies allow it"


def _ports(manifest: Manifest, callee: Workload) -> set[int]:
    """What it listens on, what any policy names, and a port that nobody names."""
    listens = {port["containerPort"] for one in callee.containers for port in one.get("ports", [])}
    named = {
        number
        for policy in manifest.of("NetworkPolicy")
        for direction in ("ingress", "egress")
        for rule in policy["spec"].get(direction, [])
        for port in rule.get("ports", [])
        for number in (port["port"], port.get("endPort", port["port"]))
    }
    return listens | {number for number in named if isinstance(number, int)} | {22}


def rules_of(manifest: Manifest, direction: str, workload: Workload) -> list[Object] | None:
    """What the policies of a workload allow in a direction; null when none restricts it."""
    policies = [
        policy["spec"]
        for policy in manifest.of("NetworkPolicy")
        if selects(policy["spec"]["podSelector"], workload.labels)
        and direction.title() in policy["spec"]["policyTypes"]
    ]
    return [rule for policy in policies for rule in policy.get(direction, [])] if policies else None


def may(manifest: Manifest, direction: str, workload: Workload, other: Workload, port: int) -> bool:
    rules = rules_of(manifest, direction, workload)
    if rules is None:
        return True
    side = "from" if direction == "ingress" else "to"
    return any(
        _opens(rule, port) and (side not in rule or any(_is(peer, other) for peer in rule[side])) for rule in rules
    )


def _opens(rule: Object, port: int) -> bool:
    ports = rule.get("ports")
    return ports is None or any(
        one.get("protocol", "TCP") == "TCP" and one["port"] <= port <= one.get("endPort", one["port"]) for one in ports
    )


def _is(peer: Object, other: Workload) -> bool:
    if "ipBlock" in peer:
        return False  # what an address means for pods is left open by Kubernetes: ours are for the outside
    here = "namespaceSelector" not in peer or selects(peer["namespaceSelector"], IN_THE_NAMESPACE)
    return here and selects(peer.get("podSelector", {}), other.labels)


def _outside(manifest: Manifest) -> Iterator[Call]:
    for workload in manifest.workloads:
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in rules_of(manifest, direction, workload) or []:
                for place in outsiders(rule.get(side, [])):
                    for port in rule["ports"]:
                        ends = (workload.name, place) if direction == "egress" else (place, workload.name)
                        yield from (
                            Call(*ends, number) for number in range(port["port"], port.get("endPort", port["port"]) + 1)
                        )


def outsiders(peers: list[Object]) -> set[str]:
    """Short names of the peers that are not our pods."""
    blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
    found = {_addresses(blocks)} if blocks else set()
    for peer in peers:
        if "namespaceSelector" in peer and not selects(peer["namespaceSelector"], IN_THE_NAMESPACE):
            names = [peer["namespaceSelector"], peer.get("podSelector", {})]
            found.add("/".join(value for one in names for value in one.get("matchLabels", {}).values()))
    return found


def _addresses(blocks: list[Object]) -> str:
    cidrs = {block["cidr"] for block in blocks}
    if cidrs == PRIVATE:
        return "private"
    kept_out = next((set(block.get("except", [])) for block in blocks if block["cidr"] == "0.0.0.0/0"), set())
    if "0.0.0.0/0" in cidrs:
        return "public" if kept_out >= PRIVATE | {METADATA} else "anywhere"
    return ",".join(sorted(cidrs))
