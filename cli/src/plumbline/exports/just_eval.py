"""The form of just-eval (github.com/Re-Align/just-eval): model outputs and the judgments that its report reads."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plumbline_contracts.coordinator import Manifest, RecordedJudgment, ResponseRecord

from ..client import PlumblineClient
from .names import file_names

Rows = defaultdict[Path, list[dict[str, Any]]]
SAFETY = "safety"


def write(client: PlumblineClient, id: str, target: Path) -> int:
    """`outputs/ARM.LANGUAGE.json`, and `eval_results/JUDGE/ARM.LANGUAGE.score_multi.json` or `.score_safety.json`.

    An aspect without a score is left out of `parsed_result`, as just-eval counts "N/A" as 5; an item without any has
    none, and is not counted there. `result` is made of the scores and rationales; the judge's prompt is not recorded.
    """
    manifest, rows, count = client.manifest(id), Rows(list), 0
    arms = file_names(arm["name"] for arm in manifest.spec["arms"])
    for count, record in enumerate(client.responses(id), start=1):  # noqa: B007 - the last count is the result
        if record.response is not None:
            name = f"{arms[record.arm]}.{record.language}"
            rows[target / "outputs" / f"{name}.json"].append(_output(record, manifest))
            for judge, mode, row in _judgments(record, manifest):
                rows[target / "eval_results" / judge / f"{name}.{mode}.json"].append(row)
    for file, content in rows.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    target.mkdir(exist_ok=True)
    return count


def _output(record: ResponseRecord, manifest: Manifest) -> dict[str, Any]:
    return {
        "id": _number(record.item),
        "instruction": record.instruction,
        "output": record.response,
        "generator": record.arm,
        "dataset": manifest.spec["dataset"]["path"] or manifest.spec["dataset"]["hub"],
        "source_id": record.item,
        "datasplit": record.category,
        "model_input": None,
    }


def _judgments(record: ResponseRecord, manifest: Manifest) -> Iterator[tuple[str, str, dict[str, Any]]]:
    judged = defaultdict[str, list[RecordedJudgment]](list)
    for judgment in record.judgments:
        judged[judgment.judge].append(judgment)
    for judge, aspects in judged.items():
        mode = "score_safety" if [one.aspect for one in aspects] == [SAFETY] else "score_multi"
        info = manifest.services.get(f"judge:{judge}")
        row: dict[str, Any] = {
            "id": _number(record.item),
            "input": record.instruction,
            "output_cand": record.response,
            "generator_cand": record.arm,
            "eval_config": {"mode": mode, "gpt": info and (info.model or info.implementation), "max_words": -1},
            "prompt": None,
            "result": "N/A",
        }
        scored = {one.aspect: _score(one) for one in aspects if one.score is not None}
        if scored:
            row |= {"result": json.dumps(scored, ensure_ascii=False), "parsed_result": scored}
        yield judge, mode, row


def _score(judgment: RecordedJudgment) -> dict[str, str]:
    return {"reason": judgment.rationale or "", "score": f"{judgment.score:g}"}


def _number(item: str) -> int | str:
    """just-eval's ids are numbers."""
    return int(item) if item.isdecimal() and str(int(item)) == item else item
