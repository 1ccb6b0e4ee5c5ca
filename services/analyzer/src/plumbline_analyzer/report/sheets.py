"""The numbers as tables for spreadsheets (CSV, every digit) and papers (LaTeX with booktabs, rounded)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from plumbline_contracts.analyzer import AnalysisRequest, AspectMean, ErrorRate
from pydantic import BaseModel

from ..results import Numbers
from ..wording import CRITICAL, NONE, counted, language_name, number, percent, plain

_LONGEST = 400  # rows of a LaTeX table; what is longer is for the CSV


class Sheet(NamedTuple):
    name: str
    frame: pd.DataFrame


def sheets(request: AnalysisRequest, numbers: Numbers) -> Iterator[Sheet]:
    """The paper's two tables, then every number with its interval, n and what is missing."""
    for judge in request.judges:
        mine = [mean for mean in numbers.means if mean.judge == judge.name]
        if mine:
            place = [one.name for one in request.judges].index(judge.name) + 1
            yield Sheet(f"paper-scores-{place}", paper_scores(mine))
    yield Sheet("paper-errors", paper_errors(numbers.error_rates))
    for name, rows in numbers._asdict().items():
        yield Sheet(name.replace("_", "-"), pd.DataFrame([_flat(row) for row in rows]))
    yield Sheet("checks", pd.DataFrame(list(_checks(numbers))))


def write(sheet: Sheet, folder: Path) -> None:
    sheet.frame.to_csv(folder / f"{sheet.name}.csv", index=False)
    rounded = sheet.frame.head(_LONGEST).map(_rounded)
    text = rounded.to_latex(index=False, escape=True, na_rep="--") if len(rounded.columns) else "% empty\n"
    if len(sheet.frame) > _LONGEST:
        text = f"% The first {_LONGEST} of {len(sheet.frame)} rows; {sheet.name}.csv has all.\n{text}"
    (folder / f"{sheet.name}.tex").write_text(text, encoding="utf-8")


def paper_scores(means: Sequence[AspectMean]) -> pd.DataFrame:
    """Arms as rows within languages, aspects as columns: mean and half the interval's width, n where it is less."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for mean in means:
        row = rows.setdefault((mean.language, mean.arm), {})
        row[plain(mean.aspect)] = with_margin(mean)
        row["n"] = str(max(mean.n, int(row.get("n", 0))))
    return _wide(rows)


def with_margin(mean: AspectMean) -> str:
    """`3.42 ±0.11`, with * where scores are missing."""
    missing = "*" if mean.missing else ""
    if mean.low is None or mean.high is None:
        return number(mean.mean) + missing
    return f"{number(mean.mean)} ±{number((mean.high - mean.low) / 2)}{missing}"


def paper_errors(rates: Sequence[ErrorRate]) -> pd.DataFrame:
    """Arms as rows within languages, the critical errors as columns."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for rate in rates:
        if rate.detector in CRITICAL:
            row = rows.setdefault((rate.language, rate.arm), {})
            ends = f" ({percent(rate.low)} to {percent(rate.high)})" if rate.n else ""
            row[plain(rate.detector)] = f"{percent(rate.rate)}{ends}"
    return _wide(rows)


def _wide(rows: dict[tuple[str, str], dict[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [{"language": language_name(language), "arm": arm} | row for (language, arm), row in rows.items()]
    )
    last = [name for name in ("n",) if name in frame.columns]
    return frame[[name for name in frame.columns if name not in last] + last].fillna(NONE) if len(frame) else frame


def _flat(row: BaseModel) -> dict[str, Any]:
    """One level: an estimate becomes three columns, what is missing a text; checks have a table of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.model_dump(mode="json", exclude={"checks"}).items():
        if name == "missing":
            flat[name] = counted(value)
        elif isinstance(value, dict):
            flat |= {name if part == "value" else f"{name} {part}": end for part, end in value.items()}
        else:
            flat[name] = value
    first = [name for name in ("judge", "other", "aspect", "detector", "measure") if name in flat]
    return {name: flat[name] for name in first} | flat


def _checks(numbers: Numbers) -> Iterator[dict[str, Any]]:
    for one in (*numbers.differences, *numbers.error_differences):
        named = one.model_dump(mode="json", include={"judge", "aspect", "detector", "language", "arm", "baseline"})
        for check in one.checks:
            yield (
                named
                | {"conclusion": one.conclusion.value, "against": check.against}
                | {f"there {name}": value for name, value in check.model_dump(mode="json", exclude={"against"}).items()}
            )


def _rounded(value: Any) -> Any:
    return f"{value:.3f}" if isinstance(value, float) and value == value else value
