"""Artifacts in a bucket of a real S3 server, behind a line that breaks."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from plumbline_contracts.common import Artifact
from plumbline_kit.artifacts import ArtifactStore, digest, open_store
from plumbline_kit.errors import ProblemError
from plumbline_kit.settings import StoreSettings

from tests.s3 import BUCKET, Line, S3Server
from tests.stack import wait_for

Machine = Callable[[str], ArtifactStore]
Variables = Callable[[str], dict[str, str]]
PUT = """\
import sys
from pathlib import Path
from plumbline_kit.artifacts import open_store
from plumbline_kit.settings import StoreSettings

open_store(StoreSettings()).put(Path(sys.argv[1]), "weights")
"""


def caught(call: Callable[[], object]) -> ProblemError:
    with pytest.raises(ProblemError) as problem:
        call()
    return problem.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (made / name).write_bytes(os.urandom(2**20))
    return made


def visible(s3: S3Server, prefix: str) -> list[str]:
    return [key.removeprefix(prefix[1:] + "/") for key in s3.objects(prefix[1:] + "/")]


def test_the_layout_is_one_that_people_can_read(s3: S3Server, machine: Machine, prefix: str, folder: Path) -> None:
    name = machine("a").put(folder, "weights").uri.removeprefix("artifact:")
    file = machine("a").put_bytes(b"x", "file").uri.removeprefix("artifact:")
    folders = [f"folders/{name}/{one}" for one in ("a", "b", "sub/c")]
    assert visible(s3, prefix) == [f"files/{file}", *folders, f"listings/{name}"]


def test_what_is_in_the_cache_is_not_fetched_again(machine: Machine, line: Line, folder: Path) -> None:
    artifact = machine("a").put(folder, "weights")
    there = machine("b")
    there.path(artifact)
    line.cut()
    assert digest(there.path(artifact))[0] == digest(there.find(artifact.uri))[0] == artifact.sha256
    assert digest(machine("a").path(artifact))[0] == artifact.sha256  # who stored it has it too


def test_what_is_in_the_bucket_is_not_sent_again(machine: Machine, line: Line, folder: Path) -> None:
    machine("a").put(folder, "weights")
    for name in ("a", "another"):
        before = line.sent
        machine(name).put(folder, "weights")
        assert line.sent - before < 10_000


def test_damage_in_the_cache_is_repaired_from_the_bucket(machine: Machine, folder: Path) -> None:
    artifact = machine("a").put(folder, "weights")
    for read in (lambda store: store.path(artifact), lambda store: store.find(artifact.uri)):
        store = machine("b")
        store.path(artifact)
        (store.root / artifact.uri.removeprefix("artifact:") / "a").write_bytes(b"damaged")
        assert digest(read(store))[0] == artifact.sha256


def test_a_wrong_expectation_does_not_empty_the_cache(machine: Machine, line: Line) -> None:
    store = machine("a")
    artifact = store.put_bytes(b"content", "file")
    line.cut()
    wrong = artifact.model_copy(update={"sha256": artifact.sha256[:16] + "0" * 48})
    assert caught(lambda: store.path(wrong)).kind == "digest-mismatch"
    assert store.path(artifact).read_bytes() == b"content"


def test_damage_in_the_bucket_is_told_and_never_shown(
    s3: S3Server, machine: Machine, prefix: str, folder: Path
) -> None:
    artifact, file = machine("a").put(folder, "weights"), machine("a").put_bytes(b"content", "file")
    name = artifact.uri.removeprefix("artifact:")
    places = {
        f"folders/{name}/sub/c": (artifact, "The file sub/c of artifact:weights-"),
        f"listings/{name}": (artifact, "The listing of artifact:weights-"),
        f"files/{file.uri.removeprefix('artifact:')}": (file, "artifact:file-"),
    }
    for key, (damaged, told) in places.items():
        whole = f"{prefix[1:]}/{key}"
        content = s3.client.get_object(Bucket=BUCKET, Key=whole)["Body"].read()
        s3.overwrite(whole, content[:-1] + b"!")
        there = machine(f"reader of {key.replace('/', '-')}")
        for read in (lambda: there.path(damaged), lambda: there.find(damaged.uri)):  # noqa: B023
            problem = caught(read)
            assert (problem.kind, problem.status) == ("digest-mismatch", 422)
            assert problem.detail.startswith(told) and "in the bucket" in problem.detail
        assert list(there.root.iterdir()) == []
        s3.overwrite(whole, content)
        there.path(damaged)


def test_a_file_that_is_gone_from_the_bucket_is_told(s3: S3Server, machine: Machine, prefix: str, folder: Path) -> None:
    artifact = machine("a").put(folder, "weights")
    s3.client.delete_object(Bucket=BUCKET, Key=f"{prefix[1:]}/folders/{artifact.uri.removeprefix('artifact:')}/b")
    problem = caught(lambda: machine("b").path(artifact))
    assert (problem.kind, problem.detail.split(" of ")[0]) == ("digest-mismatch", "The file b")
    assert problem.detail.endswith("is missing in the bucket.")


def test_a_listing_cannot_name_a_file_outside(s3: S3Server, machine: Machine, prefix: str, tmp_path: Path) -> None:
    for relative in ("../../escaped", "/escaped"):
        lines = f"{hashlib.sha256(b'evil').hexdigest()}  {relative}\n".encode()
        sha256 = hashlib.sha256(lines).hexdigest()
        artifact = Artifact(uri=f"artifact:evil-{sha256[:16]}", sha256=sha256, bytes=4)
        s3.overwrite(f"{prefix[1:]}/listings/evil-{sha256[:16]}", lines)
        assert caught(lambda: machine("a").path(artifact)).kind == "invalid-artifact"  # noqa: B023
    assert not list(tmp_path.rglob("escaped")) and not Path("/escaped").exists()


@pytest.mark.parametrize("shape", ["a file of many parts", "a folder"])
def test_half_an_upload_is_never_visible_and_goes_on_where_it_was_killed(
    s3: S3Server, machine: Machine, variables: Variables, line: Line, prefix: str, tmp_path: Path, shape: str
) -> None:
    source, part = tmp_path / "source", 8 * 2**20
    if shape == "a folder":
        source.mkdir()
        for name in "abcd":
            (source / name).write_bytes(os.urandom(part))
    else:
        source.write_bytes(os.urandom(6 * part))
    there = machine("there")
    sha256 = digest(source)[0]
    artifact = Artifact(uri=f"artifact:weights-{sha256[:16]}", sha256=sha256, bytes=0)
    line.stall_after(int(2.5 * part))
    until = line.sent + int(2.5 * part)
    process = subprocess.Popen([sys.executable, "-c", PUT, str(source)], env=os.environ | variables("here"))
    wait_for(lambda: line.sent > until, 60, "the upload to be half done")
    process.kill()
    process.wait()
    line.stall_after(None)
    found = visible(s3, prefix)
    assert len(found) == (2 if shape == "a folder" else 0)
    assert all(key.startswith("folders/") for key in found)
    assert caught(lambda: there.require(artifact.uri)).kind == "unknown-artifact"
    assert caught(lambda: there.path(artifact)).kind == "unknown-artifact"
    before = line.sent
    subprocess.run([sys.executable, "-c", PUT, str(source)], env=os.environ | variables("here"), check=True)
    if shape == "a folder":
        assert line.sent - before < 2.5 * part  # two of four files were there
    assert digest(there.path(artifact))[0] == sha256


def test_an_outage_is_a_problem_that_passes(machine: Machine, line: Line, folder: Path) -> None:
    store = machine("a")
    artifact = store.put_bytes(b"content", "file")
    line.cut()
    there = machine("b")
    for call in (
        store.check,
        lambda: store.put(folder, "weights"),
        lambda: there.path(artifact),
        lambda: there.find(artifact.uri),
        lambda: there.require(artifact.uri),
    ):
        problem = caught(call)
        assert (problem.status, problem.kind) == (503, "artifact-store-unavailable")
        assert problem.retry_after
        assert f"s3://{BUCKET}/" in problem.detail and f":{line.port}" in problem.detail
    line.mend()
    store.check()
    assert there.path(artifact).read_bytes() == b"content"
    assert digest(there.path(store.put(folder, "weights"))) == digest(folder)


def test_a_server_that_says_nothing_is_noticed_within_seconds(machine: Machine, line: Line) -> None:
    line.stall_after(0)
    began = time.monotonic()
    assert caught(machine("a").check).kind == "artifact-store-unavailable"
    assert time.monotonic() - began < 20  # the client's own limit is three


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"PLUMBLINE_ARTIFACTS_URL": "s3://another/prefix"}, "check PLUMBLINE_ARTIFACTS_URL"),
        ({"PLUMBLINE_S3_ACCESS_KEY_ID": "nobody"}, "check PLUMBLINE_S3_ACCESS_KEY_ID"),
        ({"PLUMBLINE_S3_SECRET_ACCESS_KEY": "wrong"}, "PLUMBLINE_S3_SECRET_ACCESS_KEY"),
    ],
)
def test_a_refusal_names_the_setting(variables: Variables, wrong: dict[str, str], told: str) -> None:
    given = variables("a") | wrong
    store = open_store(StoreSettings.model_validate(given))
    uri = "artifact:file-0123456789abcdef"
    put, find, require = partial(store.put_bytes, b"x", "file"), partial(store.find, uri), partial(store.require, uri)
    for call in (store.check, put, find, require):
        problem = caught(call)
        assert (problem.status, problem.kind) == (503, "artifact-store-refused")
        assert told in problem.detail
        assert given["PLUMBLINE_S3_SECRET_ACCESS_KEY"] not in problem.detail


def test_rights_that_are_missing_are_told(s3: S3Server, variables: Variables) -> None:
    id, secret = s3.powerless
    keys = {"PLUMBLINE_S3_ACCESS_KEY_ID": id, "PLUMBLINE_S3_SECRET_ACCESS_KEY": secret}
    problem = caught(open_store(StoreSettings.model_validate(variables("a") | keys)).check)
    assert (problem.kind, "list the bucket" in problem.detail) == ("artifact-store-refused", True)
