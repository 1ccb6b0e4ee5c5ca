"""What the tests of whole systems share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tinyworld() -> Path:
    """The small models and data; `make tinyworld` builds them."""
    folder = ROOT / "var" / "tinyworld"
    if not (folder / "manifest.json").is_file():
        pytest.fail("var/tinyworld is not built; run `make tinyworld` (`make test` does)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real instructions and outputs, read in place; not part of the repository."""
    folder = Path(os.environ.get("PLUMBLINE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set PLUMBLINE_SHARED_DATA")
    return folder
