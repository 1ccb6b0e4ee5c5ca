"""Every rule objects to a manifest that breaks it, and names what is wrong: a rule that cannot fail proves nothing."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import kubernetes_validate
import pytest

from tests.manifests import pod_rules as pods
from tests.manifests import reference_rules as references
from tests.manifests import setting_rules as settings
from tests.manifests.quantities import quantity
from tests.manifests.rendering import Manifest
from tests.manifests.variants import manifest_of

Rule = Callable[[Manifest], Iterator[str]]
GONE = object()
POD = "spec.template.spec"
ONE = f"{POD}.containers.0"
VOLUME = f"{POD}.volumes"

BROKEN: list[tuple[Rule, str, str, Any]] = [
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{POD}.securityContext.runAsNonRoot", GONE),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{POD}.securityContext.runAsUser", 0),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{POD}.securityContext.seccompProfile", GONE),
    (
        pods.run_as_somebody_without_rights,
        "StatefulSet/postgres",
        f"{ONE}.securityContext.readOnlyRootFilesystem",
        False,
    ),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{ONE}.securityContext.allowPrivilegeEscalation", GONE),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{ONE}.securityContext.capabilities.drop", ["NET_RAW"]),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{ONE}.securityContext.capabilities.add", ["SYS_TIME"]),
    (pods.run_as_somebody_without_rights, "Deployment/judge", f"{ONE}.securityContext.privileged", True),
    (pods.share_nothing_with_the_node, "Deployment/judge", f"{POD}.hostNetwork", True),
    (
        pods.share_nothing_with_the_node,
        "Deployment/trainer",
        f"{VOLUME}.1",
        {"name": "models", "hostPath": {"path": "/"}},
    ),
    (pods.get_nothing_of_the_cluster, "Deployment/judge", f"{POD}.automountServiceAccountToken", GONE),
    (pods.get_nothing_of_the_cluster, "Deployment/judge", f"{POD}.enableServiceLinks", True),
    (pods.get_nothing_of_the_cluster, "ServiceAccount/judge", "automountServiceAccountToken", True),
    (pods.have_three_probes_of_a_declared_port, "Deployment/judge", f"{ONE}.startupProbe", GONE),
    (pods.have_three_probes_of_a_declared_port, "Deployment/judge", f"{ONE}.readinessProbe.httpGet.port", "htpp"),
    (pods.have_three_probes_of_a_declared_port, "Deployment/judge", f"{ONE}.livenessProbe.httpGet.port", 8005),
    (pods.probes_that_mean_what_they_should, "Deployment/judge", f"{ONE}.livenessProbe.httpGet.path", "/readyz"),
    (pods.probes_that_mean_what_they_should, "Deployment/judge", f"{ONE}.startupProbe.failureThreshold", 3),
    (pods.probes_that_mean_what_they_should, "Deployment/judge", "spec.progressDeadlineSeconds", GONE),
    (pods.ask_for_no_more_than_their_limits, "Deployment/judge", f"{ONE}.resources.requests.cpu", "1001m"),
    (pods.ask_for_no_more_than_their_limits, "Deployment/judge", f"{ONE}.resources.limits.memory", "200M"),
    (pods.ask_for_no_more_than_their_limits, "Deployment/judge", f"{ONE}.resources.requests.ephemeral-storage", GONE),
    (pods.ask_for_no_more_than_their_limits, "Deployment/judge", f"{ONE}.resources.limits.nvidia~com/gpu", 1),
    (pods.bounded_scratch_space, "Deployment/judge", f"{VOLUME}.1.emptyDir.sizeLimit", GONE),
    (pods.bounded_scratch_space, "Deployment/judge", f"{VOLUME}.1.emptyDir.sizeLimit", "4Gi"),
    (pods.bounded_scratch_space, "StatefulSet/postgres", f"{VOLUME}.3.emptyDir.sizeLimit", "2Gi"),
    (pods.time_to_end_well, "Deployment/judge", f"{POD}.terminationGracePeriodSeconds", 35),
    (pods.time_to_end_well, "Deployment/trainer", f"{POD}.terminationGracePeriodSeconds", 45),
    (pods.time_to_end_well, "Deployment/judge", f"{ONE}.lifecycle", GONE),
    (pods.pinned_images, "Deployment/judge", f"{ONE}.image", "plumbline-judge"),
    (pods.pinned_images, "Deployment/judge", f"{ONE}.image", "registry:5000/plumbline-judge"),
    (pods.pinned_images, "StatefulSet/postgres", f"{ONE}.image", "postgres:latest"),
    (references.carry_the_labels_of_plumbline, "Service/judge", "metadata.labels.app~kubernetes~io/part-of", GONE),
    (references.carry_the_labels_of_plumbline, "Service/judge", "metadata.namespace", "default"),
    (references.carry_the_labels_of_plumbline, "Deployment/judge", "metadata.name", "jury"),
    (references.are_there_once, "Deployment/judge", "metadata.name", "trainer"),
    (
        references.select_exactly_one_workload,
        "Service/judge",
        "spec.selector",
        {"app.kubernetes.io/part-of": "plumbline"},
    ),
    (references.select_exactly_one_workload, "Deployment/judge", "spec.selector.matchLabels", {"app": "judge"}),
    (
        references.select_exactly_one_workload,
        "PodDisruptionBudget/judge",
        "spec.selector.matchLabels",
        {"app": "judge"},
    ),
    (
        references.policies_that_select_something,
        "NetworkPolicy/trainer",
        "spec.podSelector.matchLabels",
        {"app": "trainer"},
    ),
    (
        references.policies_that_select_something,
        "NetworkPolicy/coordinator",
        "spec.egress.0.to.0.podSelector.matchLabels",
        {"app": "translator"},
    ),
    (references.ports_that_exist, "NetworkPolicy/postgres", "spec.ingress.0.ports.0.port", 530000),
    (references.ports_that_exist, "NetworkPolicy/postgres", "spec.ingress.0.ports.0.endPort", 5431),
    (references.ports_that_exist, "Service/judge", "spec.ports.0.port", 0),
    (references.services_that_lead_to_a_port, "Service/judge", "spec.ports.0.targetPort", "htpp"),
    (references.services_that_lead_to_a_port, "Service/judge", "spec.ports.0.targetPort", 8000),
    (references.references_that_lead_somewhere, "Deployment/judge", f"{ONE}.envFrom.0.configMapRef.name", "settings"),
    (references.references_that_lead_somewhere, "Deployment/judge", f"{POD}.serviceAccountName", "jury"),
    (references.references_that_lead_somewhere, "Deployment/judge", f"{ONE}.volumeMounts.0.name", "secret"),
    (
        references.references_that_lead_somewhere,
        "Deployment/judge",
        f"{VOLUME}.0.projected.sources.0.secret.name",
        "plumbline-secret",
    ),
    (references.references_that_lead_somewhere, "PersistentVolumeClaim/plumbline-models", "metadata.name", "models"),
    (references.autoscalers_that_can_scale, "HorizontalPodAutoscaler/judge", "spec.scaleTargetRef.name", "jury"),
    (references.autoscalers_that_can_scale, "HorizontalPodAutoscaler/judge", "spec.scaleTargetRef.name", "trainer"),
    (references.autoscalers_that_can_scale, "HorizontalPodAutoscaler/judge", "spec.maxReplicas", 0),
    (references.autoscalers_that_can_scale, "Deployment/judge", "spec.replicas", 2),
    (references.budgets_that_let_a_node_be_drained, "PodDisruptionBudget/judge", "spec.minAvailable", 1),
    (references.budgets_that_let_a_node_be_drained, "PodDisruptionBudget/judge", "spec.maxUnavailable", 0),
    (references.replicas_that_spread, "Deployment/judge", f"{POD}.topologySpreadConstraints", GONE),
    (
        references.replicas_that_spread,
        "Deployment/judge",
        f"{POD}.topologySpreadConstraints.0.labelSelector.matchLabels",
        {"app": "judge"},
    ),
    (references.volumes_with_one_owner, "Deployment/trainer", "spec.strategy", GONE),
    (references.volumes_with_one_owner, "Deployment/trainer", "spec.replicas", 2),
    (settings.known_variables, "ConfigMap/plumbline-settings", "data.JUDGE_BACKEND", "http://llm"),
    (settings.known_variables, "ConfigMap/plumbline-settings", "data.SOMETHING", "1"),
    (settings.known_variables, "Deployment/translator", f"{ONE}.env.0.name", "TRANSLATOR_CORES"),
    (settings.known_variables, "Deployment/translator", f"{ONE}.env.0.name", "JUDGE_MODEL"),
    (settings.no_secret_in_sight, "ConfigMap/plumbline-settings", "data.JUDGE_API_KEY", "sk-1"),
    (
        settings.no_secret_in_sight,
        "ConfigMap/plumbline-settings",
        "data.COORDINATOR_DATABASE_URL",
        "postgresql://me:secret@postgres/plumbline",
    ),
    (settings.no_secret_in_sight, "StatefulSet/postgres", f"{ONE}.env.2", {"name": "POSTGRES_PASSWORD", "value": "1"}),
    (settings.no_secret_in_sight, "Deployment/translator", f"{ONE}.env.0.valueFrom", {"secretKeyRef": {"name": "x"}}),
    (settings.no_secret_in_sight, "ServiceAccount/judge", "kind", "Secret"),
    (
        settings.each_secret_where_it_is_read,
        "Deployment/judge",
        f"{VOLUME}.0.projected.sources.1.secret.items.0.path",
        "coordinator_database_password",
    ),
    (settings.each_secret_where_it_is_read, "Deployment/judge", f"{VOLUME}.0.projected.sources.1", GONE),
    (
        settings.each_secret_where_it_is_read,
        "Deployment/judge",
        f"{VOLUME}.0.projected.sources.1.secret.optional",
        False,
    ),
    (settings.every_folder_a_volume, "Deployment/translator", f"{ONE}.volumeMounts.1.mountPath", "/data/argo"),
    (settings.every_folder_a_volume, "Deployment/judge", f"{ONE}.volumeMounts.1.mountPath", "/temporary"),
]


@pytest.mark.parametrize(
    ("rule", "wanted", "path", "value"),
    BROKEN,
    ids=[f"{rule.__name__}-{wanted}-{path.rsplit('.', 1)[-1]}" for rule, wanted, path, _ in BROKEN],
)
def test_a_rule_objects(rule: Rule, wanted: str, path: str, value: Any) -> None:
    manifest = manifest_of("local")
    before = list(rule(manifest))
    change(manifest, wanted, path, value)
    assert before == []
    complaints = list(rule(manifest))
    assert complaints, "the rule does not object"
    assert any(wanted.split("/")[1] in complaint for complaint in complaints) or "metadata.name" in path, complaints


def test_every_rule_was_seen_to_object() -> None:
    assert {*pods.RULES, *references.RULES, *settings.RULES} == {rule for rule, *_ in BROKEN}


def test_an_ingress_without_tls_or_service_is_found() -> None:
    manifest = manifest_of("production")
    change(manifest, "Ingress/coordinator", "spec.rules.0.host", "other.example.com")
    change(manifest, "Ingress/coordinator", "spec.rules.0.http.paths.0.backend.service.name", "jury")
    change(manifest, "Ingress/coordinator", "spec.tls.0.secretName", "certificate")
    complaints = [
        *references.services_that_lead_to_a_port(manifest),
        *references.references_that_lead_somewhere(manifest),
    ]
    assert len(complaints) == 3, complaints


def test_the_schema_is_strict() -> None:
    manifest = manifest_of("local")
    change(manifest, "Deployment/judge", f"{ONE}.livenessProb", {})
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProb"):
        kubernetes_validate.validate(manifest.find("Deployment/judge"), "1.33", strict=True)


@pytest.mark.parametrize(
    ("given", "value"),
    [("250m", "0.25"), ("2", "2"), (4, "4"), ("1.5Gi", "1610612736"), ("1k", "1000"), ("1e3", "1000"), ("5E", "5e18")],
)
def test_quantities(given: str | int, value: str) -> None:
    assert quantity(given) == Decimal(value)


@pytest.mark.parametrize("given", ["", "Gi", "1 Gi", "1GB", "-1", "1gi"])
def test_what_is_no_quantity(given: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(given))):
        quantity(given)


def change(manifest: Manifest, wanted: str, path: str, value: Any) -> None:
    """Set a value, or take it away; `~` stands for a dot within a key."""
    inner: Any = manifest.find(wanted)
    *way, last = [int(part) if part.isdecimal() else part.replace("~", ".") for part in path.split(".")]
    for step in way:
        inner = inner[step]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
