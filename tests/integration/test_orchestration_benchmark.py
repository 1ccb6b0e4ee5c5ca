"""The benchmark of orchestration at its smallest: it runs to its end, and what it checks of the answers holds."""

import pytest

from benchmarks import orchestration


def test_it_runs_and_its_answers_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    orchestration.main(["--database", "sqlite", "--items", "40", "--resume", "400", "--slow", "20", "--batch", "4"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| sqlite | ")]
    assert [row.split(" | ")[1] for row in rows] == ["40", "400", "20"]
