"""Render overlays as kubectl does, and look at the result."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
NAMESPACE = "plumbline"
Object = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")


class Workload(NamedTuple):
    """Something that makes pods: its title, and the labels and spec of its pods."""

    title: str
    object: Object
    labels: Mapping[str, str]
    spec: Object

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def volumes(self) -> dict[str, Object]:
        templates = self.object["spec"].get("volumeClaimTemplates", [])
        claimed = {one["metadata"]["name"]: {"template": one["spec"]} for one in templates}
        return claimed | {volume["name"]: volume for volume in self.spec.get("volumes", [])}

    @property
    def grows(self) -> bool:
        """Whether it is meant to run many times, somewhere or other."""
        strategy = self.object["spec"].get("strategy", {})
        return bool(self.object["kind"] == "Deployment" and strategy.get("type") != "Recreate")


class Manifest:
    """The objects of a rendered overlay."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self.objects = list(objects)

    def of(self, *kinds: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        return {one["metadata"]["name"] for one in self.of(kind)}

    def find(self, wanted: str) -> Object:
        """By its title, such as `Deployment/judge`; a ConfigMap without the hash of its name."""
        found = [one for one in self.objects if wanted in (title(one), title(one).rsplit("-", 1)[0])]
        if not wanted.startswith("ConfigMap/"):
            found = [one for one in found if title(one) == wanted]
        assert len(found) == 1, f"{wanted}: {len(found)} of {sorted(map(title, self.objects))}"
        return found[0]

    @property
    def workloads(self) -> list[Workload]:
        return [_workload(one) for one in self.of(*WORKLOADS)]

    @property
    def settings(self) -> dict[str, str]:
        """The ConfigMap that every service reads."""
        return dict(self.find("ConfigMap/plumbline-settings")["data"])

    def selected(self, selector: Object | None) -> list[Workload]:
        return [one for one in self.workloads if selects(selector, one.labels)]


def title(one: Object) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def _workload(one: Object) -> Workload:
    template = one if one["kind"] == "Pod" else one["spec"]["template"]
    return Workload(title(one), one, template["metadata"].get("labels", {}), template["spec"])


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """As Kubernetes reads a selector: an empty one selects everything, a missing one nothing."""
    if selector is None:
        return False
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    assert not unknown, f"no selector: {selector}"
    wanted = [
        *({"key": key, "operator": "In", "values": [value]} for key, value in selector.get("matchLabels", {}).items()),
        *selector.get("matchExpressions", []),
    ]
    return all(_holds(one, labels) for one in wanted)


def _holds(requirement: Object, labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values", [])
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case unknown:
            raise AssertionError(f"unknown operator {unknown}")


def renderer() -> list[str] | None:
    """The command that renders, if this machine has one."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return ["kustomize", "build"] if shutil.which("kustomize") else None


@cache
def rendered(folder: Path) -> str:
    command = renderer()
    assert command is not None
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, f"{folder} does not render: {done.stderr}"
    assert not done.stderr, f"{folder} renders with a warning: {done.stderr}"
    return done.stdout


def combined(resource: str, components: Sequence[str], settings: Sequence[str] = ()) -> str:
    """Render `k8s/RESOURCE` with components, as somebody's own overlay would."""
    with TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        kustomization = {
            "resources": [os.path.relpath(K8S / resource, here)],
            "components": [os.path.relpath(K8S / "components" / name, here) for name in components],
            "configMapGenerator": [
                {
                    "name": "plumbline-settings",
                    "namespace": NAMESPACE,
                    "behavior": "merge",
                    "literals": ["PLUMBLINE_LOG_LEVEL=info", *settings],
                }
            ],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return rendered.__wrapped__(here)


def parsed(text: str) -> Manifest:
    return Manifest([one for one in yaml.safe_load_all(text) if one is not None])


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no list or mapping, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value
