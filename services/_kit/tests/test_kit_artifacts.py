"""What both artifact stores promise."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plumbline_contracts.common import Artifact
from plumbline_kit.artifacts import ArtifactStore, digest, open_store
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from plumbline_kit.settings import StoreSettings

Variables = Callable[[str], dict[str, str]]


@pytest.fixture(params=["folder", "s3"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Variables:
    """The variables of a machine by name; all machines share artifacts."""
    if request.param == "folder":
        return lambda _: {"PLUMBLINE_ARTIFACTS_DIR": str(tmp_path / "shared")}
    return request.getfixturevalue("variables")


@pytest.fixture
def here(stores: Variables) -> ArtifactStore:
    return open_store(StoreSettings.model_validate(stores("here")))


@pytest.fixture
def there(stores: Variables) -> ArtifactStore:
    return open_store(StoreSettings.model_validate(stores("there")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "sub" / "ä #%[1]").mkdir(parents=True)
    (made / "b.txt").write_text("b")
    (made / "sub" / "a.txt").write_text("a")
    (made / "sub" / "ä #%[1]" / "empty & odd ?.txt").write_text("")
    return made


def kind(call: Callable[[], object]) -> str:
    with pytest.raises(ProblemError) as caught:
        call()
    return caught.value.kind


def test_a_folder_is_named_by_its_content_and_repeating_is_harmless(
    here: ArtifactStore, there: ArtifactStore, folder: Path
) -> None:
    first, second = here.put(folder, "weights"), here.put(folder, "weights")
    assert first == second
    assert first.uri == f"artifact:weights-{first.sha256[:16]}"
    assert first.bytes == 2
    assert [path.name for path in here.root.iterdir()] == [first.uri.removeprefix("artifact:")]
    assert digest(there.path(first)) == digest(folder)
    assert there.find(first.uri) == there.path(first)
    there.require(first.uri)


def test_a_file_and_bytes_are_the_same_artifact(here: ArtifactStore, there: ArtifactStore, folder: Path) -> None:
    artifact = here.put(folder / "b.txt", "file")
    assert here.put_bytes(b"b", "file") == artifact
    assert there.find(artifact.uri).read_bytes() == there.path(artifact).read_bytes() == b"b"
    there.require(artifact.uri)


def test_an_empty_folder_is_an_artifact(here: ArtifactStore, there: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert list(there.path(here.put(tmp_path / "empty", "empty")).iterdir()) == []


def test_the_digest_of_a_folder_can_be_recomputed_with_sha256sum(folder: Path) -> None:
    names = ["b.txt", "sub/a.txt", "sub/ä #%[1]/empty & odd ?.txt"]
    listing = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True).stdout
    assert digest(folder) == (hashlib.sha256(listing).hexdigest(), 2)


def test_a_name_that_would_be_two_lines_of_the_listing_is_refused(here: ArtifactStore, folder: Path) -> None:
    (folder / "a\nb").write_text("")
    assert kind(lambda: here.put(folder, "weights")) == "invalid-artifact"


def test_other_content_than_asked_for_is_a_problem(here: ArtifactStore, there: ArtifactStore) -> None:
    artifact = here.put_bytes(b"content", "file")
    other = artifact.model_copy(update={"sha256": artifact.sha256[:16] + "0" * 48})
    assert kind(lambda: there.path(other)) == "digest-mismatch"
    assert there.path(artifact).read_bytes() == b"content"


def test_storing_anew_repairs_damaged_content(here: ArtifactStore, folder: Path) -> None:
    artifact = here.put(folder, "weights")
    (here.root / artifact.uri.removeprefix("artifact:") / "b.txt").write_text("damaged")
    assert here.put(folder, "weights") == artifact
    assert digest(here.path(artifact)) == digest(folder)


def test_a_failed_write_leaves_nothing_behind(here: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        here.put(tmp_path / "absent", "file")
    assert list(here.root.iterdir()) == []


@pytest.mark.parametrize(
    "uri", ["artifact:../secret", "artifact:/etc/passwd", "artifact:.hidden", "artifact:", "file:x"]
)
def test_no_uri_leaves_the_store(tmp_path: Path, uri: str) -> None:
    store = FolderStore(tmp_path)
    assert kind(lambda: store.find(uri)) == kind(lambda: store.require(uri)) == "invalid-artifact"


@pytest.mark.parametrize("name", ["none", "none-0123456789abcdef"])
def test_an_unknown_artifact_is_a_problem(here: ArtifactStore, name: str) -> None:
    uri = f"artifact:{name}"
    assert kind(lambda: here.path(Artifact(uri=uri, sha256="0" * 64, bytes=0))) == "unknown-artifact"
    assert kind(lambda: here.find(uri)) == kind(lambda: here.require(uri)) == "unknown-artifact"
    here.check()


def test_processes_that_store_the_same_at_once_do_not_disturb_each_other(
    stores: Variables, there: ArtifactStore, folder: Path
) -> None:
    (folder / "large").write_bytes(os.urandom(20 * 2**20))
    command = [sys.executable, "-c", STORE, str(folder)]
    processes = [
        subprocess.Popen(command, env=os.environ | stores(name), stdout=subprocess.PIPE) for name in ("a", "a", "b")
    ]
    printed = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(printed) == 1
    assert digest(there.path(Artifact.model_validate_json(printed.pop()))) == digest(folder)


STORE = """\
import sys
from pathlib import Path
from plumbline_kit.artifacts import open_store
from plumbline_kit.settings import StoreSettings

print(open_store(StoreSettings()).put(Path(sys.argv[1]), "weights").model_dump_json())
"""


def test_damage_in_a_folder_that_is_no_cache_is_told(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    artifact = store.put_bytes(b"content", "file")
    store.place(artifact.uri).write_bytes(b"changed")
    assert kind(lambda: store.path(artifact)) == kind(lambda: store.find(artifact.uri)) == "digest-mismatch"


def test_a_full_disk_is_a_problem_that_may_pass(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with pytest.raises(ProblemError) as caught, store.partial():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.status, caught.value.kind) == (503, "disk-full")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for name, age_s in ((".partial-old", 25 * 3600), (".partial-new", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text("half")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    artifact = store.put_bytes(b"content", "file")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".partial-new", artifact.uri.removeprefix("artifact:")}


def test_a_folder_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError, match="PLUMBLINE_ARTIFACTS_DIR") as caught:
        FolderStore(tmp_path / "file" / "store").check()
    assert (caught.value.status, caught.value.kind) == (503, "artifacts-not-writable")
