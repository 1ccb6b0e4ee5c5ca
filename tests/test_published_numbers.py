"""Recorded judgments through files, analyzer and statistics give what was published."""

import os
from pathlib import Path

import pytest

from scripts import published_numbers

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def judgments() -> Path:
    data = Path(os.environ.get("PLUMBLINE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "just-eval" / "judgments"
    if not folder.is_dir():
        pytest.skip(f"no recorded judgments at {folder}; set PLUMBLINE_SHARED_DATA")
    return folder


def test_the_document_is_current(judgments: Path) -> None:
    assert published_numbers.TARGET.read_text("utf-8") == published_numbers.page(judgments)


def test_just_evals_means_are_reproduced_and_honest_ones_differ_where_it_counts(judgments: Path) -> None:
    compat, honest = (published_numbers.request(judgments, which).means for which in (True, False))
    published = published_numbers.theirs(judgments)
    assert {(one.arm, one.aspect): one.mean for one in compat if one.n} == published
    moved = {one.aspect: one.missing for one in honest if one.n and one.mean != published[one.arm, one.aspect]}
    assert moved == {"factuality": {"not_applicable": 17}, "depth": {"not_applicable": 1}}
