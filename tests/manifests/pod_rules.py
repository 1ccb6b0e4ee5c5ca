"""Rules about pods: what they may do, how they are watched, what they use, how they end."""

from collections.abc import Iterator
from decimal import Decimal

from tests.manifests.quantities import quantity
from tests.manifests.rendering import Manifest, Object, Workload, title

Complaints = Iterator[str]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def each_container(manifest: Manifest) -> Iterator[tuple[str, Workload, Object]]:
    for workload in manifest.workloads:
        for container in workload.containers:
            yield f"{workload.title} container {container['name']}", workload, container


def run_as_somebody_without_rights(manifest: Manifest) -> Complaints:
    for place, workload, container in each_container(manifest):
        context = workload.spec.get("securityContext", {}) | container.get("securityContext", {})
        if context.get("runAsNonRoot") is not True:
            yield f"{place}: runAsNonRoot is not true"
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            if not context.get(field):
                yield f"{place}: {field} is {context.get(field)!r}, not the number of somebody else than root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{place}: seccompProfile is not RuntimeDefault"
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{place}: allowPrivilegeEscalation is not false"
        if context.get("privileged"):
            yield f"{place}: privileged"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{place}: readOnlyRootFilesystem is not true"
        capabilities = context.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{place}: capabilities are {capabilities}, not all dropped"


def share_nothing_with_the_node(manifest: Manifest) -> Complaints:
    for workload in manifest.workloads:
        shared = [name for name in ("hostNetwork", "hostPID", "hostIPC") if workload.spec.get(name)]
        shared += [f"hostPath {name}" for name, volume in workload.volumes.items() if "hostPath" in volume]
        shared += [
            f"hostPort {port['hostPort']}"
            for one in workload.containers
            for port in one.get("ports", [])
            if "hostPort" in port
        ]
        yield from (f"{workload.title}: {name}" for name in shared)


def get_nothing_of_the_cluster(manifest: Manifest) -> Complaints:
    """No token of the API, and no variables such as JUDGE_PORT=tcp://..., which would be settings of ours."""
    for workload in manifest.workloads:
        for field in ("automountServiceAccountToken", "enableServiceLinks"):
            if workload.spec.get(field) is not False:
                yield f"{workload.title}: {field} is not false"
    for account in manifest.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{title(account)}: automountServiceAccountToken is not false"


def have_three_probes_of_a_declared_port(manifest: Manifest) -> Complaints:
    for place, workload, container in each_container(manifest):
        if workload.object["kind"] == "Pod":
            continue
        ports = {value for port in container.get("ports", []) for value in (port.get("name"), port["containerPort"])}
        for name in PROBES:
            probe = container.get(name, {})
            target = probe.get("httpGet", probe.get("tcpSocket", probe.get("exec")))
            if target is None:
                yield f"{place}: no {name}"
            elif "exec" not in probe and target.get("port") not in ports:
                yield f"{place}: {name} asks port {target.get('port')!r}, declared are {ports}"


def probes_that_mean_what_they_should(manifest: Manifest) -> Complaints:
    """Ours: alive is /livez, ready is /readyz; a start may take minutes, within what a rollout waits for."""
    for place, workload, container in each_container(manifest):
        for name, path in zip(PROBES, ("/livez", "/readyz", "/livez"), strict=True):
            given = container.get(name, {}).get("httpGet", {}).get("path")
            if container["image"].startswith("plumbline-") and given not in (None, path):
                yield f"{place}: {name} asks {given}, not {path}"
        start = container.get("startupProbe", {})
        budget = start.get("periodSeconds", 10) * start.get("failureThreshold", 3)
        if start and budget < 120:
            yield f"{place}: a start may take only {budget} s"
        deadline = workload.object["spec"].get("progressDeadlineSeconds", 600)
        if workload.object["kind"] == "Deployment" and deadline <= budget:
            yield f"{place}: a rollout fails after {deadline} s, a start may take {budget} s"


def ask_for_no_more_than_their_limits(manifest: Manifest) -> Complaints:
    for place, _, container in each_container(manifest):
        requests, limits = (container.get("resources", {}).get(part, {}) for part in ("requests", "limits"))
        for resource in sorted({"cpu", "memory", "ephemeral-storage"} | set(requests) | set(limits)):
            if resource not in requests or resource not in limits:
                yield f"{place}: {resource} lacks a request or a limit"
            elif quantity(requests[resource]) > quantity(limits[resource]):
                yield f"{place}: {resource} request {requests[resource]} is above the limit {limits[resource]}"
            elif "/" in resource and quantity(requests[resource]) != quantity(limits[resource]):
                yield f"{place}: {resource} cannot be overcommitted, request and limit differ"


def bounded_scratch_space(manifest: Manifest) -> Complaints:
    for workload in manifest.workloads:
        used = {"disk": Decimal(0), "memory": Decimal(0)}
        for name, volume in workload.volumes.items():
            if (empty := volume.get("emptyDir")) is None:
                continue
            if "sizeLimit" not in empty:
                yield f"{workload.title}: emptyDir {name} has no sizeLimit"
            used["memory" if empty.get("medium") else "disk"] += quantity(empty.get("sizeLimit", 0))
        for kind, resource in (("disk", "ephemeral-storage"), ("memory", "memory")):
            limits = [one.get("resources", {}).get("limits", {}).get(resource, 0) for one in workload.containers]
            if (limit := sum(map(quantity, limits))) < used[kind]:
                yield f"{workload.title}: emptyDirs take {used[kind]} of {resource}, the limit is {limit}"


def time_to_end_well(manifest: Manifest) -> Complaints:
    """preStop, then the requests under way, then ours to spare; the trainer also ends its trainings."""
    settings = manifest.settings if manifest.of("ConfigMap") else {}
    grace = int(settings.get("PLUMBLINE_GRACE_SECONDS", 10))
    for place, workload, container in each_container(manifest):
        if "http" not in {port.get("name") for port in container.get("ports", [])}:
            continue
        command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        if command[:1] != ["sleep"]:
            yield f"{place}: no preStop sleep, so requests arrive after SIGTERM"
            continue
        needed = int(command[1]) + grace + (15 if workload.name == "trainer" else 5)
        if (given := workload.spec.get("terminationGracePeriodSeconds", 30)) < needed:
            yield f"{place}: is killed after {given} s, needs {needed} s to end"


def pinned_images(manifest: Manifest) -> Complaints:
    for place, _, container in each_container(manifest):
        tag = container["image"].rsplit("/", 1)[-1].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{place}: image {container['image']} has no tag that stays what it is"


RULES = [
    run_as_somebody_without_rights,
    share_nothing_with_the_node,
    get_nothing_of_the_cluster,
    have_three_probes_of_a_declared_port,
    probes_that_mean_what_they_should,
    ask_for_no_more_than_their_limits,
    bounded_scratch_space,
    time_to_end_well,
    pinned_images,
]
