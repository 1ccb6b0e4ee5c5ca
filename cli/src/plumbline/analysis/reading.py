"""Which form a file has, and all files together as one analysis."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from plumbline_contracts.analyzer import AnalysisRequest, ArmLabel, JudgeLabel, Observation
from plumbline_contracts.common import Language
from plumbline_kit.errors import ProblemError
from pydantic import TypeAdapter, ValidationError

from . import just_eval, lm_eval, table
from .given import Collected, Source, arm_label, judge_label, refuse, rows

OBSERVATIONS = "observations.jsonl"
_LANGUAGE = TypeAdapter(Language)


def source(argument: str, language: str) -> Source:
    """`FILE`, `ARM=FILE` or `ARM@LANGUAGE=FILE`."""
    named, path = _named(argument)
    arm, _, own = named.rpartition("@") if "@" in named else (named, "", "")
    try:
        _LANGUAGE.validate_python(own or language)
    except ValidationError as error:
        detail = f"{own or language!r} is no ISO 639 code of a language, such as en, fr or es."
        raise ProblemError(422, "invalid-language", detail) from error
    if not Path(path).exists():
        raise ProblemError(422, "no-file", f"There is no file {path}.")
    return Source(Path(path), arm or None, own or language)


def _named(argument: str) -> tuple[str, str]:
    """What stands before the = and the file after it; names of files and arms may have a = too."""
    if not Path(argument).exists():
        for place, character in enumerate(argument):
            if character == "=" and Path(argument[place + 1 :]).exists():
                return argument[:place], argument[place + 1 :]
    return "", argument


def collect(sources: Sequence[Source]) -> Collected:
    """Arms and judges in the order in which they appear."""
    observations = _merged(chain.from_iterable(map(_read, chain.from_iterable(map(_files, sources)))))
    if not observations:
        raise ProblemError(422, "no-observations", "The files have no row.")
    arms: dict[str, ArmLabel] = {}
    judges: dict[str, JudgeLabel] = {}
    for one in observations:
        arms.setdefault(one.arm, arm_label(one.arm))
        for score in one.scores:
            judges.setdefault(score.judge, _judge(score.judge))
    notes = [lm_eval.NOTE] if lm_eval.JUDGE in judges else []
    return Collected(observations, list(arms.values()), list(judges.values()), notes)


def _judge(name: str) -> JudgeLabel:
    if name == lm_eval.JUDGE:
        return judge_label(name, None, "Metrics as the harness computed them.")
    return judge_label(name, name, f"Scores read from files, given by {name}.")


def _files(given: Source) -> Iterator[Source]:
    """A folder stands for the files of results in it."""
    if not given.path.is_dir():
        yield given
        return
    found = sorted(path for path in given.path.rglob("*") if path.suffix in (".jsonl", ".csv"))
    if not found:
        raise ProblemError(422, "no-file", f"The folder {given.path} has no *.jsonl and no *.csv.")
    yield from (given._replace(path=path) for path in found)


def _read(given: Source) -> Iterator[Observation]:
    if given.path.suffix.lower() == ".csv":
        return table.read(given)
    try:
        place, first = next(rows(given.path))
    except StopIteration:
        return iter(())
    if just_eval.fits(first):
        return just_eval.read(given)
    if lm_eval.fits(first):
        return lm_eval.read(given)
    if {"item", "arm", "language"} <= first.keys():
        return _observations(given)
    known = "just-eval results, lm-evaluation-harness samples, Observations, or a CSV"
    raise refuse(given.path, place, f"the fields {', '.join(first)} are of no known form; known are {known}")


def _observations(given: Source) -> Iterator[Observation]:
    for place, row in rows(given.path):
        try:
            yield Observation.model_validate(row)
        except ValidationError as error:
            fault = error.errors()[0]
            raise refuse(given.path, f"{place} {'.'.join(map(str, fault['loc']))}", fault["msg"]) from error


def _merged(observations: Iterator[Observation]) -> list[Observation]:
    """Scores of several files on the same response (two judges, two rubrics) come together."""
    found: dict[tuple[str, str, str], Observation] = {}
    for one in observations:
        key = (one.arm, one.language, one.item)
        known = found.get(key)
        if known is None:
            found[key] = one
        elif known.response == one.response:
            found[key] = known.model_copy(update={"scores": [*known.scores, *one.scores]})
        else:
            detail = f"Item {one.item!r} of arm {one.arm!r} in {one.language} has two different responses in the files."
            raise ProblemError(422, "two-responses", f"{detail} Name the arms: ARM=FILE.")
    return list(found.values())


def exported(folder: Path) -> AnalysisRequest | None:
    """The analysis of a folder that `plumbline export` made; its `data` is the folder's observations.jsonl, as then."""
    path = folder / "analysis.json"
    if not path.is_file():
        return None
    try:
        request = AnalysisRequest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise refuse(path, "its content", f"no analysis: {error.errors()[0]['msg']}") from error
    with (folder / OBSERVATIONS).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if request.data is None or request.data.sha256 != found:
        said = request.data and request.data.sha256
        raise refuse(path, "data.sha256", f"{OBSERVATIONS} has {found}, analyzed was {said}")
    return request
