"""The shape of a text survives its translation."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plumbline_translator.layout import put_together, take_apart

SHARED = Path(os.environ.get("PLUMBLINE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
CODE = '~~~py\n# name it\nprint("hello")\n\n~~~'


def upper(text: str) -> str:
    lines = take_apart(text)
    return put_together(lines, [line.body.upper() for line in lines])


@given(st.text(alphabet=st.sampled_from(list("ab1.-*#>`~ \t\n\réß•")), max_size=200))
def test_any_text_is_put_together_as_it_was(text: str) -> None:
    lines = take_apart(text)
    assert put_together(lines, [line.body for line in lines]) == text


def test_real_instructions_are_put_together_as_they_were() -> None:
    file = SHARED / "just-eval" / "instructions.jsonl"
    if not file.exists():
        pytest.skip(f"the shared test data is not at {SHARED}; set PLUMBLINE_SHARED_DATA")
    for line in file.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["instruction"]
        lines = take_apart(text)
        assert put_together(lines, [line.body for line in lines]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n\ntwo\n", "ONE\n\nTWO\n"),
        ("  - one\n\t12. two  \r\n> # three", "  - ONE\n\t12. TWO  \r\n> # THREE"),
        ("4 + 4 = ?\n---\n| 1 | 2 |", "4 + 4 = ?\n---\n| 1 | 2 |"),
        (f"fix\n{CODE}\nplease", f"FIX\n{CODE}\nPLEASE"),
        ("fix\n```\na\n````\nb", "FIX\n```\na\n````\nB"),
        ("fix\n```\nnever closed\n", "FIX\n```\nnever closed\n"),
        ("```inline``` code", "```INLINE``` CODE"),
        ("", ""),
    ],
)
def test_what_is_translated_and_what_stays(text: str, expected: str) -> None:
    assert upper(text) == expected
