"""Every overlay renders, is valid, and keeps our rules, of which a schema knows nothing."""

import json
from functools import cache
from importlib import import_module

import kubernetes_validate
import pytest
import yaml

from tests.manifests import pod_rules, reference_rules, setting_rules
from tests.manifests.rendering import K8S, Manifest, parsed, rendered, title
from tests.manifests.setting_rules import SERVICE_NAMES, of_ours, settings_of, variables
from tests.manifests.variants import VARIANTS, manifest_of

RULES = [*pod_rules.RULES, *reference_rules.RULES, *setting_rules.RULES]
KUBERNETES = ["1.27", "1.33"]  # the oldest that docs/deploying.md promises, and one of today


@cache
def schema_complaint(one: str, version: str) -> str | None:
    """By the object's JSON, as most objects are the same in several overlays."""
    try:
        kubernetes_validate.validate(json.loads(one), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"at {'.'.join(map(str, error.path))}: {error.message}"
    return None


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_its_schema(variant: str, version: str) -> None:
    for one in manifest_of(variant).objects:
        complaint = schema_complaint(json.dumps(one), version)
        assert complaint is None, f"{title(one)} {complaint}"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_objects(rule: type, variant: str) -> None:
    complaints = list(rule(manifest_of(variant)))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_namespace_takes_restricted_pods_only(variant: str) -> None:
    labels = manifest_of(variant).find("Namespace/plumbline")["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_every_service_has_its_file(name: str) -> None:
    base = Manifest(list(yaml.safe_load_all((K8S / "base" / f"{name}.yaml").read_text())))
    assert {f"{kind}/{name}" for kind in ("Deployment", "Service", "ServiceAccount")} <= set(map(title, base.objects))
    port = import_module(f"plumbline_contracts.{name}").PORT
    assert base.find(f"Service/{name}")["spec"]["ports"][0]["port"] == port
    assert base.workloads[0].containers[0]["ports"][0]["containerPort"] == port
    for one in base.objects:
        assert one["metadata"]["name"] in (name, f"plumbline-{name}", f"plumbline-{name[:-2]}ings"), title(one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_service_is_there_in_its_version(variant: str) -> None:
    found = {workload.name: workload for workload in of_ours(manifest_of(variant))}
    replaced = {"judge"} if variant == "minimal-judge" else set()
    assert set(found) | replaced == set(SERVICE_NAMES)
    for name, workload in found.items():
        version = import_module(f"plumbline_{name}").__version__
        assert workload.containers[0]["image"].rsplit(":", 1)[1] in (version, f"{version}-cuda")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_service_starts_with_its_settings(
    variant: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The real settings classes read what the pods would get."""
    manifest = manifest_of(variant)
    for workload in of_ours(manifest):
        secrets = tmp_path_factory.mktemp("secrets")
        for key in setting_rules.MADE_BY_DEPLOY:
            (secrets / key).write_text("secret")
        with monkeypatch.context() as patch:
            for variable in {name for service in SERVICE_NAMES for name in variables(service)}:
                patch.delenv(variable, raising=False)
            patch.setenv("PLUMBLINE_SECRETS_DIR", str(secrets))
            for variable, value in manifest.settings.items():
                patch.setenv(variable, value)
            for entry in workload.containers[0].get("env", []):
                patch.setenv(entry["name"], entry.get("value", "4"))  # the pod's name, a number of cores
            settings = settings_of(workload.name)()
        assert settings.port == workload.containers[0]["ports"][0]["containerPort"]
        assert settings.token is not None, "a cluster is shared: no service answers without a token"


def test_volumes_of_many_nodes_can_be_mounted_by_many() -> None:
    manifest = manifest_of("production")
    for claim in manifest.of("PersistentVolumeClaim"):
        name = claim["metadata"]["name"]
        users = [
            workload
            for workload in manifest.workloads
            if any(
                volume.get("persistentVolumeClaim", {}).get("claimName") == name for volume in workload.volumes.values()
            )
        ]
        most = sum(reference_rules.replicas(manifest, workload)[1] for workload in users)
        assert most == 1 or claim["spec"]["accessModes"] == ["ReadWriteMany"], f"{name}: {most} pods mount it"


def test_production_asks_for_replicas_and_tls() -> None:
    manifest = manifest_of("production")
    assert manifest.find("Deployment/coordinator")["spec"]["replicas"] >= 2
    assert not manifest.of("StatefulSet"), "the database is outside"
    assert manifest.settings["PLUMBLINE_ARTIFACTS_URL"].startswith("s3://")
    annotations = manifest.find("Ingress/coordinator")["metadata"]["annotations"]
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 3600


def test_the_loader_may_run_where_the_services_do() -> None:
    """scripts/load-models.sh starts it in the same namespace, with the image of the translator."""
    loader = parsed(rendered(K8S / "loader"))
    for one in loader.objects:
        kubernetes_validate.validate(one, "1.33", strict=True)
    rules = [rule for rule in pod_rules.RULES if rule is not pod_rules.time_to_end_well]
    assert [complaint for rule in rules for complaint in rule(loader)] == []
    claims = manifest_of("local").names("PersistentVolumeClaim")
    assert loader.workloads[0].volumes["models"]["persistentVolumeClaim"]["claimName"] in claims
