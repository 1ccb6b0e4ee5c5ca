"""Pages of lists: what fits a query, and where the next page begins."""

from datetime import UTC, datetime

from plumbline_contracts.analyzer import Finding
from plumbline_contracts.coordinator import (
    Experiment,
    ExperimentList,
    ExperimentQuery,
    Missing,
    RecordedJudgment,
    ResponsePage,
    ResponseQuery,
    ResponseRecord,
)
from plumbline_kit import cursors
from plumbline_kit.errors import ProblemError

from .progress import progress
from .records import records, size
from .run import Run
from .store import Store

_LOOKED_AT = 5000  # records, for one page: a filter that fits few must not keep the caller waiting


def experiments(store: Store, query: ExperimentQuery) -> ExperimentList:
    after = None if query.after is None else _moment(query.after)
    rows = store.experiments(query, after, query.limit + 1)
    page = rows[: query.limit]
    more = len(rows) > len(page)
    found: list[Experiment] = [progress(store, row) for row in page]
    return ExperimentList(
        experiments=found,
        next=cursors.encode([found[-1].created.isoformat(), found[-1].id]) if more else None,
    )


def _moment(cursor: str) -> tuple[datetime, str]:
    created, id = cursors.decode(cursor, str, str)
    try:
        return datetime.fromisoformat(str(created)).astimezone(UTC), str(id)
    except ValueError:
        raise ProblemError(422, "invalid-request", "after must be the `next` of a page of experiments.") from None


def responses(run: Run, query: ResponseQuery) -> ResponsePage:
    """The position is the number of a record, which never changes: the items of an experiment are stored at once."""
    start = 0 if query.after is None else int(cursors.decode(query.after, int)[0])
    found: list[ResponseRecord] = []
    number, end = start, size(run)

    def wanted(arm: str, language: str) -> bool:
        return _among(arm, query.arm) and _among(language, query.language)

    for number, record in records(run, start, wanted, query.limit):
        found += [record] if fits(record, query) else []
        if len(found) == query.limit or number - start >= _LOOKED_AT:
            return ResponsePage(responses=found, next=cursors.encode([number + 1]) if number + 1 < end else None)
    return ResponsePage(responses=found, next=None)


def _among(value: str, wanted: list[str]) -> bool:
    return not wanted or value in wanted


def fits(record: ResponseRecord, query: ResponseQuery) -> bool:
    """Whether a record is what a query asks for, its arm and its language aside."""
    return (
        _among(record.category, query.category)
        and _among(record.item, query.item)
        and _is_found(record, query)
        and _is_missing(record, query.missing)
        and _is_scored(record, query)
    )


def _is_found(record: ResponseRecord, query: ResponseQuery) -> bool:
    if query.finding is None and not query.detector:
        return True
    wanted = query.finding or Finding.FOUND
    looked_at = [one for one in record.detections if not query.detector or one.detector in query.detector]
    return any(one.finding == wanted for one in looked_at)


def _is_missing(record: ResponseRecord, wanted: Missing | None) -> bool:
    response, score = record.response is None, any(one.score is None for one in record.judgments)
    match wanted:
        case Missing.RESPONSE:
            return response
        case Missing.SCORE:
            return score
        case Missing.NOTHING:
            return not response and not score
    return True


def _is_scored(record: ResponseRecord, query: ResponseQuery) -> bool:
    if query.min_score is None and query.max_score is None and not query.judge and not query.aspect:
        return True
    return any(_in_range(one, query) for one in record.judgments)


def _in_range(one: RecordedJudgment, query: ResponseQuery) -> bool:
    if not _among(one.judge, query.judge) or not _among(one.aspect, query.aspect) or one.score is None:
        return False
    low, high = query.min_score, query.max_score
    return (low is None or low <= one.score) and (high is None or one.score <= high)
