"""The network allows exactly the calls that ARCHITECTURE.md draws, and those to an overlay's database and store."""

import re

import pytest

from tests.manifests.network import Call, calls, disagreements, rules_of
from tests.manifests.rendering import ROOT
from tests.manifests.variants import VARIANTS, manifest_of

DRAWN = {
    Call("coordinator", "translator", 8001),
    Call("coordinator", "generator", 8002),
    Call("coordinator", "trainer", 8003),
    Call("coordinator", "judge", 8004),
    Call("coordinator", "analyzer", 8005),
}
BUNDLED_POSTGRES = {Call("coordinator", "postgres", 5432)}
HUB = {Call(name, "public", 443) for name in ("coordinator", "generator", "trainer")}
VLLM = {Call("generator", "vllm", 8000), Call("vllm", "public", 443)}
S3 = {Call(name, "anywhere", 443) for name in ("coordinator", "generator", "trainer", "analyzer")}
OUTSIDE_POSTGRES = {Call("coordinator", "private", 5432)}
INGRESS = {Call("ingress-nginx/ingress-nginx", "coordinator", 8000)}
LLM = {Call("judge", "public", 443)}
SERVICES = ("coordinator", "translator", "generator", "trainer", "judge", "analyzer")
MONITORING = {Call("monitoring", name, port) for name in SERVICES for port in range(8000, 8006)}
CALLS = {
    "local": DRAWN | BUNDLED_POSTGRES,
    "gpu": DRAWN | BUNDLED_POSTGRES | HUB | VLLM,
    "production": DRAWN | OUTSIDE_POSTGRES | S3 | INGRESS,
    "sqlite": DRAWN,
    "judge-generator": DRAWN | {Call("judge", "generator", 8002)},
    "local-open": DRAWN | BUNDLED_POSTGRES | HUB | LLM | MONITORING,
    "production-gpu": DRAWN | OUTSIDE_POSTGRES | S3 | INGRESS | HUB | VLLM | LLM | MONITORING,
}
NAMES = "kube-system/kube-dns"


def test_the_drawing_is_the_one_of_architecture_md() -> None:
    drawing = (ROOT / "ARCHITECTURE.md").read_text()
    arrow = re.search(r"^\s*coordinator --> (\w+(?: & \w+)*)$", drawing, re.MULTILINE)
    assert arrow is not None
    assert set(arrow[1].split(" & ")) == {call.callee for call in DRAWN}
    store = set(re.findall(r"^\s*(\w+) -\.-> artifacts", drawing, re.MULTILINE))
    assert store == {call.caller for call in S3}


@pytest.mark.parametrize("variant", CALLS)
def test_exactly_these_calls_are_allowed(variant: str) -> None:
    found = {call for call in calls(manifest_of(variant)) if call.callee != NAMES}
    assert found - CALLS[variant] == set(), "allowed, and not meant to be"
    assert CALLS[variant] - found == set(), "meant to be allowed, and is not"


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_sides_of_a_call_agree(variant: str) -> None:
    assert list(disagreements(manifest_of(variant))) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_else_is_denied_but_names(variant: str) -> None:
    manifest = manifest_of(variant)
    for workload in manifest.workloads:
        for direction in ("ingress", "egress"):
            assert rules_of(manifest, direction, workload) is not None, (
                f"{workload.title}: nothing restricts its {direction}"
            )
        assert Call(workload.name, NAMES, 53) in calls(manifest), f"{workload.title} cannot look up a name"


def test_nobody_but_the_coordinator_calls_a_judge_of_somebody() -> None:
    if "minimal-judge" not in VARIANTS:
        pytest.skip("examples/minimal-judge/k8s is not there")
    manifest = manifest_of("minimal-judge")
    found = {call for call in calls(manifest) if call.callee != NAMES}
    judges = {call for call in found if call.port == 8004}
    assert found - judges == (DRAWN | BUNDLED_POSTGRES) - {Call("coordinator", "judge", 8004)}
    assert judges and {call.caller for call in judges} == {"coordinator"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("judge", "coordinator -> judge:8004: only the caller's policies allow it"),
        ("coordinator", "coordinator -> judge:8004: only the callee's policies allow it"),
    ],
)
def test_a_forgotten_side_is_found(policy: str, expected: str) -> None:
    manifest = manifest_of("local")
    manifest.objects.remove(manifest.find(f"NetworkPolicy/{policy}"))
    assert expected in list(disagreements(manifest))
    assert calls(manifest) != calls(manifest_of("local"))


def test_an_open_policy_is_found() -> None:
    manifest = manifest_of("local")
    del manifest.find("NetworkPolicy/judge")["spec"]["ingress"][0]["from"]
    manifest.find("NetworkPolicy/coordinator")["spec"]["egress"].append({})
    assert Call("coordinator", "judge", 22) not in calls(manifest), "the judge opens one port only"
    assert any("trainer -> judge:8004" in one for one in disagreements(manifest))
    manifest.objects.remove(manifest.find("NetworkPolicy/default-deny"))
    manifest.objects.remove(manifest.find("NetworkPolicy/names"))
    assert Call("trainer", "judge", 8004) in calls(manifest)
