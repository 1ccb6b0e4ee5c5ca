"""`plumbline diff`: what differs between two experiments, and in what they found."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.coordinator import ResponseRecord
from plumbline_kit.errors import ProblemError
from rich import box
from rich.table import Table
from rich.text import Text

from .. import differences
from ..client import DEFAULT_URL, PlumblineClient
from ..differences import ABSENT, Difference, Responses
from ..options import Json, Token, Url
from ..terminal import Terminal, plain, reporting

Id = Annotated[str, typer.Argument(help="Id of an experiment; see `plumbline list`.")]
_KINDS = {
    "same": "same",
    "other": "another response",
    "judged": "judged otherwise",
    "only_a": "only in A",
    "only_b": "only in B",
}


def diff(
    a: Id,
    b: Id,
    examples: Annotated[int, typer.Option(min=0, help="Show so many of the responses that differ.")] = 0,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Say what differs between two experiments: settings, versions, digests, responses and results.

    What is the same is not listed. Where one has no results yet, the rest is compared.

    \b
    plumbline diff quickstart-5f0c1a2b quickstart-9b1c22d0 --examples 3
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        manifests = client.manifest(a), client.manifest(b)
        spec, parts = differences.of_spec(*manifests), differences.of_parts(*manifests)
        of_a, of_b = _results(client, a), _results(client, b)
        responses = Responses.between(client.responses(a), client.responses(b))
        shown = [
            list(differences.examples(responses.other, examples, client.responses(id))) if examples else []
            for id in (a, b)
        ]
        _show_changes(terminal, "Settings", spec)
        _show_changes(terminal, "Versions and digests", parts)
        _show_responses(terminal, responses)
        for first, second in zip(*shown, strict=True):
            _show_example(terminal, first, second)
        found = _found(terminal, of_a, of_b) if of_a and of_b else None
        if found is None:
            terminal.say("\nResults are not compared: both must have completed.")
        terminal.data(
            {
                "a": a,
                "b": b,
                "spec": [one.as_data() for one in spec],
                "parts": [one.as_data() for one in parts],
                "responses": [
                    {"arm": arm, "language": language} | {kind: counts[kind] for kind in _KINDS}
                    for (arm, language), counts in responses.counts.items()
                ],
                "examples": [
                    {"a": first.model_dump(mode="json"), "b": second.model_dump(mode="json")}
                    for first, second in zip(*shown, strict=True)
                ],
                "results": found,
            }
        )


def _results(client: PlumblineClient, id: str) -> AnalysisResponse | None:
    try:
        return client.results(id)
    except ProblemError as error:
        if error.kind != "not-finished":
            raise
        return None


def _found(terminal: Terminal, a: AnalysisResponse, b: AnalysisResponse) -> dict[str, Any]:
    means, rates = differences.of_means(a, b), differences.of_error_rates(a, b)
    _show_numbers(terminal, "Mean scores", "judge / arm / language / aspect", means)
    _show_numbers(terminal, "Error rates", "arm / language / detector", rates)
    only = {"a": [one for one in a.findings if one not in b.findings]}
    only["b"] = [one for one in b.findings if one not in a.findings]
    for name, findings in only.items():
        for finding in findings:
            terminal.say(f"only {name.upper()} finds: {finding}")
    data = {"means": means, "error_rates": rates}
    return {name: [one.as_data() for one in changes] for name, changes in data.items()} | {"findings": only}


def _show_changes(terminal: Terminal, title: str, changes: Sequence[Difference]) -> None:
    _show(terminal, title, ("", "A", "B"), ((one.path, _shown(one.a), _shown(one.b)) for one in changes))


def _show_numbers(terminal: Terminal, title: str, path: str, changes: Sequence[Difference]) -> None:
    rows = ((one.path, _number(one.a), _number(one.b), _step(one)) for one in changes)
    _show(terminal, title, (path, "A", "B", "B - A"), rows)


def _show_responses(terminal: Terminal, responses: Responses) -> None:
    rows = (
        (f"{arm} / {language}", *(str(counts[kind] or "") for kind in _KINDS))
        for (arm, language), counts in responses.counts.items()
    )
    _show(terminal, "Responses", ("arm / language", *_KINDS.values()), rows)


def _show(terminal: Terminal, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, overflow="fold", justify="left" if index == 0 or len(header) == 3 else "right")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    terminal.show(Text(f"\n{title}", "bold"), table if table.row_count else Text("the same", "dim"))


def _show_example(terminal: Terminal, a: ResponseRecord, b: ResponseRecord) -> None:
    terminal.show(Text(plain(f"\n{a.arm} / {a.language} / {a.item}"), "bold"))
    for name, record in (("A", a), ("B", b)):
        terminal.say(f"{name}: {record.raw_response if record.raw_response is not None else record.missing}")


def _shown(value: Any) -> str:
    return "-" if value is ABSENT else str(value)


def _number(value: Any) -> str:
    return "-" if value is ABSENT or value is None else f"{value:.3f}"


def _step(one: Difference) -> str:
    return f"{one.b - one.a:+.3f}" if isinstance(one.a, float) and isinstance(one.b, float) else ""
