"""The pages of a turn while the database comes and goes."""

from types import SimpleNamespace
from typing import Any

import pytest
from plumbline_coordinator.rows import Chunk
from plumbline_coordinator.stages.stage import Loaded
from plumbline_coordinator.turn import Pages
from plumbline_kit.errors import ProblemError


class Failing:
    """A store of two chunks, of which every first question fails."""

    def __init__(self) -> None:
        self.asked = set[Any]()

    def _answer(self, question: Any) -> None:
        if question not in self.asked:
            self.asked.add(question)
            raise ProblemError(503, "no-database", "It is away.")

    def chunks(self, id: str, stage: str, last: int, most: int, *, lacking: bool) -> list[Chunk]:
        self._answer(("chunks", last))
        return [one for one in (Chunk(0, "en", ("1", "2")), Chunk(1, "fr", ("3",))) if one.number > last]

    def done(self, id: str, stage: str, unit: str, items: list[str]) -> set[str]:
        self._answer(("done", unit))
        return {"1"}


def test_nothing_is_left_out_when_pages_could_not_be_read() -> None:
    run: Any = SimpleNamespace(id="a", store=Failing())
    stage: Any = SimpleNamespace(
        name="translate",
        service=lambda unit: "translator",
        load=lambda run, unit, items: Loaded(dict.fromkeys(items)),
    )
    pages, found = Pages(run, stage, "translator"), list[list[str]]()
    for _ in range(4):  # the first look, each unit, and the look for more
        with pytest.raises(ProblemError, match="away"):
            page = pages.next()
            assert page is not None
            found.append([*page.loaded.inputs])
            while (page := pages.next()) is not None:
                found.append([*page.loaded.inputs])
    assert pages.next() is None
    assert found == [["2"], ["3"]]
