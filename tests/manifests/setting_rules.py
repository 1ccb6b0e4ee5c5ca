"""Rules about settings: each is one that the service knows, none is a secret, and every folder is a volume."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from plumbline_kit.settings import ServiceSettings
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from tests.manifests.rendering import ROOT, Manifest, Object, Workload, leaves, title
from tests.services import SERVICES

Complaints = Iterator[str]
SERVICE_NAMES = [line.name for line in SERVICES]
OF_LIBRARIES = {"HF_TOKEN_PATH", "VLLM_MODEL"}  # in the settings that all pods read, and of no service of ours
OF_THE_HUB = "hf_token"
MADE_BY_DEPLOY = {"plumbline_token", "coordinator_database_password"}


@cache
def settings_of(service: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = import_module(f"plumbline_{service}.settings").Settings
    return found


def variables(service: str) -> dict[str, FieldInfo]:
    """Every variable that the service reads."""
    settings, found = settings_of(service), {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        names = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [alias]
        for variable in names:
            found[str(variable or settings.model_config["env_prefix"] + name).upper()] = field
    return found


def is_secret(field: FieldInfo) -> bool:
    return SecretStr.__name__ in str(field.annotation)


def of_ours(manifest: Manifest) -> list[Workload]:
    """The six services, by their images: a deployment called `judge` may run somebody else's."""
    return [one for one in manifest.workloads if one.name in SERVICE_NAMES and f"plumbline-{one.name}:" in _image(one)]


def _image(workload: Workload) -> str:
    return str(workload.containers[0]["image"])


def known_variables(manifest: Manifest) -> Complaints:
    everybody = {variable for name in SERVICE_NAMES for variable in variables(name)}
    for config in manifest.of("ConfigMap"):
        for variable in config["data"]:
            if variable not in everybody | OF_LIBRARIES:
                yield f"{title(config)}: no service has a setting {variable}"
    for workload in of_ours(manifest):
        for entry in workload.containers[0].get("env", []):
            if entry["name"] not in set(variables(workload.name)) | OF_LIBRARIES:
                yield f"{workload.title}: the {workload.name} has no setting {entry['name']}"


def no_secret_in_sight(manifest: Manifest) -> Complaints:
    """Secrets are files; they are in no variable, no ConfigMap, no manifest."""
    secret = {name for service in SERVICE_NAMES for name, field in variables(service).items() if is_secret(field)}
    for one in manifest.of("Secret"):
        yield f"{title(one)}: a secret in the manifest"
    for config in manifest.of("ConfigMap"):
        yield from (f"{title(config)}: {name} is a secret" for name in sorted(set(config["data"]) & secret))
    for one in manifest.objects:
        for path, value in leaves(one):
            if "secretKeyRef" in path or "secretRef" in path:
                yield f"{title(one)}: {path} puts a secret into a variable"
            elif isinstance(value, str) and re.search(r"://[^/@\s]*:[^/@\s]+@", value):
                yield f"{title(one)}: {path} has a password in a URL"
    for workload in manifest.workloads:
        for entry in (entry for container in workload.containers for entry in container.get("env", [])):
            if "value" in entry and (
                entry["name"] in secret or re.search(r"(PASSWORD|TOKEN|SECRET|API_KEY)$", entry["name"])
            ):
                yield f"{workload.title}: {entry['name']} has its value in the manifest"


def each_secret_where_it_is_read(manifest: Manifest) -> Complaints:
    """A service gets the secrets that it has settings for, all of them, and no other."""
    for workload in of_ours(manifest):
        read = {name.lower() for name, field in variables(workload.name).items() if is_secret(field)}
        mounted = _secret_keys(workload)
        stores = "PLUMBLINE_ARTIFACTS_DIR" in _folders(workload.name)
        wanted = {name for name in read if stores or not name.startswith("plumbline_s3_")}
        if unread := set(mounted) - read - {OF_THE_HUB}:
            yield f"{workload.title}: is given the secrets {sorted(unread)}, which it does not read"
        if missing := wanted - set(mounted):
            yield f"{workload.title}: is not given the secrets {sorted(missing)}, which it reads"
        if required := {key for key, optional in mounted.items() if not optional} - MADE_BY_DEPLOY:
            yield f"{workload.title}: does not start without {sorted(required)}, which scripts/deploy.sh does not make"


def _secret_keys(workload: Workload) -> dict[str, bool]:
    """The files that the pod gets, and whether it starts without."""
    sources: list[Object] = workload.volumes.get("secrets", {}).get("projected", {}).get("sources", [])
    return {
        item["path"]: source["secret"].get("optional", False)
        for source in sources
        for item in source["secret"]["items"]
    }


@cache
def _folders(service: str) -> dict[str, str]:
    """The folders of data that the service's image names."""
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text()
    return dict(re.findall(r"\b([A-Z_]+)=(/data/[a-z]+)", dockerfile))


def every_folder_a_volume(manifest: Manifest) -> Complaints:
    for workload in of_ours(manifest):
        mounted = {mount["mountPath"] for mount in workload.containers[0]["volumeMounts"]}
        for variable, folder in _folders(workload.name).items():
            if folder not in mounted:
                yield f"{workload.title}: {folder} ({variable}) is no volume, so nothing can be written or found there"
        if "/tmp" not in mounted:
            yield f"{workload.title}: /tmp is no volume"


RULES = [known_variables, no_secret_in_sight, each_secret_where_it_is_read, every_folder_a_volume]
